"""The HTTPS server: listens on loopback, asks for a token, answers errors as Status."""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from aiohttp import web

from dms_operator.devcluster.errors import ApiError
from dms_operator.devcluster.faults.happenings import NodeControl
from dms_operator.devcluster.registry import Registry
from dms_operator.devcluster.server import kubeconfig, tls
from dms_operator.devcluster.server.audit import AuditLog
from dms_operator.devcluster.server.fault_pages import FaultPages
from dms_operator.devcluster.server.faulty import FaultInjector
from dms_operator.devcluster.server.logs import LogProvider
from dms_operator.devcluster.server.meta import MetaPages
from dms_operator.devcluster.server.objects import ObjectPages
from dms_operator.devcluster.server.paths import UnknownGroup, parse
from dms_operator.devcluster.server.responses import error_response, not_found_page

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_LOGGER = logging.getLogger(__name__)
_OPEN_PATHS = frozenset({"/healthz", "/livez", "/readyz", "/version"})
_BODY_LIMIT = 3 * 1024 * 1024  # bytes; kube-apiserver MaxRequestBodyBytes
_DISCOVERY_DEPTH = {"api": 2, "apis": 3}  # path parts up to which a path is discovery
_HOST = "127.0.0.1"
_GRACE_SECONDS = 2.0  # for open requests when the server stops


class ApiServer:
    """`async with ApiServer(registry) as server:` serves at `server.url`."""

    def __init__(
        self,
        registry: Registry,
        log_provider: LogProvider | None = None,
        port: int = 0,
        audit_log: Path | None = None,
    ) -> None:
        self.token = secrets.token_urlsafe(32)
        self.certificates = tls.generate()
        self._registry = registry
        self._requested_port = port
        self._meta = MetaPages(registry.resources)
        self._objects = ObjectPages(registry, log_provider)
        self.faults = FaultInjector(registry.resources)
        self._fault_pages = FaultPages(self)
        self._audit = [AuditLog(registry.resources, audit_log).middleware] if audit_log else []
        self._kubeconfigs: set[Path] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"https://{_HOST}:{self.port}"

    @property
    def host(self) -> str:
        """The address it listens on."""
        return _HOST

    def use_logs(self, log_provider: LogProvider) -> None:
        """Answer log requests from here on."""
        self._objects.log_provider = log_provider

    def use_nodes(self, nodes: NodeControl) -> None:
        """Let faults happen to pods and nodes from here on."""
        self._fault_pages.nodes = nodes

    def kubeconfig(self) -> dict[str, Any]:
        """The content of a kubeconfig for this server."""
        return kubeconfig.kubeconfig(self.url, self.certificates.authority, self.token)

    def write_kubeconfig(self, path: Path) -> None:
        """Write a kubeconfig for this server, now and whenever the token changes."""
        self._kubeconfigs.add(path)
        kubeconfig.write(path, self.kubeconfig())

    def renew_token(self) -> None:
        """Refuse the token of until now; open watches go on, as they do in the real server."""
        self.token = secrets.token_urlsafe(32)
        for path in self._kubeconfigs:
            kubeconfig.write(path, self.kubeconfig())

    def client_context(self) -> ssl.SSLContext:
        """A TLS context that trusts this server."""
        return ssl.create_default_context(cadata=self.certificates.authority.decode())

    async def start(self) -> None:
        """Listen."""
        middlewares = [*self._audit, _errors, self.faults.middleware, self._authenticated]
        app = web.Application(middlewares=middlewares, client_max_size=_BODY_LIMIT)
        app.add_routes([*self._meta.routes(), *self._fault_pages.routes()])
        app.router.add_route("*", "/{path:.*}", self._dispatch)
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=_GRACE_SECONDS)
        await runner.setup()
        site = web.TCPSite(runner, _HOST, self._requested_port, ssl_context=self.certificates.context())
        await site.start()
        self._runner = runner
        self.port = self._requested_port = runner.addresses[0][1]

    def cut_connections(self, spared: asyncio.Transport | None = None) -> None:
        """Break every open connection but one."""
        assert self._runner is not None and self._runner.server is not None
        for connection in self._runner.server.connections:
            if connection.transport not in (None, spared):
                connection.transport.close()

    def lose_events(self) -> None:
        """Forget past events, as etcd's compaction does."""
        self._registry.store.compact()

    def begin_restart(self, seconds: float, lose_events: bool, spared: asyncio.Transport | None = None) -> None:
        """Be away for so many seconds, from the next turn of the loop on."""
        self.cut_connections(spared)
        self._spawn(self._restart(seconds, lose_events))

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something so many seconds later, unless the server has stopped."""
        self._spawn(_delayed(seconds, action))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _restart(self, seconds: float, lose_events: bool) -> None:
        assert self._runner is not None
        for site in list(self._runner.sites):
            await site.stop()
        self.cut_connections()  # who came while the door was still open
        await self._close()
        if lose_events:
            self.lose_events()
        await asyncio.sleep(seconds)
        await self.start()

    async def stop(self) -> None:
        """End all watches and stop listening."""
        for task in self._tasks:
            task.cancel()
        self._registry.store.close_watches()
        await self._close()

    async def _close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> ApiServer:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        depth = _DISCOVERY_DEPTH.get(parts[0])
        if depth is None:
            return not_found_page()
        if len(parts) <= depth and request.method == "GET":
            return self._meta.discover(request)
        if len(parts) <= depth:
            return not_found_page()
        try:
            target = parse(self._registry.resources, request.path)
        except UnknownGroup:
            return not_found_page()
        return await self._objects.handle(request, target)

    @web.middleware
    async def _authenticated(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        known = scheme.lower() == "bearer" and hmac.compare_digest(given.encode(), self.token.encode())
        if request.path not in _OPEN_PATHS and not known:
            raise ApiError(401, "Unauthorized", "Unauthorized")
        return await handler(request)


async def _delayed(seconds: float, action: Callable[[], None]) -> None:
    await asyncio.sleep(seconds)
    action()


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        return error_response(error)
    except web.HTTPRequestEntityTooLarge:
        message = f"Request entity too large: limit is {_BODY_LIMIT}"
        return error_response(ApiError(413, "RequestEntityTooLarge", message))
    except web.HTTPException:
        raise
    except ConnectionResetError:
        raise
    except Exception as error:
        _LOGGER.exception("%s %s", request.method, request.path)
        return error_response(ApiError(500, "InternalError", f"Internal error occurred: {error}"))
