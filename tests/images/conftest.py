"""Fixtures of the tests that run containers; without the images they fail, and say how to build them."""

from pathlib import Path
from typing import Protocol

import pytest

from images import containers
from images.catalog import images


class RunImage(Protocol):
    """Runs an image strictly, and gives its output; it has to succeed."""

    def __call__(self, name: str, *arguments: str, entrypoint: str | None = None, user: str | None = None) -> str: ...


@pytest.fixture(scope="session")
def built() -> None:
    """All images are there."""
    missing = [name for name in images() if containers.podman("image", "exists", containers.reference(name)).returncode]
    assert not missing, f"no images {', '.join(missing)}: run `make test-images`, which builds them first"


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """The pod's /tmp."""
    return containers.open_folder(tmp_path / "scratch")


@pytest.fixture
def run_image(built: None, scratch: Path) -> RunImage:
    def run(name: str, *arguments: str, entrypoint: str | None = None, user: str | None = None) -> str:
        command = containers.command(name, *arguments, scratch=scratch, entrypoint=entrypoint, user=user)
        done = containers.podman(*command)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        return done.stdout

    return run
