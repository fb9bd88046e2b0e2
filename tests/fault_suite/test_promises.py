"""The judge of the fault suite: a broken promise is seen."""

from typing import Any

from dms_operator.api.labels import RECIPE_DIGEST
from fault_suite.promises import Promises, differences, essence


def _job(name: str, *, recipe: str = "sha256:1", ended: bool = False, owners: int = 1) -> dict[str, Any]:
    metadata = {"name": name, "uid": f"uid-{name}", "annotations": {RECIPE_DIGEST: recipe}}
    conditions = [{"type": "Complete", "status": "True"}] if ended else []
    return {
        "metadata": {**metadata, "ownerReferences": [{"uid": "driver"}] * owners},
        "status": {"conditions": conditions},
    }


def _deployment(generation: int, *succeeded: str) -> dict[str, Any]:
    stages = [{"recipe": recipe, "state": "Succeeded"} for recipe in succeeded]
    status = {"observedGeneration": generation, "stages": stages}
    return {"type": "MODIFIED", "object": {"metadata": {"name": "driver", "uid": "1"}, "status": status}}


def _told_jobs(*events: tuple[str, dict[str, Any]]) -> list[str]:
    promises = Promises()
    for kind, job in events:
        promises.job_changed({"type": kind, "object": job})
    return promises.violations


def test_two_live_jobs_of_one_recipe_are_a_violation() -> None:
    [violation] = _told_jobs(("ADDED", _job("one")), ("ADDED", _job("two")))
    assert "one, two" in violation


def test_a_job_after_another_that_ended_or_went_is_none() -> None:
    assert _told_jobs(("ADDED", _job("one")), ("MODIFIED", _job("one", ended=True)), ("ADDED", _job("two"))) == []
    assert _told_jobs(("ADDED", _job("one")), ("DELETED", _job("one")), ("ADDED", _job("two"))) == []
    assert _told_jobs(("ADDED", _job("one")), ("ADDED", _job("two", recipe="sha256:2"))) == []


def test_a_job_without_owner_is_a_violation() -> None:
    assert _told_jobs(("ADDED", _job("one", owners=0))) == ["Job one has 0 owners"]


def test_a_status_that_forgets_a_success_is_a_violation() -> None:
    promises = Promises()
    for event in (_deployment(1, "a"), _deployment(1, "a", "b"), _deployment(1, "b")):
        promises.deployment_changed(event)
    assert promises.violations == ["driver: 1 succeeded stages were forgotten"]


def test_a_generation_that_goes_back_is_a_violation_and_one_that_goes_on_is_not() -> None:
    promises = Promises()
    for event in (_deployment(1, "a"), _deployment(2), _deployment(1)):
        promises.deployment_changed(event)
    assert promises.violations == ["driver: observedGeneration went from 2 to 1"]


def test_the_essence_of_a_status_has_neither_times_nor_circumstances() -> None:
    assert essence({"stages": [{"state": "Succeeded", "attempts": 3, "startedAt": "now"}]}) == {
        "stages": [{"state": "Succeeded"}]
    }


def _told_target(state: str, *outcomes: str, variant: str = "int8") -> list[str]:
    gates = [{"name": "latency", "outcome": outcome} for outcome in outcomes]
    target = {
        "name": "cockpit",
        "state": state,
        "variant": variant,
        "candidates": [{"variant": "int8", "gates": gates}],
    }
    told, promises = _deployment(1), Promises()
    told["object"]["status"]["targets"] = [target]
    promises.deployment_changed(told)
    return promises.violations


def test_a_target_that_is_ready_through_a_failed_gate_is_a_violation() -> None:
    assert _told_target("Ready", "Pass") == _told_target("Failed", "Fail") == []
    assert len(_told_target("Ready", "Pass", "Fail")) == 1
    assert len(_told_target("Ready", "Pass", variant="never tried")) == 1


def _asked(agent: str, verb: str, resource: str, name: str) -> list[str]:
    promises = Promises()
    promises.asked({"userAgent": agent, "verb": verb, "objectRef": {"resource": resource, "name": name}})
    return promises.violations


def test_a_deletion_of_what_is_not_the_operators_is_a_violation() -> None:
    assert _asked("dms-operator", "delete", "jobs", "driver-1-resolve-abc") == []
    assert _asked("dms-operator", "create", "events", "x") == _asked("kubectl", "delete", "configmaps", "x") == []
    assert len(_asked("dms-operator", "delete", "configmaps", "bystander")) == 1
    assert len(_asked("dms-operator", "deletecollection", "jobs", "")) == 1


def test_differences_are_told_by_their_place() -> None:
    assert list(differences({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]})) == []
    assert list(differences({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]})) == ["status.a[1].b is 2 instead of 3"]
    assert list(differences({}, {"a": 1})) == ["status.a is 'absent' instead of 1"]
    assert list(differences({"a": None}, {})) == ["status.a is None instead of 'absent'"]
