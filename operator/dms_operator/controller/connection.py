"""One HTTP session to the API server, shared by kopf's watches and our own writes.

Credentials come from a kubeconfig file or the pod's service account by the official client's loaders, which also
renew tokens. Every request passes through one middleware that authenticates and counts it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import kopf
from aiohttp.client_middlewares import ClientHandlerType, ClientMiddlewareType
from aiohttp.client_reqrep import ClientRequest, ClientResponse
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config import load_kube_config
from kubernetes.aio.config.incluster_config import (
    SERVICE_CERT_FILENAME,
    SERVICE_TOKEN_FILENAME,
    InClusterConfigLoader,
)

from ..api.labels import MANAGER
from ..artifacts.paths import sandboxed

REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=10)
"""Seconds for one request that is not a watch; the API server itself gives up after 60."""

CountRequest = Callable[[str, str], None]
"""Told the verb and the HTTP status code (or `error`) of every request."""


async def load_configuration(kubeconfig: Path | None) -> Any:
    """Address and credentials of the API server.

    Raises kubernetes.aio.config.ConfigException when the file (or, without one, the service account) is unusable.
    """
    configuration = Configuration()
    if kubeconfig is None:
        token, authority = sandboxed(SERVICE_TOKEN_FILENAME), sandboxed(SERVICE_CERT_FILENAME)
        InClusterConfigLoader(str(token), str(authority)).load_and_set(configuration)  # type: ignore[no-untyped-call]
    else:
        await load_kube_config(  # type: ignore[no-untyped-call]
            config_file=str(kubeconfig), client_configuration=configuration
        )
    return configuration


class Connection:
    """The session, opened anew whenever kopf asks to log in again."""

    def __init__(
        self, configuration: Any, count: CountRequest, watcher: ClientMiddlewareType, agent: str = MANAGER
    ) -> None:
        """`watcher` sees the requests that are not our own, which are kopf's; `agent` is how we name ourselves."""
        self._agent = agent
        self.server: str = configuration.host.rstrip("/")
        self._watcher = watcher
        self._configuration = configuration
        self._count = count
        self._session: aiohttp.ClientSession | None = None
        self._lent = False

    async def request(self, method: str, path: str, **options: Any) -> aiohttp.ClientResponse:
        """A request of our own, `path` from the server's root. Raises aiohttp.ClientError or TimeoutError."""
        options.setdefault("timeout", REQUEST_TIMEOUT)
        return await self._open().request(method, self.server + path, middlewares=(self._authenticate,), **options)

    def login(self) -> kopf.AiohttpSession:
        """The session for kopf, which closes it when credentials are refused: a second login needs a new one."""
        if self._lent:
            self._session = None
        self._lent = True
        return kopf.AiohttpSession(server=self.server, aiohttp_session=self._open())

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            tls = RESTClientObject(self._configuration).ssl_context
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=tls),
                proxy=self._configuration.proxy or None,
                headers={"User-Agent": self._agent},
                middlewares=(self._watcher, self._authenticate),
            )
        return self._session

    async def _authenticate(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        token = await self._configuration.get_api_key_with_prefix("BearerToken")
        if token:
            request.headers["Authorization"] = token
        verb = "WATCH" if "watch" in request.url.query else request.method
        try:
            response = await handler(request)
        except (aiohttp.ClientError, TimeoutError):
            self._count(verb, "error")
            raise
        self._count(verb, str(response.status))
        return response
