"""kubectl with Deployments that really run: rolling out, looking at the history, going back, deleting all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from devcluster.running import existing
from devcluster.whole import Whole, shell, whole

WAIT = "--timeout=20s"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Whole]:
    async with whole(tmp_path) as running:
        labels = {"app": "web"}
        pods = {"terminationGracePeriodSeconds": 1, "containers": [shell("echo says $WORD; exec sleep 300")]}
        spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pods}}
        running.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
        await running.kubectl("rollout", "status", "deployment/web", WAIT)
        yield running


async def test_it_rolls_out_and_back(here: Whole) -> None:
    await here.kubectl("set", "env", "deployment/web", "WORD=hello")
    await here.kubectl("rollout", "status", "deployment/web", WAIT)
    history = await here.kubectl("rollout", "history", "deployment/web")
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["1", "2"]
    await here.kubectl("rollout", "undo", "deployment/web")
    await here.kubectl("rollout", "status", "deployment/web", WAIT)
    history = await here.kubectl("rollout", "history", "deployment/web")
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["2", "3"], (
        "what is gone back to is newest"
    )
    web = existing(here.client, "deployments", "default", "web")
    assert not web["spec"]["template"]["spec"]["containers"][0].get("env")


async def test_it_restarts(here: Whole) -> None:
    [before] = [pod["metadata"]["name"] for pod in here.client.list("pods", "default")]
    await here.kubectl("rollout", "restart", "deployment/web")
    await here.kubectl("rollout", "status", "deployment/web", WAIT)
    await here.kubectl("wait", "--for=delete", f"pod/{before}", WAIT)
    assert len(here.client.list("pods", "default")) == 1


async def test_it_shows_logs_of_all_pods_and_where_they_come_from(here: Whole) -> None:
    await here.kubectl("set", "env", "deployment/web", "WORD=hello")
    await here.kubectl("rollout", "status", "deployment/web", WAIT)
    options = ("--prefix", "--timestamps", "--since=1m", "--tail=1")
    lines = (await here.kubectl("logs", "-l", "app=web", *options)).splitlines()
    [line] = [line for line in lines if line.endswith("says hello")]
    assert line.startswith("[pod/web-")


async def test_it_exposes_shows_and_deletes_all(here: Whole) -> None:
    await here.kubectl("expose", "deployment", "web", "--port=80")
    shown = await here.kubectl("get", "all")
    for name in ("pod/web-", "service/web", "deployment.apps/web", "replicaset.apps/web-"):
        assert name in shown
    await here.kubectl("delete", "all", "--all", WAIT)
    await here.until(lambda: not here.client.list("pods", "default"), "pods that were made again meanwhile are gone")
    await here.until(lambda: not here.client.list("replicasets", "default"), "replica sets follow")
    assert "No resources found" in await here.kubectl("get", "all")


async def test_a_manifest_is_replaced_by_force(here: Whole) -> None:
    manifest = yaml.safe_load(await here.kubectl("get", "deployment", "web", "-o", "yaml"))
    uid = manifest["metadata"]["uid"]
    plain = {**manifest, "metadata": {"name": "web"}}
    await here.kubectl("replace", "--force", "--grace-period=1", "-f", "-", stdin=yaml.safe_dump(plain))
    assert existing(here.client, "deployments", "default", "web")["metadata"]["uid"] != uid
