"""The common part of toolchains whose vendor tools users must bring themselves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from ..api.capabilities import BoardType
from ..api.errors import ToolchainUnavailable
from ..api.stages import LatencyFacts
from .base import Arrays, Compiled, Progress
from .loading import Loading


class VendorSdk:
    """Refuses every operation by `missing()`, which says what to install. Nothing here pretends to convert."""

    def missing(self) -> ToolchainUnavailable:
        """Say which tools are absent, or that this release cannot drive the ones it found."""
        raise NotImplementedError

    @property
    def version(self) -> str:
        """Never known, since the tools never ran."""
        return "unavailable"

    def convert(
        self, model: Path, board: BoardType, options: Mapping[str, str], workdir: Path, progress: Progress
    ) -> Compiled:
        """Raise ToolchainUnavailable."""
        self._refuse()

    def has_target(self, board: BoardType) -> bool:
        """Never: the vendor's runtime is not driven by this release."""
        return False

    def loading(self, compiled: Path) -> Loading:
        """Raise ToolchainUnavailable."""
        self._refuse()

    def simulate(
        self, compiled: Path, samples: Sequence[Arrays], workdir: Path, progress: Progress
    ) -> list[Arrays] | None:
        """Raise ToolchainUnavailable."""
        self._refuse()

    def cost(self, compiled: Path) -> LatencyFacts | None:
        """Raise ToolchainUnavailable."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise self.missing()
