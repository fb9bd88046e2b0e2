"""The options that a user may give toolchain qnn in a target: data rows, checked here and printed in the docs."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..capabilities import BoardType
from ..cpu_fallback import ALLOW_CPU_FALLBACK, TAKES, accepted_share
from ..errors import InvalidSpec
from .qnn_socs import Soc, soc_of
from .values import SHARE, OneOf, Values, Whole, check_key, check_value

PERFORMANCE_MODES = (
    "burst",
    "balanced",
    "default",
    "high_performance",
    "high_power_saver",
    "low_balanced",
    "extreme_power_saver",
    "low_power_saver",
    "power_saver",
    "sustained_high_performance",
)
"""QNN provider's htp_performance_mode (docs/execution-providers/QNN-ExecutionProvider of ONNX Runtime)."""


TIMEOUT = "timeout-minutes"


@dataclass(frozen=True)
class Option:
    """One option; no values means that they depend on the board, and `parse_options` checks them by hand."""

    values: Values | None
    default: str
    takes: str
    meaning: str


OPTIONS: dict[str, Option] = {
    ALLOW_CPU_FALLBACK: Option(SHARE, "false", TAKES, "how many nodes may run on the CPU"),
    "soc": Option(None, "the board's", "the same die's other name or QNN id", "SoC that the binary is bound to"),
    "htp-arch": Option(None, "the SoC's", "v73 or 73", "refused unless it is the SoC's: QNN ignores a differing one"),
    "vtcm": Option(
        None, "all", "1 up to the SoC's MiB", "scratch memory to plan with, when other models share the HTP"
    ),
    "graph-optimization": Option(OneOf(("3", "2", "1")), "3", "1, 2 or 3", "effort of the HTP's graph preparation"),
    "performance-mode": Option(
        OneOf(PERFORMANCE_MODES), "burst", ", ".join(PERFORMANCE_MODES), "HTP clocks on the board"
    ),
    "io-quantization": Option(
        OneOf(("npu", "cpu")), "npu", "npu or cpu", "who quantizes the model's inputs and outputs"
    ),
    "batch": Option(Whole(1, 1024), "the model's", "a number", "refused unless the exported model has this batch size"),
    TIMEOUT: Option(Whole(1, 1440), "60", "1 to 1440", "longest run of the compiler, or of one of the SDK's tools"),
    "layer-profile": Option(
        OneOf(("true", "false")), "true", "true or false", "run one sample to name the profile's layers"
    ),
}
"""Every option by its key in `targets[].options`."""


@dataclass(frozen=True)
class QnnOptions:
    """Checked options."""

    soc: Soc
    vtcm_mb: int
    allowed_cpu_share: float = 0.0
    """Largest share of the model's nodes on the CPU, 0 to 1."""
    optimization: str = "3"
    performance_mode: str = "burst"
    io_on_cpu: bool = False
    batch: int | None = None
    layer_profile: bool = True
    timeout_seconds: float = 3600.0

    @property
    def allow_cpu(self) -> bool:
        """Whether the session may give any node to the CPU; (de)quantization of inputs and outputs is one."""
        return self.allowed_cpu_share > 0 or self.io_on_cpu


def parse_options(options: Mapping[str, str], board: BoardType = "qcs8255") -> QnnOptions:
    """Check the options against the board's SoC and fill in the defaults. Raises InvalidSpec with what is known."""
    for key, value in options.items():
        check_key("qnn", key, OPTIONS)
        check_value(key, value, OPTIONS[key].values)
    chosen = {key: options.get(key, option.default) for key, option in OPTIONS.items()}
    soc = soc_of(board, options.get("soc"))
    _check_architecture(options.get("htp-arch"), soc)
    return QnnOptions(
        soc=soc,
        vtcm_mb=_vtcm(options.get("vtcm"), soc),
        allowed_cpu_share=accepted_share(chosen[ALLOW_CPU_FALLBACK]),
        optimization=chosen["graph-optimization"],
        performance_mode=chosen["performance-mode"],
        io_on_cpu=chosen["io-quantization"] == "cpu",
        batch=int(options["batch"]) if "batch" in options else None,
        layer_profile=chosen["layer-profile"] == "true",
        timeout_seconds=60.0 * int(chosen[TIMEOUT]),
    )


def _check_architecture(value: str | None, soc: Soc) -> None:
    if value is not None and value.removeprefix("v") != str(soc.architecture):
        raise InvalidSpec(
            f"option htp-arch is {value!r}, but {soc.name} has v{soc.architecture}",
            hint="Leave it out, or choose the board that has this architecture",
        )


def _vtcm(value: str | None, soc: Soc) -> int:
    if value is None:
        return soc.vtcm_mb
    # the compiler plans with more than there is, and the board would then refuse the binary
    if not Whole(1, soc.vtcm_mb).take(value):
        hint = f"Write {Whole(1, soc.vtcm_mb).words} ({soc.name} has {soc.vtcm_mb} MiB)"
        raise InvalidSpec(f"option vtcm is {value!r}", hint=hint)
    return int(value)
