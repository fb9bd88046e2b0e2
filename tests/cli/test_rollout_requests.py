"""What people may ask of a rollout, each request carried out by the real planner; what is refused, and why."""

import re
from typing import Any

import pytest

from cli.rollouts import MANUAL, ask, deployment
from controller.fleet_world import FleetWorld, fleet_world
from dms_operator.api.errors import DMSError
from dms_operator.api.labels import ABORT, APPROVE, RETRY
from dms_operator.cli.rollout.requests import NoRollout, NothingToDo, NotObserved, abort, approval, retry, suspension
from dms_operator.cli.writes import Request, body

PAUSES = {"failurePolicy": {"action": "Pause"}}


def refused(error: type[DMSError], words: str) -> Any:
    return pytest.raises(error, match=re.escape(words))


def waiting() -> FleetWorld:
    return fleet_world(waves=MANUAL).settle()


def completed(**rollout: Any) -> FleetWorld:
    return fleet_world(**rollout).settle()


def with_next_revision(**rollout: Any) -> tuple[FleetWorld, str]:
    """A second revision that waits for approval of its second wave, and the one before."""
    fleet = completed(**rollout)
    stable = fleet.revision()
    fleet.edit(model={"uri": "file:///models/next.pt2"}, rollout={"waves": MANUAL, **rollout})
    return fleet.settle(), stable


def test_an_approval_lets_the_wave_start_that_waits_and_names_it() -> None:
    fleet = waiting()
    request = approval(deployment(fleet))
    assert request.annotations == {APPROVE: f"{fleet.revision()}/canary"}
    assert request.says == f"wave canary of revision {fleet.revision()} may start"
    assert ask(fleet, request).rollout["state"] == "Completed"


def test_an_approval_for_another_wave_or_revision_is_refused() -> None:
    fleet = waiting()
    with refused(NothingToDo, "wave fleet of driver does not wait for approval: wave canary does"):
        approval(deployment(fleet), wave="fleet")
    with refused(NothingToDo, f"driver rolls out revision {fleet.revision()}, not 0123456789ab"):
        approval(deployment(fleet), revision="0123456789ab")
    assert approval(deployment(fleet), "canary", fleet.revision()).annotations


def test_where_no_wave_waits_an_approval_is_refused() -> None:
    with refused(NothingToDo, "no wave of driver waits for approval: all waves have"):
        approval(deployment(completed()))


def test_a_spec_that_the_operator_has_not_seen_is_not_approved() -> None:
    fleet = waiting()
    fleet.edit(rollout={"waves": MANUAL[:2]})
    with refused(NotObserved, "has not looked at the present spec of driver yet"):
        approval(deployment(fleet))


def test_an_approval_says_what_else_is_waited_for() -> None:
    fleet = waiting()
    fleet.edit(suspend=True)
    assert "spec.suspend is true" in approval(deployment(fleet.settle())).remark


def test_an_abort_brings_the_revision_before_back_and_says_so() -> None:
    fleet, stable = with_next_revision()
    request = abort(deployment(fleet))
    assert request.says == f"revision {fleet.revision()} is taken back: its vehicles get {stable} again"
    ask(fleet, request)
    assert (fleet.rollout["state"], set(fleet.disks.values())) == ("RolledBack", {stable})


def test_an_abort_of_the_first_revision_says_that_nothing_is_left() -> None:
    fleet = waiting()
    request = abort(deployment(fleet))
    assert "left without a model" in request.says
    assert ask(fleet, request).disks == {}


def test_what_was_completed_or_taken_back_is_not_aborted() -> None:
    fleet = completed()
    with refused(NothingToDo, "was completed on all waves, which is not taken back. Change the spec"):
        abort(deployment(fleet))
    fleet, _ = with_next_revision()
    with refused(NothingToDo, f"nothing is left to abort: {fleet.revision()} was taken back"):
        abort(deployment(ask(fleet, abort(deployment(fleet)))))


def test_a_retry_rolls_a_revision_out_again_that_was_taken_back_and_asks_for_approval_anew() -> None:
    fleet, _ = with_next_revision(**PAUSES)
    revision = fleet.revision()
    fleet.broken = {(name, revision) for name in fleet.vehicles if fleet.labels[name] != revision}
    ask(fleet, approval(deployment(fleet)))
    assert fleet.pauses() == ["FailureBudgetExceeded"]
    fleet.broken.clear()
    ask(fleet, abort(deployment(fleet)))
    assert fleet.rollout["state"] == "RolledBack"
    request = retry(deployment(fleet), fleet.now)
    assert request.says == f"revision {revision} is rolled out again, from its first wave"
    ask(fleet, request)
    assert (fleet.pauses(), fleet.rollout["wave"]) == (["ApprovalRequired"], "canary")
    assert not {ABORT, APPROVE} & fleet.body["metadata"]["annotations"].keys()


def test_a_retry_tries_failed_vehicles_again() -> None:
    fleet = fleet_world(**PAUSES)
    fleet.run_until_built()
    fleet.broken = {("car-0", fleet.revision()), ("car-1", fleet.revision())}
    fleet.settle()
    request = retry(deployment(fleet), fleet.now)
    assert re.match(r"\d failed vehicles get revision \w{12} in another try", request.says)
    fleet.broken.clear()
    assert ask(fleet, request).rollout["state"] == "Completed"


def test_a_retry_can_go_on_with_the_way_back_and_rolls_nothing_out() -> None:
    fleet, stable = with_next_revision()
    bad = fleet.revision()
    [lab] = [name for name, runs in fleet.labels.items() if runs == bad]
    fleet.broken = {(lab, stable)}
    ask(fleet, abort(deployment(fleet)))
    assert fleet.labels[lab] == bad
    fleet.broken.clear()
    ask(fleet, retry(deployment(fleet), fleet.now, rollback=True))
    assert (fleet.rollout["state"], set(fleet.disks.values())) == ("RolledBack", {stable})


def test_a_way_back_is_tried_again_beside_the_waves_of_the_next_revision() -> None:
    fleet, stable = with_next_revision()
    bad = fleet.revision()
    [lab] = [name for name, runs in fleet.labels.items() if runs == bad]
    fleet.broken = {(lab, stable)}
    ask(fleet, abort(deployment(fleet)))
    fleet.edit(model={"uri": "file:///models/third.pt2"}, rollout={"waves": MANUAL})
    fleet.settle()
    request = retry(deployment(fleet), fleet.now, rollback=True)
    assert request.says == f"vehicles from which {bad} could not be taken back are tried again"
    fleet.broken.clear()
    ask(fleet, request)
    assert bad not in fleet.labels.values()


def test_where_nothing_failed_a_retry_is_refused() -> None:
    with refused(NothingToDo, "nothing of driver failed: wave canary (2/3) waits to begin"):
        retry(deployment(waiting()), waiting().now)
    with refused(NothingToDo, "nothing of driver was taken back: wave canary (2/3) waits to begin"):
        retry(deployment(waiting()), waiting().now, rollback=True)


def test_every_retry_has_a_value_of_its_own() -> None:
    fleet, _ = with_next_revision()
    ask(fleet, abort(deployment(fleet)))
    first = retry(deployment(fleet), fleet.now)
    fleet.tick(0.001)
    assert first.annotations[RETRY] != retry(deployment(fleet), fleet.now).annotations[RETRY]


def test_a_rollout_is_paused_and_resumed_before_it_begins() -> None:
    fleet = fleet_world(waves=MANUAL)
    fleet.reconcile()
    assert "rollout" not in fleet.status
    ask(fleet, suspension(deployment(fleet), suspend=True))
    ask(fleet, suspension(deployment(fleet), suspend=False))
    assert fleet.pauses() == ["ApprovalRequired"]


def test_a_pause_starts_nothing_more_until_it_is_resumed() -> None:
    fleet = fleet_world(waves=MANUAL)
    fleet.run_until_built()
    request = suspension(deployment(fleet), suspend=True)
    assert request.spec == {"suspend": True}
    fleet.edit(**request.spec)
    fleet.settle()
    with refused(NothingToDo, "driver is suspended already"):
        suspension(deployment(fleet), suspend=True)
    ask(fleet, suspension(deployment(fleet), suspend=False))
    assert fleet.pauses() == ["ApprovalRequired"]
    with refused(NothingToDo, "driver is not suspended"):
        suspension(deployment(fleet), suspend=False)


def test_a_deployment_without_rollout_is_told_from_one_whose_rollout_has_not_begun() -> None:
    fleet = fleet_world()
    with refused(NoRollout, "the rollout of driver has not begun: phase Pending"):
        approval(deployment(fleet))
    fleet.edit(rollout=None)
    with refused(NoRollout, "driver has no spec.rollout"):
        abort(deployment(fleet))


def test_a_write_applies_to_the_version_that_was_read_alone() -> None:
    fleet = waiting()
    fleet.body["metadata"]["resourceVersion"] = "7"
    request = Request("said", {APPROVE: "x", ABORT: None}, {"suspend": True})
    assert body(deployment(fleet), request) == {
        "metadata": {
            "uid": fleet.body["metadata"]["uid"],
            "resourceVersion": "7",
            "annotations": {APPROVE: "x", ABORT: None},
        },
        "spec": {"suspend": True},
    }
