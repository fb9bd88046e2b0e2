"""A storm: deployments come and go on a dev cluster while the operator is killed and everything around it fails."""

import json
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dms_operator.api.labels import revision_label
from dms_operator.devcluster.faults.happenings import ReviveNode
from dms_operator.devcluster.faults.rules import FaultPlan
from e2e import fleet
from e2e.running import AUDIT_LOG, REPOSITORY, Cluster, Kubectl, end, start_dev_cluster, wait_for
from fault_suite.cluster import Client
from fault_suite.edits import IMPOSSIBLE, base_spec, draw_edit, is_impossible
from fault_suite.faults import NODES, draw_happening, draw_plan
from fault_suite.killable import KillableOperator
from fault_suite.promises import Promises, differences, essence
from fault_suite.vehicle_promises import MAX_UNAVAILABLE, unprepared

CLOCK_ERROR_SECONDS = 600.0
"""How wrong the clock of an operator's life may be, either way."""
_CALM, _STORM = "calm", "storm"
_BYSTANDER = "bystander"
"""An object of somebody else's."""
_BATCH_SECONDS = 180
_GONE_SECONDS = 60
_BOARDS = (("qcs8255",), ("qcs8255", "tda4vm"))
_VEHICLES = ("car-1", "car-2", "car-3")
ROLLOUT = {
    "waves": [{"name": "lab", "size": "1"}, {"name": "fleet", "size": "100%"}],
    "maxUnavailable": str(MAX_UNAVAILABLE),
    "failurePolicy": {"perNodeRetries": 10},
}


@dataclass
class Summary:
    """What a storm did and found."""

    seed: int
    runs: int = 0
    """Deployments taken to their end and compared with an undisturbed run."""
    kills: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    changes: int = 0
    """Changes of Jobs and deployments that were checked."""
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        faults = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        lines = [f"seed {self.seed}: {self.runs} runs, operator killed {self.kills} times", f"faults: {faults}"]
        return "\n".join(
            [*lines, f"{self.changes} changes checked, violations: {len(self.violations)}", *self.violations]
        )


def deployment(namespace: str, number: int) -> dict[str, Any]:
    """The same number means the same recipes in every namespace."""
    targets = [{"name": f"on-{board}", "board": board} for board in _BOARDS[number % len(_BOARDS)]]
    spec = {
        "model": {"uri": f"file:///models/{number}.onnx"},
        "dataset": {"uri": "file:///data/dms.npz"},
        "targets": targets,
        "artifacts": {"uri": "file:///artifacts"},
    }
    spec |= IMPOSSIBLE if is_impossible(number) else {}
    spec |= {"rollout": ROLLOUT} if rolls_out(number) else {}
    metadata = {"name": f"driver-{number}", "namespace": namespace}
    return {"apiVersion": "dms.edge/v1alpha1", "kind": "DMSModelDeployment", "metadata": metadata, "spec": spec}


def rolls_out(number: int) -> bool:
    """Every third deployment goes to the vehicles."""
    return number % 3 == 0


class Storm:
    """One storm; `blow` until the operator has been killed so many times, then `settle`."""

    def __init__(self, cluster: Cluster, directory: Path, seed: int, report: Callable[[str], None]) -> None:
        self._dice = random.Random(seed)
        self._cluster, self._directory, self._report = cluster, directory, report
        self._promises = Promises()
        self._size = 0
        self._fleet = directory / "fleet"
        self._fleet.mkdir()
        self._client = Client(cluster.kubeconfig, _STORM, directory)
        self._wronged: set[str] = set()
        self._edited: set[str] = set()
        self.summary = Summary(seed)

    def run(self, kills: int, batch: int) -> Summary:
        """Batches of deployments until the kills are done."""
        self._size = batch
        undisturbed = self._undisturbed(batch)
        self._client.create("configmaps", {"metadata": {"name": _BYSTANDER}})
        with self._watching():
            while self.summary.kills < kills:
                self._batch(min(kills, self.summary.kills + max(10, kills // 10)), batch, undisturbed)
                self._report(str(self._summed_up()))
        self._look_back()
        return self._summed_up()

    def _summed_up(self) -> Summary:
        promises = self._promises
        return replace(self.summary, changes=promises.events, violations=self.summary.violations + promises.violations)

    def _look_back(self) -> None:
        """What the operator deleted, and whether what is not its own is still there."""
        assert self._cluster.control is not None
        for line in (self._cluster.control / AUDIT_LOG).read_text().splitlines():
            self._promises.asked(json.loads(line))
        runs = [json.loads(line) for line in (self._cluster.control / "runs.log").read_text().splitlines()]
        self.summary.violations += unprepared(runs)
        if _BYSTANDER not in [one["metadata"]["name"] for one in self._client.list("configmaps")]:
            self.summary.violations.append(f"{_BYSTANDER} is gone")

    def _undisturbed(self, batch: int) -> list[Any]:
        client = Client(self._cluster.kubeconfig, _CALM, self._directory)
        with self._operator(_CALM) as operator:
            operator.start(self._dice)
            for number in range(batch):
                client.create("deployments", deployment(_CALM, number))
            return self._ended(client, batch)

    def _batch(self, kills: int, batch: int, undisturbed: list[Any]) -> None:
        for number in range(batch):
            self._client.create("deployments", deployment(_STORM, number))
        with self._operator(_STORM) as operator:
            operator.start(self._dice, CLOCK_ERROR_SECONDS)
            while self.summary.kills < kills:
                self._disturb()
                time.sleep(self._dice.expovariate(1 / 0.5))
                self.summary.kills += operator.kill()
                operator.start(self._dice, CLOCK_ERROR_SECONDS)
                self._renew(undisturbed)
            self._calm(batch)
            self._compare(self._ended(self._client, batch), undisturbed)
            for number in range(batch):
                self._client.delete("deployments", f"driver-{number}")
            for number in range(batch):
                self._forget(f"driver-{number}")
            for kind in ("deployments", "jobs", "pods"):
                self._gone(kind)
        self.summary.runs += batch

    def _renew(self, undisturbed: list[Any]) -> None:
        """Delete deployments that came to their end, and apply them anew, so that there is always work to disturb."""
        for body in self._client.list("deployments"):
            if _has_ended(body):
                name = body["metadata"]["name"]
                if name not in self._edited:
                    self._compare_one(name, body, undisturbed[_number(body)])
                    self.summary.runs += 1
                self._edited.discard(name)
                self._client.delete("deployments", name)
                self._forget(name)
                self._client.create("deployments", deployment(_STORM, _number(body)))

    def _disturb(self) -> None:
        if self._dice.random() < 0.6:
            self.summary.faults += self._client.struck()
            self._client.follow(draw_plan(self._dice))
        if self._dice.random() < 0.3:
            self._edit()
        if self._dice.random() < 0.5:
            event = draw_happening(self._dice, _STORM, self._victims())
            name = getattr(event, "name", "")
            if self._client.happen(event):
                self.summary.faults[event.what] += 1
                self._wronged.add(_job_of(name))

    def _victims(self) -> list[str]:
        """Running pods whose Job has lost none yet: a Job that loses many fails, as it should."""
        pods = self._client.list("pods")
        running = [pod["metadata"]["name"] for pod in pods if pod["status"].get("phase") == "Running"]
        return sorted(name for name in running if _job_of(name) not in self._wronged)

    def _edit(self) -> None:
        name, (what, patch) = f"driver-{self._dice.randrange(self._size)}", draw_edit(self._dice)
        self._client.patch("deployments", name, patch)
        self._edited.add(name)
        self.summary.faults[what] += 1

    def _calm(self, batch: int) -> None:
        """No more faults, all nodes are back, all edits are taken back."""
        self.summary.faults += self._client.struck()
        self._client.follow(FaultPlan())
        for node in NODES:
            self._client.happen(ReviveNode(name=node))
        for number in range(batch):
            self._client.patch("deployments", f"driver-{number}", base_spec(number))
        self._edited.clear()

    def _ended(self, client: Client, batch: int) -> list[Any]:
        def all_ended() -> list[Any]:
            bodies = client.list("deployments")
            return bodies if len(bodies) == batch and all(map(_has_ended, bodies)) else []

        bodies = wait_for(all_ended, _BATCH_SECONDS, "every deployment is Ready, or Failed if it has to")
        return [body["status"] for body in sorted(bodies, key=_number)]

    def _compare(self, found: list[Any], undisturbed: list[Any]) -> None:
        for number, (one, other) in enumerate(zip(found, undisturbed, strict=True)):
            self._compare_one(f"driver-{number}", {"status": one}, other)

    def _compare_one(self, name: str, body: dict[str, Any], undisturbed: Any) -> None:
        if rolls_out(_number({"metadata": {"name": name}})):
            self._look_at_vehicles(name, body["status"]["revision"]["current"])
        for difference in differences(essence(body["status"]), essence(undisturbed)):
            self.summary.violations.append(f"{name} ended unlike the undisturbed run: {difference}")

    def _look_at_vehicles(self, name: str, revision: str) -> None:
        """A rollout that came to its end is on every vehicle, by its label and on its disk."""
        for node in self._client.list("nodes"):
            car, marks = node["metadata"]["name"], node["metadata"]["labels"]
            if car not in _VEHICLES:
                continue
            label, link = marks.get(revision_label(_STORM, name)), self._fleet / car / _STORM / name / "current"
            found = link.readlink().name if link.is_symlink() else None
            if not label == found == revision:
                self.summary.violations.append(f"{name}: {car} has {found}, its label {label} instead of {revision}")

    def _forget(self, name: str) -> None:
        """As if another fleet had come: the next deployment of this name begins with vehicles that run nothing.

        Until a deleted one is gone the operator may still note what the last switches left.
        """
        wait_for(lambda: name not in self._names(), _GONE_SECONDS, f"{name} is gone")
        for car in _VEHICLES:
            self._client.patch("nodes", car, {"metadata": {"labels": {revision_label(_STORM, name): None}}})

    def _names(self) -> list[str]:
        return [body["metadata"]["name"] for body in self._client.list("deployments")]

    def _gone(self, kind: str) -> None:
        try:
            wait_for(lambda: not self._client.list(kind), _GONE_SECONDS)
        except AssertionError:
            left = [one["metadata"]["name"] for one in self._client.list(kind)]
            self.summary.violations.append(f"{kind} without owner: {left}")

    def _operator(self, namespace: str) -> KillableOperator:
        return KillableOperator(self._cluster.kubeconfig, namespace, fleet.settings(self._fleet), self._directory)

    @contextmanager
    def _watching(self) -> Iterator[None]:
        stop = threading.Event()
        checks = {"jobs": self._promises.job_changed, "deployments": self._promises.deployment_changed}
        threads = [threading.Thread(target=self._watch, args=(*pair, stop), daemon=True) for pair in checks.items()]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join(30)

    def _watch(self, resource: str, check: Callable[[dict[str, Any]], None], stop: threading.Event) -> None:
        for event in Client(self._cluster.kubeconfig, _STORM, self._directory).watch(resource, stop):
            check(event)


def _number(body: dict[str, Any]) -> int:
    return int(body["metadata"]["name"].removeprefix("driver-"))


def _has_ended(body: dict[str, Any]) -> bool:
    status, end = body.get("status") or {}, "Failed" if is_impossible(_number(body)) else "Ready"
    return status.get("phase") == end and status.get("observedGeneration") == body["metadata"]["generation"]


def _job_of(pod: str) -> str:
    return pod.rpartition("-")[0]


def blow(seed: int, kills: int, batch: int = 6, report: Callable[[str], None] = print) -> Summary:
    """A storm on a dev cluster of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        process, cluster = start_dev_cluster(directory, vehicles=dict.fromkeys(_VEHICLES, fleet.BOARD))
        try:
            kubectl = Kubectl(cluster.kubeconfig, directory)
            kubectl("apply", "-f", str(REPOSITORY / "crds"))
            kubectl("wait", "--for=condition=Established", "crd/dmsmodeldeployments.dms.edge", "--timeout=60s")
            for namespace in (_CALM, _STORM):
                kubectl("create", "namespace", namespace)
            return Storm(cluster, directory, seed, report).run(kills, batch)
        finally:
            end(process)
