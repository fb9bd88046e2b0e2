"""A kopf operator of widgets that notes what its handlers were called for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import kopf

from devcluster.running import Running
from devcluster.widgets import GROUP, PLURAL, VERSION, definition

_DEADLINE_SECONDS = 30.0


def handlers(calls: list[str]) -> kopf.OperatorRegistry:
    """Handlers of all kinds."""
    registry = kopf.OperatorRegistry()
    where = (GROUP, VERSION, PLURAL)
    kopf.on.login(registry=registry)(kopf.login_with_kubeconfig)

    @kopf.on.create(*where, registry=registry)
    async def created(name: str, patch: kopf.Patch, body: kopf.Body, **_: Any) -> None:
        calls.append(f"created {name}")
        patch.status["phase"] = "Created"
        kopf.info(body, reason="Greeted", message="hello")

    @kopf.on.update(*where, field="spec", registry=registry)
    async def updated(name: str, spec: kopf.Spec, **_: Any) -> None:
        calls.append(f"updated {name} to {spec['size']}")

    @kopf.on.delete(*where, registry=registry)
    async def deleted(name: str, **_: Any) -> None:
        calls.append(f"deleted {name}")

    @kopf.timer(*where, interval=0.2, registry=registry)
    async def ticked(name: str, **_: Any) -> None:
        if f"ticked {name}" not in calls:
            calls.append(f"ticked {name}")

    return registry


@asynccontextmanager
async def operating(cluster: Running) -> AsyncIterator[list[str]]:
    """Run the operator; the calls of its handlers. `KUBECONFIG` has to lead to the cluster."""
    cluster.client.create("customresourcedefinitions", None, definition())
    calls: list[str] = []
    stop = threading.Event()
    run = partial(kopf.run, registry=handlers(calls), standalone=True, namespaces=["default"], stop_flag=stop)
    # a loop of its own: when it stops, kopf cancels all tasks of its loop
    running = asyncio.create_task(asyncio.to_thread(run))
    try:
        yield calls
    finally:
        stop.set()
        await running


async def until(condition: Callable[[], bool]) -> None:
    """Look until it is so."""
    async with asyncio.timeout(_DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110  # what changes has no event
            await asyncio.sleep(0.05)
