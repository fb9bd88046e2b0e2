"""Golden inputs and outputs: by them a vehicle proves that it computes what the benchmark saw (docs/rollout.md)."""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..api.errors import GoldenMismatch, GoldenMissing
from ..toolchains.base import Arrays

GOLDEN = "golden.npz"
"""File of the benchmark's artifact: arrays `input.<i>` and `output.<i>` [samples, ...], and `about`, JSON as bytes."""
_ABOUT = "about"
_VERSION = 1


@dataclass(frozen=True)
class Tolerance:
    """How far an output may be from the golden one, in units of the output, and why that far."""

    limit: float
    source: str


@dataclass(frozen=True)
class Golden:
    """A few samples with what the compiled artifact answers to them."""

    compiled: str
    """Digest of the artifact that they belong to."""
    provenance: str
    """Where the outputs come from: measured, simulated, estimated or host."""
    inputs: Sequence[Arrays]
    """One mapping of input name to array per sample; at least one sample."""
    outputs: Sequence[Arrays]
    """The same of outputs."""
    tolerances: Mapping[str, Tolerance]
    """By output name."""

    def save(self, path: Path) -> Path:
        """Write as npz: equal content, equal bytes."""
        inputs, outputs = list(self.inputs[0]), list(self.outputs[0])
        about = self.to_wire() | {"version": _VERSION, "inputs": inputs, "outputs": outputs}
        arrays = {f"input.{i}": np.stack([each[name] for each in self.inputs]) for i, name in enumerate(inputs)}
        arrays |= {f"output.{i}": np.stack([each[name] for each in self.outputs]) for i, name in enumerate(outputs)}
        text = json.dumps(about, sort_keys=True).encode()
        np.savez(path, allow_pickle=False, **{_ABOUT: np.frombuffer(text, np.uint8)}, **arrays)
        return path

    def to_wire(self) -> dict[str, Any]:
        """What a report tells of it."""
        return {
            "compiled": self.compiled,
            "provenance": self.provenance,
            "samples": len(self.inputs),
            "tolerances": {name: asdict(each) for name, each in self.tolerances.items()},
        }

    @classmethod
    def load(cls, path: Path) -> "Golden":
        """Read what `save` wrote. Raises GoldenMissing."""
        if not path.is_file():
            raise GoldenMissing(f"the benchmark's artifact holds no {path.name}", hint=_HINT)
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls._of(file)
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            message = f"{path.name} of the benchmark's artifact cannot be read: {error}"
            raise GoldenMissing(message, hint=_HINT) from error

    @classmethod
    def _of(cls, file: Mapping[str, NDArray[Any]]) -> "Golden":
        about = json.loads(file[_ABOUT].tobytes())
        if about["version"] != _VERSION:
            raise ValueError(f"version {about['version']} is unknown")
        inputs, outputs = (
            [dict(zip(about[f"{kind}s"], sample, strict=True)) for sample in zip(*columns, strict=True)]
            for kind in ("input", "output")
            for columns in [[file[f"{kind}.{i}"] for i in range(len(about[f"{kind}s"]))]]
        )
        tolerances = {name: Tolerance(**each) for name, each in about["tolerances"].items()}
        return cls(about["compiled"], about["provenance"], inputs, outputs, tolerances)


@dataclass(frozen=True)
class Agreement:
    """The output that comes closest to its limit, or is furthest beyond it."""

    output: str
    deviation: float
    """Largest difference over all samples, in units of the output; infinite where one is NaN."""
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the difference is a healthy one."""
        return self.deviation <= self.tolerance

    @property
    def share(self) -> float:
        """The deviation as a share of what is allowed."""
        if self.deviation == 0:
            return 0.0
        return self.deviation / self.tolerance if self.tolerance else float("inf")


def compare(golden: Golden, outputs: Sequence[Arrays]) -> Agreement:
    """Hold what was computed now against the golden outputs. Raises GoldenMismatch for outputs of another form."""
    found = [Agreement(name, _deviation(golden, outputs, name), each.limit) for name, each in golden.tolerances.items()]
    return max(found, key=lambda each: each.share)


def _deviation(golden: Golden, outputs: Sequence[Arrays], name: str) -> float:
    return max(
        difference(_like(expected[name], given, name), expected[name])
        for expected, given in zip(golden.outputs, outputs, strict=True)
    )


def _like(expected: NDArray[Any], outputs: Arrays, name: str) -> NDArray[Any]:
    if name not in outputs:
        raise GoldenMismatch(f"the loaded model has no output {name}, only {', '.join(outputs)}", hint=_HINT)
    given = np.asarray(outputs[name])
    if given.shape != expected.shape:
        raise GoldenMismatch(f"output {name} has shape {given.shape}, the benchmark saw {expected.shape}", hint=_HINT)
    return given


def difference(values: NDArray[Any], expected: NDArray[Any]) -> float:
    """Largest absolute difference; equal infinities differ by nothing, and NaN by infinity."""
    if values.size == 0:
        return 0.0
    first, second = values.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore"):
        apart = np.where(first == second, 0.0, np.abs(first - second))
    return float(np.nan_to_num(apart, nan=np.inf, posinf=np.inf).max())


_HINT = "Let the benchmark run anew, such as by another spec.benchmark.warmup; its artifact is older than this operator"
