"""What `dms rollout status` shows of rollouts that the real planner made."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cli.rollouts import MANUAL, ask, deployment, fleet, shown
from controller.fleet_world import FleetWorld, fleet_world
from dms_operator.api.errors import SourceUnavailable
from dms_operator.cli.rollout.render import as_json, as_text
from dms_operator.cli.rollout.requests import abort, approval, retry
from dms_operator.cli.rollout.view import rollout_view
from dms_operator.cli.rollout.watch import has_ended, line_of
from dms_operator.cli.rollout.waves import span
from dms_operator.cli.writes import Request
from dms_operator.controller.rollout.fleet import Gauge, Reading

SOAK: list[dict[str, Any]] = [{"name": "lab", "size": "1", "soak": "1h"}, {"name": "fleet", "size": "100%"}]
GATE: dict[str, Any] = {"metric": "p99LatencyMs", "value": 33, "interval": "1m", "count": 3}


def states(world: FleetWorld) -> list[str]:
    return [wave.state for wave in shown(world).waves]


def verbs(world: FleetWorld) -> list[str]:
    return [step.command.removeprefix("kubectl dms rollout ").removesuffix(" driver") for step in shown(world).steps]


def test_a_wave_that_waits_for_a_person_is_shown_with_the_command_that_lets_it_start() -> None:
    world = fleet_world(waves=MANUAL).settle()
    text = as_text(shown(world))
    revision = world.revision()
    assert text.splitlines()[:8] == [
        f"driver in perception: revision {revision}",
        "wave canary (2/3) waits to begin (ApprovalRequired); 1 of 4 vehicles run the revision",
        "",
        "WAVE    SIZE  UPDATED  SOAK  APPROVAL  STATE",
        "lab     1     1 of 1   0s    Auto      done",
        "canary  50%   1 of 2   0s    Manual    waits for approval",
        "fleet   100%  1 of 4   0s    Auto      to come",
        "",
    ]
    assert f"dms.edge/approve={revision}/canary" in text
    assert text.endswith(
        "you can:\n"
        "  kubectl dms rollout approve driver  let wave canary start\n"
        f"  kubectl dms rollout abort driver    take the model off where {revision} may run\n"
        "  kubectl dms rollout pause driver    start nothing more"
    )


def test_a_share_that_comes_to_less_than_a_count_before_it_wants_what_that_one_had() -> None:
    mixed = [{"name": "lab", "size": "3"}, {"name": "canary", "size": "25%", "approval": "Manual"}]
    view = shown(fleet_world(4, waves=[*mixed, {"name": "fleet", "size": "100%"}]).settle())
    assert [(wave.updated, wave.desired) for wave in view.waves] == [(3, 3), (3, 3), (3, 4)]


def test_commands_lead_to_the_namespace_that_was_asked_about() -> None:
    world = fleet_world(waves=MANUAL).settle()
    view = rollout_view(deployment(world), fleet(world), world.now, " -n perception")
    assert view.steps[0].command == "kubectl dms rollout approve driver -n perception"


def test_a_soak_tells_the_time_that_is_left_and_what_gates_have_read() -> None:
    world = fleet_world(waves=SOAK, gates=[GATE]).settle()
    world.tick(600)
    world.readings = {Gauge("p99LatencyMs", 60.0): (Reading(world.now, 21.25),)}
    world.settle()
    assert states(world)[1] == "to come"
    assert states(world)[0].startswith("soaks, 49m")
    assert "gate p99LatencyMs <= 33: 1 of 3 readings passed, 0 failed (0 may), the worst is 21.25" in as_text(
        shown(world)
    )


def test_vehicles_that_gave_no_readings_are_counted_and_named() -> None:
    world = fleet_world(waves=[SOAK[1] | {"soak": "1h"}], gates=[GATE]).settle()
    world.tick(3600)
    world.readings = {Gauge("p99LatencyMs", 60.0): (Reading(world.now, 21.25),) * 3}
    world.told = {Gauge("p99LatencyMs", 60.0): {"car-0": 3, "car-1": 3, "car-2": 3}}
    text = as_text(shown(world.settle()))
    assert "3 of 3 readings passed, 0 failed (0 may), the worst is 21.25; silent vehicles: 1" in text
    assert "p99LatencyMs: fewer than 3 readings of car-3" in text


def test_a_soak_that_is_over_and_has_too_few_readings_says_what_it_waits_for() -> None:
    world = fleet_world(waves=SOAK, gates=[GATE]).settle()
    world.tick(3600)
    world.settle()
    assert states(world)[0] == "soaks, its time is over"
    [wait] = shown(world).waits
    assert wait.reason == "GateInconclusive" and "p99LatencyMs: 0 of 3 readings passed" in wait.message


def troubled() -> FleetWorld:
    """One vehicle held, one away, one on which the revision fails; the failures are too many."""
    world = fleet_world(6, waves=[{"name": "all", "size": "100%"}], failurePolicy={"action": "Pause"})
    world.run_until_built()
    world.vehicles["car-0"] = replace(world.vehicles["car-0"], held=True)
    world.vehicles["car-1"] = replace(world.vehicles["car-1"], away_since=world.now - timedelta(hours=2))
    world.broken = {("car-2", world.revision())}
    return world.settle()


def test_vehicles_that_failed_are_away_or_held_are_named_with_the_reason() -> None:
    world = troubled()
    text = as_text(shown(world))
    assert "1 failed       car-2 (GoldenMismatch: outputs differ by 3.1)" in text
    assert "1 offline      car-1 (away since 2026-11-23 10:0" in text
    assert "1 held         car-0" in text
    assert verbs(world) == ["retry", "abort", "pause", "kubectl annotate node car-0 dms.edge/hold-"]
    lines = as_text(shown(world), every_vehicle=True).splitlines()
    [failed] = [line for line in lines if line.startswith("car-2")]
    assert failed.split(maxsplit=4) == ["car-2", "car", "failed", "-", "GoldenMismatch: outputs differ by 3.1"]


@pytest.mark.parametrize("world", [troubled, lambda: fleet_world(waves=MANUAL).settle()], ids=["trouble", "waits"])
def test_vehicles_are_grouped_as_the_operator_counts_them(world: Callable[[], FleetWorld]) -> None:
    view = shown(world())
    counted = {group: count for group, count in view.counts.items() if count}
    assert Counter(line.group for line in view.vehicles) == counted


def test_vehicles_are_grouped_as_the_operator_counts_them_while_jobs_run() -> None:
    world = fleet_world(6, waves=[{"name": "all", "size": "100%"}], maxUnavailable="2")
    world.run_until_built()
    seen = set[str]()
    while world.rollout.get("state") != "Completed":
        world.reconcile()
        world.reconcile()
        view = shown(world)
        counted = {group: count for group, count in view.counts.items() if count}
        assert Counter(line.group for line in view.vehicles) == counted
        seen |= counted.keys()
        for name in world.unfinished()[:1]:
            world.finish(name)
            world.reconcile()
        world.tick()
    assert seen == {"pending", "prefetching", "updating", "updated"}


def test_a_vehicle_whose_disk_was_damaged_says_that_the_revision_is_brought_again() -> None:
    world = fleet_world(1, waves=[{"name": "all", "size": "100%"}])
    world.run_until_built()
    world.damages = {("car-0", world.revision()): 1}
    while not world.rollout.get("fetchedAgain"):
        for name in world.unfinished()[:1]:
            world.finish(name)
        world.reconcile()
        world.tick()
    [line] = shown(world).vehicles
    assert (line.group, line.note.partition(":")[0]) in (("pending", "brought again"), ("prefetching", "brought again"))


def test_a_revision_that_was_taken_back_is_shown_with_what_vehicles_run_now() -> None:
    world = fleet_world().settle()
    stable = world.revision()
    world.edit(model={"uri": "file:///models/next.pt2"}, rollout={"waves": MANUAL})
    ask(world.settle(), abort(deployment(world)))
    view = shown(world)
    assert view.headline.endswith(f", to {stable}: a person asked for it; 0 vehicles still run it")
    assert states(world) == ["taken back", "taken back", "never begun"]
    assert f"4 run {stable} car-" in as_text(view)
    assert verbs(world) == ["retry"]


def test_a_completed_rollout_asks_for_nothing() -> None:
    world = fleet_world().settle()
    assert states(world) == ["done", "done", "done"]
    assert (verbs(world), shown(world).waits) == ([], [])


def test_who_may_not_look_at_nodes_sees_figures_and_is_told_why_names_are_missing() -> None:
    world = fleet_world().settle()
    text = as_text(rollout_view(deployment(world), SourceUnavailable("the cluster refused (403): no"), world.now))
    assert "     4 updated" in text
    assert "note: the vehicles' names are missing, which takes the right to list nodes and jobs" in text


def test_a_status_about_an_older_spec_says_so() -> None:
    world = fleet_world(waves=MANUAL).settle()
    world.edit(suspend=True)
    assert "the operator has not looked at the present spec yet" in shown(world).remarks[0]


def test_the_document_for_scripts_has_all_that_the_text_has() -> None:
    world = fleet_world(waves=SOAK, gates=[GATE]).settle()
    document = json.loads(as_json(shown(world)))
    assert (document["revision"], document["state"]) == (world.revision(), "Soaking")
    assert document["gates"][0]["failureLimit"] == 0
    assert {line["name"] for line in document["vehicles"]} == world.vehicles.keys()


def test_a_watch_goes_on_through_waves_and_ends_with_the_rollout() -> None:
    world = fleet_world(waves=MANUAL)
    assert line_of(deployment(world), world.now).startswith("Pending: ")
    assert not has_ended(deployment(world))
    world.settle()
    assert not has_ended(deployment(world)), "it waits for a person"
    ask(world, approval(deployment(world)))
    assert has_ended(deployment(world))
    assert "completed" in line_of(deployment(world), world.now)
    world.edit(model={"uri": "file:///models/next.pt2"})
    assert not has_ended(deployment(world)), "the next revision is not looked at yet"


@pytest.mark.parametrize(
    "request_of",
    [lambda world: retry(deployment(world), world.now), lambda world: abort(deployment(world))],
    ids=["retry", "abort"],
)
def test_a_watch_does_not_end_before_the_operator_heard_what_was_asked(
    request_of: Callable[[FleetWorld], Request],
) -> None:
    world = troubled()
    assert has_ended(deployment(world)), "too many failures: a person has to say how it goes on"
    request = request_of(world)
    for key, value in request.annotations.items():
        world.annotate(key, str(value))
    assert not has_ended(deployment(world))
    assert has_ended(deployment(world.settle()))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59.6, "1m"), (3900, "1h 5m"), (90061, "1d 1h"), (-5, "0s"), (3605, "1h 5s")]
)
def test_a_span_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert span(seconds) == text
