"""The legacy route: TI's command line import tool, driven by a configuration file."""

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx

from ...api.errors import ConversionFailed, ToolchainUnavailable
from ...api.target_options.tidl import IMPORT_TIMEOUT, TidlOptions
from ..base import Arrays
from .import_config import Config, Value, check_for_tda4vm, write_config
from .process import TaskFailed, run_program
from .samples import check_samples, inputs_of

NET, IO_PREFIX, IO = "model_tidl_net.bin", "model_tidl_io_", "model_tidl_io_1.bin"
CONFIG, DATA, MODEL = "import.txt", "calibration.bin", "model.onnx"
_IMPORT = "tidl_model_import.out"
_DEVICE_TDA4VM = 0
_RAW, _FLOAT32, _ONNX = 1, 6, 2
_SIMPLE, _ADVANCED = 0, 7
"""TI's recommended values of calibrationOption."""
_STYLES = {"0": 2, "1": 3, "3": 4, "4": 4}
"""quantization_scale_type to quantizationStyle (TI's own mapping in the OSRT provider)."""


def import_argv(tool: Path, config: Path, **overrides: Value) -> list[str]:
    """`tidl_model_import.out <config.txt> [--key value ...]`."""
    return [str(tool), str(config), *(part for key, value in overrides.items() for part in (f"--{key}", str(value)))]


def config_for(
    model: onnx.ModelProto, options: TidlOptions, tools: Path, workdir: Path, frames: int
) -> dict[str, Value]:
    """A configuration for an ONNX model with raw float calibration data, from the options of the other route."""
    shapes = [shape for shape, _ in inputs_of(model).values()]
    planes = [(1,) * (4 - len(shape)) + shape[-4:] for shape in shapes]
    config: dict[str, Value] = {
        "modelType": _ONNX,
        "inputNetFile": str(workdir / MODEL),
        "outputNetFile": str(workdir / NET),
        "outputParamsFile": str(workdir / IO_PREFIX),
        "numParamBits": int(options["tensor-bits"]),
        "numFeatureBits": int(options["tensor-bits"]),
        "quantizationStyle": _STYLES[options["quantization-scale-type"]],
        "calibrationOption": _ADVANCED if options["accuracy-level"] == "1" else _SIMPLE,
        "biasCalibrationIterations": int(options["calibration-iterations"]),
        "inData": str(workdir / DATA),
        "inFileFormat": _RAW,
        "rawDataInElementType": (_FLOAT32,) * len(shapes),
        "numBatches": tuple(shape[0] for shape in planes),
        "inNumChannels": tuple(shape[1] for shape in planes),
        "inHeight": tuple(shape[2] for shape in planes),
        "inWidth": tuple(shape[3] for shape in planes),
        "numFrames": frames,
        "numFramesBiasCalibration": frames,
        "enableHighResOptimization": int(options["high-resolution"]),
        "perfSimTool": str(tools / "ti_cnnperfsim.out"),
        "perfSimConfig": str(tools / "device_config.cfg"),
        "graphVizTool": str(tools / "tidl_graphVisualiser.out"),
        "tidlStatsTool": str(tools / "PC_dsp_test_dl_algo.out"),
        "debugTraceLevel": min(2, int(options["debug-level"])),
    }
    if options.soc.name == "J721E":
        config["deviceName"] = _DEVICE_TDA4VM
    names = {"output-16bit-names": "outputFeature16bitNamesList", "params-16bit-names": "params16bitNamesList"}
    config |= {theirs: options[ours] for ours, theirs in names.items() if options[ours]}
    if options["mixed-precision-factor"]:
        config["mixedPrecisionFactor"] = float(options["mixed-precision-factor"])
    return config


def import_model(
    model: onnx.ModelProto, samples: Sequence[Arrays], options: TidlOptions, tools: Path, directory: Path
) -> dict[str, Path]:
    """Run the import; `directory` gets network and description, or nothing.

    Raises ToolchainUnavailable, InvalidSpec, DatasetInvalid, ConversionFailed, ConverterKilled, StoreFull.
    """
    tool = tools / _IMPORT
    if not os.access(tool, os.X_OK):
        raise ToolchainUnavailable(f"{_IMPORT} is not in TIDL_TOOLS_PATH, or cannot be executed")
    check_samples(samples, model)
    with TemporaryDirectory(prefix="tidl-", dir=directory) as name:
        scratch = Path(name)
        onnx.save_model(model, scratch / MODEL)
        write_raw(scratch / DATA, samples)
        config = config_for(model, options, tools, scratch, len(samples))
        run_import(tool, config, scratch, options)
        absent = [name for name in (NET, IO) if not (scratch / name).is_file() or not (scratch / name).stat().st_size]
        if absent:
            raise ConversionFailed(f"{_IMPORT} reported success, but left no {', '.join(absent)}")
        return {name: (scratch / name).rename(directory / name) for name in (NET, IO)}


def run_import(tool: Path, config: Config, scratch: Path, options: TidlOptions) -> list[str]:
    """Write the configuration and run the tool; gives its lines. A user's own configuration may be given."""
    if not options.soc.asymmetric:
        check_for_tda4vm(config)
    path = scratch / CONFIG
    path.write_text(write_config(config), encoding="utf-8")
    try:
        return run_program(
            import_argv(tool, path), scratch, float(options[IMPORT_TIMEOUT]), lambda _: None, what=_IMPORT
        )
    except TaskFailed as failure:
        raise ConversionFailed(f"{_IMPORT} refused the model; {failure.why()}") from failure


def write_raw(path: Path, samples: Sequence[Arrays]) -> None:
    """Frame after frame, input after input, float32 in the model's own layout (inFileFormat 1)."""
    with path.open("wb") as file:
        for sample in samples:
            for array in sample.values():
                file.write(np.ascontiguousarray(array, np.float32).tobytes())
