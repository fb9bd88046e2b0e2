"""An update of a vehicle: prefetch, activate, deactivate, by real stages on real artifacts."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.stages import refused, succeeded
from pipeline.vehicle.disk import NODE, Release, Vehicle


def test_prefetch_brings_a_revision_and_touches_nothing_that_runs(vehicle: Vehicle, releases: list[Release]) -> None:
    facts = succeeded(vehicle.prefetch(releases[0])).vehicle
    assert facts is not None and (facts.node, facts.revision) == (NODE, releases[0].revision)
    files = [path for path in (vehicle.folder / "revisions").rglob("*") if path.is_file()]
    assert 0 < facts.size_bytes < sum(path.stat().st_size for path in files)
    assert vehicle.current is None and list((vehicle.folder / "work").iterdir()) == []


def test_activate_switches_and_proves_what_it_switched_to(vehicle: Vehicle, releases: list[Release]) -> None:
    facts = vehicle.update(releases[0]).vehicle
    assert facts is not None and vehicle.current == facts.revision == releases[0].revision
    assert facts.previous is None
    assert facts.smoke_provenance == "measured" and facts.smoke_latency and facts.smoke_latency.value > 0
    assert facts.deviation == 0 and facts.tolerance and facts.tolerance > 0


def test_the_revision_and_the_one_before_it_stay_on_disk_and_no_other(
    vehicle: Vehicle, releases: list[Release]
) -> None:
    for release in releases:
        vehicle.update(release)
    assert vehicle.current == releases[2].revision
    assert vehicle.revisions == {releases[1].revision, releases[2].revision}


def test_a_rollback_needs_no_network(running: Vehicle, releases: list[Release]) -> None:
    running.update(releases[1])
    running.online = False
    facts = running.update(releases[0]).vehicle
    assert facts is not None and running.current == releases[0].revision
    assert facts.previous == releases[1].revision


def test_activate_refuses_what_was_not_prefetched(running: Vehicle, releases: list[Release]) -> None:
    assert "does not lie on car-1" in refused(running.activate(releases[1]), "NotPrefetched")
    assert running.current == releases[0].revision


@pytest.mark.parametrize("stage", ["prefetch", "activate"])
def test_a_stage_that_runs_again_changes_nothing(running: Vehicle, releases: list[Release], stage: str) -> None:
    succeeded(running.prefetch(releases[1]))
    running.online = False
    facts = succeeded(getattr(running, stage)(releases[1])).vehicle
    again = succeeded(getattr(running, stage)(releases[1])).vehicle
    assert facts is not None and again is not None
    assert (again.revision, again.previous) == (facts.revision, facts.previous)
    assert running.current == releases[0 if stage == "prefetch" else 1].revision
    assert running.revisions == {releases[0].revision, releases[1].revision}


def test_a_pod_sees_the_folder_where_its_volume_is_mounted(
    vehicle: Vehicle, releases: list[Release], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the dev cluster, whose pods are processes: /fleet and /artifacts are links in their sandbox."""
    sandbox, store = tmp_path / "sandbox", vehicle.store.removeprefix("file://")
    sandbox.mkdir()
    (sandbox / "fleet").symlink_to(vehicle.fleet)
    (sandbox / "artifacts").symlink_to(store)
    monkeypatch.setenv("CONTAINER_SANDBOX_MOUNT_POINT", str(sandbox))
    for name in ("DMS_FLEET_FOLDER", "DMS_FILE_ROOTS"):
        monkeypatch.delenv(name)
    vehicle.store = "file:///artifacts"
    vehicle.update(releases[0])
    assert vehicle.current == releases[0].revision


def test_deactivate_leaves_nothing(running: Vehicle, releases: list[Release]) -> None:
    facts = succeeded(running.deactivate(releases[0].revision)).vehicle
    assert facts is not None and (facts.revision, facts.previous) == (None, releases[0].revision)
    assert list(running.fleet.iterdir()) == []
    assert succeeded(running.deactivate(releases[0].revision)).vehicle is not None


def test_deactivate_leaves_another_revision_alone(running: Vehicle, releases: list[Release]) -> None:
    facts = succeeded(running.deactivate(releases[1].revision)).vehicle
    assert facts is not None and facts.revision == running.current == releases[0].revision
