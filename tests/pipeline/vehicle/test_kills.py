"""A pod may be killed at any instruction: `current` points to a whole, verified revision, and the next pod goes on."""

from __future__ import annotations

import pytest

from pipeline.stages import succeeded
from pipeline.vehicle.disk import Release, Vehicle
from pipeline.vehicle.killing import Found, Storm, storm


@pytest.fixture
def old(running: Vehicle, releases: list[Release]) -> Release:
    return releases[0]


def _storm(vehicle: Vehicle, old: Release, new: Release, stage: str, then: str, step: int = 1) -> list[Found]:
    wanted = Storm({"store": vehicle.store, "fleet": str(vehicle.fleet)}, old, new, stage, then, step)
    found = storm(wanted, vehicle.scratch)
    assert all(each.killed for each in found[:-1]) and not found[-1].killed
    assert len(found) > 3
    assert not [each for each in found if not each.whole]
    assert not [each for each in found if each.failure]
    return found


def test_a_prefetch_that_is_killed_touches_nothing_that_runs_and_is_done_again(
    vehicle: Vehicle, old: Release, releases: list[Release]
) -> None:
    for each in _storm(vehicle, old, releases[1], "prefetch", "prefetch"):
        assert each.current == each.at_last == old.revision
        assert each.revisions == [old.revision, releases[1].revision]
        assert each.left == ["current", "revisions", "work"]


def test_a_prefetch_over_the_current_revision_never_leaves_it_without_a_file(
    vehicle: Vehicle, old: Release, releases: list[Release]
) -> None:
    """A benchmark was run again: the same bytes have other golden outputs, and the folder is replaced as a whole."""
    again = Release(**vars(old) | {"benchmark": releases[1].benchmark})
    for each in _storm(vehicle, old, again, "prefetch", "prefetch"):
        assert each.current == each.at_last == old.revision and each.revisions == [old.revision]


EVERY_CHANGE = pytest.param(1, marks=pytest.mark.slow)
"""Each of these runs smoke inferences: the default tests look at some kills, the slow ones at all."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("step", [5, EVERY_CHANGE])
def test_an_activate_that_is_killed_has_switched_or_not_and_is_done_again(
    vehicle: Vehicle, old: Release, releases: list[Release], step: int
) -> None:
    succeeded(vehicle.prefetch(releases[1]))
    found = _storm(vehicle, old, releases[1], "activate", "activate", step)
    assert {each.current for each in found} == {old.revision, releases[1].revision}
    for each in found:
        assert each.at_last == releases[1].revision
        assert each.left == ["current", "previous", "revisions", "work"]
        assert each.revisions == [old.revision, releases[1].revision]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow)])
def test_after_an_activate_that_was_killed_the_old_revision_can_be_had_again(
    vehicle: Vehicle, old: Release, releases: list[Release], step: int
) -> None:
    succeeded(vehicle.prefetch(releases[1]))
    for each in _storm(vehicle, old, releases[1], "activate", "rollback", step):
        assert each.at_last == old.revision and "before" not in each.left


@pytest.mark.parametrize("then", ["deactivate", "prefetch"])
def test_a_deactivate_that_is_killed_is_done_again_or_taken_back(
    vehicle: Vehicle, old: Release, releases: list[Release], then: str
) -> None:
    found = _storm(vehicle, old, releases[1], "deactivate", then)
    assert {each.current for each in found} == {old.revision, None}
    if then == "deactivate":
        assert [each.left for each in found] == [[]] * len(found)
    else:
        assert all(releases[1].revision in each.revisions for each in found)
