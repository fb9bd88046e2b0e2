"""An API server with the controllers that other objects' lives depend on, but without nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import aiohttp

from dms_operator.devcluster.client import LocalClient, Object
from dms_operator.devcluster.controllers.garbage import GarbageCollector
from dms_operator.devcluster.controllers.loop import Controller
from dms_operator.devcluster.controllers.namespace import NamespaceController, NamespaceFurnisher
from dms_operator.devcluster.controllers.node import NodeController
from dms_operator.devcluster.registry import Registry
from dms_operator.devcluster.resources import Resources
from dms_operator.devcluster.server import ApiServer
from dms_operator.devcluster.storage import Store


class Running:
    """`async with Running(kubeconfig) as cluster`."""

    def __init__(self, kubeconfig: Path, collecting: bool = True, log_size: int = 10_000) -> None:
        self.kubeconfig = kubeconfig
        self.store = Store(log_size)
        self.registry = Registry(self.store, Resources())
        self.client = LocalClient(self.registry)
        self.server = ApiServer(self.registry)
        self.session: aiohttp.ClientSession
        self._collecting = collecting
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Running:
        for name in ("default", "kube-system"):
            self.client.create("namespaces", None, namespace(name))
        await self.server.start()
        self.server.write_kubeconfig(self.kubeconfig)
        self.run(self._controllers())
        if self._collecting:
            self.collect()
        headers = {"Authorization": f"Bearer {self.server.token}"}
        connector = aiohttp.TCPConnector(ssl=self.server.client_context())
        self.session = aiohttp.ClientSession(self.server.url, headers=headers, connector=connector)
        return self

    def _controllers(self) -> Iterable[Controller]:
        authority = self.server.certificates.authority.decode()
        return NamespaceFurnisher(self.client, authority), NamespaceController(self.client), NodeController(self.client)

    def run(self, controllers: Iterable[Controller]) -> None:
        """Start controllers."""
        self._tasks += [asyncio.create_task(controller.run()) for controller in controllers]

    def collect(self) -> None:
        """Start the garbage collector."""
        self.run([GarbageCollector(self.client)])

    async def __aexit__(self, *exc_info: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.session.close()
        await self.server.stop()

    async def kubectl(self, *arguments: str, stdin: str = "", code: int = 0) -> str:
        """Run the real kubectl; its output and errors together. Fails on another exit code."""
        process = await asyncio.create_subprocess_exec(
            "kubectl",
            "--kubeconfig",
            str(self.kubeconfig),
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=_environment(self.kubeconfig.parent),
        )
        output, _ = await process.communicate(stdin.encode())
        assert process.returncode == code, output.decode()
        return output.decode()


def _environment(home: Path) -> dict[str, str]:
    import os
    import sys

    return {**os.environ, "HOME": str(home), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def namespace(name: str) -> dict[str, object]:
    """A namespace object."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def existing(client: LocalClient, resource: str, namespace: str | None, name: str) -> Object:
    """An object that is there."""
    found = client.get(resource, namespace, name)
    assert found is not None, f"there is no {name} among {resource}"
    return found
