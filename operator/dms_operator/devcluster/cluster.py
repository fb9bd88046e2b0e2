"""The dev cluster put together: store, API server, controllers, scheduler and process-kubelet in one process."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from .client import LocalClient
from .config import DevClusterConfig
from .controllers.claims import ClaimController
from .controllers.deployment import DeploymentController
from .controllers.garbage import GarbageCollector
from .controllers.job import JobCleaner, JobController
from .controllers.job_failure import Backoff
from .controllers.loop import Controller
from .controllers.meta import Object, has_condition
from .controllers.namespace import NamespaceController, NamespaceFurnisher
from .controllers.node import NodeController, TaintEvictor
from .controllers.replicaset import ReplicaSetController
from .controllers.scheduler import Scheduler
from .kubelet.kubelet import Kubelet
from .registry import Registry
from .resources import Resources
from .server.server import ApiServer
from .storage import Store

NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
_START_SECONDS = 30.0
_LOOK_SECONDS = 0.01
_log = logging.getLogger(__name__)


class DataDirectoryInUse(Exception):
    """Another dev cluster works in this data directory."""


class DevCluster:
    """`async with DevCluster(config) as cluster:` serves a Kubernetes API at `cluster.url` and runs pods.

    Nothing is left behind: every process that a pod started has ended when the block is left.
    """

    def __init__(self, config: DevClusterConfig) -> None:
        self.config = config
        self.registry = Registry(Store(), Resources())
        self.client = LocalClient(self.registry)
        self.server = ApiServer(self.registry, port=config.port, audit_log=config.audit_log)
        self.kubelet: Kubelet | None = None
        self._work: asyncio.Task[None] | None = None
        self._lock: int | None = None

    @property
    def url(self) -> str:
        """Where the API is served."""
        return self.server.url

    @property
    def kubeconfig(self) -> Path:
        """The file by which clients find the cluster."""
        return self.config.kubeconfig or self.config.data_directory / "kubeconfig"

    async def start(self) -> None:
        """Serve, and return when the nodes are ready and namespaces are furnished.

        Raises DataDirectoryInUse, OSError, or TimeoutError when the cluster does not come up.
        """
        self._lock = _lock(self.config.data_directory)
        await self.server.start()
        kubelet = Kubelet(self.config, self.client, lambda *_: self.server.token, (self.server.host, self.server.port))
        self.kubelet = kubelet
        self.server.use_logs(kubelet.logs)
        self.server.use_nodes(kubelet)
        for namespace in NAMESPACES:
            self.client.create("namespaces", None, _namespace(namespace))
        self._work = asyncio.create_task(_together([kubelet.run(), *(one.run() for one in self._controllers())]))
        try:
            await asyncio.wait_for(self._until_ready(), _START_SECONDS)
        except BaseException:
            await self.stop()
            raise
        self.server.write_kubeconfig(self.kubeconfig)

    async def stop(self) -> None:
        """Kill every container, stop serving, take the kubeconfig away."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait({self._work})
            if not self._work.cancelled() and (failure := self._work.exception()) is not None:
                _log.error("the dev cluster had stopped working", exc_info=failure)
        await self.server.stop()
        self.kubeconfig.unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def __aenter__(self) -> DevCluster:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    def _controllers(self) -> list[Controller]:
        client, backoff = self.client, self.config.job_backoff
        return [
            JobController(client, Backoff(backoff.initial, backoff.limit)),
            JobCleaner(client),
            DeploymentController(client),
            ReplicaSetController(client),
            Scheduler(client),
            GarbageCollector(client),
            NamespaceController(client),
            NamespaceFurnisher(client, self.server.certificates.authority.decode()),
            NodeController(client),
            TaintEvictor(client),
            ClaimController(client, self.config.data_directory / "claims"),
        ]

    async def _until_ready(self) -> None:
        assert self._work is not None
        while not self._is_ready():
            if self._work.done():
                await self._work
            await asyncio.sleep(_LOOK_SECONDS)

    def _is_ready(self) -> bool:
        nodes = [self.client.get("nodes", None, node.name) for node in self.config.nodes]
        furnished = all(self.client.get("serviceaccounts", item, "default") for item in NAMESPACES)
        return furnished and all(node is not None and _is_usable(node) for node in nodes)


def _is_usable(node: Object) -> bool:
    taints = (node.get("spec") or {}).get("taints") or []
    ours = any(taint["key"].startswith("node.kubernetes.io/") for taint in taints)
    return has_condition(node.get("status") or {}, "Ready") and not ours


def _namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


async def _together(parts: list[Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for part in parts:
            group.create_task(part)


def _lock(directory: Path) -> int:
    """Take the data directory for this process; return the open lock file."""
    directory.mkdir(parents=True, exist_ok=True)
    lock = os.open(directory / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as busy:
        os.close(lock)
        raise DataDirectoryInUse(f"another dev cluster works in {directory}") from busy
    return lock
