"""Probes: is a container started, ready, alive? httpGet, tcpSocket and exec."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from dms_operator.devcluster.controllers.meta import Object

from .process import StartError, resolve_command

_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Health:
    """What a container's probes are made with, and whom they tell.

    `ready` takes whether the container is ready, `failed` the kind of probe (Readiness, Liveness, Startup) and why,
    `dead` the kind of probe for which the container must be started again.
    """

    spec: Object
    environment: Mapping[str, str]
    directory: Path
    ready: Callable[[bool], None]
    failed: Callable[[str, str], None]
    dead: Callable[[str], None]


def starts_ready(spec: Object) -> bool:
    """Tell whether the container counts as ready as soon as it runs."""
    return not spec.get("readinessProbe") and not spec.get("startupProbe")


async def watch_health(health: Health) -> None:
    """Probe until cancelled, or until the container has been reported dead."""
    spec = health.spec
    if spec.get("startupProbe") and not await _until_started(spec["startupProbe"], health):
        return
    if not spec.get("readinessProbe"):
        health.ready(True)
    async with asyncio.TaskGroup() as probes:
        if spec.get("readinessProbe"):
            probes.create_task(_watch_readiness(spec["readinessProbe"], health))
        if spec.get("livenessProbe"):
            probes.create_task(_watch_liveness(spec["livenessProbe"], health))


async def _until_started(probe: Object, health: Health) -> bool:
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    for _ in range(probe.get("failureThreshold", 3)):
        if await _attempt("Startup", probe, health):
            return True
        await asyncio.sleep(probe.get("periodSeconds", 10))
    health.dead("startup")
    return False


async def _watch_readiness(probe: Object, health: Health) -> None:
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    streak, ready = 0, False
    while True:
        good = await _attempt("Readiness", probe, health)
        streak = 0 if good == ready else streak + 1
        if streak >= probe.get("successThreshold" if good else "failureThreshold", 1 if good else 3):
            streak, ready = 0, good
            health.ready(ready)
        await asyncio.sleep(probe.get("periodSeconds", 10))


async def _watch_liveness(probe: Object, health: Health) -> None:
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    failures = 0
    while failures < probe.get("failureThreshold", 3):
        failures = 0 if await _attempt("Liveness", probe, health) else failures + 1
        await asyncio.sleep(probe.get("periodSeconds", 10) if not failures else 0)
    health.dead("liveness")


async def _attempt(kind: str, probe: Object, health: Health) -> bool:
    """Probe once; report a failure."""
    try:
        async with asyncio.timeout(probe.get("timeoutSeconds", 1)):
            problem = await _probe(probe, health)
    except TimeoutError:
        problem = f"timeout after {probe.get('timeoutSeconds', 1)}s"
    except (OSError, aiohttp.ClientError, StartError) as error:
        problem = str(error)
    if problem:
        health.failed(kind, problem)
    return not problem


async def _probe(probe: Object, health: Health) -> str:
    """Return what is wrong, "" if nothing is."""
    if "httpGet" in probe:
        return await _http(probe["httpGet"], health.spec)
    if "tcpSocket" in probe:
        port = port_number(probe["tcpSocket"]["port"], health.spec)
        _, writer = await asyncio.open_connection(probe["tcpSocket"].get("host") or _LOOPBACK, port)
        writer.close()
        return ""
    return await _command(probe["exec"]["command"], health)


async def _http(action: Object, spec: Object) -> str:
    host, port = action.get("host") or _LOOPBACK, port_number(action["port"], spec)
    url = f"{action.get('scheme', 'HTTP').lower()}://{host}:{port}{action.get('path') or '/'}"
    headers = {item["name"]: item["value"] for item in action.get("httpHeaders") or []}
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers, ssl=False) as answer:
        good = 200 <= answer.status < 400
        return "" if good else f"HTTP probe failed with statuscode: {answer.status}"


def port_number(port: int | str, spec: Object) -> int:
    """Return a port by number or by its name in the container. Raises StartError for an unknown name."""
    if isinstance(port, int) or port.isdigit():
        return int(port)
    for item in spec.get("ports") or []:
        if item.get("name") == port:
            return int(item["containerPort"])
    raise StartError(f"the container has no port named {port!r}")


async def _command(argv: list[str], health: Health) -> str:
    command = resolve_command(argv, health.environment["PATH"], health.directory)
    process = await asyncio.create_subprocess_exec(
        *command,
        env=dict(health.environment),
        cwd=health.directory,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return "" if process.returncode == 0 else output.decode(errors="replace") or f"exit code {process.returncode}"
