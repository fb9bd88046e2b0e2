"""The recipes that are tried for one precision, in order, until one keeps the accuracy."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ..api.capabilities import Precision, ToolchainName
from ..api.quantization import StaticForm, StaticRecipe
from ..api.spec import QuantizationSpec
from ..api.stages import Calibration, Method

AskedMethod = Literal["auto", "dynamic", "static", "qat"]

CHEAPEST_FIRST: tuple[Precision, ...] = ("int8", "int4", "fp16", "fp32")
"""Precisions by latency, cheapest first: the SA8255 cost model gives the reference net w8a8 137 us, w4a8 155 us, w4a16
360 us, fp16 481 us (docs/quantization.md). int4 saves memory, not time."""

QUANTIZED: tuple[Precision, ...] = ("int8", "int4")
"""Precisions of integers, whose loss depends on how they are made."""

CALIBRATIONS: tuple[Calibration, ...] = ("minmax", "percentile", "entropy", "mse")
"""Calibrations of `auto`: minmax is cheapest and usually enough; the others clip outliers ever more costly."""

WIDENING: frozenset[ToolchainName] = frozenset({"qnn", "snpe-sdk", "tidl"})
"""Toolchains that take 16-bit activations, for all or some tensors (api/static_forms.py: why not onnxruntime)."""

NARROW_INT4: frozenset[ToolchainName] = frozenset({"qnn", "snpe-sdk"})
"""Toolchains whose int4 has 16-bit activations of its own, and takes 8 bits (w4a8) as well: those of Qualcomm's HTP."""

ANY_SCALES: frozenset[ToolchainName] = frozenset({"qnn", "snpe-sdk", "onnxruntime"})
"""Toolchains that take a weight's scale as it was learned; TIDL's on TDA4VM are powers of two."""


AIM = 0.5
"""Share of maxAccuracyDrop that a search or a training aims at: a loss just within it is hardly proven to be."""


def aim(quantization: QuantizationSpec) -> float:
    """The drop at which a mixture has enough wide layers, or a training has come far enough."""
    return quantization.max_accuracy_drop * AIM


NARROW = StaticRecipe(equalize=True, correct_bias=True, rounding="learned", activation_bits=8)
"""The one form of w4a8 that is tried: made with less care, its logits stray on the HTP (docs/quantization.md)."""


@dataclass(frozen=True)
class Rung:
    """One way to make a precision."""

    precision: Precision
    method: Method
    calibration: Calibration | None = None
    static: StaticRecipe | None = None

    def name(self, toolchain: ToolchainName) -> str:
        """Name of the variant, unique in a deployment, such as `int8-qnn` or `int8-qnn-percentile`."""
        if self.precision == "fp32":
            return "fp32"
        if self.method in ("dynamic", "qat"):
            return f"{self.precision}-{toolchain}-{self.method}"
        calibration = self.calibration if self.calibration not in (None, "minmax") else ""
        width = "a8" if self.narrow else ""
        return "-".join(part for part in (self.precision, toolchain, width, calibration, self._trait) if part)

    @property
    def widened(self) -> bool:
        """Whether every activation is wider than the precision's own, which a cheaper rung may avoid."""
        return self.static is not None and self.static.activation_bits == 16

    @property
    def narrow(self) -> bool:
        """Whether 8-bit activations are asked for, where the precision's own may be wider."""
        return self.static is not None and self.static.activation_bits == 8

    @property
    def searches(self) -> bool:
        """Whether layers are looked for that need more bits than the precision's own."""
        return self.static is not None and self.static.mixed

    @property
    def widens(self) -> bool:
        """Whether some or all tensors get more bits than the precision's own."""
        return self.widened or self.searches

    @property
    def _trait(self) -> str:
        wanted = self.static or StaticRecipe()
        traits = {
            "a16": wanted.activation_bits == 16,
            "mixed": wanted.mixed,
            "rounded": wanted.rounding == "learned",
            "equalized": wanted.equalize,
        }
        return next((name for name, applies in traits.items() if applies), "")


REFERENCE = Rung("fp32", "none")
"""The float model that every drop is counted against."""


def rungs(
    precision: Precision, quantization: QuantizationSpec, toolchain: ToolchainName, trainable: bool = False
) -> list[Rung]:
    """The rungs of a precision, cheapest first; the next one counts only if one loses too much.

    `trainable`: the model is a PyTorch program, which quantization-aware training needs.
    """
    if precision == "fp32":
        return [REFERENCE]
    if precision == "fp16":
        return [Rung("fp16", "cast")]
    if quantization.method in ("dynamic", "qat"):
        return [Rung(precision, quantization.method)]
    if quantization.static is not None:
        calibration = quantization.fixed_calibration() or CALIBRATIONS[0]
        return [Rung(precision, "static", calibration, _form(quantization.static, quantization))]
    ladder = list(_static(precision, quantization, toolchain))
    if quantization.method != "auto" or not trainable:
        return ladder
    at = len(ladder)
    if toolchain == "tidl":  # 16 bits cost TDA4VM two to four times the latency: TI, too, trains before it widens
        at = next((place for place, rung in enumerate(ladder) if rung.widens), at)
    return [*ladder[:at], Rung(precision, "qat"), *ladder[at:]]


def _form(wanted: StaticForm, quantization: QuantizationSpec) -> StaticRecipe | None:
    """The recipe of a form that the user named: the very one that the ladder's rung of this form has."""
    if wanted == StaticForm():
        return None
    recipe = StaticRecipe(**dict(wanted))
    return recipe.model_copy(update={"max_accuracy_drop": aim(quantization)}) if recipe.mixed else recipe


def _static(precision: Precision, quantization: QuantizationSpec, toolchain: ToolchainName) -> Iterator[Rung]:
    """Post-training rungs: other ranges, other weights for the same function, learned rounding, and then more bits.

    Bits come last: they cost on the board for ever, the others only here and once.
    """
    fixed = quantization.fixed_calibration()
    if precision == "int4" and toolchain in NARROW_INT4:
        yield Rung(precision, "static", fixed or CALIBRATIONS[0], NARROW)
    # ranges of 16-bit activations hardly matter: what 4-bit weights lose, no calibration brings back
    calibrations = CALIBRATIONS if precision == "int8" else CALIBRATIONS[:1]
    for calibration in [fixed] if fixed else calibrations:
        yield Rung(precision, "static", calibration)
    for wanted in _improvements(precision, quantization, toolchain):
        yield Rung(precision, "static", fixed or CALIBRATIONS[0], wanted)


def _improvements(
    precision: Precision, quantization: QuantizationSpec, toolchain: ToolchainName
) -> Iterator[StaticRecipe]:
    better = StaticRecipe(equalize=True, correct_bias=True)
    yield better
    if toolchain in ANY_SCALES:
        yield better.model_copy(update={"rounding": "learned"})
    if toolchain in WIDENING:
        wide = [better.model_copy(update={"activation_bits": 16})] if precision == "int8" else []
        mixed = better.model_copy(update={"mixed": True, "max_accuracy_drop": aim(quantization)})
        # all activations need no search, and cost the HTP little; a few layers cost TDA4VM far less than all
        yield from [mixed, *wide] if toolchain == "tidl" else [*wide, mixed]
