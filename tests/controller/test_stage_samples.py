"""A stage that is stuck can be seen; one that is over leaves no series."""

from typing import Any

from dms_operator.api.status import DeploymentStatus
from dms_operator.controller.caches import ObjectName
from dms_operator.controller.stage_samples import ACTIVE, STARTED, stage_samples

NAME = ObjectName("perception", "driver")


def _samples(*stages: dict[str, Any]) -> dict[tuple[str, ...], float]:
    status = DeploymentStatus.model_validate({"stages": [_stage(**stage) for stage in stages]})
    return {(sample.family.name, *sample.labels[2:]): sample.value for sample in stage_samples(NAME, status)}


def _stage(stage: str, state: str, started: str | None = None, job: str = "job") -> dict[str, Any]:
    whole = {"name": stage, "stage": stage, "recipe": f"sha256:{'0' * 64}", "job": job, "state": state}
    return whole | ({"startedAt": started} if started else {})


def test_stages_of_one_kind_are_counted_by_state() -> None:
    found = _samples(
        {"stage": "convert", "state": "Running"},
        {"stage": "convert", "state": "Running"},
        {"stage": "benchmark", "state": "Pending"},
    )
    assert found == {(ACTIVE.name, "convert", "Running"): 2, (ACTIVE.name, "benchmark", "Pending"): 1}


def test_the_longest_running_stage_of_a_kind_gives_the_start() -> None:
    found = _samples(
        {"stage": "convert", "state": "Running", "started": "1970-01-01T00:02:00Z"},
        {"stage": "convert", "state": "Running", "started": "1970-01-01T00:01:00Z"},
    )
    assert found[STARTED.name, "convert"] == 60


def test_a_stage_that_is_over_or_has_no_job_yet_gives_no_series() -> None:
    assert (
        _samples({"stage": "resolve", "state": "Succeeded"}, {"stage": "convert", "state": "Pending", "job": ""}) == {}
    )
