"""A vehicle's disk is small: a full one is told, and what runs goes on."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.stages import succeeded
from pipeline.vehicle.disk import Release, Vehicle

Disk = Callable[[str], Vehicle]


@pytest.fixture
def disk(vehicle: Vehicle) -> Iterator[Disk]:
    """Mounts a real file system of a given size as the fleet's folder."""

    def mount(options: str) -> Vehicle:
        found = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", vehicle.fleet], capture_output=True)
        if found.returncode:
            pytest.skip("a disk of one's own can be mounted by root alone")
        return vehicle

    yield mount
    subprocess.run(["umount", vehicle.fleet], check=False, capture_output=True)


def _full(vehicle: Vehicle, result: object, message: str) -> None:
    failure = getattr(result, "failure", None)
    assert failure is not None and failure.reason == "VehicleFull" and failure.retryable, failure
    assert message in failure.message
    assert list((vehicle.folder / "work").iterdir()) == [] or vehicle.current


def test_a_revision_that_does_not_fit_is_not_begun(disk: Disk, releases: list[Release]) -> None:
    vehicle = disk("size=16k")
    result = vehicle.prefetch(releases[0])
    _full(vehicle, result, "bytes, and")
    assert vehicle.revisions == set()


def test_a_disk_that_is_full_half_way_leaves_what_runs_and_is_used_again_when_there_is_space(
    disk: Disk, releases: list[Release]
) -> None:
    vehicle = disk("size=1m")
    vehicle.update(releases[0])
    free = _fill(vehicle.fleet / "ballast", leave=40 << 10)
    _full(vehicle, vehicle.prefetch(releases[1]), "the vehicle's disk")
    assert vehicle.current == releases[0].revision and vehicle.revisions == {releases[0].revision}
    succeeded(vehicle.activate(releases[0]))
    free.unlink()
    vehicle.update(releases[1])


def test_no_inode_left_for_the_switch_leaves_what_runs(disk: Disk, releases: list[Release]) -> None:
    vehicle = disk("nr_inodes=200")
    vehicle.update(releases[0])
    succeeded(vehicle.prefetch(releases[1]))
    ballast = _take_every_inode(vehicle.fleet / "ballast")
    _full(vehicle, vehicle.activate(releases[1]), "no space is left on the vehicle's disk")
    assert vehicle.current == releases[0].revision and not (vehicle.folder / "before").is_symlink()
    shutil.rmtree(ballast)
    succeeded(vehicle.activate(releases[1]))


def _take_every_inode(folder: Path) -> Path:
    folder.mkdir()
    with pytest.raises(OSError, match="No space left"):
        for number in itertools.count():
            (folder / str(number)).symlink_to("x")
    return folder


def _fill(path: Path, leave: int) -> Path:
    found = os.statvfs(path.parent)
    path.write_bytes(b"x" * (found.f_bavail * found.f_frsize - leave))
    return path
