"""A reverse proxy before the API server that misbehaves on demand: cut connections, refusals, expired watches."""

import asyncio
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml
from aiohttp import web
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config import load_kube_config

Refuse = Callable[[web.Request], web.Response | None]
"""Gives the answer that the client gets instead of the API server's, or None to let the request through."""


class FaultyProxy:
    """Serves plain HTTP in a thread of its own. `kubeconfig` leads clients through it."""

    def __init__(self, kubeconfig: Path, directory: Path) -> None:
        self.kubeconfig = directory / "proxied-kubeconfig"
        self.refuse: Refuse = lambda request: None
        self.seen: list[str] = []
        """Method, path and query of every request, in order."""
        self._upstream_config = kubeconfig
        self._started = threading.Event()
        self._open: list[web.Request] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Be gone: connections are cut, new ones refused."""
        if not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    def cut(self) -> None:
        """Cut every open connection, watches too."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for request in self._open:
            if request.transport is not None:
                request.transport.abort()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        configuration: Any = Configuration()
        await load_kube_config(config_file=str(self._upstream_config), client_configuration=configuration)
        tls: ssl.SSLContext = RESTClientObject(configuration).ssl_context
        token = await configuration.get_api_key_with_prefix("BearerToken")
        connector = aiohttp.TCPConnector(limit=0, ssl=tls)
        headers = {"Authorization": token}
        async with aiohttp.ClientSession(configuration.host, connector=connector, headers=headers) as upstream:
            self._upstream = upstream
            app = web.Application(client_max_size=1 << 24)
            app.router.add_route("*", "/{path:.*}", self._handle)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self._write_kubeconfig(runner.addresses[0][1])
            self._started.set()
            await self._stop.wait()
            self._cut()
            await runner.cleanup()

    def _write_kubeconfig(self, port: int) -> None:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "proxy", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "users": [{"name": "proxy", "user": {"token": "none"}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
            "current-context": "proxy",
        }
        self.kubeconfig.write_text(yaml.safe_dump(config))

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(f"{request.method} {request.path_qs}")
        refused = self.refuse(request)
        if refused is not None:
            return refused
        self._open.append(request)
        try:
            return await self._forward(request)
        except (aiohttp.ClientError, ConnectionError):
            assert request.transport is None or request.transport.is_closing()
            return web.Response(status=502)
        finally:
            self._open = [other for other in self._open if other is not request]

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        kept = {name: request.headers[name] for name in ("Content-Type", "Accept") if name in request.headers}
        timeout = aiohttp.ClientTimeout(total=None)
        async with self._upstream.request(
            request.method, request.path_qs, data=await request.read(), headers=kept, timeout=timeout
        ) as answer:
            response = web.StreamResponse(status=answer.status)
            response.content_type = answer.content_type
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response


def refusal(code: int, reason: str, **headers: str) -> web.Response:
    """An API server's Status."""
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": "injected",
    }
    return web.json_response(body, status=code, headers=headers)


def expired_watch() -> web.Response:
    """What a watch from too old a version gets: one ERROR event with code 410."""
    status = {"kind": "Status", "apiVersion": "v1", "code": 410, "reason": "Expired", "message": "injected"}
    return web.json_response({"type": "ERROR", "object": status})
