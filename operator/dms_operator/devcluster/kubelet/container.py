"""One container of a pod: its runs, restarts and reasons to wait."""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dms_operator.devcluster.config import ImageConfig
from dms_operator.devcluster.controllers.job_failure import Backoff
from dms_operator.devcluster.controllers.meta import Object
from dms_operator.devcluster.controllers.quantity import parse_quantity

from .environment import ConfigError, Context, declared_environment
from .probes import Health, starts_ready, watch_health
from .process import ContainerProcess, Exit, StartError, resolve_command
from .sandbox import (
    LONGEST_MESSAGE,
    Sandbox,
    command_line,
    container_environment,
    create_sandbox,
    read_termination_message,
    working_directory,
)
from .services import NodeServices
from .status import ContainerState, terminated

_NEVER = datetime.fromtimestamp(0, UTC)
# pkg/kubelet/kuberuntime: logs that stand in for a termination message are cut at 80 lines and 2048 bytes
_MESSAGE_LINES, _MESSAGE_BYTES = 80, 2048
# A container that ran twice the longest wait starts with a clean slate (client-go flowcontrol.Backoff).
_FORGIVEN = 2.0


class CannotRun(Exception):
    """The container has to wait: `reason` as in state.waiting, with a message."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass
class PodHost:
    """What a container needs of its pod; `ending` is set when nothing may start any more."""

    services: NodeServices
    pod: Object
    context: Callable[[], Context]
    volumes: Mapping[str, Path]
    ending: asyncio.Event
    publish: Callable[[], None]

    async def pause(self, seconds: float) -> None:
        """Sleep, but not longer than the pod lives."""
        try:
            await asyncio.wait_for(self.ending.wait(), seconds)
        except TimeoutError:
            return

    @property
    def label(self) -> str:
        """The pod as kubelet writes it in messages: name_namespace(uid)."""
        metadata = self.pod["metadata"]
        return f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"


class ContainerRunner:
    """Runs one container until its restart policy is content or the pod ends."""

    def __init__(self, host: PodHost, state: ContainerState, *, initial: bool = False) -> None:
        self.host = host
        self.state = state
        self._process: ContainerProcess | None = None
        self._field = f"spec.{'initContainers' if initial else 'containers'}{{{state.name}}}"
        settings = host.services.config.restart_backoff
        self._backoff = Backoff(settings.initial, settings.limit)

    async def run(self, policy: str) -> None:
        """Run under a restart policy (Always, OnFailure or Never) until nothing is to be restarted."""
        crashes = 0
        while not self.host.ending.is_set():
            began = self.host.services.clock()
            if not await self._attempt():
                return
            if policy == "Never" or (policy == "OnFailure" and self.state.succeeded):
                return
            lasted = (self.host.services.clock() - began).total_seconds()
            crashes = 0 if lasted > _FORGIVEN * self._backoff.limit else crashes
            await self._back_off(self._backoff.delay(crashes))
            crashes += 1

    def signal(self, number: signal.Signals) -> None:
        """Signal the running process, if there is one."""
        if self._process is not None:
            self._process.signal(number)

    def kill_gently(self) -> None:
        """Ask the running process to end."""
        if self._process is not None:
            self._event("Normal", "Killing", f"Stopping container {self.state.name}")
            self._process.signal(signal.SIGTERM)

    async def _attempt(self) -> bool:
        """Start as soon as it is possible, and run to the end; return False if the pod ended first."""
        failures = 0
        while not self.host.ending.is_set():
            try:
                await self._run_once(self._image(failures))
                return True
            except CannotRun as obstacle:
                self._wait_for(obstacle)
                failures += 1
                await self.host.pause(self.host.services.config.retry_seconds)
        return False

    def _image(self, failures: int) -> ImageConfig:
        name = self.state.spec["image"]
        image = self.host.services.config.find_image(name)
        if image is not None:
            self._event("Normal", "Pulled", f'Container image "{name}" already present on machine')
            return image
        if self.state.spec.get("imagePullPolicy") == "Never":
            message = f'Container image "{name}" is not present with pull policy of Never'
            self._event("Warning", "ErrImageNeverPull", message)
            raise CannotRun("ErrImageNeverPull", message)
        problem = f'the dev cluster\'s image table has no entry for "{name}"'
        if failures % 2:
            raise CannotRun("ImagePullBackOff", f'Back-off pulling image "{name}": ErrImagePull: {problem}')
        self._event("Warning", "Failed", f'Failed to pull image "{name}": {problem}')
        raise CannotRun("ErrImagePull", problem)

    def _wait_for(self, obstacle: CannotRun) -> None:
        self.state.state = {"waiting": {"reason": obstacle.reason, "message": str(obstacle)}}
        self.state.ready = False
        image = obstacle.reason in ("ErrImageNeverPull", "ErrImagePull", "ImagePullBackOff")
        self._event("Warning", "Failed", f"Error: {obstacle.reason if image else obstacle}")
        self.host.publish()

    async def _run_once(self, image: ImageConfig) -> None:
        spec, services = self.state.spec, self.host.services
        try:
            declared = declared_environment(spec, self.host.context())
            root = services.pod_directory(self.host.pod["metadata"]["uid"]) / "containers" / spec["name"]
            sandbox = create_sandbox(root / str(self.state.restarts), spec, self.host.volumes, declared)
        except ConfigError as problem:
            raise CannotRun("CreateContainerConfigError", str(problem)) from problem
        self.state.container_id = f"process://{secrets.token_hex(32)}"
        self._event("Normal", "Created", f"Created container: {spec['name']}")
        environment = container_environment(sandbox, image, declared, services.service)
        await self._live(sandbox, command_line(spec, image, environment), environment)

    async def _live(self, sandbox: Sandbox, argv: list[str], environment: dict[str, str]) -> None:
        clock = self.host.services.clock
        began = _NEVER
        try:
            directory = working_directory(sandbox, self.state.spec)
            command = resolve_command(argv, environment["PATH"], directory)
            self._process = await ContainerProcess.start(command, environment, directory, self._memory_limit())
            began = clock()
            health = self._health(environment, directory)
            end = await self._accompany(self._process, began, sandbox, health)
        except (StartError, OSError) as problem:
            end = Exit(128, "StartError", str(problem))
            self._event("Warning", "Failed", f"Error: {end.message}")
        finally:
            self._process = None
        self.state.ready = False
        began = _NEVER if end.reason == "StartError" else began
        self.state.state = terminated(end.code, end.reason, began, clock(), self.state.container_id, end.message)
        self.host.publish()

    async def _accompany(self, process: ContainerProcess, began: datetime, sandbox: Sandbox, health: Health) -> Exit:
        """Publish the running container, keep its log, wait for its end."""
        identity = self.state.container_id.removeprefix("process://")
        metadata, services = self.host.pod["metadata"], self.host.services
        services.runs.note(identity, process.pid)
        log = services.logs.open(
            metadata["namespace"], metadata["name"], metadata["uid"], self.state.name, self.state.restarts
        )
        self.state.state = {"running": {"startedAt": began.strftime("%Y-%m-%dT%H:%M:%SZ")}}
        self.state.ready = starts_ready(self.state.spec)
        self._event("Normal", "Started", f"Started container {self.state.name}")
        self.host.publish()
        if self.host.ending.is_set():
            process.signal(signal.SIGKILL)
        probing = asyncio.create_task(watch_health(health)) if _is_probed(self.state.spec) else None
        try:
            async with asyncio.TaskGroup() as readers:
                readers.create_task(log.record("stdout", process.stdout))
                readers.create_task(log.record("stderr", process.stderr))
            end = await process.wait()
        except BaseException:
            process.abandon()
            raise
        finally:
            if probing is not None:
                probing.cancel()
            log.close()
        services.runs.forget(identity)
        return self._with_message(end, sandbox, log.tail_message(_MESSAGE_LINES, _MESSAGE_BYTES))

    def _health(self, environment: Mapping[str, str], directory: Path) -> Health:
        """Return what the probes are made with."""
        return Health(self.state.spec, environment, directory, self._set_ready, self._unhealthy, self._restart)

    def _set_ready(self, ready: bool) -> None:
        self.state.ready = ready
        self.host.publish()

    def _unhealthy(self, kind: str, problem: str) -> None:
        self._event("Warning", "Unhealthy", f"{kind} probe failed: {problem}")

    def _restart(self, kind: str) -> None:
        """End the process for a failed probe: SIGTERM, SIGKILL after the grace period."""
        process = self._process
        if process is None:
            return
        self._event("Normal", "Killing", f"Container {self.state.name} failed {kind} probe, will be restarted")
        process.signal(signal.SIGTERM)
        grace = self.host.pod["spec"].get("terminationGracePeriodSeconds", 30)
        asyncio.get_running_loop().call_later(grace, process.signal, signal.SIGKILL)

    def _with_message(self, end: Exit, sandbox: Sandbox, log_tail: str) -> Exit:
        message = end.message or read_termination_message(sandbox, self.state.spec)
        fallback = self.state.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        if not message and end.code != 0 and fallback:
            message = log_tail
        return Exit(end.code, end.reason, message[:LONGEST_MESSAGE])

    def _memory_limit(self) -> int:
        limits = (self.state.spec.get("resources") or {}).get("limits") or {}
        return int(parse_quantity(limits["memory"])) if "memory" in limits else 0

    async def _back_off(self, seconds: float) -> None:
        """Wait before the next run; a wait that a user can see is CrashLoopBackOff."""
        self.state.last_state = self.state.state
        if seconds > 0:
            text = f"restarting failed container={self.state.name} pod={self.host.label}"
            message = f"back-off {_duration(seconds)} {text}"
            self.state.state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
            self._event(
                "Warning",
                "BackOff",
                f"Back-off restarting failed container {self.state.name} in pod {self.host.label}",
            )
            self.host.publish()
            await self.host.pause(seconds)
        if self.host.ending.is_set():
            self.state.state = self.state.last_state
        else:
            self.state.restarts += 1

    def _event(self, kind: str, reason: str, message: str) -> None:
        self.host.services.events.post(self.host.pod, kind, reason, message, self._field)


def _is_probed(spec: Object) -> bool:
    return any(spec.get(kind) for kind in ("startupProbe", "readinessProbe", "livenessProbe"))


def _duration(seconds: float) -> str:
    """Write seconds as Go's time.Duration does, to whole seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
