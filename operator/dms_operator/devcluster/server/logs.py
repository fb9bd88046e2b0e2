"""The log subresource of pods."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from aiohttp import web

from dms_operator.devcluster import errors
from dms_operator.devcluster.server.query import flag, number

Object = Mapping[str, Any]


class LogProvider(Protocol):
    """Where a container's output is kept: the kubelet."""

    def read(
        self,
        namespace: str,
        pod: str,
        container: str,
        follow: bool,
        tail_lines: int | None,
        since_seconds: int | None,
        timestamps: bool,
        previous: bool,
        limit_bytes: int | None,
    ) -> AsyncIterator[bytes]:
        """Chunks of output; with `follow` until the container ends. Raises ApiError."""
        ...


def container_of(pod: Object, asked: str) -> str:
    """The container whose log is meant; raises 400."""
    name, spec = pod["metadata"]["name"], pod["spec"]
    known = [one["name"] for one in (*spec.get("initContainers", ()), *spec["containers"])]
    if asked and asked not in known:
        raise errors.bad_request(f"container {asked} is not valid for pod {name}")
    if not asked and len(spec["containers"]) > 1:
        choices = " ".join(one["name"] for one in spec["containers"])
        raise errors.bad_request(f"a container name must be specified for pod {name}, choose one of: [{choices}]")
    container = asked or spec["containers"][0]["name"]
    _check_started(pod, container)
    return container


def _check_started(pod: Object, container: str) -> None:
    if not pod["spec"].get("nodeName"):
        raise errors.bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")
    status = pod.get("status") or {}
    states = (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
    for one in states:
        waiting = one.get("state", {}).get("waiting")
        if one["name"] == container and waiting and not one.get("lastState", {}).get("terminated"):
            name, reason = pod["metadata"]["name"], waiting.get("reason", "ContainerCreating")
            raise errors.bad_request(f'container "{container}" in pod "{name}" is waiting to start: {reason}')


async def stream(request: web.Request, provider: LogProvider, pod: Object, container: str) -> web.StreamResponse:
    """Answer a log request."""
    query, metadata = request.query, pod["metadata"]
    chunks = provider.read(
        metadata["namespace"],
        metadata["name"],
        container,
        flag(query, "follow"),
        number(query, "tailLines"),
        number(query, "sinceSeconds"),
        flag(query, "timestamps"),
        flag(query, "previous"),
        number(query, "limitBytes"),
    )
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    prepared = False
    with contextlib.suppress(ConnectionResetError):  # a client may stop following at any time
        async for chunk in chunks:
            if not prepared:
                await response.prepare(request)
                prepared = True
            await response.write(chunk)
        if not prepared:
            await response.prepare(request)
        await response.write_eof()
    return response
