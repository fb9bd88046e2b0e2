"""What lies in a vehicle's folder may be anything: nothing outside is read, written or removed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from itertools import takewhile
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline.stages import refused, succeeded
from pipeline.vehicle.disk import DEPLOYMENT, NODE, Release, Vehicle


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder that is none of ours."""
    path = tmp_path / "elsewhere"
    (path / "inside").mkdir(parents=True)
    (path / "inside" / "precious").write_text("keep me")
    return path


def _untouched(folder: Path) -> bool:
    return [path.name for path in sorted(folder.rglob("*"))] == ["inside", "precious"]


@pytest.mark.parametrize("name", ["..", ".", "a/b", "../x", "/etc", "A", "current", ""])
def test_a_revision_is_named_by_hex_digits_alone(name: str, vehicle: Vehicle, releases: list[Release]) -> None:
    with pytest.raises(ValidationError):
        vehicle.prefetch(releases[0], revision=name)


@pytest.mark.parametrize(
    "name", ["perception/..", "../perception", "perception", "a/b/c", "a/.", "/x", "a/b/", "a\n/b"]
)
def test_a_deployment_is_named_by_two_folders_alone(name: str, vehicle: Vehicle, releases: list[Release]) -> None:
    with pytest.raises(ValidationError):
        vehicle.prefetch(releases[0], deployment=name)


@pytest.mark.parametrize("name", ["..", ".", "a/b", "/etc", "-", "a\n"])
def test_a_node_is_named_by_one_folder_alone(name: str, vehicle: Vehicle, releases: list[Release]) -> None:
    with pytest.raises(ValidationError):
        vehicle.prefetch(releases[0], node=name)


@pytest.mark.parametrize("depth", [1, 2, 3, "revisions", "work"])
@pytest.mark.parametrize("stage", ["prefetch", "activate", "deactivate"])
def test_a_link_in_place_of_a_folder_is_not_followed(
    vehicle: Vehicle, releases: list[Release], elsewhere: Path, depth: int | str, stage: str
) -> None:
    parts = [NODE, *DEPLOYMENT.split("/"), *([depth] if isinstance(depth, str) else [])]
    place = vehicle.fleet.joinpath(*parts[: depth if isinstance(depth, int) else None])
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(elsewhere / "inside")
    result = vehicle.deactivate("1" * 12) if stage == "deactivate" else getattr(vehicle, stage)(releases[0])
    assert f"{place} is no folder" in refused(result, "VehicleFolderUnusable")
    assert _untouched(elsewhere) and place.is_symlink()


@pytest.mark.parametrize("text", ["/etc", "../../other/revisions/abc", "revisions/../../x", "revisions/ABC", "work"])
def test_a_current_that_is_not_ours_is_left_and_told(vehicle: Vehicle, releases: list[Release], text: str) -> None:
    succeeded(vehicle.prefetch(releases[0]))
    (vehicle.folder / "current").symlink_to(text)
    for result in (vehicle.activate(releases[0]), vehicle.deactivate(releases[0].revision)):
        assert "which is no revision" in refused(result, "VehicleFolderUnusable")
    assert str((vehicle.folder / "current").readlink()) == text


def test_a_current_that_is_a_real_folder_is_left_and_told(vehicle: Vehicle, releases: list[Release]) -> None:
    succeeded(vehicle.prefetch(releases[0]))
    (vehicle.folder / "current").mkdir()
    assert "is no symbolic link" in refused(vehicle.activate(releases[0]), "VehicleFolderUnusable")


@pytest.mark.parametrize(
    "place", ["compiled/model.onnx", "compiled", "benchmark/golden.npz", "papers", "release.json", ""]
)
def test_a_link_in_place_of_a_revisions_file_is_never_loaded_but_replaced(
    vehicle: Vehicle, releases: list[Release], elsewhere: Path, place: str
) -> None:
    """The very same bytes behind a link: they could be others a moment later."""
    succeeded(vehicle.prefetch(releases[0]))
    victim = vehicle.folder / "revisions" / releases[0].revision / place
    copy = elsewhere / "copy"
    shutil.move(victim, copy)
    victim.symlink_to(copy)
    result = vehicle.activate(releases[0])
    assert result.failure is not None and result.failure.reason in ("NotPrefetched", "DigestMismatch")
    assert vehicle.current is None
    succeeded(vehicle.prefetch(releases[0]))
    succeeded(vehicle.activate(releases[0]))
    assert copy.exists() and not victim.is_symlink()


def test_leftovers_are_removed_and_links_among_them_not_followed(
    vehicle: Vehicle, releases: list[Release], elsewhere: Path
) -> None:
    for release in releases[:2]:
        vehicle.update(release)
    for folder in ("work", "revisions"):
        (vehicle.folder / folder / "link").symlink_to(elsewhere)
        (vehicle.folder / folder / "tree").mkdir()
        (vehicle.folder / folder / "tree" / "link").symlink_to(elsewhere)
        (vehicle.folder / folder / "file").write_text("?")
    succeeded(vehicle.activate(releases[1]))
    assert _untouched(elsewhere)
    assert vehicle.revisions == {release.revision for release in releases[:2]}
    succeeded(vehicle.deactivate(releases[1].revision))
    assert _untouched(elsewhere) and list(vehicle.fleet.iterdir()) == []


def test_another_deployments_model_on_the_same_vehicle_stays_as_it_is(
    vehicle: Vehicle, releases: list[Release]
) -> None:
    other = {"deployment": "perception/gaze"}
    succeeded(vehicle.prefetch(releases[2], **other))
    succeeded(vehicle.activate(releases[2], **other))
    before = _snapshot(vehicle.fleet / NODE / "perception" / "gaze")
    for release in releases:
        vehicle.update(release)
    succeeded(vehicle.deactivate(releases[2].revision))
    assert _snapshot(vehicle.fleet / NODE / "perception" / "gaze") == before
    assert not vehicle.folder.exists()


def _snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.lstat().st_ino, path.lstat().st_mtime_ns) for path in sorted(folder.rglob("*"))}


def test_a_stage_refuses_another_vehicle_than_its_own(
    vehicle: Vehicle, releases: list[Release], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DMS_NODE_NAME", "car-2")
    assert "is for car-1, and this is car-2" in refused(vehicle.prefetch(releases[0]), "WrongVehicle")
    assert list(vehicle.fleet.iterdir()) == []


def test_a_fleet_folder_that_is_not_mounted_is_told(vehicle: Vehicle, releases: list[Release]) -> None:
    vehicle.fleet.rmdir()
    assert "settings.fleet.volume" in refused(vehicle.prefetch(releases[0]), "VehicleFolderUnusable")


_AS_NOBODY = """
import os, sys
from pathlib import Path
from dms_operator.pipeline.vehicle.folder import open_folder
from dms_operator.api.errors import VehicleFolderUnusable
os.setgroups([]); os.setgid(65532); os.setuid(65532)
try:
    with open_folder(Path(sys.argv[1]), ("car-1", "perception", "driver")):
        print("opened")
except VehicleFolderUnusable as error:
    print(error)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become the stage pods' user")
def test_a_folder_of_another_user_is_told_with_the_user_who_needs_it(tmp_path: Path) -> None:
    """In a process of its own, which becomes the stage pods' user."""
    outside = Path(tempfile.gettempdir())
    for parent in takewhile(lambda each: each != outside, (tmp_path, *tmp_path.parents)):
        parent.chmod(0o755)
    fleet = tmp_path / "fleet"
    fleet.mkdir()
    environment = os.environ | {"PYTHONPATH": "operator"}
    run = [sys.executable, "-c", _AS_NOBODY, str(fleet)]
    told = subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout
    assert "may not be written (Permission denied)" in told
    assert "Give the folder of settings.fleet.volume to user 65532, group 65532" in told
    os.chown(fleet, 65532, 65532)
    assert subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout == "opened\n"
