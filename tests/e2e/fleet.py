"""A fleet on a dev cluster: six vehicles and one that joins later, whose folders this test sees, and one operator."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from e2e import running
from e2e.audit import asked, granted
from e2e.conftest import FakeStages, install
from e2e.running import VEHICLE, Cluster, Kubectl, OperatorProcess, wait_for

BOARD = "qcs8255"
CARS = tuple(f"car-{number}" for number in range(1, 7))
SPARE = "spare"
"""A node that is made a vehicle by its label when a test says so."""
WAVES = [{"name": "lab", "size": "1"}, {"name": "canary", "size": "50%"}, {"name": "fleet", "size": "100%"}]
Status = dict[str, Any]


def settings(fleet: Path, **more: Any) -> dict[str, Any]:
    """Fake stages, on vehicles too."""
    volume = {"hostPath": {"path": str(fleet), "type": "Directory"}}
    return {**FakeStages.settings, "fleet": {"volume": volume, **more}}


@contextmanager
def fleet_cluster(directory: Path, board: str = BOARD) -> Iterator[Cluster]:
    """A dev cluster with vehicles; afterwards the operator's table of permissions is held against what was asked."""
    process, cluster = running.start_dev_cluster(directory, vehicles=dict.fromkeys((*CARS, SPARE), board))
    try:
        install(cluster, directory)
        Kubectl(cluster.kubeconfig, directory)("label", "node", SPARE, f"{VEHICLE}-")
        yield cluster
        beyond = asked(cluster) - granted("watched", "cluster", "default", "own")
        assert not beyond, f"controller/permissions.py lacks {sorted(beyond)}"
    finally:
        running.end(process)


class Fleet:
    """The vehicles as one test sees them: in a namespace of its own."""

    def __init__(self, kubectl: Kubectl, operator: OperatorProcess, stages: FakeStages, folder: Path) -> None:
        self.kubectl, self.operator, self.stages, self.folder = kubectl, operator, stages, folder

    def deploy(self, version: int = 1, name: str = "driver", *, waves: Any = WAVES, **rollout: Any) -> None:
        """Apply a deployment; another version is another model, so another revision."""
        spec = {
            "model": {"uri": f"file:///models/{self.kubectl.namespace}/{name}-{version}.onnx"},
            "dataset": {"uri": "file:///data/dms.npz"},
            "targets": [{"name": "cockpit", "board": BOARD}],
            "artifacts": {"uri": "file:///artifacts"},
            "rollout": {"waves": waves, "maxUnavailable": "2", **rollout},
        }
        metadata = {"name": name, "namespace": self.kubectl.namespace}
        self.kubectl.apply(
            {"apiVersion": "dms.edge/v1alpha1", "kind": "DMSModelDeployment", "metadata": metadata, "spec": spec}
        )

    def status(self, name: str = "driver") -> Status:
        """The deployment's status, whole."""
        found: Status = self.kubectl.json("get", "dmsd", name).get("status") or {}
        return found

    def rollout(self, name: str = "driver") -> Status:
        """status.rollout, empty while there is none."""
        found: Status = self.status(name).get("rollout") or {}
        return found

    def wait(self, state: str, name: str = "driver", **fields: Any) -> Status:
        """Wait for a state of the rollout, with these fields; gives status.rollout."""

        def seen() -> Status | None:
            now = self.rollout(name)
            return now if now.get("state") == state and fields.items() <= now.items() else None

        return wait_for(seen, 60, f"the rollout of {name} is {state} {fields}, see {self.operator.log}") or {}

    def wait_paused(self, reason: str) -> Status:
        """Wait until nothing is started for a reason; gives status.rollout."""

        def seen() -> Status | None:
            now = self.rollout()
            return now if reason in (pause["reason"] for pause in now.get("pauses", [])) else None

        return wait_for(seen, 60, f"paused: {reason}, see {self.operator.log}") or {}

    def completed(self, version: int = 1, **rollout: Any) -> str:
        """Deploy a version, and wait until all vehicles have it; gives its revision."""
        before = self.rollout().get("revision") if version > 1 else None
        self.deploy(version, **rollout)
        wait_for(lambda: self.rollout().get("revision") not in (None, "", before), 60, "the version is built")
        return str(self.wait("Completed")["revision"])

    def labels(self, name: str = "driver") -> dict[str, str]:
        """Revision by vehicle, by the label."""
        key = f"{self.kubectl.namespace}.revision.dms.edge/{name}"
        nodes = self.kubectl.json("get", "nodes")["items"]
        marks = {node["metadata"]["name"]: node["metadata"]["labels"] for node in nodes}
        return {node: found[key] for node, found in marks.items() if key in found}

    def links(self, name: str = "driver") -> dict[str, str]:
        """Revision by vehicle, by what lies on its disk."""
        links = self.folder.glob(f"*/{self.kubectl.namespace}/{name}/current")
        return {link.parts[-4]: link.readlink().name for link in links}

    def runs(self, stage: str, event: str = "start", **fields: str) -> list[str]:
        """Vehicles on which a stage ran, in order."""
        return [run["node"] for run in self.stages.runs(event, stage=stage, **fields)]

    def vehicle_jobs(self) -> list[str]:
        """Names of the Jobs on vehicles that are there."""
        jobs = self.kubectl.json("get", "jobs")["items"]
        return [job["metadata"]["name"] for job in jobs if "dms.edge/node" in job["metadata"]["annotations"]]

    def annotate(self, *marks: str, name: str = "driver") -> None:
        """Annotate the deployment."""
        self.kubectl("annotate", "--overwrite", "dmsd", name, *marks)

    def command(self, *arguments: str, code: int = 0) -> str:
        """What `kubectl dms rollout` prints; raises AssertionError when it ends with another code."""
        verb, *options = arguments
        done = self.kubectl.dms("rollout", verb, "driver", *options)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def happen(self, what: str, **about: Any) -> None:
        """Let something happen to the cluster."""
        self.kubectl("create", "--raw", "/-/happenings", "-f", "-", stdin=json.dumps({"what": what, **about}))


@contextmanager
def fleet_operator(cluster: Cluster, directory: Path) -> Iterator[OperatorProcess]:
    """One operator for all tests of a file: each has a namespace of its own."""
    (directory / "fleet").mkdir()
    process = OperatorProcess(cluster.kubeconfig, settings(directory / "fleet"), directory, [])
    process.start()
    try:
        process.wait_ready()
        yield process
    finally:
        process.stop()


@contextmanager
def fleet_in_namespace(cluster: Cluster, operator: OperatorProcess, scratch: Path) -> Iterator[Fleet]:
    """The fleet in a namespace of a test's own, with stages that behave."""
    kubectl = new_namespace(cluster, scratch)
    assert cluster.control is not None
    stages = FakeStages(cluster.control, kubectl.namespace)
    stages.behave()
    yield Fleet(kubectl, operator, stages, operator.log.parent / "fleet")
    stages.behave()
    kubectl("delete", "dmsd", "--all", "--timeout=60s")
    kubectl("delete", "namespace", kubectl.namespace, "--wait=false")


def new_namespace(cluster: Cluster, scratch: Path) -> Kubectl:
    """A namespace of a test's own."""
    admin = Kubectl(cluster.kubeconfig, scratch)
    name = f"fleet-{uuid4().hex[:8]}"
    admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return admin.within(name)
