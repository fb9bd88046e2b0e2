"""What GitOps tools make of objects at the edges: not seen yet, changed since, odd conditions."""

from typing import Any

import pytest
import yaml

from gitops import argocd, flux
from gitops.kstatus import kstatus


def body(generation: int = 1, observed: int | None = 1, phase: str | None = None, **conditions: str) -> dict[str, Any]:
    told = [{"type": kind, "status": truth, "message": f"about {kind}"} for kind, truth in conditions.items()]
    status = {"observedGeneration": observed, "phase": phase, "conditions": told}
    return {
        "apiVersion": "dms.edge/v1alpha1",
        "kind": "DMSModelDeployment",
        "metadata": {"name": "driver", "generation": generation},
        "spec": {},
        "status": {name: value for name, value in status.items() if value is not None},
    }


NOT_SEEN = body(observed=-1)
CHANGED_SINCE = body(2, 1, "Ready", Ready="True")
WORKING = body(1, 1, "Converting", Ready="False", Reconciling="True")
FAILED = body(1, 1, "Failed", Ready="False", Stalled="True")
READY = body(1, 1, "Ready", Ready="True")
SUSPENDED = body(1, 1, "Suspended", Ready="False")


@pytest.mark.parametrize(
    ("found", "by_kstatus", "by_flux", "by_argocd"),
    [
        (NOT_SEEN, "InProgress", "InProgress", "Progressing"),
        (CHANGED_SINCE, "InProgress", "InProgress", "Progressing"),
        (WORKING, "InProgress", "InProgress", "Progressing"),
        (FAILED, "Failed", "Failed", "Degraded"),
        (READY, "Current", "Current", "Healthy"),
        (SUSPENDED, "InProgress", "Current", "Suspended"),
    ],
    ids=["not seen", "changed since", "working", "failed", "ready", "suspended"],
)
def test_every_tool_says_the_same_of_a_deployment(
    found: dict[str, Any], by_kstatus: str, by_flux: str, by_argocd: str
) -> None:
    assert kstatus(found) == by_kstatus
    assert {flux.health(found, checks) for checks in flux.expressions().values()} == {by_flux}
    assert argocd.health(found).status == by_argocd


def test_an_object_without_status_is_waited_for_by_argocd() -> None:
    bare = {key: value for key, value in NOT_SEEN.items() if key != "status"}
    assert argocd.health(bare) == ("Progressing", "waiting for the operator")


def test_a_message_is_that_of_the_condition_that_decides() -> None:
    assert argocd.health(FAILED).message == "about Stalled"
    assert argocd.health(SUSPENDED).message == "about Ready"


def test_the_config_map_holds_the_script() -> None:
    config = yaml.safe_load((argocd.EXAMPLES / "argocd" / "argocd-cm.yaml").read_text())
    [script] = config["data"].values()
    assert script == argocd.SCRIPT.read_text()
