"""What the operator proves itself with to the API server, and how it comes by new credentials when they are refused.

Kubernetes rotates a pod's token long before the old one expires, and the official client's loaders read the file again
every minute. A token that is revoked, or a kubeconfig that is written anew, is refused before that: then the source is
read again at once.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_kube_config
from kubernetes.aio.config.incluster_config import (
    SERVICE_CERT_FILENAME,
    SERVICE_TOKEN_FILENAME,
    InClusterConfigLoader,
)

from ..artifacts.paths import sandboxed

_log = logging.getLogger(__name__)
RELOAD_SECONDS = 1.0
"""Least time between two looks into the source: many requests are refused at once."""
LOAD_TIMEOUT = 10.0
"""Seconds; a kubeconfig may name a command that fetches the token."""


async def load_configuration(kubeconfig: Path | None) -> Any:
    """Address and credentials of the API server.

    Raises kubernetes.aio.config.ConfigException when the file (or, without one, the service account) is unusable.
    """
    configuration = Configuration()
    if kubeconfig is None:
        token, authority = sandboxed(SERVICE_TOKEN_FILENAME), sandboxed(SERVICE_CERT_FILENAME)
        InClusterConfigLoader(str(token), str(authority)).load_and_set(configuration)
    else:
        await load_kube_config(config_file=str(kubeconfig), client_configuration=configuration)
    return configuration


class Credentials:
    """The configuration in force, and where the next one comes from."""

    def __init__(
        self,
        configuration: Any,
        load: Callable[[], Awaitable[Any]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`load` reads the source again; None: there is nothing to read."""
        self.configuration = configuration
        self._load = load
        self._clock = clock
        self._next_load = clock()
        self._lock = asyncio.Lock()

    async def header(self) -> str:
        """Value of the Authorization header; empty when a client certificate or nothing at all is used."""
        return await self.configuration.get_api_key_with_prefix("BearerToken") or ""

    async def renewed(self, refused: str) -> bool:
        """Whether there is another header by now than the one that was refused."""
        async with self._lock:
            if await self.header() != refused:
                return True
            if self._load is None or self._clock() < self._next_load:
                return False
            self._next_load = self._clock() + RELOAD_SECONDS
            try:
                async with asyncio.timeout(LOAD_TIMEOUT):
                    self.configuration = await self._load()
            except (ConfigException, OSError, ValueError, TimeoutError) as error:
                _log.warning("credentials were refused and could not be read again: %s", error or "no answer")
                return False
            return await self.header() != refused
