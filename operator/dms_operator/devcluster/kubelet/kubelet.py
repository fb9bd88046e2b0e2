"""The kubelets of all simulated nodes, in one process."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable

from dms_operator.devcluster.client import LocalClient
from dms_operator.devcluster.config import DevClusterConfig
from dms_operator.devcluster.controllers.events import EventRecorder
from dms_operator.devcluster.controllers.meta import Clock, Object, utc_now
from dms_operator.devcluster.faults.happenings import Silence

from .leftovers import RunRegister
from .logs import LogStore
from .node import NodeReporter
from .pod import PodWorker
from .services import NodeServices

_log = logging.getLogger(__name__)


class Kubelet:
    """Registers the configured nodes and runs the pods that are bound to them.

    `token` gives a service account's token by (namespace, account); `service` is the API's host and port.
    """

    def __init__(
        self,
        config: DevClusterConfig,
        client: LocalClient,
        token: Callable[[str, str], str],
        service: tuple[str, int],
        clock: Clock = utc_now,
    ) -> None:
        self._config = config
        self._client = client
        self._clock = clock
        self._runs = RunRegister(config.data_directory / "runs", config.data_directory / "pods")
        self.logs = LogStore(config.data_directory / "logs")
        self._silent: set[str] = set()
        self._reporters = {node.name: NodeReporter(node, client) for node in config.nodes}
        self._nodes = {
            node.name: NodeServices(
                node.name,
                config,
                client,
                EventRecorder(client, "kubelet", node.name, clock),
                self.logs,
                self._runs,
                clock,
                token,
                service,
                self._silent,
            )
            for node in config.nodes
        }
        self._workers: dict[str, PodWorker] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Work until cancelled; then every container is killed before this returns."""
        self._runs.clean_up()
        for reporter in self._reporters.values():
            reporter.report(self._clock())
        try:
            async with asyncio.TaskGroup() as loops:
                loops.create_task(self._heartbeats())
                loops.create_task(self._follow())
        finally:
            await self._stop_all()

    async def _heartbeats(self) -> None:
        """Renew the nodes' leases one after the other, so that many nodes do not hold up the API at once."""
        pause = self._config.heartbeat_seconds / max(1, len(self._reporters))
        while self._reporters:
            for name, reporter in self._reporters.items():
                if name not in self._silent:
                    reporter.renew(self._clock())
                await asyncio.sleep(pause)

    async def _follow(self) -> None:
        while True:  # the store ends a watch that has fallen behind
            async for change, resource, obj in self._client.watch(["nodes", "pods"]):
                if resource == "nodes":
                    self._node_changed(obj)
                elif change == "DELETED":
                    self._pod_gone(obj)
                else:
                    self._pod_changed(obj)

    def _node_changed(self, node: Object) -> None:
        reporter = self._reporters.get(node["metadata"]["name"])
        if reporter is not None and node["metadata"]["name"] not in self._silent:
            reporter.report(self._clock())

    def _pod_changed(self, seen: Object) -> None:
        """Look at the pod as it is now: an event may tell of one that has ended and is gone."""
        uid = seen["metadata"]["uid"]
        pod = self._client.get("pods", seen["metadata"]["namespace"], seen["metadata"]["name"])
        if pod is None or pod["metadata"]["uid"] != uid:
            return
        node = pod["spec"].get("nodeName")
        if node in self._silent:
            return
        if uid in self._workers:
            self._workers[uid].update(pod)
        elif node in self._nodes:
            worker = self._workers[uid] = PodWorker(pod, self._nodes[node])
            self._lives[uid] = asyncio.create_task(self._live(worker))
            worker.update(pod)

    def _pod_gone(self, pod: Object) -> None:
        worker = self._workers.get(pod["metadata"]["uid"])
        if worker is not None and worker.node not in self._silent:
            worker.stop(0)

    def kill(self, namespace: str, pod: str, number: signal.Signals, container: str | None) -> None:
        """Signal the processes of a pod's containers. Raises KeyError."""
        self._worker(namespace, pod).signal(number, container)

    def evict(self, namespace: str, pod: str, message: str) -> None:
        """Let a pod fail as on a node that runs short of memory. Raises KeyError."""
        self._worker(namespace, pod).evict(message)

    def silence(self, node: str, how: Silence) -> None:
        """Cut a node's kubelet off from the API; its containers run on. Raises KeyError."""
        self._reporters[node].fall_silent(self._clock(), how)
        self._silent.add(node)

    def revive(self, node: str) -> None:
        """Let it report again, and catch up with what it missed. Raises KeyError."""
        reporter = self._reporters[node]
        self._silent.discard(node)
        reporter.renew(self._clock())
        reporter.report(self._clock())
        for worker in [worker for worker in self._workers.values() if worker.node == node]:
            worker.publish()
            if not self._is_live(worker.pod):
                worker.stop(0)
        for pod in self._client.list("pods"):
            if pod["spec"].get("nodeName") == node:
                self._pod_changed(pod)

    def _worker(self, namespace: str, name: str) -> PodWorker:
        for worker in self._workers.values():
            metadata = worker.pod["metadata"]
            if (metadata["namespace"], metadata["name"]) == (namespace, name):
                return worker
        raise KeyError(f"{namespace}/{name}")

    def _is_live(self, pod: Object) -> bool:
        live = self._client.get("pods", pod["metadata"]["namespace"], pod["metadata"]["name"])
        return live is not None and live["metadata"]["uid"] == pod["metadata"]["uid"]

    async def _live(self, worker: PodWorker) -> None:
        """Run a pod to its end, then remove it from the API and from the disk."""
        try:
            await worker.run()
        except Exception:
            _log.exception("the worker of pod %s failed", worker.pod["metadata"]["name"])
            raise
        metadata = worker.pod["metadata"]
        if self._is_live(worker.pod):
            self._client.delete("pods", metadata["namespace"], metadata["name"], uid=metadata["uid"], grace=0)
        self.logs.forget(metadata["namespace"], metadata["name"], metadata["uid"])
        worker.clean_up()
        del self._workers[metadata["uid"]], self._lives[metadata["uid"]]

    async def _stop_all(self) -> None:
        for worker in self._workers.values():
            worker.stop(0)
        await asyncio.gather(*self._lives.values(), return_exceptions=True)  # logged where they happened
