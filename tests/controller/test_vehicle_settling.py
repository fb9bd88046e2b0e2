"""A deployment that goes and leaves its models leaves no vehicle in the middle of a switch, and no label that lies."""

from datetime import timedelta
from typing import Any

import pytest

from controller.test_vehicle_jobs import ACTIVATE, PREFETCH, job
from controller.test_vehicle_removal import ONE, SETTINGS, STAMP, Leaving, going, pod_of
from dms_operator.api.stages import Failure, Recipe, StageResult, VehicleRecipe, recipe_digest
from dms_operator.api.vehicle import VehicleFacts
from dms_operator.controller.caches import ObjectName

LIMIT = timedelta(seconds=SETTINGS.deadline("activate") + 61)
QUIET = "Normal the model stays on its vehicles, and no switch is under way"


def retained(*recipes: VehicleRecipe, phase: str = "Running", **metadata: Any) -> Leaving:
    """A deployment that is being deleted, with Jobs on car-7, which ran another revision before."""
    leaving = Leaving().put(going("Retain")).vehicle("car-7")
    for recipe in recipes:
        body = leaving.cluster.stamp(job(recipe))
        body["metadata"] |= {"uid": f"uid-of-{recipe.stage}", **metadata}
        pod = pod_of(body, answer(recipe), leaving.cluster.version)
        pod["status"] = {"phase": phase}
        leaving.cluster.jobs[ObjectName.of(body)] = {**body, "status": {"startTime": STAMP}}
        leaving.cluster.pods.append(pod)
    return leaving


def answer(recipe: Recipe, **outcome: Any) -> StageResult:
    facts = VehicleFacts(node="car-7", revision=ACTIVATE.revision)
    told = outcome or {"vehicle": facts}
    return StageResult.model_validate({"stage": recipe.stage, "recipe": recipe_digest(recipe), **told})


def end(leaving: Leaving, result: StageResult | None, kind: str = "Complete") -> None:
    [body] = leaving.cluster.jobs.values()
    leaving.cluster.pods.clear()
    leaving.end(body, result, kind)


async def test_a_switch_under_way_comes_to_its_end_and_the_label_says_what_runs_then() -> None:
    leaving = retained(ACTIVATE)
    wait = await leaving.reconcile()
    assert wait is not None and wait > 1
    assert not leaving.is_gone and leaving.cluster.writes == []
    end(leaving, answer(ACTIVATE))
    await leaving.settle()
    assert leaving.is_gone and leaving.label_of("car-7") == ACTIVATE.revision
    assert leaving.told == [QUIET]


@pytest.mark.parametrize(("recipe", "phase"), [(PREFETCH, "Running"), (ACTIVATE, "Pending")])
async def test_what_changes_nothing_or_has_not_begun_is_stopped(recipe: VehicleRecipe, phase: str) -> None:
    leaving = retained(recipe, ACTIVATE, phase=phase) if recipe is PREFETCH else retained(recipe, phase=phase)
    await leaving.reconcile()
    deleted = [call for call in leaving.cluster.calls if call.startswith("delete_job")]
    assert deleted == [f"delete_job {job(recipe)['metadata']['name']}"] and not leaving.is_gone


async def test_a_switch_that_had_not_begun_leaves_the_label_as_it_was() -> None:
    leaving = retained(ACTIVATE, phase="Pending")
    await leaving.reconcile()
    await leaving.settle()
    assert leaving.is_gone and leaving.label_of("car-7") == ONE and leaving.told == [QUIET]


async def test_where_a_switch_is_cut_off_by_a_foreground_deletion_the_label_goes() -> None:
    leaving = retained(ACTIVATE, deletionTimestamp=STAMP)
    await leaving.settle()
    assert leaving.is_gone and leaving.label_of("car-7") is None
    [told] = leaving.told
    assert told.startswith("Warning the model stays") and "the switch on car-7 ended" in told


async def test_a_switch_that_does_not_end_holds_the_deletion_up_no_longer_than_the_stage_may_take() -> None:
    leaving = retained(ACTIVATE)
    leaving.now += LIMIT - timedelta(seconds=2)
    await leaving.settle()
    assert not leaving.is_gone
    leaving.now += timedelta(seconds=2)
    await leaving.settle()
    assert leaving.is_gone and leaving.label_of("car-7") is None


@pytest.mark.parametrize(
    ("failure", "label"),
    [
        (Failure(reason="GoldenMismatch", message="outputs differ", retryable=False), ONE),
        (None, None),
    ],
    ids=["it says that it failed, and went back", "it was killed"],
)
async def test_a_failed_switch_leaves_the_label_only_if_it_says_that_it_went_back(
    failure: Failure | None, label: str | None
) -> None:
    leaving = retained(ACTIVATE)
    end(leaving, answer(ACTIVATE, failure=failure) if failure else None, "Failed" if failure is None else "Complete")
    await leaving.settle()
    assert leaving.is_gone and leaving.label_of("car-7") == label


async def test_an_answer_that_is_lost_is_waited_for_a_moment() -> None:
    leaving = retained(ACTIVATE)
    end(leaving, None)
    await leaving.settle()
    assert not leaving.is_gone
    leaving.now += timedelta(seconds=16)
    await leaving.settle()
    assert leaving.is_gone and leaving.label_of("car-7") is None


async def test_it_is_so_too_where_the_rollout_was_taken_out_of_the_spec() -> None:
    leaving = retained(ACTIVATE)
    del leaving.cluster.deployments[ObjectName("perception", "driver")]["spec"]["rollout"]
    await leaving.settle()
    assert not leaving.is_gone
    end(leaving, answer(ACTIVATE))
    await leaving.settle()
    assert leaving.is_gone and leaving.label_of("car-7") == ACTIVATE.revision
