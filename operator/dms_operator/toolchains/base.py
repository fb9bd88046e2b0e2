"""What every toolchain can do. Adding one means a module here and a row in `registry` and in api.capabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from numpy.typing import NDArray

if TYPE_CHECKING:  # a board has no pydantic, and loads this module for its types alone
    from ..api.capabilities import BoardType, ToolchainName
    from ..api.stages import CompiledFacts, LatencyFacts
    from .loading import Loading

Arrays = Mapping[str, NDArray[Any]]
"""One array per model input or output, by name, batch axis first."""

Progress = Callable[[str, int, int], None]
"""Called with (step, done, total)."""


@dataclass(frozen=True)
class Compiled:
    """The files of a compiled artifact by name, all in one directory, and what is known about them."""

    files: dict[str, Path]
    facts: CompiledFacts


class Session(Protocol):
    """A loaded model."""

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run one inference: arrays of the model's input shapes to arrays of its output shapes, by name."""
        ...

    def query(self, inputs: Arrays) -> Callable[[], None]:
        """Bind inputs and preallocated outputs once; each call of the result is one inference, for timing."""
        ...


class Toolchain(Protocol):
    """Compiles, runs, simulates and prices a variant for the boards that it knows."""

    @property
    def name(self) -> ToolchainName:
        """Name in the capability table."""
        ...

    @property
    def version(self) -> str:
        """Name and version of the tools that run it, for reports."""
        ...

    def convert(
        self, model: Path, board: BoardType, options: Mapping[str, str], workdir: Path, progress: Progress
    ) -> Compiled:
        """Compile an ONNX model for a board; `workdir` gets the files.

        Raises ToolchainUnavailable, InvalidSpec (option), UnsupportedOperators, ConversionFailed, WrongTarget,
        ConverterKilled.
        """
        ...

    def has_target(self, board: BoardType) -> bool:
        """Whether the board's own compute unit is in this machine, so that timings here are the board's."""
        ...

    def loading(self, compiled: Path) -> Loading:
        """Say how the board loads a compiled directory. Raises ToolchainUnavailable, WrongTarget, ConversionFailed."""
        ...

    def simulate(
        self, compiled: Path, samples: Sequence[Arrays], workdir: Path, progress: Progress
    ) -> list[Arrays] | None:
        """Outputs of the target's arithmetic for each sample, or None when there is no functional simulator."""
        ...

    def cost(self, compiled: Path) -> LatencyFacts | None:
        """The vendor cost model's latency, or None when the vendor gives none."""
        ...


@runtime_checkable
class Predicting(Protocol):
    """A toolchain that knows the target's arithmetic well enough to predict outputs without the vendor's tools."""

    def predict(self, compiled: Path, samples: Sequence[Arrays], progress: Progress) -> list[Arrays] | None:
        """Outputs for each sample, of provenance `estimated`; None where the vendor's simulator is to be asked."""
        ...
