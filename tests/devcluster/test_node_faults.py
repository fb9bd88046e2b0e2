"""Faults of pods and nodes, on a whole cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from devcluster.faults import Faults
from devcluster.running import existing
from devcluster.whole import Whole, children, job, pod, shell, whole
from dms_operator.devcluster.faults.happenings import EvictPod, KillPod, RestartKubelet, ReviveNode, SilenceNode

NODE = "build-1"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Whole]:
    async with whole(tmp_path) as running:
        yield running


@pytest.fixture
def faults(here: Whole) -> Faults:
    return Faults(here.cluster.kubeconfig)


def _ready(here: Whole) -> str:
    conditions = existing(here.client, "nodes", None, NODE)["status"]["conditions"]
    return next(str(item["status"]) for item in conditions if item["type"] == "Ready")


def _taints(here: Whole) -> set[str]:
    return {item["key"] for item in existing(here.client, "nodes", None, NODE)["spec"].get("taints") or []}


async def test_a_killed_pod_ends_by_the_signal(here: Whole, faults: Faults) -> None:
    here.create(pod("p", shell("sleep 300")))
    await here.phase("p", "Running")
    await faults.happen(KillPod(namespace="default", name="p"))
    end = await here.ended("p")
    assert (end["exitCode"], end["reason"]) == (137, "Error")


async def test_a_job_makes_up_for_a_killed_pod(here: Whole, faults: Faults, tmp_path: Path) -> None:
    here.create(job("j", f"test -e {tmp_path}/again || {{ touch {tmp_path}/again; sleep 300; }}"))
    [first] = await here.until(lambda: here.client.list("pods", "default"), "it has a pod")
    await here.until((tmp_path / "again").exists, "it runs")
    await faults.happen(KillPod(namespace="default", name=first["metadata"]["name"], container="c"))
    await here.kubectl("wait", "--for=condition=complete", "job/j", "--timeout=20s")


async def test_an_evicted_pod_fails_and_says_why(here: Whole, faults: Faults, tmp_path: Path) -> None:
    here.create(pod("p", shell("trap '' TERM; sleep 300")))
    await here.phase("p", "Running")
    await faults.happen(EvictPod(namespace="default", name="p"))
    status = (await here.phase("p", "Failed"))["status"]
    assert status["reason"] == "Evicted"
    found = {item["type"]: item.get("reason") for item in status["conditions"]}
    assert found["DisruptionTarget"] == "TerminationByKubelet"
    await here.until(lambda: not children(str(tmp_path)), "its processes are gone")
    await here.kubectl("delete", "pod", "p", "--timeout=20s")


async def test_an_eviction_through_the_api_deletes_the_pod(here: Whole) -> None:
    here.create(pod("p", shell("sleep 300"), terminationGracePeriodSeconds=1))
    await here.phase("p", "Running")
    assert "drained" in await here.kubectl("drain", NODE, "--force", "--timeout=20s")
    assert here.client.get("pods", "default", "p") is None
    assert existing(here.client, "nodes", None, NODE)["spec"]["unschedulable"]


async def test_a_pod_that_a_lost_node_is_cleared_of_is_a_target_of_disruption(here: Whole, faults: Faults) -> None:
    away = {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"}
    here.create(pod("p", shell("sleep 300"), tolerations=[{**away, "tolerationSeconds": 0}]))
    await here.phase("p", "Running")
    await faults.happen(SilenceNode(name=NODE))
    await here.until(lambda: "deletionTimestamp" in here.pod("p")["metadata"], "it is given up")
    found = {item["type"]: item.get("reason") for item in here.pod("p")["status"]["conditions"]}
    assert found["DisruptionTarget"] == "DeletionByTaintManager"
    await faults.happen(ReviveNode(name=NODE))
    await here.until(lambda: here.client.get("pods", "default", "p") is None, "the node has let go of it")


async def test_a_pod_that_is_not_there_cannot_be_killed(here: Whole, faults: Faults) -> None:
    with pytest.raises(AssertionError, match="no kubelet here runs"):
        await faults.happen(KillPod(namespace="default", name="nobody"))
    with pytest.raises(AssertionError, match="no kubelet here runs"):
        await faults.happen(ReviveNode(name="nowhere"))


@pytest.mark.parametrize(
    ("how", "ready", "taint"),
    [
        ("unreachable", "Unknown", "node.kubernetes.io/unreachable"),
        ("not-ready", "False", "node.kubernetes.io/not-ready"),
    ],
)
async def test_a_node_goes_and_comes_back(here: Whole, faults: Faults, how: Any, ready: str, taint: str) -> None:
    await faults.happen(SilenceNode(name=NODE, how=how))
    await here.until(lambda: _ready(here) == ready and taint in _taints(here), f"the node is {how}")
    here.create(pod("p", shell("true")))
    waiting = await here.until(lambda: here.events("p"), "the scheduler looked at it")
    assert waiting[0][1] == "FailedScheduling"
    await faults.happen(ReviveNode(name=NODE))
    await here.phase("p", "Succeeded")
    assert _ready(here) == "True" and not _taints(here)


async def test_what_happens_behind_a_silent_node_shows_when_it_is_back(here: Whole, faults: Faults) -> None:
    """Its containers run on; that a pod ended, or is to be deleted, is known only later."""
    for name in ("ends", "deleted", "removed"):
        here.create(pod(name, shell("sleep 300"), terminationGracePeriodSeconds=1))
        await here.phase(name, "Running")
    await faults.happen(SilenceNode(name=NODE))
    await faults.happen(KillPod(namespace="default", name="ends"))
    here.client.delete("pods", "default", "deleted")
    here.client.delete("pods", "default", "removed", grace=0)
    await here.until(lambda: _ready(here) == "Unknown", "the node is unreachable")
    assert here.pod("ends")["status"]["phase"] == "Running"
    assert here.pod("deleted")["metadata"]["deletionTimestamp"]
    await faults.happen(ReviveNode(name=NODE))
    await here.phase("ends", "Failed")
    data = str(here.cluster.config.data_directory)
    await here.until(lambda: here.client.get("pods", "default", "deleted") is None, "the deleted pod is gone")
    await here.until(lambda: not children(data), "no process is left")


async def test_a_restarted_kubelet_finds_its_containers_again(here: Whole, faults: Faults, tmp_path: Path) -> None:
    here.create(pod("p", shell(f"until test -e {tmp_path}/go; do sleep 0.05; done")))
    before = (await here.phase("p", "Running"))["status"]["containerStatuses"][0]["containerID"]
    await faults.happen(RestartKubelet(name=NODE, seconds=0.3))
    (tmp_path / "go").touch()
    end = await here.ended("p")
    assert (end["exitCode"], end["containerID"]) == (0, before)
    assert _ready(here) == "True"
