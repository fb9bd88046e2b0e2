"""HTTP sessions to the API server: one for our own requests, and one that is lent to kopf.

Every request passes through one middleware that authenticates and counts it, and repeats one that was refused if there
are new credentials by then.
"""

from collections.abc import Callable
from typing import Any

import aiohttp
import kopf
from aiohttp.client_middlewares import ClientHandlerType, ClientMiddlewareType
from aiohttp.client_reqrep import ClientRequest, ClientResponse
from kubernetes.aio.client.rest import RESTClientObject

from ..api.labels import MANAGER
from .credentials import Credentials

REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=10)
"""Seconds for one request that is not a watch; the API server itself gives up after 60."""

CountRequest = Callable[[str, str], None]
"""Told the verb and the HTTP status code (or `error`) of every request."""


class Connection:
    """Opens sessions, and keeps ours."""

    def __init__(
        self, credentials: Credentials, count: CountRequest, watcher: ClientMiddlewareType, agent: str = MANAGER
    ) -> None:
        """`watcher` sees the requests that are not our own, which are kopf's; `agent` is how we name ourselves."""
        self._agent = agent
        self.server: str = credentials.configuration.host.rstrip("/")
        self._watcher = watcher
        self._credentials = credentials
        self._count = count
        self._session: aiohttp.ClientSession | None = None

    async def request(self, method: str, path: str, **options: Any) -> aiohttp.ClientResponse:
        """A request of our own, `path` from the server's root. Raises aiohttp.ClientError or TimeoutError."""
        options.setdefault("timeout", REQUEST_TIMEOUT)
        if self._session is None:
            self._session = self._open(self._authenticate)
        return await self._session.request(method, self.server + path, **options)

    def login(self) -> kopf.AiohttpSession:
        """A session for kopf, which closes it: it must not be ours."""
        return kopf.AiohttpSession(server=self.server, aiohttp_session=self._open(self._watcher, self._authenticate))

    async def close(self) -> None:
        """Close our session."""
        if self._session is not None:
            await self._session.close()

    def _open(self, *middlewares: ClientMiddlewareType) -> aiohttp.ClientSession:
        configuration = self._credentials.configuration
        tls = RESTClientObject(configuration).ssl_context
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=tls),
            proxy=configuration.proxy or None,
            headers={"User-Agent": self._agent},
            middlewares=middlewares,
        )

    async def _authenticate(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        header = await self._credentials.header()
        response = await self._send(request, handler, header)
        if response.status == 401 and await self._credentials.renewed(header):
            response.release()
            response = await self._send(request, handler, await self._credentials.header())
        return response

    async def _send(self, request: ClientRequest, handler: ClientHandlerType, header: str) -> ClientResponse:
        if header:
            request.headers["Authorization"] = header
        verb = "WATCH" if "watch" in request.url.query else request.method
        try:
            response = await handler(request)
        except (aiohttp.ClientError, TimeoutError):
            self._count(verb, "error")
            raise
        self._count(verb, str(response.status))
        return response
