"""The images: what catalog.toml says of each, and where its files are."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent


@dataclass(frozen=True)
class Image:
    """One image of the project."""

    name: str
    extras: tuple[str, ...]
    """Extras of pyproject.toml whose packages it holds."""
    platforms: tuple[str, ...]
    """Platforms that it exists for, such as linux/amd64."""

    @property
    def containerfile(self) -> Path:
        """How it is built."""
        return HERE / self.name / "Containerfile"

    @property
    def lock(self) -> Path:
        """Every package in it, with hashes."""
        return HERE / self.name / "requirements.lock"


def images() -> dict[str, Image]:
    """All images by name, in the order of the catalog."""
    table = tomllib.loads((HERE / "catalog.toml").read_text())
    return {name: Image(name, tuple(row["extras"]), tuple(row["platforms"])) for name, row in table.items()}
