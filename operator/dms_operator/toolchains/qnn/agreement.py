"""How far the target's outputs are from the QDQ model's on the host, per output and in constant memory."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base import Arrays


@dataclass
class OutputAgreement:
    """Absolute errors of one output over all values of all samples seen, in the output's own unit."""

    max_error: float = 0.0
    _values: int = 0
    _sum_error: float = 0.0
    _noise: float = 0.0
    _signal: float = 0.0

    @property
    def mean_error(self) -> float:
        """Mean absolute error; 0 before the first sample."""
        return self._sum_error / self._values if self._values else 0.0

    @property
    def sqnr_db(self) -> float:
        """Signal to quantization noise ratio, 10 log10(sum of squares of the reference / of the error).

        Infinite where the outputs are equal.
        """
        if self._noise == 0:
            return math.inf
        return 10 * math.log10(self._signal / self._noise) if self._signal else -math.inf

    def add(self, found: NDArray[Any], expected: NDArray[Any]) -> None:
        """Count one sample's values."""
        reference = expected.astype(np.float64)
        error = found.astype(np.float64) - reference
        self.max_error = max(self.max_error, float(np.abs(error).max(initial=0)))
        self._values += error.size
        self._sum_error += float(np.abs(error).sum())
        self._noise += float(np.square(error).sum())
        self._signal += float(np.square(reference).sum())

    def to_wire(self) -> dict[str, float | None]:
        """Plain JSON object; an infinite ratio is null."""
        sqnr = self.sqnr_db if math.isfinite(self.sqnr_db) else None
        return {"maxError": self.max_error, "meanError": self.mean_error, "sqnrDb": sqnr}


@dataclass
class Agreement:
    """All outputs by name, and how often the largest value of the first output is at the same place."""

    outputs: dict[str, OutputAgreement] = field(default_factory=dict)
    samples: int = 0
    same_top: int = 0

    def add(self, found: Arrays, expected: Arrays) -> None:
        """Count one sample; outputs are matched by name, and the first expected one decides the top value."""
        self.samples += 1
        first = next(iter(expected))
        self.same_top += int(np.argmax(found[first]) == np.argmax(expected[first]))
        for name, reference in expected.items():
            self.outputs.setdefault(name, OutputAgreement()).add(found[name], reference)
