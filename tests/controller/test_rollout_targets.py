"""Vehicles of one board whose targets load different artifacts, and vehicles that move from one of them to another."""

from collections.abc import Iterator

import pytest

from cli.rollouts import shown
from controller.fleet_world import LINES, FleetWorld, fleet_world
from dms_operator.api.labels import ABORT, APPROVE
from dms_operator.api.rollout_status import Release
from dms_operator.controller.rollout.naming import is_of, names_on_vehicles

ALL = [{"name": "fleet", "size": "100%"}]


def moved(fleet: FleetWorld, *names: str) -> FleetWorld:
    """The fleet after vehicles of line a became vehicles of line b."""
    for name in names:
        fleet.move(name, labels={"line": "b"})
    return fleet


def artifacts(fleet: FleetWorld) -> dict[str, str]:
    """Which target's artifact each vehicle runs, by the digest that it was switched to."""
    targets = {fleet.built_for(target): target for target in ("a", "b")}
    return {name: targets[fleet.artifacts[name]] for name in sorted(fleet.disks)}


def busy(fleet: FleetWorld) -> Iterator[int]:
    """Vehicles at work, look by look, until the rollout has settled."""
    for _ in range(100):
        wanted = fleet.reconcile()
        yield len(fleet.switching())
        if names := fleet.unfinished():
            fleet.finish(names[0])
        elif not (wanted.create or wanted.delete or wanted.node_labels):
            return
        fleet.tick()


def test_a_vehicle_that_moves_to_another_target_is_switched_to_its_artifact() -> None:
    fleet = fleet_world(4, LINES, waves=ALL).settle()
    assert artifacts(fleet) == {"car-0": "a", "car-1": "b", "car-2": "a", "car-3": "b"}
    moved(fleet, "car-0").reconcile()
    assert "3/4 vehicles run" in fleet.rollout["message"]
    assert artifacts(fleet.settle()) == {"car-0": "b", "car-1": "b", "car-2": "a", "car-3": "b"}
    assert (fleet.rollout["state"], fleet.labels) == ("Completed", fleet.disks)


def test_the_switch_is_one_to_a_folder_of_its_own_and_never_under_what_runs() -> None:
    fleet = fleet_world(2, LINES, waves=ALL).settle()
    before = fleet.disks["car-0"]
    moved(fleet, "car-0").settle()
    assert fleet.disks["car-0"] == fleet.disks["car-1"] != before
    assert before[:12] == fleet.disks["car-0"][:12] == fleet.revision()


def test_no_more_of_them_are_switched_at_a_time_than_may_be_unavailable() -> None:
    fleet = fleet_world(8, LINES, waves=ALL, maxUnavailable="2").settle()
    moved(fleet, "car-0", "car-2", "car-4", "car-6")
    assert max(busy(fleet)) == 2
    assert set(artifacts(fleet).values()) == {"b"}


def test_one_that_moves_while_a_new_revision_is_in_its_first_wave_follows_with_its_own() -> None:
    fleet = fleet_world(4, LINES, waves=ALL).settle()
    stable = fleet.revision()
    manual = [{"name": "lab", "size": "1"}, {"name": "fleet", "size": "100%", "approval": "Manual"}]
    fleet.edit(rollout={"waves": manual}, model={"uri": "file:///models/next.pt2"})
    fleet.settle()
    late = next(name for name in ("car-0", "car-2") if is_of(fleet.labels[name], [stable]))
    moved(fleet, late).settle()
    assert is_of(fleet.labels[late], [stable]), "its wave has not begun"
    fleet.annotate(APPROVE, f"{fleet.revision()}/fleet")
    assert artifacts(fleet.settle())[late] == "b"
    assert {name[:12] for name in fleet.disks.values()} == {fleet.revision()}


def test_one_that_moves_while_its_old_artifact_is_on_its_way_ends_with_the_new_one() -> None:
    for until in ("prefetch", "activate"):
        fleet = fleet_world(2, LINES, waves=ALL, failurePolicy={"perNodeRetries": 0})
        fleet.run_until_built()
        fleet.run_vehicle("car-0", until)
        moved(fleet, "car-0").settle()
        assert artifacts(fleet) == {"car-0": "b", "car-1": "b"}
        assert (fleet.rollout["state"], fleet.rollout["vehicles"]["failed"]) == ("Completed", 0)


def test_a_rollback_brings_each_vehicle_what_its_present_target_had() -> None:
    fleet = fleet_world(4, LINES, waves=ALL).settle()
    stable = {target: fleet.built_for(target) for target in ("a", "b")}
    fleet.edit(rollout={"waves": [{"name": "fleet", "size": "100%", "soak": "9h"}]}, model={"uri": "file:///m/bad.pt2"})
    fleet.settle()
    moved(fleet, "car-0")
    fleet.annotate(ABORT, fleet.revision())
    fleet.settle()
    assert fleet.rollout["state"] == "RolledBack"
    assert fleet.artifacts == {name: stable["a" if name == "car-2" else "b"] for name in fleet.vehicles}


def test_a_label_that_names_no_artifact_says_that_the_revision_runs() -> None:
    fleet = fleet_world(2, LINES, waves=ALL).settle()
    for name in fleet.vehicles:
        fleet.note(name, fleet.revision())
    made = list(fleet.created)
    assert fleet.settle().rollout["vehicles"]["updated"] == 2
    assert fleet.created == made


def test_dms_rollout_does_not_show_one_that_has_moved_as_updated() -> None:
    fleet = fleet_world(4, LINES, waves=ALL).settle()
    moved(fleet, "car-0")
    fleet.move("car-0", held=True)
    fleet.settle()
    assert {line.name: line.group for line in shown(fleet).vehicles}["car-0"] == "held"


@pytest.mark.parametrize(
    ("boards", "artifacts", "names"),
    [
        (("tda4vm", "qcs8255"), "12", ("abc", "abc")),
        (("qcs8255", "qcs8255"), "11", ("abc", "abc")),
        (("qcs8255", "qcs8255"), "12", ("abc" + "1" * 12, "abc" + "2" * 12)),
    ],
    ids=["two boards", "one board, one artifact", "one board, two artifacts"],
)
def test_a_revision_is_called_by_its_artifact_only_where_targets_of_one_board_differ(
    boards: tuple[str, str], artifacts: str, names: tuple[str, str]
) -> None:
    parts = [
        {"target": name, "board": board, "toolchain": "qnn", "compiled": f"sha256:{digit * 64}", "benchmark": "x"}
        for name, board, digit in zip("ab", boards, artifacts, strict=True)
    ]
    release = Release.model_validate({"revision": "abc", "targets": parts})
    assert names_on_vehicles(release) == dict(zip("ab", names, strict=True))
