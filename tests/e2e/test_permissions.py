"""The operator asks for what the table of permissions grants (and with it the chart's roles), and uses all of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e import running
from e2e.audit import OWNS, asked, granted
from e2e.conftest import FakeStages
from e2e.running import REPOSITORY, Cluster, Kubectl, OperatorProcess, wait_for
from e2e.test_operator_on_devcluster import deployment, wait_for_phase

NAMESPACE, OWN = "perception", "dms-system"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A dev cluster whose audit log nobody else writes."""
    directory = tmp_path_factory.mktemp("fresh")
    process, cluster = running.start_dev_cluster(directory)
    try:
        Kubectl(cluster.kubeconfig, directory)("apply", "-f", str(REPOSITORY / "crds"))
        yield cluster
    finally:
        running.end(process)


def test_nothing_is_asked_that_is_not_granted_and_nothing_granted_that_is_not_asked(
    fresh: Cluster, tmp_path: Path
) -> None:
    admin = Kubectl(fresh.kubeconfig, tmp_path)
    for name in (NAMESPACE, OWN):
        admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    assert fresh.control is not None
    stages = FakeStages(fresh.control, NAMESPACE)
    operator = OperatorProcess(fresh.kubeconfig, stages.settings, tmp_path, [NAMESPACE])
    operator.start("--leader-elect", f"--leader-namespace={OWN}")
    try:
        operator.wait_ready()
        kubectl = admin.within(NAMESPACE)
        a_job_loses_the_label_by_which_it_is_found(kubectl, stages)
        a_deployment_is_suspended_again_and_again(kubectl)
        a_running_stage_is_replaced(kubectl, stages)
        a_deployment_takes_its_artifacts_along(kubectl)
        a_board_comes_goes_and_comes_again(kubectl)
    finally:
        operator.stop()
    assert asked(fresh, NAMESPACE) == granted("watched")
    assert asked(fresh, "") == granted("cluster")
    assert asked(fresh, "default") == granted("default")
    assert asked(fresh, OWN) == granted("own")
    assert asked(fresh) == granted("watched", "cluster", "default", "own")


def a_job_loses_the_label_by_which_it_is_found(kubectl: Kubectl, stages: FakeStages) -> None:
    """The operator makes it again, is told that it exists, and looks at it."""
    stages.behave(driver__resolve={"hold": "label"})
    kubectl.apply(deployment(kubectl))
    [job] = wait_for(lambda: kubectl.json("get", "jobs")["items"], 30, "resolve has its Job")
    assert job["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] is True, f"else {OWNS} is not needed"
    name, mark = f"job/{job['metadata']['name']}", "app.kubernetes.io/managed-by"
    kubectl("label", name, f"{mark}-")
    kubectl("label", name, f"{mark}=dms-operator")
    stages.release("label")
    wait_for_phase(kubectl, "Ready")


def a_deployment_is_suspended_again_and_again(kubectl: Kubectl) -> None:
    for suspend, phase in (("true", "Suspended"), ("false", "Ready"), ("true", "Suspended"), ("false", "Ready")):
        kubectl("patch", "dmsd", "driver", "--type=merge", "-p", f'{{"spec":{{"suspend":{suspend}}}}}')
        wait_for_phase(kubectl, phase)


def a_running_stage_is_replaced(kubectl: Kubectl, stages: FakeStages) -> None:
    stages.behave(other__quantize={"hold": "gate"})
    kubectl.apply(deployment(kubectl, "other"))
    wait_for(lambda: [run for run in stages.runs(stage="quantize") if "/other" in run["deployment"]], 60, "it holds")
    kubectl("patch", "dmsd", "other", "--type=merge", "-p", '{"spec":{"dataset":{"evaluationSamples":500}}}')
    stages.release("gate")
    wait_for_phase(kubectl, "Ready", "other")


def a_deployment_takes_its_artifacts_along(kubectl: Kubectl) -> None:
    kubectl("annotate", "dmsd", "driver", "dms.edge/delete-artifacts=true")
    wait_for(lambda: kubectl.json("get", "dmsd", "driver")["metadata"].get("finalizers"), 30, "the finalizer is on")
    kubectl("delete", "dmsd", "driver", "--timeout=60s")


def a_board_comes_goes_and_comes_again(kubectl: Kubectl) -> None:
    def offered() -> bool:
        return "dms.edge/sa8255" in kubectl.json("get", "node", "build-1")["status"]["capacity"]

    for _ in range(2):
        kubectl("label", "node", "build-1", "dms.edge/board=sa8255")
        wait_for(offered, 30, "the board is offered")
        kubectl("label", "node", "build-1", "dms.edge/board-")
        wait_for(lambda: not offered(), 30, "the offer is taken back")
