"""Three revisions of a small net, built once."""

import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.vehicle.disk import Release, Vehicle
from pipeline.vehicle.releases import Factory, build_machine, net

OWN_BOARD = "generic-x86" if platform.machine() == "x86_64" else "generic-arm64"


@pytest.fixture(scope="package")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Factory:
    return Factory(tmp_path_factory.mktemp("factory"))


@pytest.fixture(autouse=True)
def _on_the_build_machine(factory: Factory) -> Iterator[None]:
    """For each test alone: the same process may run tests of other folders in between."""
    with build_machine(factory.root):
        yield


@pytest.fixture(scope="package")
def own_board() -> str:
    return OWN_BOARD


@pytest.fixture(scope="package")
def releases(factory: Factory) -> list[Release]:
    return [
        factory.release(f"{number}" * 12, net(factory.root / f"{number}.onnx", number), OWN_BOARD, "onnxruntime")
        for number in (1, 2, 3)
    ]


@pytest.fixture
def vehicle(factory: Factory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vehicle:
    fleet = tmp_path / "fleet"
    fleet.mkdir()
    monkeypatch.setenv("DMS_FLEET_FOLDER", str(fleet))
    (tmp_path / "scratch").mkdir()
    return Vehicle(factory.store, fleet, tmp_path / "scratch")


@pytest.fixture(scope="package")
def driven(factory: Factory, releases: list[Release]) -> Path:
    """Disk of a vehicle that runs the first revision."""
    fleet, scratch = factory.root / "fleet", factory.root / "fleet-scratch"
    fleet.mkdir()
    scratch.mkdir()
    with pytest.MonkeyPatch.context() as patch, build_machine(factory.root):
        patch.setenv("DMS_FLEET_FOLDER", str(fleet))
        Vehicle(factory.store, fleet, scratch).update(releases[0])
    return fleet


@pytest.fixture
def running(vehicle: Vehicle, driven: Path) -> Vehicle:
    """A vehicle that runs the first revision."""
    shutil.copytree(driven, vehicle.fleet, symlinks=True, dirs_exist_ok=True)
    return vehicle
