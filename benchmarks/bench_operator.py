"""The operator against a bare asyncio client that makes the same Job and status writes and nothing else.

Both run in this run, each on a fresh dev cluster whose Jobs end at once (`operator_cluster.py`); what the bare client
writes is in `operator_load.py`. With KUBECONFIG set, both run in a namespace of that cluster instead, whose pods are
then completed by `InstantKubelet`: they ask for a node label that no node has. A Job ends there a moment after its
pod, so the operator sees stages run, and tells: the bare client makes these writes, too. Needs the rights to patch pod
status.

    python benchmarks/bench_operator.py [--deployments 1000] [--idle 30] [--rounds 1] [--dry-run]

A machine that does other work, too, slows one half of a round down more than the other: with several rounds, the table
shows the one of the median ratio. The table goes to docs/performance.md, section "Operator".
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import yaml
from operator_cluster import REPOSITORY, ended
from operator_load import BOARD, SETTINGS, planned_writes
from operator_report import Costs, report
from prometheus_client.parser import text_string_to_metric_families
from report import write_section

from dms_operator.controller.connection import Connection
from dms_operator.controller.credentials import Credentials, load_configuration
from dms_operator.controller.reconcile import SETTLE_SECONDS
from e2e.running import Kubectl, OperatorProcess, end, wait_for

PAGE = REPOSITORY / "docs" / "performance.md"
MANAGED = {"labelSelector": "app.kubernetes.io/managed-by=dms-operator"}
MERGE = {"Content-Type": "application/merge-patch+json"}
WRITES = ("POST", "PATCH", "PUT", "DELETE")
FOREIGN = bool(os.environ.get("KUBECONFIG"))
"""Whether the cluster is not ours."""
Event = dict[str, Any]


@contextmanager
def cluster(directory: Path) -> Iterator[tuple[Kubectl, Callable[[], float]]]:
    """The cluster of KUBECONFIG, or a fresh dev cluster; with the definition, in a new namespace.

    Comes with the CPU seconds that the API server has used so far, which are 0 where that is not ours to see.
    """
    if FOREIGN:
        with namespace(Kubectl(Path(os.environ["KUBECONFIG"]), directory)) as kubectl:
            yield kubectl, lambda: 0.0
        return
    kubeconfig, ready = directory / "kubeconfig", directory / "ready"
    nodes = [{"name": "host", "labels": {"dms.edge/board": BOARD}}]
    (directory / "cluster.yaml").write_text(yaml.safe_dump({"nodes": nodes}))
    command = [sys.executable, str(Path(__file__).with_name("operator_cluster.py"))]
    command += [f"--config={directory / 'cluster.yaml'}", f"--kubeconfig={kubeconfig}"]
    command += [f"--data-dir={directory / 'data'}", f"--ready-file={ready}"]
    with (directory / "cluster.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(lambda: ready.exists() or process.poll() is not None, 60, "the dev cluster is ready")
        with namespace(Kubectl(kubeconfig, directory)) as kubectl:
            yield kubectl, lambda: cpu_seconds(process.pid)
    finally:
        # It has no processes of its own to tidy up, and writing down thousands of objects may take it long.
        end(process, signal.SIGKILL)


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


@contextmanager
def namespace(kubectl: Kubectl) -> Iterator[Kubectl]:
    """A namespace of this run's own, deleted afterwards."""
    kubectl("apply", "-f", str(REPOSITORY / "crds"))
    kubectl("wait", "--for=condition=Established", "crd/dmsmodeldeployments.dms.edge", "--timeout=60s")
    name = f"bench-{uuid4().hex[:6]}"
    kubectl("create", "namespace", name)
    try:
        yield kubectl.within(name)
    finally:
        kubectl("delete", "namespace", name, "--wait=false")


class Api:
    """The API server, seen through the operator's own connection."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self.connection, self.namespace = connection, namespace

    async def watch(self, path: str) -> AsyncIterator[Event]:
        """Events of our objects in the namespace; those that are there come first."""
        timing = {"watch": "1", "timeoutSeconds": "3600", **MANAGED}
        response = await self.connection.request(
            "GET", self.path(path), params=timing, timeout=None, read_bufsize=2**22
        )
        async with response:
            async for line in response.content:
                yield json.loads(line)

    async def patch_status(self, path: str, status: dict[str, Any]) -> None:
        """Merge-patch a status; an object that is gone is left alone."""
        body = json.dumps({"status": status})
        answer = await self.connection.request("PATCH", self.path(path) + "/status", data=body, headers=MERGE)
        async with answer:
            if answer.status >= 400 and answer.status != 404:
                raise RuntimeError(await answer.text())

    def path(self, tail: str) -> str:
        """The whole path of `<group prefix> <resource>[/name]`."""
        prefix, resource = tail.split(" ")
        return f"{prefix}/namespaces/{self.namespace}/{resource}"


class Observer:
    """Watches Jobs: when how many ended, and how long after one ended the next of its deployment came."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._ended: dict[str, float] = {}
        self._seen: set[str] = set()
        self.finished: set[str] = set()
        self.reactions: list[float] = []

    async def run(self) -> None:
        """Watch until cancelled."""
        async for event in self._api.watch("/apis/batch/v1 jobs"):
            self._take(event["object"], time.monotonic())

    def _take(self, job: Event, now: float) -> None:
        uid, (owner,) = job["metadata"]["uid"], job["metadata"]["ownerReferences"]
        if uid not in self._seen:
            self._seen.add(uid)
            if (before := self._ended.pop(owner["name"], None)) is not None:
                self.reactions.append(now - before)
        conditions = job.get("status", {}).get("conditions") or []
        if uid not in self.finished and any(one["type"] == "Complete" for one in conditions):
            self.finished.add(uid)
            self._ended[owner["name"]] = now


class InstantKubelet:
    """Ends every stage pod of the namespace with success as soon as it is there."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def run(self) -> None:
        """Watch until cancelled."""
        done: set[str] = set()
        async with asyncio.TaskGroup() as group:
            async for event in self._api.watch("/api/v1 pods"):
                pod = event["object"]
                if event["type"] == "ADDED" and pod["metadata"]["uid"] not in done:
                    done.add(pod["metadata"]["uid"])
                    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
                    group.create_task(
                        self._api.patch_status(f"/api/v1 pods/{pod['metadata']['name']}", ended(pod, now))
                    )


@asynccontextmanager
async def observing(kubectl: Kubectl) -> AsyncIterator[Observer]:
    """An observer of the namespace; and, in a cluster that is not ours, the instant kubelet."""

    async def pass_on(request: Any, handler: Any) -> Any:
        return await handler(request)

    configuration = await load_configuration(kubectl.kubeconfig)
    connection = Connection(Credentials(configuration), lambda verb, code: None, pass_on)
    api = Api(connection, kubectl.namespace)
    observer = Observer(api)
    parts: list[Callable[[], Awaitable[None]]] = [observer.run]
    parts += [InstantKubelet(api).run] if FOREIGN else []
    tasks = [asyncio.ensure_future(part()) for part in parts]
    try:
        yield observer
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await connection.close()


async def until(what: str, holds: Callable[[], bool], seconds: float, pause: float = 0.1) -> None:
    """Wait for something; raises TimeoutError."""
    end_of_patience = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end_of_patience:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        await asyncio.sleep(pause)


async def load(kubectl: Kubectl, count: int, *options: str) -> dict[str, float]:
    """Run operator_load.py; gives what it cost."""
    command = [sys.executable, str(Path(__file__).with_name("operator_load.py")), kubectl.namespace, str(count)]
    process = await asyncio.create_subprocess_exec(
        *command, *options, stdout=asyncio.subprocess.PIPE, env={**os.environ, "KUBECONFIG": str(kubectl.kubeconfig)}
    )
    text, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{command} failed")
    return dict(json.loads(text))


async def bare(kubectl: Kubectl, count: int, patience: float) -> dict[str, float]:
    """The bare client: total time until its last write is answered and every Job has ended."""
    jobs = count * sum(kind == "job" for kind, _ in planned_writes())
    async with observing(kubectl) as observer:
        started = time.monotonic()
        cost = await load(kubectl, count, *(["--seen-running"] if FOREIGN else []))
        await until("all Jobs ended", lambda: len(observer.finished) == jobs, patience)
        return {**cost, "total": time.monotonic() - started, "load": os.getloadavg()[1]}


class Operator:
    """The operator's process, its metrics, and what the process costs."""

    def __init__(self, kubectl: Kubectl, directory: Path, more: Mapping[str, Any] = {}) -> None:
        settings = {**SETTINGS, **more}
        self.process = OperatorProcess(kubectl.kubeconfig, settings, directory, [kubectl.namespace])

    def start(self, patience: float = 60) -> None:
        self.process.start()
        self.process.wait_ready(patience)

    def samples(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        families = text_string_to_metric_families(self.process.get("/metrics")[1])
        samples = (sample for family in families for sample in family.samples)
        return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}

    def requests(self) -> Counter[str]:
        """Requests so far by verb and code."""
        found: Counter[str] = Counter()
        for (name, labels), value in self.samples().items():
            if name == "dms_api_requests_total":
                found[" ".join(dict(labels)[key] for key in ("verb", "code"))] += int(value)
        return found

    def writes(self) -> int:
        return sum(count for what, count in self.requests().items() if what.split()[0] in WRITES)

    def ready(self) -> int:
        """Deployments that are Ready."""
        phases = [(dict(labels), value) for (name, labels), value in self.samples().items() if name == PHASE]
        return int(sum(value for labels, value in phases if labels["phase"] == "Ready"))

    def depth(self) -> int:
        """Keys and events that wait."""
        return int(self.samples()[("dms_queue_depth", ())])

    def reconciled(self) -> int:
        return int(self.samples().get(("dms_reconcile_duration_seconds_count", ()), 0))

    def cpu(self) -> float:
        return cpu_seconds(self.process.pid)

    def megabytes(self, peak: bool = False) -> float:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        field = "VmHWM:" if peak else "VmRSS:"
        return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1e3


PHASE = "dms_deployment_phase"
FEW = 20
"""Deployments for an idle operator."""


async def operated(
    kubectl: Kubectl, server: Callable[[], float], count: int, idle: float, directory: Path, patience: float
) -> Costs:
    """The operator: total time until all deployments are Ready; then idle, then restarted."""
    jobs = count * sum(kind == "job" for kind, _ in planned_writes())
    # A look at the metrics of many deployments is itself work.
    pause = max(0.5, count / 1000)
    operator = Operator(kubectl, directory)
    operator.start()
    try:
        async with observing(kubectl) as observer:
            empty, before, served = operator.megabytes(), operator.requests(), server()
            started = time.monotonic()
            await load(kubectl, count, "--only-create")
            await until("all Jobs ended", lambda: len(observer.finished) >= jobs, patience)
            await until("all are Ready", lambda: operator.ready() == count, patience, pause)
            total = time.monotonic() - started
        await until("its last events are posted", lambda: operator.depth() == 0, patience, pause)
        found = {
            "total": total,
            "told": time.monotonic() - started,
            "load": os.getloadavg()[1],
            "scrape": _scrape(operator),
            "cpu": operator.cpu(),
            "server": server() - served,
            "requests": operator.requests() - before,
            "reactions": observer.reactions,
            "emptyMegabytes": empty,
            "peakMegabytes": operator.megabytes(peak=True),
            "megabytes": operator.megabytes(),
        }
        print({name: round(value, 1) for name, value in found.items() if isinstance(value, float)}, flush=True)
        calm = await _calm(kubectl, operator, count, patience)
        return {**found, **calm, **await _idle(operator, idle), **await _restart(operator, count + FEW, patience)}
    finally:
        operator.process.stop()


async def _calm(kubectl: Kubectl, operator: Operator, count: int, patience: float) -> dict[str, Any]:
    """A few more deployments, one after another, for an operator that has nothing else to do."""
    async with observing(kubectl) as observer:
        await until("the observer knows all Jobs", lambda: len(observer.finished) >= count, patience)
        observer.reactions.clear()
        await load(kubectl, FEW, "--only-create", f"--first={count}", "--in-flight=1")
        await until("all are Ready", lambda: operator.ready() == count + FEW, patience, 1.0)
    await until("its last events are posted", lambda: operator.depth() == 0, patience, 1.0)
    return {"calmReactions": observer.reactions}


def _scrape(operator: Operator) -> tuple[float, float]:
    """Milliseconds of CPU and kilobytes of one look at /metrics."""
    before, kilobytes = operator.cpu(), len(operator.process.get("/metrics")[1]) / 1e3
    return (operator.cpu() - before) * 1e3, kilobytes


async def _idle(operator: Operator, seconds: float) -> dict[str, float]:
    # What was worked on is looked at once more after that time: that belongs to the work.
    await asyncio.sleep(SETTLE_SECONDS + 2)
    writes, cpu = operator.writes(), operator.cpu()
    await asyncio.sleep(seconds)
    spent = operator.cpu() - cpu
    return {"idleWrites": operator.writes() - writes, "idleCpu": spent / seconds}


async def _restart(operator: Operator, count: int, patience: float) -> dict[str, float]:
    operator.process.stop()
    started = time.monotonic()
    operator.start(patience)
    await until("every deployment was looked at", lambda: operator.reconciled() >= count, patience, count / 1000)
    return {
        "restart": time.monotonic() - started,
        "restartWrites": operator.writes(),
        "restartCpu": operator.cpu(),
        "restartMegabytes": operator.megabytes(peak=True),
    }


async def one_round(count: int, idle: float) -> tuple[Costs, Costs]:
    """The bare client, then the operator, each in a cluster of its own."""
    patience = 300 + count * 2.0
    with tempfile.TemporaryDirectory(prefix="bench-operator-") as text:
        one, other = Path(text) / "bare", Path(text) / "operator"
        for directory in (one, other):
            directory.mkdir()
        with cluster(one) as (kubectl, server):
            before = server()
            plain = await bare(kubectl, count, patience)
            plain["server"] = server() - before
        print({name: round(value, 1) for name, value in plain.items()}, flush=True)
        with cluster(other) as (kubectl, server):
            ours = await operated(kubectl, server, count, idle, other, patience)
        return plain, {**ours, "idle": idle}


async def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deployments", type=int, default=1000)
    parser.add_argument("--idle", type=float, default=30.0, help="seconds to watch the idle operator for")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--section", default="operator", help="section of the page that is replaced")
    parser.add_argument("--dry-run", action="store_true", help="print, but leave the page alone")
    arguments = parser.parse_args()
    count, kinds = arguments.deployments, Counter(kind for kind, _ in planned_writes(seen_running=FOREIGN))
    rounds = []
    for _ in range(arguments.rounds):
        rounds.append(await one_round(count, arguments.idle))
        page = report(count, kinds["job"], kinds["status"], rounds, is_foreign=FOREIGN)
        print(page, flush=True)
    if not arguments.dry_run:
        write_section(PAGE, arguments.section, f"Operator, {count} deployments", page)


if __name__ == "__main__":
    asyncio.run(main())
