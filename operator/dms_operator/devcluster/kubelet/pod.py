"""One pod on one node, from its arrival to its end."""

from __future__ import annotations

import asyncio
import shutil
import signal
from datetime import timedelta

from dms_operator.devcluster.controllers.meta import Object, is_deleted, parse_time, rfc3339

from .container import ContainerRunner, PodHost
from .environment import Context
from .services import NodeServices
from .status import EVICTED, INITIALIZING, ContainerState, PodView, pod_status
from .volumes import MountError, VolumeSources, set_up_volumes

# pkg/kubelet/kubelet_pods / active_deadline.go
_DEADLINE = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


class PodWorker:
    """Runs the containers of a pod and reports their states."""

    def __init__(self, pod: Object, services: NodeServices) -> None:
        self.pod = pod
        self._services = services
        self._verdict: tuple[str, str] | None = None
        self._sandbox = False
        self._cleaned = False
        self._grace: float | None = None
        self._stop_asked = asyncio.Event()
        self._evicted = asyncio.Event()
        self._started_at = rfc3339(services.clock())
        self._host = PodHost(services, pod, self._context, {}, asyncio.Event(), self.publish)
        spec = pod["spec"]
        waiting = {"state": INITIALIZING} if spec.get("initContainers") else {}
        self._initial = self._runners(spec.get("initContainers") or [], True, waiting)
        self._main = self._runners(spec["containers"], False, waiting)

    def _runners(self, specs: list[Object], initial: bool, waiting: Object) -> list[ContainerRunner]:
        return [ContainerRunner(self._host, ContainerState(spec, **waiting), initial=initial) for spec in specs]

    @property
    def node(self) -> str:
        """The name of its node."""
        return self._services.node

    def update(self, pod: Object) -> None:
        """Take over a newer version of the pod; a deleted one is stopped."""
        self.pod = pod
        if is_deleted(pod):
            self.stop(float(pod["metadata"].get("deletionGracePeriodSeconds") or 0))

    def stop(self, grace: float) -> None:
        """Ask for the end within so many seconds; asking again can only shorten it."""
        self._grace = grace if self._grace is None else min(self._grace, grace)
        self._stop_asked.set()

    def evict(self, message: str) -> None:
        """Let the pod fail at once, as a node that runs short of something does; its object stays."""
        self._verdict = (EVICTED, message)
        self._grace = 0.0
        self._evicted.set()

    def signal(self, number: signal.Signals, container: str | None = None) -> None:
        """Send a signal to one container or to all."""
        for runner in (*self._initial, *self._main):
            if container in (None, runner.state.name):
                runner.signal(number)

    async def run(self) -> None:
        """Live, until the containers are done or the pod is stopped; then report the end."""
        life = asyncio.create_task(self._life())
        stops = [asyncio.create_task(event.wait()) for event in (self._stop_asked, self._evicted)]
        try:
            await asyncio.wait({life, *stops}, timeout=self._deadline(), return_when=asyncio.FIRST_COMPLETED)
            if not life.done():
                await self._terminate(life)
            await life
        finally:
            for stop in stops:
                stop.cancel()
        self._cleaned = True
        self.publish()
        await self._stop_asked.wait()

    def clean_up(self) -> None:
        """Remove the pod's directory."""
        shutil.rmtree(self._services.pod_directory(self.pod["metadata"]["uid"]), ignore_errors=True)

    def publish(self) -> None:
        """Write the pod's status, unless nothing changed, the pod is gone or its node is silent."""
        metadata = self.pod["metadata"]
        if self._services.node in self._services.silent:
            return
        live = self._services.client.get("pods", metadata["namespace"], metadata["name"])
        if live is None or live["metadata"]["uid"] != metadata["uid"]:
            return
        view = PodView(
            live,
            [runner.state for runner in self._initial],
            [runner.state for runner in self._main],
            self._started_at,
            self._sandbox,
            self._cleaned,
            self._verdict,
        )
        status = pod_status(view, self._services.clock())
        if {**(live.get("status") or {}), **status} != live.get("status"):
            change = {"status": status}
            self._services.client.patch("pods", metadata["namespace"], metadata["name"], change, subresource="status")

    async def _life(self) -> None:
        self.publish()
        if not await self._mount():
            return
        self._sandbox = True
        self.publish()
        policy = self.pod["spec"].get("restartPolicy", "Always")
        if not await self._initialise("Never" if policy == "Never" else "OnFailure"):
            return
        async with asyncio.TaskGroup() as containers:
            for runner in self._main:
                containers.create_task(runner.run(policy))

    async def _mount(self) -> bool:
        """Set up the volumes as soon as all are there; return False if the pod ended first."""
        while not self._host.ending.is_set():
            try:
                self._host.volumes = set_up_volumes(self._volume_sources())
                return True
            except MountError as problem:
                self._services.events.post(self.pod, "Warning", "FailedMount", str(problem))
                await self._host.pause(self._services.config.retry_seconds)
        return False

    async def _initialise(self, policy: str) -> bool:
        for runner in self._initial:
            await runner.run(policy)
            if not runner.state.succeeded:
                return False
        return True

    async def _terminate(self, life: asyncio.Task[None]) -> None:
        """End everything: SIGTERM, the grace period, SIGKILL of all that is left."""
        if self._grace is None:
            self._verdict = _DEADLINE
            self._grace = float(self.pod["spec"].get("terminationGracePeriodSeconds", 30))
        self._host.ending.set()
        runners = [*self._initial, *self._main]
        for runner in runners:
            runner.kill_gently()
        # The end of the grace period is looked at again because deleting again may shorten it.
        loop = asyncio.get_running_loop()
        asked = loop.time()
        while not life.done() and loop.time() < asked + self._grace:
            await asyncio.wait({life}, timeout=min(asked + self._grace - loop.time(), 1.0))
        for runner in runners:
            runner.signal(signal.SIGKILL)

    def _deadline(self) -> float | None:
        seconds = self.pod["spec"].get("activeDeadlineSeconds")
        if seconds is None:
            return None
        end = parse_time(self._started_at) + timedelta(seconds=seconds)
        return max(0.0, (end - self._services.clock()).total_seconds())

    def _context(self) -> Context:
        client, namespace = self._services.client, self.pod["metadata"]["namespace"]
        node = client.get("nodes", None, self._services.node)
        if node is None:
            raise RuntimeError(f"node {self._services.node} has no Node object")
        return Context(self.pod, node, lambda resource, name: client.get(resource, namespace, name))

    def _volume_sources(self) -> VolumeSources:
        client, metadata = self._services.client, self.pod["metadata"]
        namespace = metadata["namespace"]
        return VolumeSources(
            self._context(),
            self._services.pod_directory(metadata["uid"]) / "volumes",
            lambda account: self._services.token(namespace, account),
            lambda claim: client.get("persistentvolumeclaims", namespace, claim),
            lambda volume: client.get("persistentvolumes", None, volume),
        )
