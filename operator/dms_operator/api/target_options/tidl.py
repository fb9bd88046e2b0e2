"""The options that a user may give toolchain tidl in a target: one row each, TI's name beside ours.

Names, values and defaults: TI edgeai-tidl-tools docs/model_compilation.md and examples/osrt_python/README.md.
`docs/tda4vm.md` shows this table (`python -m dms_operator.toolchains.tidl.tables options`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ..cpu_fallback import ALLOW_CPU_FALLBACK, accepted_share
from ..errors import InvalidSpec
from .tidl_socs import Soc
from .values import SHARE, OneOf, Values, Whole, Written, check_key, check_value

ESTIMATE_ONLY = "estimate-only"
IMPORT_TIMEOUT = "import-timeout"
BOARD_RELEASE = "board-release"
PERFSIM = "perfsim"

_FACTOR = Written(
    r"-1|[0-9]{1,9}([.][0-9]{1,9})?", "a latency factor above 1 and at most 16, such as 1.2 (or -1: off)", highest=16
)
_NAMES = Written(r"\s*[^,\s][^,]*(,\s*[^,\s][^,]*)*", "names separated by commas")
_WORD = Written(r"[A-Za-z0-9._-]{1,64}", "letters, digits, dots, dashes and underscores, at most 64")
_RELEASE = Written(r"[0-9]+([._][0-9]+)+", "the board's SDK release, such as 11.02")
_FLAG, _SWITCH = OneOf(("0", "1")), OneOf(("false", "true"))


@dataclass(frozen=True)
class Option:
    """One row. `default` empty: TI's tools are not told; `ti` empty: an option of ours alone."""

    key: str
    ti: str
    default: str
    values: Values
    text: str
    level: str = ""
    """The only accuracy level at which TI's tools read it."""


_ADVANCED = "advanced_options:"
OPTIONS: tuple[Option, ...] = (
    Option("tensor-bits", "tensor_bits", "8", OneOf(("8", "16")), "bits of weights and activations"),
    Option(
        "accuracy-level", "accuracy_level", "1", OneOf(("0", "1", "2", "9")), "0 basic, 1 bias calibration, 9 by hand"
    ),
    Option(
        "calibration-frames", f"{_ADVANCED}calibration_frames", "20", Whole(1, 10_000), "samples run at compile time"
    ),
    Option(
        "calibration-iterations",
        f"{_ADVANCED}calibration_iterations",
        "50",
        Whole(1, 10_000),
        "rounds of bias calibration",
        level="1",
    ),
    Option(
        "quantization-scale-type",
        f"{_ADVANCED}quantization_scale_type",
        "",
        OneOf(("0", "1", "3", "4")),
        "0 any scale, 1 powers of two, 3 TFLite, 4 asymmetric per channel; default 1 on TDA4VM, 4 elsewhere",
    ),
    Option(
        "mixed-precision-factor",
        f"{_ADVANCED}mixed_precision_factor",
        "",
        _FACTOR,
        "accepted latency over 8-bit latency; TI's tools choose 16-bit layers",
    ),
    Option(
        "output-16bit-names", f"{_ADVANCED}output_feature_16bit_names_list", "", _NAMES, "layers with 16-bit outputs"
    ),
    Option("params-16bit-names", f"{_ADVANCED}params_16bit_names_list", "", _NAMES, "layers with 16-bit weights"),
    Option("deny-layer-types", "deny_list:layer_type", "", _NAMES, "operator types left to the Arm cores"),
    Option("deny-layer-names", "deny_list:layer_name", "", _NAMES, "nodes left to the Arm cores"),
    Option("allow-layer-names", "allow_list:layer_name", "", _NAMES, "the only nodes that the C7x runs"),
    Option("max-subgraphs", "max_num_subgraphs", "16", Whole(1, 16), "most parts that the C7x runs"),
    Option("max-subgraph-nodes", f"{_ADVANCED}max_num_subgraph_nodes", "", Whole(1, 2048), "most nodes of one part"),
    Option(
        "high-resolution",
        f"{_ADVANCED}high_resolution_optimization",
        "0",
        _FLAG,
        "process large inputs in tiles across layers",
    ),
    Option(
        "activation-clipping", f"{_ADVANCED}activation_clipping", "1", _FLAG, "cut outliers of activations", level="9"
    ),
    Option("weight-clipping", f"{_ADVANCED}weight_clipping", "1", _FLAG, "cut outliers of weights", level="9"),
    Option("bias-calibration", f"{_ADVANCED}bias_calibration", "1", _FLAG, "correct biases", level="9"),
    Option(
        "channel-wise-quantization",
        f"{_ADVANCED}channel_wise_quantization",
        "0",
        _FLAG,
        "a symmetric weight scale per channel",
        level="9",
    ),
    Option("add-data-convert", f"{_ADVANCED}add_data_convert_ops", "0", Whole(0, 3), "convert inputs (1), outputs (2)"),
    Option("inference-mode", f"{_ADVANCED}inference_mode", "0", Whole(0, 2), "0 one core, 1 throughput, 2 low latency"),
    Option("num-cores", f"{_ADVANCED}num_cores", "1", Whole(1, 8), "C7x cores that the model is split over"),
    Option("core-number", f"{_ADVANCED}core_number", "", Whole(1, 8), "the C7x core that runs the model, from 1"),
    Option("core-start", f"{_ADVANCED}core_start_idx", "", Whole(1, 8), "the first of num-cores, from 1"),
    Option(
        "single-core-layers",
        f"{_ADVANCED}single_core_layers_names_list",
        "",
        _NAMES,
        "layers that are not split over cores",
    ),
    Option("batch-mode", f"{_ADVANCED}batch_mode", "", _FLAG, "process the batch in one go"),
    Option(
        "partial-init",
        f"{_ADVANCED}partial_init_during_compile",
        "",
        _FLAG,
        "do part of the board's initialization while compiling",
    ),
    Option(
        "firmware-version",
        f"{_ADVANCED}c7x_firmware_version",
        "",
        _WORD,
        "C7x firmware to compile for, where the release supports several",
    ),
    Option("debug-level", "debug_level", "0", Whole(0, 6), "what TI's tools print"),
    Option(PERFSIM, "", "true", _SWITCH, "ask TI's performance simulator for a latency"),
    Option(ALLOW_CPU_FALLBACK, "", "false", SHARE, "true, or the share of nodes (5%) that may run on the Arm cores"),
    Option(ESTIMATE_ONLY, "", "false", _SWITCH, "no compilation: pre-flight and estimate, not deployable"),
    Option(IMPORT_TIMEOUT, "", "7200", Whole(1, 86_400), "seconds until the import is ended"),
    Option(BOARD_RELEASE, "", "", _RELEASE, "SDK release on the board, checked against that of the tools"),
)
_BY_KEY = {option.key: option for option in OPTIONS}
PERFSIM_FLAG = 1601
"""`ti_internal_nc_flag` with which TI's own runner turns the performance simulator on (edgeai-tidlrunner)."""


@dataclass(frozen=True)
class TidlOptions:
    """Checked options of one chip; `given` holds what the user wrote."""

    soc: Soc
    given: Mapping[str, str]

    def __getitem__(self, key: str) -> str:
        """The user's value, or the default."""
        if key == "quantization-scale-type":
            return self.given.get(key, self.soc.default_scale_type)
        return self.given.get(key, _BY_KEY[key].default)

    def flag(self, key: str) -> bool:
        """Whether a true/false option is on."""
        return self[key] == "true"

    @property
    def cpu_share(self) -> float:
        """Share of the nodes, 0 to 1, that may run on the Arm cores."""
        return accepted_share(self[ALLOW_CPU_FALLBACK])

    @property
    def frames(self) -> int:
        """Samples that calibration runs."""
        return int(self["calibration-frames"])

    def for_provider(self, *, prequantized: bool) -> dict[str, str]:
        """TI's provider options, without the two paths. A prequantized (QDQ) model brings its ranges itself."""
        told = {o.ti: self[o.key] for o in OPTIONS if o.ti and self[o.key] and o.level in ("", self["accuracy-level"])}
        if prequantized:
            told |= {f"{_ADVANCED}prequantized_model": "1", f"{_ADVANCED}calibration_frames": "1"}
        if self.flag(PERFSIM):
            told["ti_internal_nc_flag"] = str(PERFSIM_FLAG)
        return told


def parse_options(given: Mapping[str, str], soc: Soc) -> TidlOptions:
    """Check the options for a chip. Raises InvalidSpec with what to write instead."""
    for key, value in given.items():
        check_key("tidl", key, _BY_KEY)
        check_value(key, value, _BY_KEY[key].values)
    options = TidlOptions(soc, dict(given))
    for problem, hint in _conflicts(options):
        raise InvalidSpec(problem, hint=hint)
    return options


def check_prequantized(options: TidlOptions) -> None:
    """Raise InvalidSpec for options that a QDQ model leaves nothing to decide for: TIDL reads 8-bit QDQ only."""
    for key in ("tensor-bits", "mixed-precision-factor", "output-16bit-names", "params-16bit-names"):
        if key in options.given and not (key == "tensor-bits" and options[key] == "8"):
            raise InvalidSpec(
                f"option {key} does not go with an 8-bit QDQ model, whose precision is fixed already",
                hint="Leave it out: quantization decides (method auto, or static with activationBits: 16)",
            )


def _conflicts(options: TidlOptions) -> list[tuple[str, str]]:
    soc, given = options.soc, options.given
    found = []
    if options["quantization-scale-type"] in ("3", "4") and not soc.asymmetric:
        problem = (
            f"quantization-scale-type {options['quantization-scale-type']} (asymmetric, per channel) is not possible "
            f"on {soc.title}: its matrix unit has no zero points"
        )
        found.append((problem, "Use 1 (powers of two), the default"))
    if "allow-layer-names" in given and ("deny-layer-types" in given or "deny-layer-names" in given):
        found.append(("allow and deny lists cannot be used together", "Keep one of them"))
    for key in ("num-cores", "core-number", "core-start"):
        if int(options[key] or 1) > soc.cores:
            found.append((f"{key} is {options[key]}, {soc.title} has {soc.cores}", "Write at most that many"))
    if "mixed-precision-factor" in given and (options["tensor-bits"], options["accuracy-level"]) != ("8", "1"):
        found.append(("mixed-precision-factor needs tensor-bits 8 and accuracy-level 1", "Remove the other options"))
    for key in given:
        if _BY_KEY[key].level not in ("", options["accuracy-level"]):
            found.append(
                (
                    f"option {key} has no effect at accuracy-level {options['accuracy-level']}",
                    f"Set accuracy-level to {_BY_KEY[key].level}",
                )
            )
    return found
