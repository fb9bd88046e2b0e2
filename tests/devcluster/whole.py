"""A whole dev cluster with nodes, and the little that tests do with one."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from dms_operator.devcluster.cluster import DevCluster
from dms_operator.devcluster.config import BackoffConfig, DevClusterConfig, ImageConfig, NodeConfig

Json = dict[str, Any]
SANDBOX = "$CONTAINER_SANDBOX_MOUNT_POINT"
DEADLINE_SECONDS = 6.0
LOOK_SECONDS = 0.02
IMAGE = "localhost/debian:bookworm-slim"


def configuration(directory: Path, **settings: Any) -> DevClusterConfig:
    quick: Json = {
        "nodes": (NodeConfig(name="build-1"),),
        "images": {"localhost/debian:*": ImageConfig()},
        "job_backoff": BackoffConfig(initial=0.05, limit=0.2),
        "restart_backoff": BackoffConfig(initial=0.1, limit=0.2),
        "retry_seconds": 0.1,
    }
    return DevClusterConfig(data_directory=directory / "data", **{**quick, **settings})


@asynccontextmanager
async def whole(directory: Path, **settings: Any) -> AsyncIterator[Whole]:
    async with DevCluster(configuration(directory, **settings)) as cluster:
        yield Whole(cluster)


class Whole:
    def __init__(self, cluster: DevCluster) -> None:
        self.cluster = cluster
        self.client = cluster.client

    def create(self, obj: Json, namespace: str = "default") -> Mapping[str, Any]:
        plural = {"Pod": "pods", "Job": "jobs", "Deployment": "deployments"}.get(obj["kind"], f"{obj['kind'].lower()}s")
        return self.client.create(plural, namespace, obj)

    def pod(self, name: str, namespace: str = "default") -> Mapping[str, Any]:
        found = self.client.get("pods", namespace, name)
        assert found is not None, f"there is no pod {name}"
        return found

    def container(self, name: str, index: int = 0) -> Mapping[str, Any]:
        statuses = self.pod(name)["status"].get("containerStatuses") or [{"state": {}}]
        return dict(statuses[index])

    async def until(self, what: Callable[[], Any], message: str = "") -> Any:
        """Look until something is true; return it."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + DEADLINE_SECONDS
        while not (value := what()):
            assert loop.time() < deadline, f"did not happen: {message}"
            await asyncio.sleep(LOOK_SECONDS)
        return value

    async def phase(self, name: str, *phases: str) -> Mapping[str, Any]:
        await self.until(lambda: self.pod(name)["status"]["phase"] in phases, f"{name} {phases}")
        return self.pod(name)

    async def ended(self, name: str) -> Mapping[str, Any]:
        """Wait for a pod's end; return the end of its first container."""
        await self.phase(name, "Succeeded", "Failed")
        return dict(self.container(name)["state"]["terminated"])

    async def log(self, name: str, container: str = "c", **options: Any) -> str:
        assert self.cluster.kubelet is not None
        pieces = [piece async for piece in self.cluster.kubelet.logs.read("default", name, container, **options)]
        return b"".join(pieces).decode()

    def events(self, name: str) -> list[tuple[str, str, str]]:
        found = [item for item in self.client.list("events") if item["involvedObject"]["name"] == name]
        found.sort(key=lambda item: item["metadata"]["name"].rsplit(".", 1)[1])
        return [(item["type"], item["reason"], item["message"]) for item in found]

    async def kubectl(self, *arguments: str, stdin: str = "", code: int | None = 0) -> str:
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.cluster.kubeconfig),
            "HOME": str(self.cluster.config.data_directory),
        }
        process = await asyncio.create_subprocess_exec(
            *(str(Path(sys.executable).with_name("kubectl")), *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
        )
        output, _ = await process.communicate(stdin.encode())
        assert code is None or process.returncode == code, output.decode()
        return output.decode()


def shell(script: str, **more: Any) -> Json:
    return {"name": "c", "image": IMAGE, "imagePullPolicy": "Never", "command": ["sh", "-c", script], **more}


def pod(name: str, *containers: Json, **spec: Any) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"restartPolicy": "Never", "containers": list(containers), **spec},
    }


def job(name: str, script: str, container: Json | None = None, pod_spec: Json | None = None, **spec: Any) -> Json:
    template = {
        "restartPolicy": "Never",
        "containers": [shell(script, **(container or {}))],
        **(pod_spec or {}),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": {"spec": template}, **spec},
    }


def children(marker: str) -> Sequence[psutil.Process]:
    """Living processes whose environment names this directory."""
    found = []
    for process in psutil.process_iter():
        try:
            if marker in process.environ().get("CONTAINER_SANDBOX_MOUNT_POINT", "") and process.status() != "zombie":
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found
