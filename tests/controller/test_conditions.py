"""Conditions, phase, summary, waiting and events as a user sees them."""

from datetime import timedelta
from typing import Any

import pytest

from controller.builders import BOARDS, COCKPIT, ENTRY, START, Script, World, failure, world
from dms_operator.controller.conditions import Finding, merged
from dms_operator.controller.observation import BoardCount
from dms_operator.controller.text import timestamp
from dms_operator.controller.waiting import UNPLACED_SECONDS

LATER = START + timedelta(hours=1)


def test_a_transition_time_changes_with_the_status_alone() -> None:
    first = merged([], [Finding("Ready", "False", "Progressing", "resolve")], 1, START)
    same = merged(first, [Finding("Ready", "False", "Failed", "no model")], 2, LATER)
    assert same[0].last_transition_time == timestamp(START)
    assert (same[0].reason, same[0].observed_generation) == ("Failed", 2)
    flipped = merged(same, [Finding("Ready", "True", "Succeeded")], 2, LATER)
    assert flipped[0].last_transition_time == timestamp(LATER)


def test_a_condition_that_is_not_found_any_more_goes() -> None:
    before = merged([], [Finding("Reconciling", "True", "Progressing")], 1, START)
    assert merged(before, [], 1, LATER) == []


def test_texts_are_cut_at_the_bounds_of_their_fields() -> None:
    (cut,) = merged([], [Finding("Ready", "False", "R" * 500, "m" * 9000)], 1, START)
    assert (len(cut.reason), len(cut.message), cut.message[-1]) == (128, 4096, "…")


def test_reconciling_and_stalled_never_exist_together_and_only_while_true() -> None:
    new = world(COCKPIT, ENTRY, script=Script(failures={"convert-tda4vm": failure()}))
    for _ in range(30):
        new.reconcile()
        extra = [each for each in new.status["conditions"] if each["type"] in ("Reconciling", "Stalled")]
        assert len(extra) == 1 and extra[0]["status"] == "True"
        if names := new.unfinished():
            new.finish(names[0])
    assert "Stalled" in new.conditions


def test_every_condition_carries_the_observed_generation() -> None:
    done = world().run()
    done.edit(benchmark={"latencyBudget": "40ms"})
    done.reconcile()
    assert {each["observedGeneration"] for each in done.status["conditions"]} == {2}


def test_phases_follow_the_work() -> None:
    new, seen = world(), []
    for _ in range(30):
        new.reconcile()
        seen.append(new.status["phase"])
        if not (names := new.unfinished()):
            break
        new.start(names[0])
        new.reconcile()
        seen.append(new.status["phase"])
        new.finish(names[0])
    assert list(dict.fromkeys(seen)) == [
        "Pending",
        "Resolving",
        "Quantizing",
        "Converting",
        "Benchmarking",
        "Ready",
    ]


def test_a_ready_target_stays_told_while_another_is_at_work() -> None:
    new = world(COCKPIT, ENTRY)
    for _ in range(30):
        new.reconcile()
        if not (names := [name for name in new.unfinished() if "entry" not in str(new.request(name).target)]):
            break
        new.finish(names[0])
    assert new.status["summary"]["targets"] == "1/2"
    assert new.condition("Ready")["status"] == "False"
    assert new.condition("Reconciling")["message"] == "convert entry int8-tidl; 1/2 targets ready"


def test_the_summary_holds_the_worst_figures_and_their_provenance() -> None:
    script = Script(bounds={"int8": "0.430ms", "fp16": "1.411ms"}, drops={"int8": 0.003, "fp16": 0.001})
    done = world(COCKPIT, {"name": "second", "board": "sa8255", "precisions": ["fp16"]}, script=script).run()
    summary = done.status["summary"]
    assert (summary["precision"], summary["method"]) == ("int8,fp16", "static,cast")
    assert (summary["p99"], summary["drop"]) == ("1.41 ms simulated", "0.3 points")


def test_one_cause_that_all_targets_share_is_told_once() -> None:
    done = world(COCKPIT, ENTRY, script=Script(failures={"resolve": failure("ModelInvalid", "it is a pickle")})).run()
    assert done.status["summary"]["message"] == "it is a pickle"


def at_benchmark(message: str) -> World:
    """A deployment whose benchmark pod waits, by the scheduler's words."""
    new = world()
    for _ in range(10):
        new.reconcile()
        for name in [each for each in new.unfinished() if "benchmark" not in each]:
            new.finish(name)
    (name,) = new.unfinished()
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    waiting: dict[str, Any] = {"phase": "Pending", "conditions": [condition]}
    new.pods[name] = [{"metadata": {"name": name, "creationTimestamp": "1"}, "status": waiting}]
    return new


INSUFFICIENT = "0/3 nodes are available: 1 Insufficient dms.edge/qcs8255, 2 node(s) didn't match"


@pytest.mark.parametrize(
    ("count", "reason", "message"),
    [
        (
            BoardCount(0, 0),
            "NoSuchBoard",
            "no node is labelled dms.edge/board=qcs8255: kubectl label node <node> dms.edge/board=qcs8255",
        ),
        (
            BoardCount(1, 0, 1),
            "NoSuchBoard",
            "every qcs8255 board is out of service: remove dms.edge/board-disabled from a node",
        ),
        (BoardCount(1, 1), "WaitingForBoard", "waiting for a free qcs8255 board"),
    ],
)
def test_a_benchmark_that_waits_says_what_about_the_boards(count: BoardCount, reason: str, message: str) -> None:
    new = at_benchmark(INSUFFICIENT)
    new.boards["qcs8255"] = count
    new.reconcile()
    ready = new.condition("Ready")
    assert (ready["reason"], ready["message"]) == (reason, f"benchmark cockpit int8-qnn: {message}")


def test_waiting_for_something_else_tells_the_schedulers_words() -> None:
    new = at_benchmark("0/3 nodes are available: 3 Insufficient memory.")
    new.boards = dict(BOARDS)
    again = new.reconcile().requeue_after
    assert again is not None and 0 < again <= UNPLACED_SECONDS
    new.tick(again)
    new.reconcile()
    assert new.condition("Reconciling")["message"].endswith("3 Insufficient memory.")


def test_a_pod_that_soon_finds_a_node_costs_no_status_write() -> None:
    new = at_benchmark("0/3 nodes are available: 3 Insufficient memory.")
    new.boards, before = dict(BOARDS), new.status_writes
    new.reconcile()
    new.tick(UNPLACED_SECONDS - 1)
    new.reconcile()
    assert new.status_writes == before
    (name,) = new.unfinished()
    new.pods[name] = []
    new.start(name)
    new.reconcile()
    assert (new.status_writes, new.condition("Ready")["reason"]) == (before + 1, "Progressing")


def test_a_stage_that_is_tried_again_says_why() -> None:
    new = world()
    new.stumble(new.reconcile().create[0]["metadata"]["name"], "")
    new.reconcile()
    expected = "resolve: attempt 1 failed, trying again: The resolve pod failed with exit code 1"
    assert new.condition("Reconciling")["message"] == expected
    assert new.status["stages"][0]["attempts"] == 1


def test_a_rollout_without_a_folder_on_vehicles_is_refused() -> None:
    done = world(rollout={"waves": [{"name": "fleet", "size": "100%"}]}).run()
    assert (done.condition("RolledOut")["status"], done.condition("RolledOut")["reason"]) == (
        "False",
        "FleetNotConfigured",
    )
    assert done.status["phase"] == "Failed"


def test_nothing_is_written_when_nothing_changed() -> None:
    done = world(COCKPIT, ENTRY).run()
    writes = done.status_writes
    for _ in range(5):
        done.tick(60)
        done.reconcile()
    assert done.status_writes == writes


def test_one_stage_costs_at_most_three_status_writes() -> None:
    new = world()
    for _ in range(20):
        new.reconcile()
        if not (names := new.unfinished()):
            break
        new.start(names[0])
        new.reconcile()
        new.finish(names[0])
    assert new.status["phase"] == "Ready"
    assert new.status_writes <= 3 * len(new.status["stages"])
