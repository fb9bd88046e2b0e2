"""Carries a user's legacy import configuration over: `python -m dms_operator.toolchains.tidl.import_options FILE`.

Prints the target options of a deployment that say the same, and names the keys that have no place there: paths and
input geometry come from the model and the dataset, and what is internal to TI's tool stays behind.
"""

import argparse
import sys
from collections.abc import Callable, Sequence

from ...api.errors import DMSError
from ...api.target_options.tidl import parse_options
from ...api.target_options.tidl_socs import Soc, soc_named
from ..arguments import existing_file
from .import_config import Config, Value, read_config

_STYLES = {2: "0", 3: "1", 4: "4"}
"""quantizationStyle to quantization_scale_type (TI's own mapping in the OSRT provider)."""
_BIAS_CALIBRATION, _PER_CHANNEL = 4, 8


def _style(value: Value) -> dict[str, str]:
    return {"quantization-scale-type": _STYLES[value]} if value in _STYLES and isinstance(value, int) else {}


def _calibration(value: Value) -> dict[str, str]:
    """The bits of calibrationOption: 0 simple, 7 advanced; anything else is accuracy level 9, switch by switch."""
    bits = int(str(value))
    if bits in (0, 7):
        return {"accuracy-level": "1" if bits else "0"}
    switches = {"activation-clipping": 1, "weight-clipping": 2, "bias-calibration": _BIAS_CALIBRATION}
    switches |= {"channel-wise-quantization": _PER_CHANNEL}
    return {"accuracy-level": "9"} | {key: str(int(bool(bits & bit))) for key, bit in switches.items()}


def _as(key: str) -> Callable[[Value], dict[str, str]]:
    return lambda value: {key: str(value)} if value not in ("", -1, -1.0) else {}


_CARRIED: dict[str, Callable[[Value], dict[str, str]]] = {
    "numParamBits": _as("tensor-bits"),
    "quantizationStyle": _style,
    "calibrationOption": _calibration,
    "biasCalibrationIterations": _as("calibration-iterations"),
    "numFramesBiasCalibration": _as("calibration-frames"),
    "mixedPrecisionFactor": _as("mixed-precision-factor"),
    "outputFeature16bitNamesList": _as("output-16bit-names"),
    "params16bitNamesList": _as("params-16bit-names"),
    "enableHighResOptimization": _as("high-resolution"),
    "addDataConvertToNet": _as("add-data-convert"),
    "inferenceMode": _as("inference-mode"),
    "numCores": _as("num-cores"),
    "debugTraceLevel": _as("debug-level"),
}


def options_from(config: Config, soc: Soc) -> tuple[dict[str, str], list[str]]:
    """Target options and the keys that were left behind. Raises InvalidSpec for what the chip cannot do."""
    options: dict[str, str] = {}
    for key, value in config.items():
        if key in _CARRIED:
            options |= _CARRIED[key](value)
    if options.get("accuracy-level", "1") != "1":
        options.pop("calibration-iterations", None)  # read at level 1 only
    parse_options(options, soc)
    return options, [key for key in config if key not in _CARRIED]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the options as YAML; 1 and the error's own words for what cannot be said so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configuration", type=existing_file, help="what tidl_model_import.out reads")
    parser.add_argument("chip", nargs="?", default="J721E")
    given = parser.parse_args(arguments)
    try:
        options, left = options_from(read_config(given.configuration.read_text("utf-8")), soc_named(given.chip))
    except DMSError as error:
        print(f"{error.reason}: {error}", file=sys.stderr)
        return 1
    print("options:")
    for key, value in options.items():
        print(f'  {key}: "{value}"')
    print(f"# left behind: {', '.join(left) or 'nothing'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
