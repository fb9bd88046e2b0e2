"""Git holds the spec, and the operator the status: tools that read the one and write the other meet no surprise."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.conftest import FakeStages, StartOperator
from e2e.running import REPOSITORY, Kubectl, wait_for
from e2e.test_operator_on_devcluster import condition, deployment, wait_for_phase
from e2e.watching import events, recording
from gitops import argocd, flux
from gitops.kstatus import kstatus

MODELS = REPOSITORY / "examples" / "gitops" / "models"
EXPECTED = {
    # phase: what kstatus, Flux with the shipped expressions, and Argo CD with the shipped script have to say
    "Ready": ("Current", "Current", "Healthy"),
    "Failed": ("Failed", "Failed", "Degraded"),
    "Suspended": ("InProgress", "Current", "Suspended"),
}
AT_WORK = ("InProgress", "InProgress", "Progressing")


def recorded(path: Path) -> list[dict[str, Any]]:
    """The objects of a recording."""
    return [event["object"] for event in events(path)]


def verdicts(body: dict[str, Any]) -> tuple[str, ...]:
    by_flux = {flux.health(body, checks) for checks in flux.expressions().values()}
    return kstatus(body), *by_flux, argocd.health(body).status


def is_current(body: dict[str, Any]) -> bool:
    return bool(body["status"].get("observedGeneration") == body["metadata"]["generation"])


def test_in_every_phase_gitops_tools_see_what_is_so(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages, tmp_path: Path
) -> None:
    broken = {"reason": "ConversionFailed", "message": "the licence server is away", "retryable": False}
    stages.behave(broken__convert={"failure": broken}, paused__resolve={"hold": f"{kubectl.namespace}-never"})
    with recording(kubectl, tmp_path, "dmsd") as path:
        kubectl.apply(deployment(kubectl, "unseen"))
        wait_for(lambda: recorded(path), 30, "the watch shows what no operator has seen yet")
        operator_process(stages.settings)
        kubectl.apply(deployment(kubectl), deployment(kubectl, "broken"), deployment(kubectl, "paused", suspend=True))
        wait_for_phase(kubectl, "Ready")
        wait_for_phase(kubectl, "Failed", "broken")
        wait_for_phase(kubectl, "Suspended", "paused")
        kubectl("patch", "dmsd", "driver", "--type=merge", "-p", '{"spec":{"dataset":{"evaluationSamples":500}}}')
        wait_for(lambda: kubectl.json("get", "dmsd", "driver")["status"]["observedGeneration"] == 2, 30, "it is seen")
        wait_for_phase(kubectl, "Ready")
        kubectl("delete", "dmsd", "broken", "--cascade=foreground")
    bodies = recorded(path)
    living = [body for body in bodies if "deletionTimestamp" not in body["metadata"]]
    for body in living:
        expected = EXPECTED.get(body["status"].get("phase", ""), AT_WORK) if is_current(body) else AT_WORK
        assert verdicts(body) == expected, body
        present = {each["type"] for each in body["status"]["conditions"]}
        assert not {"Reconciling", "Stalled"} <= present
        assert all(condition(body["status"], kind)["status"] == "True" for kind in {"Reconciling", "Stalled"} & present)
    phases = {body["status"].get("phase") for body in living}
    assert {None, "Quantizing", "Ready", "Failed", "Suspended"} <= phases
    assert any(not is_current(body) for body in living), "a change that was not seen yet was recorded"
    assert {kstatus(body) for body in bodies if body not in living} == {"Terminating"}


def test_the_operator_causes_no_drift(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages, tmp_path: Path
) -> None:
    operator = operator_process(stages.settings)
    wanted = tmp_path / "wanted.yaml"
    body = deployment(kubectl)
    body["metadata"]["annotations"] = {"dms.edge/delete-artifacts": "true"}
    wanted.write_text(yaml.safe_dump(body))

    def apply(manager: str) -> None:
        kubectl("apply", "--server-side", f"--field-manager={manager}", "-f", str(wanted))

    def version() -> str:
        return str(kubectl.json("get", "dmsd", "driver")["metadata"]["resourceVersion"])

    apply("argocd-controller")
    wait_for_phase(kubectl, "Ready")
    wait_for(lambda: kubectl.json("get", "dmsd", "driver")["metadata"].get("finalizers"), 30, "the finalizer is on")
    apply("kustomize-controller")
    wait_for(lambda: operator.metric("dms_queue_depth") == 0, 30, "nothing is left to do")
    before = version()
    for manager in ("argocd-controller", "kustomize-controller"):
        done = kubectl.run("diff", "--server-side", f"--field-manager={manager}", "-f", str(wanted))
        assert (done.returncode, done.stdout) == (0, "")
        apply(manager)
    assert version() == before, "applying what is there changes nothing"
    fields = fields_by_manager(kubectl)
    assert fields.pop("dms-operator") == {"f:status", "f:metadata"}
    assert set(fields) == {"argocd-controller", "kustomize-controller"}
    assert all("f:status" not in owned for owned in fields.values())


def fields_by_manager(kubectl: Kubectl) -> dict[str, set[str]]:
    """Top-level fields of the deployment by the name of who owns parts of them."""
    entries = kubectl.json("get", "dmsd", "driver", "--show-managed-fields")["metadata"]["managedFields"]
    owned: dict[str, set[str]] = {}
    for entry in entries:
        owned.setdefault(entry["manager"], set()).update(entry["fieldsV1"])
    return owned


@pytest.mark.slow
def test_client_side_apply_sees_no_drift_either(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages, tmp_path: Path
) -> None:
    operator = operator_process(stages.settings)
    wanted = tmp_path / "wanted.yaml"
    wanted.write_text(yaml.safe_dump(deployment(kubectl)))
    kubectl("apply", "-f", str(wanted))
    wait_for_phase(kubectl, "Ready")
    wait_for(lambda: operator.metric("dms_queue_depth") == 0, 30, "nothing is left to do")
    done = kubectl.run("diff", "-f", str(wanted))
    assert (done.returncode, done.stdout) == (0, "")
    before = kubectl.json("get", "dmsd", "driver")["metadata"]["resourceVersion"]
    # kubectl sends lists whole, because defaults stand in their items, and calls that "configured".
    kubectl("apply", "-f", str(wanted))
    assert kubectl.json("get", "dmsd", "driver")["metadata"]["resourceVersion"] == before


def test_the_example_repository_is_taken_by_the_definition(kubectl: Kubectl) -> None:
    for stage in ("lab", "fleet"):
        rendered = kubectl("kustomize", str(MODELS / stage))
        assert "created" in kubectl("apply", "--dry-run=server", "-f", "-", stdin=rendered)
