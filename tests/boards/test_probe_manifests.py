"""examples/boards/probe.yaml: a confined pod, and an account that can touch little."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from cel_expr_python import cel

from dms_operator.devcluster.defaults.pod_security import restricted_violations
from dms_operator.devcluster.schema.cel_programs import compiled, environment, run

MANIFESTS = Path(__file__).parents[2] / "examples/boards/probe.yaml"
NODE: dict[str, Any] = {
    "metadata": {"name": "rack-1", "labels": {"dms.edge/board": "qcs8255"}, "annotations": {"a": "b"}},
    "status": {
        "capacity": {"cpu": "4"}, "allocatable": {"cpu": "4"},
        "conditions": [{"type": "Ready", "status": "True"}],
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def objects() -> dict[str, Any]:
    return {body["kind"]: body for body in yaml.safe_load_all(MANIFESTS.read_text())}


def test_the_pod_satisfies_the_restricted_profile(objects: dict[str, Any]) -> None:
    assert restricted_violations(objects["DaemonSet"]["spec"]["template"]["spec"]) == ""


def test_its_image_is_never_pulled_from_a_registry_that_nobody_named(objects: dict[str, Any]) -> None:
    (container,) = objects["DaemonSet"]["spec"]["template"]["spec"]["containers"]
    assert container["image"].startswith("registry.example.com/dms/benchmark-runner:")


def test_it_runs_where_a_board_is_and_nowhere_else(objects: dict[str, Any]) -> None:
    affinity = objects["DaemonSet"]["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    (term,) = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term == {"matchExpressions": [{"key": "dms.edge/board", "operator": "Exists"}]}


def test_its_account_may_read_nodes_and_patch_their_status_and_nothing_else(objects: dict[str, Any]) -> None:
    rights = {(rule["resources"][0], verb) for rule in objects["ClusterRole"]["rules"] for verb in rule["verbs"]}
    assert rights == {("nodes", "get"), ("nodes/status", "patch")}


def refused(objects: dict[str, Any], new: dict[str, Any], node: str = "rack-1") -> list[str]:
    """Messages of the policy's validations that do not hold, as the API server evaluates them."""
    env = environment(dict.fromkeys(("object", "oldObject", "request"), cel.Type.DYN))
    extra = {"authentication.kubernetes.io/node-name": [node]}
    request = {"userInfo": {"username": "system:serviceaccount:dms-system:dms-board-probe", "extra": extra}}
    found = []
    for rule in objects["ValidatingAdmissionPolicy"]["spec"]["validations"]:
        program = compiled(env, rule["expression"], cel.Type.BOOL)
        if not run(program, env.Activation({"object": new, "oldObject": NODE, "request": request})):
            found.append(rule["message"].removeprefix("the board probe "))
    return found


def changed(**parts: Any) -> dict[str, Any]:
    new = copy.deepcopy(NODE)
    for path, value in parts.items():
        part, _, field = path.partition("__")
        new[part][field] = value
    return new


OWN = {"type": "DMSBoardHealthy", "status": "True"}


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (changed(metadata__annotations={"a": "b", "dms.edge/board-facts": "{}"}), []),
        (changed(status__conditions=[*NODE["status"]["conditions"], OWN]), []),
        (changed(metadata__annotations={"a": "c"}), ["sets its own annotations only"]),
        (changed(metadata__annotations={"a": "b", "x": "y"}), ["sets its own annotations only"]),
        (changed(metadata__annotations={}), ["removes no annotations"]),
        (changed(metadata__labels={}), ["sets no labels"]),
        (changed(status__capacity={"cpu": "4", "dms.edge/qcs8255": "9"}), ["offers nothing"]),
        (changed(status__conditions=[{"type": "Ready", "status": "False"}]), ["sets its own condition only"]),
        (changed(status__conditions=[OWN]), ["sets its own condition only"]),
    ],
)
def test_the_policy_lets_the_probe_write_its_own_words_only(
    objects: dict[str, Any], new: dict[str, Any], expected: list[str]
) -> None:
    assert refused(objects, new) == expected


def test_the_policy_confines_each_pod_to_its_own_node(objects: dict[str, Any]) -> None:
    assert refused(objects, NODE, node="rack-2") == ["writes to its own node only"]
