"""The judge of the fault suite: a broken promise is seen."""

from typing import Any

from dms_operator.api.labels import NODE, RECIPE_DIGEST, STAGE
from fault_suite.promises import Promises, differences, essence
from fault_suite.vehicle_promises import unprepared


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


def _on_vehicle(name: str, node: str, stage: str = "activate", *, ended: bool = False) -> dict[str, Any]:
    job = _job(name, recipe=f"sha256:{name}", ended=ended)
    job["metadata"]["annotations"][NODE] = node
    job["metadata"]["labels"] = {STAGE: stage}
    return job


def test_two_live_jobs_on_one_vehicle_are_a_violation() -> None:
    jobs = (_on_vehicle("one", "car", "prefetch"), _on_vehicle("two", "car"))
    [violation] = _told_jobs(*(("ADDED", job) for job in jobs))
    assert violation.startswith("two live Jobs on car")


def test_more_vehicles_that_are_being_changed_than_allowed_are_a_violation() -> None:
    [violation] = _told_jobs(("ADDED", _on_vehicle("one", "car")), ("ADDED", _on_vehicle("two", "van")))
    assert violation.startswith("more than 1 vehicles are being changed")


def test_one_vehicle_after_another_and_downloads_beside_them_are_none() -> None:
    one, two = _on_vehicle("one", "car"), _on_vehicle("two", "van")
    assert _told_jobs(("ADDED", one), ("MODIFIED", _on_vehicle("one", "car", ended=True)), ("ADDED", two)) == []
    assert _told_jobs(("ADDED", one), ("ADDED", _on_vehicle("two", "van", "prefetch"))) == []


def test_a_switch_to_what_was_not_brought_before_is_a_violation() -> None:
    def run(stage: str, event: str, revision: str = "1") -> dict[str, Any]:
        return {"deployment": "ns/driver", "stage": stage, "event": event, "node": "car", "revision": revision}

    brought, switched = run("prefetch", "end"), run("activate", "start")
    assert unprepared([run("prefetch", "start"), brought, switched, run("activate", "end")]) == []
    assert len(unprepared([run("prefetch", "start"), switched, brought])) == 1
    assert len(unprepared([brought, run("activate", "start", "2")])) == 1


def test_times_of_a_rollout_are_not_compared_but_whether_there_are_any() -> None:
    one = {"rollout": {"reachedAt": "2026-11-23T12:00:00Z", "progressedAt": "2026-11-23T12:00:00Z"}}
    later = {"rollout": {"reachedAt": "2026-11-23T13:00:00Z", "progressedAt": "2026-11-23T13:00:00Z"}}
    assert essence(one) == essence(later)
    del later["rollout"]["reachedAt"]
    assert list(differences(essence(later), essence(one))) == [
        "status.rollout.reachedAt is 'absent' instead of True",
    ]
