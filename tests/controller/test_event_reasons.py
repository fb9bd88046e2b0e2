"""The reasons of events are a contract: alerts and scripts go by them, so each is documented and none comes unnamed."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.builders import COCKPIT, ENTRY, Script, World, failure, world
from controller.fleet_world import fleet_world
from dms_operator.api import reasons
from dms_operator.api.labels import ABORT, APPROVE

DOCS = Path(__file__).parents[2] / "docs" / "observability.md"
REASONS = {value for name, value in vars(reasons).items() if name.startswith("EVENT_")}
ELSEWHERE = {"BoardAdvertised", "CleanedUp", "CleanupFailed"}
"""Not of a planner's step: test_boards.py, test_removal.py."""
APPROVAL = [{"name": "lab", "size": "1"}, {"name": "fleet", "size": "100%", "approval": "Manual"}]


def test_the_docs_list_every_type_of_condition() -> None:
    fleet = fleet_world(waves=APPROVAL).settle()
    found = {each["type"] for done in (succeeds(), fails(), fleet) for each in done.status["conditions"]}
    table = DOCS.read_text().partition("| condition | True when |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([A-Z]\w+)`", table)) == found


def succeeds() -> World:
    seen_running = world(COCKPIT)
    seen_running.reconcile()
    for name in seen_running.unfinished():
        seen_running.start(name)
    seen_running.reconcile()
    return seen_running.run()


def is_parked_and_resumed() -> World:
    parked = world(COCKPIT, suspend=True)
    parked.reconcile()
    parked.edit(suspend=False)
    return parked.run()


def fails() -> World:
    return world(COCKPIT, ENTRY, script=Script(failures={"convert-tda4vm": failure()})).run()


def misses_a_gate() -> World:
    return world(COCKPIT, benchmark={"latencyBudget": "0.1ms"}).run()


def has_too_few_samples() -> World:
    return world(COCKPIT, script=Script(dataset_samples=100)).run()


def asks_for_what_cannot_be() -> World:
    return world({**COCKPIT, "board": "tda4vm", "precisions": ["int4"]}).run()


def is_rolled_out_once_approved() -> World:
    fleet = fleet_world(waves=APPROVAL).settle()
    fleet.annotate(APPROVE, f"{fleet.revision()}/fleet")
    return fleet.settle()


def is_taken_back() -> World:
    fleet = fleet_world(waves=APPROVAL).settle()
    fleet.annotate(ABORT, fleet.revision())
    return fleet.settle()


def fails_on_its_vehicles() -> World:
    fleet = fleet_world()
    fleet.run_until_built()
    fleet.broken = {(name, fleet.revision()) for name in fleet.vehicles}
    return fleet.settle()


def is_fetched_once_more() -> World:
    fleet = fleet_world()
    fleet.run_until_built()
    fleet.damages = {(name, fleet.revision()): 1 for name in fleet.vehicles}
    return fleet.settle()


LIVES: tuple[Callable[[], World], ...] = (
    succeeds,
    is_parked_and_resumed,
    fails,
    misses_a_gate,
    has_too_few_samples,
    asks_for_what_cannot_be,
    is_rolled_out_once_approved,
    is_taken_back,
    fails_on_its_vehicles,
    is_fetched_once_more,
)


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    return {event.reason: event for life in LIVES for event in life().events}


def test_in_deployments_of_every_end_each_reason_is_told_and_no_other(told: dict[str, Any]) -> None:
    assert set(told) == REASONS - ELSEWHERE


def test_the_docs_name_every_reason_with_its_type_and_no_other(told: dict[str, Any]) -> None:
    rows = dict(_documented())
    assert rows.keys() == REASONS
    assert {reason: event.type for reason, event in told.items()} == {reason: rows[reason] for reason in told}


def _documented() -> Iterator[tuple[str, str]]:
    section = DOCS.read_text().partition("\n## Events\n")[2].partition("\n## ")[0]
    for cells in (line.split("|") for line in section.splitlines() if line.startswith("| `")):
        for reason in re.findall(r"`(\w+)`", cells[1]):
            yield reason, cells[2].strip()
