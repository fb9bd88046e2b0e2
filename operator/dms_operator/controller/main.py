"""The operator's process: puts the parts together, runs until it is told to stop."""

import argparse
import asyncio
import gc
import logging
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import kopf
import uvloop
from kubernetes.aio.config import ConfigException
from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics

from ..api.errors import DMSError
from ..api.labels import GROUP, MANAGER, PLURAL
from ..api.log_lines import lines_are_about
from ..artifacts.paths import sandboxed
from .announcer import Announcer
from .boards import BoardKeeper, capacity_patch
from .caches import Caches, ObjectName
from .connection import Connection
from .credentials import Credentials, load_configuration
from .health import Health
from .kube import ApiError, Kube, KubeLease
from .leadership import Election, LeadershipLost
from .listeners import Listeners
from .logs import configure_logging
from .metrics import Metrics
from .reconcile import Reconciler
from .settings import DEADLINES, Settings, load_settings
from .shutdown import end, end_in_any_case, stop_on_signals
from .tracing import Tracing, exporter_for
from .vitals import Vitals
from .watching import WatchMonitor, streams
from .web import application, serving
from .wiring import Intake, Key, kopf_settings, reflectors, registry
from .work_queue import Backoff, KeyedQueue, Workers

_Answer = TypeVar("_Answer")
_log = logging.getLogger(__name__)
_START_BACKOFF = Backoff(initial=0.5, limit=10.0)
_GARBAGE_THRESHOLD = 5_000
"""New objects until cycles are looked for. Python's 700 took 15 % of the CPU while deployments were worked on, this
takes 5 % (docs/performance.md)."""


def _now() -> datetime:
    return datetime.now(UTC)


class Operator:
    """All parts of one operator process, wired together."""

    def __init__(
        self, settings: Settings, credentials: Credentials, namespaces: Sequence[str], lease: ObjectName | None = None
    ) -> None:
        """`lease` says which Lease decides who works; None: this is the only operator."""
        self.namespaces = namespaces
        self.caches = Caches()
        self.workers = Workers(KeyedQueue[Key](), self._work, on_error=self._failed)
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.prometheus = CollectorRegistry()
        ProcessCollector(registry=self.prometheus)
        self.metrics = Metrics(self.caches, self._depth, self.prometheus)
        self.intake = Intake(self.caches, self.workers)
        self.monitor = WatchMonitor(streams(namespaces), self.intake.page, time.monotonic)
        self.health = Health(lambda: self.monitor.synced, self.monitor.silent, self.workers.stall)
        deadlines = {stage: settings.deadline(stage) for stage in DEADLINES}
        self.connection = Connection(credentials, self.metrics.count_request, self.monitor.middleware)
        self.election = Election(KubeLease(self.connection, lease), _identity()) if lease else None
        leads = self.election.leads if self.election else lambda: True
        workers, silent = self.workers, self.monitor.silent
        self.vitals = Vitals(workers.lag, workers.stall, silent, deadlines, leads, self.prometheus)
        self.kube = Kube(self.connection, leads)
        self.announcer = Announcer(self.kube.post_event, self.workers.is_busy)
        endpoint = settings.tracing.endpoint if settings.tracing else None
        self.tracing = Tracing(self.caches, exporter_for(endpoint), _now) if endpoint else None
        progress = Listeners(self.metrics, self.tracing) if self.tracing else self.metrics
        self.reconciler = Reconciler(self.caches, self.kube, settings, progress, _now, self.announcer.post)
        self.boards = BoardKeeper(self.caches, self.kube, _now, partial(self.intake.changed, "nodes", deleted=False))

    async def run(self, stop: asyncio.Event) -> None:
        """Watch and work until told to stop. Raises what ends kopf, such as a deleted custom resource definition."""
        running = asyncio.create_task(self._run(stop))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
        finally:
            end_in_any_case()
            await end((running, stopping))
            await self.connection.close()
            if self.tracing:
                await asyncio.to_thread(self.tracing.close)

    async def _run(self, stop: asyncio.Event) -> None:
        await self._wait_for_definition()
        # Not kopf.operator: that waits 5 s for all tasks of the process to end by themselves, ours too.
        watching = await kopf.spawn_tasks(
            registry=registry(self.connection, self.intake, self.monitor),
            settings=kopf_settings(),
            standalone=True,
            clusterwide=not self.namespaces,
            namespaces=self.namespaces,
        )
        stop_on_signals(stop)  # kopf has taken them
        working = asyncio.create_task(self._work_when_synced(), name="workers")
        others = [
            asyncio.create_task(reflector.run()) for reflector in reflectors(self.connection, self.intake, self.monitor)
        ]
        try:
            done, _ = await asyncio.wait((working, *watching, *others), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await end((working,))
            await end((*watching, *others))

    async def _work_when_synced(self) -> None:
        await self.monitor.wait_synced()
        _log.info("caches are filled: %d deployments", len(self.caches.deployments))
        if self.election is None:
            await self._act()
            return
        await self.election.acquire()
        acting = asyncio.create_task(self._act())
        keeping = asyncio.create_task(self.election.keep())
        try:
            done, _ = await asyncio.wait((acting, keeping), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await end((acting, keeping))
            # Only now: whoever takes the lease must find us idle.
            await self.election.release()

    async def _act(self) -> None:
        # Their offers may have become wrong while no operator ran; those that are no boards any more no watch tells of.
        for node in await self._answer(self.kube.all_nodes):
            if capacity_patch(node):
                self.workers.add(Key("node", ObjectName.of(node)))
        async with asyncio.TaskGroup() as group:
            group.create_task(self.announcer.run())
            group.create_task(self.workers.run())

    async def _wait_for_definition(self) -> None:
        tries = 0
        while not await self._answer(self.kube.serves_deployments):
            tries += 1
            _log.warning("waiting: %s.%s is not installed, apply the files in crds/ first", PLURAL, GROUP)
            await asyncio.sleep(_START_BACKOFF.delay(tries, 0.0))

    async def _answer(self, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """What the API server answers at the start, asked until it does."""
        tries = 0
        while True:
            tries += 1
            try:
                return await ask()
            except ApiError as error:
                _log.warning("waiting for the API server: %s", error)
            await asyncio.sleep(_START_BACKOFF.delay(tries, 0.0))

    async def _work(self, key: Key) -> float | None:
        with self.metrics.reconcile_seconds.time():
            if key.kind == "deployment":
                lines_are_about(deployment=f"{key.name.namespace}/{key.name.name}")
                return await self.reconciler.reconcile(key.name)
            lines_are_about(node=key.name.name)
            await self.boards.reconcile(key.name.name)
            return None

    def _depth(self) -> int:
        return self.workers.depth() + self.announcer.depth()

    def _failed(self, key: Key, error: Exception) -> float:
        if isinstance(error, ApiError):
            self.metrics.errors.labels(error.reason).inc()
            return error.retry_after
        self.metrics.errors.labels(type(error).__name__).inc()
        _log.error("%s: a defect in the operator", key, exc_info=error)
        return 0.0


async def run(
    settings: Settings,
    *,
    kubeconfig: Path | None = None,
    namespaces: Sequence[str] = (),
    host: str = "127.0.0.1",
    port: int = 8080,
    lease: ObjectName | None = None,
) -> None:
    """Run the operator until SIGTERM or SIGINT; with a lease, work only while it is ours.

    Without kubeconfig the pod's service account is used; without namespaces all of them are watched.
    Raises ConfigException (no usable credentials), OSError (the port is taken), LeadershipLost, or what ended the
    watches.
    """
    stop = asyncio.Event()
    stop_on_signals(stop)
    load = partial(load_configuration, kubeconfig)
    operator = Operator(settings, Credentials(await load(), load), namespaces, lease)
    app = application(operator.health, operator.prometheus, operator.metrics.deployments.pieces)
    async with serving(app, host, port) as actual_port:
        _log.info("serving /metrics, /healthz and /readyz on http://%s:%d", host or "*", actual_port)
        await operator.run(stop)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dms operator run", description="Run the operator.")
    parser.add_argument("--settings", type=Path, required=True, help="YAML file with the operator's settings")
    parser.add_argument("--kubeconfig", type=Path, help="default: $KUBECONFIG, else the pod's service account")
    parser.add_argument("--namespace", action="append", default=[], help="watch this namespace only (repeatable)")
    parser.add_argument("--listen", default="127.0.0.1:8080", help="host:port of metrics and health (%(default)s)")
    parser.add_argument("--leader-elect", action="store_true", help="work only while holding a Lease: for replicas > 1")
    parser.add_argument(
        "--leader-namespace",
        default=os.environ.get("POD_NAMESPACE"),
        help="namespace of the Lease (default: $POD_NAMESPACE)",
    )
    parser.add_argument("--log-format", choices=("plain", "json"), default="plain", help="how log lines look")
    parser.add_argument("--verbose", action="store_true", help="log more")
    arguments = parser.parse_args(argv)
    if arguments.leader_elect and not arguments.leader_namespace:
        parser.error("--leader-elect needs --leader-namespace, or $POD_NAMESPACE")
    return arguments


def _identity() -> str:
    """Names this very process: one that is started again in the same pod is another candidate."""
    return f"{os.environ.get('POD_NAME') or socket.gethostname()}_{uuid4().hex[:8]}"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; gives the exit code."""
    arguments = _arguments(argv)
    gc.set_threshold(_GARBAGE_THRESHOLD)
    configure_logging(arguments.log_format, verbose=arguments.verbose)
    host, _, port = arguments.listen.rpartition(":")
    kubeconfig = arguments.kubeconfig or (Path(os.environ["KUBECONFIG"]) if "KUBECONFIG" in os.environ else None)
    try:
        settings = load_settings(sandboxed(arguments.settings))
        lease = ObjectName(arguments.leader_namespace, MANAGER) if arguments.leader_elect else None
        uvloop.run(
            run(
                settings,
                kubeconfig=kubeconfig,
                namespaces=arguments.namespace,
                host=host,
                port=int(port),
                lease=lease,
            )
        )
    except LeadershipLost as error:
        _log.error("%s: ending, to be started anew as a candidate", error)
        return 1
    except (ConfigException, DMSError, OSError, ValueError) as error:
        _log.error("%s", error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
