"""Whether an operator answers: applies a suspended deployment, which starts nothing, and waits for its status.

That one answer shows that the definition is installed, that the operator watches the namespace, that its permissions
allow what it does, and that it works its queue. `helm test` runs it.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
from aiohttp.client_middlewares import ClientHandlerType
from aiohttp.client_reqrep import ClientRequest, ClientResponse

from ..api.labels import API_VERSION, KIND
from .connection import Connection
from .credentials import Credentials
from .kube import deployments_path

AGENT = "dms-check"
_POLL_SECONDS = 0.5


class CheckFailed(Exception):
    """The operator does not do its work; the text says what to look at."""


async def check(configuration: Any, namespace: str, limit: float) -> float:
    """Seconds until the operator answered. Raises CheckFailed, also when `limit` (seconds) has passed."""
    connection = Connection(Credentials(configuration), lambda verb, code: None, _pass_on, AGENT)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(connection.close)
        try:
            made = (await _ask(connection, "POST", deployments_path(namespace), _suspended()))["metadata"]
            path = f"{deployments_path(namespace)}/{made['name']}"
            stack.push_async_callback(_ask, connection, "DELETE", path, {"preconditions": {"uid": made["uid"]}})
            return await _answered(connection, path, namespace, limit)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise CheckFailed(f"the API server does not answer: {error or type(error).__name__}") from error


async def _answered(connection: Connection, path: str, namespace: str, limit: float) -> float:
    started = time.monotonic()
    while (waited := time.monotonic() - started) < limit:
        if (await _ask(connection, "GET", path)).get("status", {}).get("phase") == "Suspended":
            return waited
        await asyncio.sleep(_POLL_SECONDS)
    raise CheckFailed(
        f"no operator answered within {limit:.0f} s: see its log, and whether it watches the namespace {namespace}"
    )


async def _ask(connection: Connection, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    async with await connection.request(method, path, json=body) as response:
        is_json = response.content_type == "application/json"
        answer: dict[str, Any] = await response.json() if is_json else {"message": (await response.text()).strip()}
    if response.status >= 400:
        raise CheckFailed(f"{method} {path}: {answer.get('message') or response.reason} ({response.status})")
    return answer


async def _pass_on(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    return await handler(request)


def _suspended() -> dict[str, Any]:
    """A deployment that is valid and does nothing."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"generateName": "dms-check-"},
        "spec": {
            "suspend": True,
            "model": {"uri": "file:///models/none.onnx"},
            "dataset": {"uri": "file:///data/none.npz"},
            "targets": [{"name": "none", "board": "generic-x86"}],
            "artifacts": {"uri": "file:///artifacts"},
        },
    }
