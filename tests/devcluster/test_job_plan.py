"""What the Job controller decides, against the recordings of a real cluster."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dms_operator.devcluster.controllers.job import remaining_life
from dms_operator.devcluster.controllers.job_failure import Backoff, judge, remaining_backoff
from dms_operator.devcluster.controllers.job_plan import TRACKING, JobPlan, is_finished, plan_job

ORACLE = Path(__file__).parent / "oracle"
NOW = datetime(2026, 11, 22, 21, 57, 3, tzinfo=UTC)
NO_WAIT = Backoff(0, 0)
Json = dict[str, Any]


def recorded(file: str, note: str) -> Json:
    content = json.loads((ORACLE / file).read_text())
    exchanges = content if isinstance(content, list) else next(v for v in content.values() if isinstance(v, list))
    response: Json = next(item for item in exchanges if item["note"] == note)["response"]
    return response


def job(status: Mapping[str, Any] | None = None, deleted: bool = False, **spec: Any) -> Json:
    metadata: Json = {"name": "j", "namespace": "oracle", "uid": "job-uid"}
    if deleted:
        metadata["deletionTimestamp"] = "2026-11-22T21:57:00Z"
    template = {"spec": {"restartPolicy": spec.pop("restartPolicy", "Never")}}
    defaults = {"parallelism": 1, "completions": 1, "backoffLimit": 6, "template": template}
    return {
        "kind": "Job",
        "metadata": metadata,
        "spec": {**defaults, "podReplacementPolicy": "TerminatingOrFailed", **spec},
        "status": status or {},
    }


def pod(phase: str, uid: str = "pod-uid", *, tracked: bool = True, deleted: bool = False, **more: Any) -> Json:
    metadata: Json = {
        "name": uid,
        "namespace": "oracle",
        "uid": uid,
        "creationTimestamp": "2026-11-22T21:57:00Z",
    }
    if tracked:
        metadata["finalizers"] = [TRACKING]
    if deleted:
        metadata["deletionTimestamp"] = "2026-11-22T21:57:00Z"
    status: Json = {"phase": phase}
    if more.get("ready"):
        status["conditions"] = [{"type": "Ready", "status": "True"}]
    if "code" in more:
        end = {"exitCode": more["code"], "finishedAt": more.get("finished", "2026-11-22T21:57:00Z")}
        status["containerStatuses"] = [{"name": "c", "state": {"terminated": end}, "restartCount": 0}]
    if "restarts" in more:
        status["containerStatuses"] = [{"name": "c", "state": {"running": {}}, "restartCount": more["restarts"]}]
    return {"metadata": metadata, "status": status}


def types(status: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    return [(item["type"], item["status"], item["reason"]) for item in status.get("conditions", [])]


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: timeless(item) for key, item in value.items() if not key.endswith(("Time", "Timestamp"))}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def test_statuses_follow_each_other_as_a_watcher_of_a_real_cluster_saw() -> None:
    seen = [
        event["object"]["status"]
        for event in recorded("12-job-and-pod-life.json", "every state of one job, as a watcher sees it")["events"]
    ]
    uid = seen[4]["uncountedTerminatedPods"]["succeeded"][0]
    worlds = [
        [pod("Pending", uid)],
        [pod("Running", uid, ready=True)],
        [pod("Running", uid)],
        [pod("Succeeded", uid, code=0)],
        [pod("Succeeded", uid, code=0, tracked=False)],
    ]
    status: Json = {}
    for expected, pods in zip(seen[1:], worlds, strict=True):
        status = dict(plan_job(job(status), pods, NOW, NO_WAIT).status)
        assert timeless(status) == timeless(expected)
    assert is_finished(job(status))


def test_a_new_job_gets_one_pod_and_a_start_time() -> None:
    plan = plan_job(job(), [], NOW, NO_WAIT)
    assert plan.create == 1
    assert plan.status == {
        "startTime": "2026-11-22T21:57:03Z",
        "terminating": 0,
        "uncountedTerminatedPods": {},
        "ready": 0,
    }


def test_a_finished_pod_is_noted_before_it_is_released_and_counted_after() -> None:
    first = plan_job(job(completions=2), [pod("Failed", code=1)], NOW, NO_WAIT)
    assert first.status["uncountedTerminatedPods"] == {"failed": ["pod-uid"]}
    assert "failed" not in first.status
    assert [item["metadata"]["uid"] for item in first.release] == ["pod-uid"]
    second = plan_job(job(first.status, completions=2), [pod("Failed", code=1, tracked=False)], NOW, NO_WAIT)
    assert (second.status["failed"], second.status["uncountedTerminatedPods"]) == (1, {})


def test_a_pod_that_was_released_and_removed_is_still_counted() -> None:
    noted = {"startTime": "2026-11-22T21:57:00Z", "uncountedTerminatedPods": {"failed": ["pod-uid"]}}
    assert plan_job(job(noted), [], NOW, NO_WAIT).status["failed"] == 1


def run_to_the_end(start: Json, pods: list[Json]) -> tuple[JobPlan, Mapping[str, Any]]:
    """Play the cluster: release, remove deleted pods, until the job is finished."""
    current = start
    for _ in range(10):
        plan = plan_job(current, pods, NOW, NO_WAIT)
        gone = {item["metadata"]["uid"] for item in (*plan.delete, *plan.delete_uncounted)}
        released = {item["metadata"]["uid"] for item in plan.release}
        pods = [
            pod(item["status"]["phase"], item["metadata"]["uid"], tracked=False)
            if item["metadata"]["uid"] in released
            else item
            for item in pods
        ]
        pods = [
            {**item, "metadata": {**item["metadata"], "deletionTimestamp": "2026-11-22T21:57:00Z"}}
            if item["metadata"]["uid"] in gone
            else item
            for item in pods
        ]
        pods = [
            item
            for item in pods
            if not (
                item["metadata"].get("deletionTimestamp") and TRACKING not in item["metadata"].get("finalizers", [])
            )
        ]
        current = {**current, "status": plan.status}
        if is_finished(current):
            return plan, plan.status
    raise AssertionError("the job does not finish")


@pytest.mark.parametrize(
    ("note", "spec", "pods"),
    [
        ("job complete", {}, [pod("Succeeded", code=0)]),
        (
            "job failed after its backoff limit",
            {"backoffLimit": 1},
            [pod("Failed", "a", code=3), pod("Failed", "b", code=3)],
        ),
        (
            "deadline exceeded",
            {"activeDeadlineSeconds": 4, "backoffLimit": 0},
            [pod("Running")],
        ),
    ],
)
def test_conditions_and_counts_end_as_recorded(note: str, spec: Json, pods: list[Json]) -> None:
    started = {"startTime": "2026-11-22T21:50:00Z"}
    expected = recorded("11-jobs-and-pods.json", note)["body"]["status"]
    plan, status = run_to_the_end(job(started, **spec), pods)
    assert timeless(status) == timeless(expected)
    reason = expected["conditions"][-1]["reason"]
    assert plan.events[-1].reason == ("Completed" if reason == "CompletionsReached" else reason)


def test_fail_job_rule_ends_the_job_at_once_in_the_words_of_kubernetes() -> None:
    policy = {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [10]}}]}
    expected = recorded("11-jobs-and-pods.json", "podFailurePolicy fails at once")["body"]["status"]
    _, status = run_to_the_end(job(podFailurePolicy=policy, backoffLimit=3), [pod("Failed", "terminal-9s5l9", code=10)])
    assert timeless(status) == timeless(expected)


def test_an_ignored_failure_is_released_but_never_counted() -> None:
    policy = {"rules": [{"action": "Ignore", "onExitCodes": {"operator": "NotIn", "values": [1]}}]}
    plan = plan_job(job(podFailurePolicy=policy, backoffLimit=0), [pod("Failed", code=7)], NOW, NO_WAIT)
    assert plan.create == 1
    assert plan.status["uncountedTerminatedPods"] == {}
    assert len(plan.release) == 1


@pytest.mark.parametrize(
    ("rule", "action"),
    [
        ({"onExitCodes": {"operator": "In", "values": [3, 4]}}, "FailJob"),
        ({"onExitCodes": {"operator": "In", "values": [4]}}, "Count"),
        ({"onExitCodes": {"operator": "NotIn", "values": [4]}}, "FailJob"),
        ({"onExitCodes": {"operator": "In", "values": [3], "containerName": "other"}}, "Count"),
        ({"onExitCodes": {"operator": "In", "values": [3], "containerName": "c"}}, "FailJob"),
        ({"onPodConditions": [{"type": "Ready", "status": "True"}]}, "FailJob"),
        ({"onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}, "Count"),
    ],
)
def test_rules_match_exit_codes_and_conditions(rule: Json, action: str) -> None:
    rules = {"rules": [{"action": "FailJob", **rule}]}
    assert judge(job(podFailurePolicy=rules), pod("Failed", code=3, ready=True)).action == action


def test_the_first_rule_that_matches_decides() -> None:
    codes = {"onExitCodes": {"operator": "In", "values": [3]}}
    rules = {"rules": [{"action": "Ignore", **codes}, {"action": "FailJob", **codes}]}
    assert judge(job(podFailurePolicy=rules), pod("Failed", code=3)).action == "Ignore"


def test_a_suspended_job_loses_its_pods_without_counting_them_and_starts_anew_when_resumed() -> None:
    started = {"startTime": "2026-11-22T21:50:00Z", "active": 1}
    suspended = plan_job(job(started, suspend=True), [pod("Running")], NOW, NO_WAIT)
    assert [item["metadata"]["uid"] for item in suspended.delete_uncounted] == ["pod-uid"]
    assert types(suspended.status) == [("Suspended", "True", "JobSuspended")]
    resumed = plan_job(job(suspended.status), [], NOW, NO_WAIT)
    assert types(resumed.status) == [("Suspended", "False", "JobResumed")]
    assert resumed.status["startTime"] == "2026-11-22T21:57:03Z"
    assert resumed.create == 1


def test_a_job_created_suspended_has_the_recorded_status() -> None:
    expected = recorded("11-jobs-and-pods.json", "suspended")["body"]["status"]
    assert timeless(plan_job(job(suspend=True), [], NOW, NO_WAIT).status) == timeless(expected)


def test_with_pod_replacement_failed_a_terminating_pod_is_waited_for() -> None:
    policy: Json = {"rules": []}
    plan = plan_job(
        job(podReplacementPolicy="Failed", podFailurePolicy=policy),
        [pod("Running", deleted=True)],
        NOW,
        NO_WAIT,
    )
    assert (plan.create, plan.status["terminating"]) == (0, 1)


def test_restarts_within_a_pod_use_up_the_limit() -> None:
    plan = plan_job(job(backoffLimit=2, restartPolicy="OnFailure"), [pod("Running", restarts=2)], NOW, NO_WAIT)
    assert types(plan.status) == [("FailureTarget", "True", "BackoffLimitExceeded")]
    assert len(plan.delete) == 1


def test_of_a_deleted_job_every_pod_is_released() -> None:
    plan = plan_job(job(deleted=True), [pod("Running"), pod("Pending", "other")], NOW, NO_WAIT)
    assert (len(plan.release), plan.create) == (2, 0)


def test_the_next_pod_waits_ten_seconds_then_twenty() -> None:
    failures = [pod("Failed", str(index), code=1, finished="2026-11-22T21:57:00Z") for index in range(2)]
    assert plan_job(job(), failures[:1], NOW, Backoff()).requeue_after == pytest.approx(7)
    assert plan_job(job(), failures, NOW, Backoff()).requeue_after == pytest.approx(17)
    assert plan_job(job(), failures, NOW + timedelta(seconds=18), Backoff()).create == 1


def test_failures_before_the_last_success_are_forgotten() -> None:
    pods = [
        pod("Failed", "a", code=1, finished="2026-11-22T21:56:00Z"),
        pod("Succeeded", "b", code=0, finished="2026-11-22T21:57:00Z"),
    ]
    assert remaining_backoff(job(completions=2), pods, NOW, Backoff()) == 0


def test_the_deadline_wakes_the_controller_up() -> None:
    assert plan_job(job(activeDeadlineSeconds=4), [], NOW, NO_WAIT).requeue_after == pytest.approx(4)


@given(st.integers(0, 100), st.floats(0.1, 100), st.floats(1, 1000))
def test_backoff_never_shrinks_and_never_passes_its_limit(failures: int, initial: float, limit: float) -> None:
    backoff = Backoff(initial, limit)
    assert backoff.delay(failures) <= backoff.delay(failures + 1) <= limit


def test_a_finished_job_lives_as_long_as_its_ttl_says() -> None:
    done = {"conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": "2026-11-22T21:57:00Z"}]}
    assert remaining_life(job(done, ttlSecondsAfterFinished=5), NOW) == 2
    assert remaining_life(job(ttlSecondsAfterFinished=5), NOW) is None


phases = st.sampled_from(["Pending", "Running", "Succeeded", "Failed"])


@given(
    st.lists(st.tuples(phases, st.booleans(), st.booleans()), max_size=6),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(0, 3),
)
def test_never_more_pods_than_parallelism_and_never_one_pod_counted_twice(
    states: list[tuple[str, bool, bool]], parallelism: int, completions: int, limit: int
) -> None:
    pods = [
        pod(phase, f"p{i}", tracked=tracked, deleted=gone, code=0 if phase == "Succeeded" else 1)
        for i, (phase, tracked, gone) in enumerate(states)
    ]
    start = job(parallelism=parallelism, completions=completions, backoffLimit=limit)
    plan = plan_job(start, pods, NOW, NO_WAIT)
    active = [
        item
        for item in pods
        if item["status"]["phase"] in ("Pending", "Running") and "deletionTimestamp" not in item["metadata"]
    ]
    if plan.create:
        assert len(active) + plan.create <= parallelism
    noted = [uid for uids in plan.status["uncountedTerminatedPods"].values() for uid in uids]
    assert len(noted) == len(set(noted))
    again = plan_job({**start, "status": plan.status}, pods, NOW, NO_WAIT)
    assert again.status["uncountedTerminatedPods"] == plan.status["uncountedTerminatedPods"]
