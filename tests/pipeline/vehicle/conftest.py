"""Three revisions of a small net, built once."""

import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dms_operator.pipeline.latency import PROFILES, Profile
from pipeline.vehicle.disk import Release, Vehicle
from pipeline.vehicle.releases import Factory, net

OWN_BOARD = "generic-x86" if platform.machine() == "x86_64" else "generic-arm64"


@pytest.fixture(scope="package")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Factory]:
    root = tmp_path_factory.mktemp("factory")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DMS_FILE_ROOTS", str(root))
        patch.setitem(PROFILES, "rapid", Profile(64, 0.0))
        yield Factory(root)


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
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DMS_FLEET_FOLDER", str(fleet))
        Vehicle(factory.store, fleet, scratch).update(releases[0])
    return fleet


@pytest.fixture
def running(vehicle: Vehicle, driven: Path) -> Vehicle:
    """A vehicle that runs the first revision."""
    shutil.copytree(driven, vehicle.fleet, symlinks=True, dirs_exist_ok=True)
    return vehicle
