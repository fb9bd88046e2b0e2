"""The recipes that are tried for one precision, in order, until one keeps the accuracy."""

from dataclasses import dataclass
from typing import Literal

from ..api.capabilities import Precision, ToolchainName
from ..api.spec import QuantizationSpec
from ..api.stages import Calibration, Method

AskedMethod = Literal["auto", "dynamic", "static", "qat"]

CHEAPEST_FIRST: tuple[Precision, ...] = ("int4", "int8", "fp16", "fp32")
"""Precisions by latency, cheapest first."""

CALIBRATIONS: tuple[Calibration, ...] = ("minmax", "percentile", "entropy", "mse")
"""Calibrations of `auto`: minmax is cheapest and usually enough; the others clip outliers ever more costly."""


@dataclass(frozen=True)
class Rung:
    """One way to make a precision."""

    precision: Precision
    method: Method
    calibration: Calibration | None = None

    def name(self, toolchain: ToolchainName) -> str:
        """Name of the variant, unique in a deployment, such as `int8-qnn` or `int8-qnn-percentile`."""
        if self.precision == "fp32":
            return "fp32"
        if self.method in ("dynamic", "qat"):
            return f"{self.precision}-{toolchain}-{self.method}"
        suffix = f"-{self.calibration}" if self.calibration not in (None, "minmax") else ""
        return f"{self.precision}-{toolchain}{suffix}"


REFERENCE = Rung("fp32", "none")
"""The float model that every drop is counted against."""


def rungs(precision: Precision, quantization: QuantizationSpec, toolchain: ToolchainName) -> list[Rung]:
    """The rungs of a precision. Today the same for every toolchain; the next one counts only if one fails."""
    if precision == "fp32":
        return [REFERENCE]
    if precision == "fp16":
        return [Rung("fp16", "cast")]
    if quantization.method in ("dynamic", "qat"):
        return [Rung(precision, quantization.method)]
    fixed = quantization.fixed_calibration()
    return [Rung(precision, "static", calibration) for calibration in ([fixed] if fixed else CALIBRATIONS)]
