"""From raw objects to views: whatever a pod leaves behind becomes an answer or a clear failure."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.builders import BOARDS, Script, deployment, failure, spec, variant, world
from dms_operator.api.errors import InvalidSpec
from dms_operator.api.stages import StageResult
from dms_operator.controller.observation import JobView, job_view, observe

RECIPE = "sha256:" + "ab" * 32


def job(*conditions: dict[str, str], **status: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "driver-quantize-abababababab",
            "labels": {"dms.edge/stage": "quantize", "dms.edge/target": "cockpit"},
            "annotations": {"dms.edge/recipe-digest": RECIPE, "dms.edge/attempt": "1/"},
        },
        "status": {"conditions": list(conditions), **status},
    }


def end(kind: str, reason: str = "", message: str = "") -> dict[str, str]:
    return {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-11-23T12:00:09Z",
    }


def pod(phase: str, code: int | None = None, text: str = "", created: str = "1", **more: Any) -> dict[str, Any]:
    terminated = {"exitCode": code, "reason": more.pop("why", "Error"), "message": text}
    containers = [{"name": "stage", "image": "dms:1", "state": {"terminated": terminated}}]
    status = {"phase": phase, **({"containerStatuses": containers} if code is not None else {}), **more}
    return {"metadata": {"name": f"pod-{created}", "creationTimestamp": created}, "status": status}


def pending(waiting: dict[str, str] | None = None, unscheduled: str = "") -> dict[str, Any]:
    status: dict[str, Any] = {}
    if waiting:
        status["containerStatuses"] = [{"name": "stage", "image": "dms-qnn:1", "state": {"waiting": waiting}}]
    if unscheduled:
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": unscheduled}
        status["conditions"] = [condition]
    return pod("Pending", **status)


def answer(**changes: Any) -> str:
    result = {"stage": "quantize", "recipe": RECIPE, "variant": variant().to_wire(), "artifact": ARTIFACT}
    return json.dumps(result | changes)


ARTIFACT = {"digest": "sha256:" + "cd" * 32, "sizeBytes": 10}


def complete(text: str) -> JobView:
    return job_view(job(end("Complete")), [pod("Succeeded", 0, text)])


def failed(*pods: dict[str, Any]) -> JobView:
    return job_view(job(end("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")), pods)


def told(view: JobView) -> tuple[str, str]:
    cause = view.result.failure if view.result else view.failure
    assert cause is not None
    return cause.reason, cause.message


def test_a_complete_job_gives_its_pods_answer() -> None:
    view = complete(answer())
    assert view.state == "Complete"
    assert view.result is not None and view.result.variant is not None
    assert (view.recipe, view.stage, view.target, view.attempt) == (RECIPE, "quantize", "cockpit", "1/")
    assert view.finished_at == "2026-11-23T12:00:09Z"


def test_an_answer_with_fields_of_a_newer_version_is_read() -> None:
    assert complete(answer(futureField=1)).result == complete(answer()).result


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is not a result"),
        ("Traceback (most recent call last)", "it is not a result"),
        ("[]", "it is not a result"),
        (answer(stage="paint"), "it is not a result (stage: "),
        (answer(seconds=float("nan")), "it is not a result (seconds: Input should be a finite number)"),
        (answer()[:-1] + ', "seconds": 1e999}', "it is not a result"),
        (answer(seconds="inf"), "it is not a result (seconds: Input should be a finite number)"),
        ("[" * 4000, "it is not a result"),
        ('{"stage": "\\ud800"}', "it is not a result"),
        (answer(recipe="sha256:" + "00" * 32), "it belongs to another recipe"),
        (answer(variant=None), "it holds neither facts nor a failure"),
        (answer(artifact=None), "it holds neither facts nor a failure"),
    ],
)
def test_an_answer_that_is_no_result_is_a_clear_failure(text: str, why: str) -> None:
    reason, message = told(complete(text))
    assert reason == "InvalidResult"
    assert why in message
    assert message.endswith("Check the quantize image in the operator's settings")


@given(st.text(max_size=200) | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(json.dumps))
def test_no_answer_whatever_breaks_the_operator(text: str) -> None:
    assert told(complete(text))[0] == "InvalidResult"


def test_a_complete_job_whose_pod_is_gone_has_no_answer() -> None:
    view = job_view(job(end("Complete")), [])
    assert (view.state, view.result, view.failure) == ("Complete", None, None)


def test_a_failed_job_tells_the_stages_own_words() -> None:
    cause = failure("DatasetInvalid", "`labels` has 3 rows, `frames` has 4").to_wire()
    text = json.dumps({"stage": "quantize", "recipe": RECIPE, "failure": cause})
    assert told(failed(pod("Failed", 10, text))) == ("DatasetInvalid", "`labels` has 3 rows, `frames` has 4")


def test_the_latest_pods_failure_counts() -> None:
    earlier, later = pod("Failed", 1, created="1"), pod("Failed", 137, created="2", why="OOMKilled")
    assert told(failed(later, earlier))[0] == "OutOfMemory"


def test_a_pod_that_ran_out_of_memory_says_which_setting_to_raise() -> None:
    _, message = told(failed(pod("Failed", 137, why="OOMKilled")))
    assert message.endswith("raise resources.quantize.limits.memory in the operator's settings")


def test_a_pod_that_ran_too_long_says_which_setting_to_raise() -> None:
    _, message = told(failed(pod("Failed", 143, reason="DeadlineExceeded")))
    assert message == "The quantize pod ran too long: raise deadlines.quantize in the operator's settings"


def test_an_evicted_pod_says_why() -> None:
    reason, message = told(failed(pod("Failed", reason="Evicted", message="The node was low on resource: memory.")))
    assert reason == "PodFailed"
    assert message == "The quantize pod failed with Evicted: The node was low on resource: memory."


def test_a_failed_job_without_pods_says_what_the_job_says() -> None:
    expected = "The quantize job failed: Job has reached the specified backoff limit"
    assert told(failed()) == ("BackoffLimitExceeded", expected)


def test_a_job_that_tries_again_keeps_the_last_failure_in_view() -> None:
    view = job_view(job(failed=1), [pod("Failed", 1, created="1"), pod("Running", created="2")])
    assert (view.state, view.failed_pods, told(view)[1]) == ("Running", 1, "The quantize pod failed with exit code 1")


def test_an_unschedulable_pod_says_what_the_scheduler_says() -> None:
    view = job_view(job(), [pending(unscheduled="0/3 nodes are available: 3 Insufficient memory.")])
    assert (view.state, view.waiting) == ("Pending", "0/3 nodes are available: 3 Insufficient memory.")


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull"])
def test_an_image_that_cannot_be_pulled_is_told_in_words_that_stay(reason: str) -> None:
    view = job_view(job(), [pending({"reason": reason, "message": "Back-off pulling image, 20s"})])
    assert view.waiting == "image dms-qnn:1 cannot be pulled: kubectl describe pod tells why"


def test_a_missing_secret_is_told() -> None:
    view = job_view(job(), [pending({"reason": "CreateContainerConfigError", "message": 'secret "x" not found'})])
    assert view.waiting == 'CreateContainerConfigError: secret "x" not found'


@pytest.mark.parametrize("waiting", [None, {"reason": "ContainerCreating"}, {"reason": "PodInitializing"}])
def test_the_usual_start_of_a_pod_is_not_worth_a_word(waiting: dict[str, str] | None) -> None:
    assert job_view(job(), [pending(waiting)]).waiting == ""


def test_a_job_without_status_is_pending() -> None:
    raw = job()
    del raw["status"]
    assert job_view(raw, []).state == "Pending"


def test_jobs_that_no_operator_made_are_left_out() -> None:
    stranger = {"metadata": {"name": "cleanup"}, "status": {}}
    half = {"metadata": {"name": "half", "labels": {"dms.edge/stage": "quantize"}}}
    assert list(observe(deployment(), [(stranger, []), (half, []), (job(), [])], BOARDS).jobs) == [RECIPE]


def test_a_spec_that_an_older_crd_let_through_is_seen_as_invalid() -> None:
    seen = observe(deployment(spec(colour="red")), [], {})
    assert isinstance(seen.spec, InvalidSpec)
    assert "spec.colour" in str(seen.spec)


def test_a_status_of_another_version_counts_as_empty() -> None:
    body = deployment() | {"status": {"phase": "Dreaming"}}
    assert observe(body, [], {}).status.phase is None


def test_views_agree_with_what_the_planner_asked_for() -> None:
    new = world(script=Script())
    manifest = new.reconcile().create[0]
    (view,) = new.observed().jobs.values()
    assert view.name == manifest["metadata"]["name"]
    assert view.template == manifest["metadata"]["annotations"]["dms.edge/template-digest"]
    assert isinstance(new.script.answer(new.request(view.name).recipe), StageResult)


def test_a_pod_on_a_lost_node_says_which_one_until_it_has_ended() -> None:
    marked = [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}]
    taken: dict[str, Any] = {
        "metadata": {"name": "p", "creationTimestamp": "1", "deletionTimestamp": "2"},
        "spec": {"nodeName": "bench-1"},
        "status": {"phase": "Running", "conditions": marked},
    }
    view = job_view(job(), [taken])
    assert (view.state, view.disruption.split(":")[0]) == ("Running", "bench-1 was lost or is drained")
    assert job_view(job(), [{**taken, "status": {"phase": "Failed", "conditions": marked}}]).disruption == ""
    assert job_view(job(), [{**taken, "status": {"phase": "Running"}}]).disruption == ""
