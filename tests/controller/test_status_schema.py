"""Every status that the planner writes is one that the API server takes whole: bounds kept, no field unknown."""

import copy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.builders import COCKPIT, ENTRY, Script, World, deployment, failure, spec
from controller.test_world import SCRIPTS, SPECS
from dms_operator.api.stages import Delegation
from dms_operator.devcluster.schema.prune import prune
from dms_operator.devcluster.schema.validate import validate

CRD = Path(__file__).parents[2] / "crds" / "dmsmodeldeployments.yaml"
WORDY = "The NPU refuses this node, and this one as well; " * 100
LONG = [
    Script(failures={"convert-tda4vm": failure("R" * 500, WORDY)}, drops={"int8": 0.3}),
    Script(failures={"resolve": failure("R" * 500, WORDY)}),
    Script(delegation=Delegation(npu=1, total=30, left_on_cpu=["VeryLongOperatorName" * 20] * 10)),
    Script(benchmark={"powerSource": WORDY, "power": "9W", "node": "n" * 253}),
]
MANY = [
    {"name": f"target-{index}", "board": board, "precisions": precisions}
    for index, (board, precisions) in enumerate(
        [("qcs8255", ["int4", "int8", "fp16"]), ("sa8255", ["int4", "int8", "fp16"]), ("generic-x86", ["int8", "fp16"])]
        * 5
    )
]


@cache
def schema() -> Any:
    (version,) = yaml.safe_load(CRD.read_text())["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]


def check(world: World) -> None:
    body = {"apiVersion": "dms.edge/v1alpha1", "kind": "DMSModelDeployment", "metadata": {}, **{"status": world.status}}
    problems = validate(schema()["properties"]["status"], body["status"])
    assert [str(problem) for problem in problems] == []
    assert prune(schema(), body)[1] == []


def run_checked(world: World) -> World:
    for _ in range(300):
        world.reconcile()
        check(world)
        if not (names := world.unfinished()):
            return world
        world.start(names[-1])
        world.reconcile()
        check(world)
        world.finish(names[-1])
    raise AssertionError("no end")


@pytest.mark.parametrize("script", [*SCRIPTS, *LONG])
@pytest.mark.parametrize("wanted", [SPECS[2], spec(COCKPIT, ENTRY, benchmark={"powerBudget": "1W"})])
def test_every_status_on_the_way_fits_the_crd(wanted: dict[str, Any], script: Script) -> None:
    run_checked(World(deployment(copy.deepcopy(wanted)), script))


def test_the_largest_ladder_of_fifteen_targets_fits_the_crd() -> None:
    slow = Script(drops={"int4": 0.3, "int8-minmax": 0.3}, bounds={"int8": "90ms", "fp16": "90ms"})
    done = run_checked(World(deployment(spec(*copy.deepcopy(MANY))), slow))
    assert done.status["phase"] == "Failed"


def test_an_invalid_spec_with_a_long_list_of_problems_fits_the_crd() -> None:
    wrong = deployment(spec(**{f"colour{n}" + "x" * 2000: "red" for n in range(20)}))
    run_checked(World(wrong))
