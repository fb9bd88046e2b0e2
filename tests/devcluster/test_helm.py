"""The real helm 4 against a whole cluster: a chart with a CRD, hooks, a Deployment, a Service and RBAC objects."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from devcluster.whole import Whole, whole
from tools import get_helm

pytestmark = pytest.mark.skipif(not get_helm.is_available(), reason="helm is packaged for x86-64 Linux only")
CHART = str(Path(__file__).parent / "chart")
WAITING = ("--wait", "--timeout=40s")


class Helm:
    """Runs helm for one cluster."""

    def __init__(self, program: Path, cluster: Whole, home: Path) -> None:
        self.cluster = cluster
        self._program = program
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
        self._environment["KUBECONFIG"] = str(cluster.cluster.kubeconfig)

    async def __call__(self, *arguments: str, code: int = 0) -> str:
        process = await asyncio.create_subprocess_exec(
            self._program,
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._environment,
        )
        output, _ = await process.communicate()
        assert process.returncode == code, output.decode()
        return output.decode()

    def get(self, resource: str, name: str = "hi") -> Any:
        return self.cluster.client.get(resource, "default", name)


@pytest.fixture(scope="session")
def program() -> Path:
    return get_helm.helm()


@pytest.fixture
async def helm(program: Path, tmp_path: Path) -> AsyncIterator[Helm]:
    async with whole(tmp_path) as cluster:
        yield Helm(program, cluster, tmp_path)


async def test_a_chart_is_installed_tested_upgraded_rolled_back_and_uninstalled(helm: Helm) -> None:
    installed = await helm("install", "hi", CHART, *WAITING)
    assert "STATUS: deployed" in installed and "hi says hello." in installed
    assert helm.get("deployments")["status"]["readyReplicas"] == 1
    assert helm.get("greetings")["spec"]["word"] == "hello"
    assert helm.get("secrets", "sh.helm.release.v1.hi.v1")["type"] == "helm.sh/release.v1"
    assert "Succeeded" in await helm("test", "hi", "--logs")

    await helm("upgrade", "hi", CHART, "--set", "word=bye,replicas=2", *WAITING)
    assert helm.get("deployments")["status"]["readyReplicas"] == 2
    assert helm.get("greetings")["spec"]["word"] == "bye"
    await helm("rollback", "hi", "1", *WAITING)
    assert helm.get("greetings")["spec"]["word"] == "hello"
    assert helm.get("deployments")["spec"]["replicas"] == 1
    history = json.loads(await helm("history", "hi", "-o", "json"))
    assert [(item["revision"], item["status"]) for item in history][-1] == (3, "deployed")
    assert [item["name"] for item in json.loads(await helm("list", "-o", "json"))] == ["hi"]

    await helm("uninstall", "hi", *WAITING)
    for resource in ("deployments", "services", "serviceaccounts", "roles", "rolebindings", "configmaps", "greetings"):
        assert helm.get(resource) is None
    assert helm.cluster.client.get("customresourcedefinitions", None, "greetings.demo.example"), "helm keeps CRDs"


async def test_a_hook_that_fails_stops_the_installation(helm: Helm) -> None:
    failed = await helm("install", "hi", CHART, "--set", "prepare=exit 3", *WAITING, code=1)
    assert "pre-install" in failed
    assert helm.get("deployments") is None
    assert json.loads(await helm("list", "-o", "json"))[0]["status"] == "failed"


async def test_a_failing_test_is_told(helm: Helm) -> None:
    await helm("install", "hi", CHART, "--set", "check=exit 5", *WAITING)
    assert "Failed" in await helm("test", "hi", code=1)


async def test_a_dry_run_on_the_server_changes_nothing(helm: Helm) -> None:
    helm.cluster.client.create("customresourcedefinitions", None, _definition())
    assert "pending-install" in await helm("install", "hi", CHART, "--dry-run=server")
    assert helm.get("deployments") is None and not helm.cluster.client.list("secrets", "default")


def _definition() -> Any:
    return yaml.safe_load((Path(CHART) / "crds" / "greetings.yaml").read_text())
