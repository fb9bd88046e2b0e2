"""The whole cluster through the real kubectl, and its own beginning and end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from devcluster.whole import (
    DEADLINE_SECONDS,
    IMAGE,
    LOOK_SECONDS,
    SANDBOX,
    Whole,
    children,
    configuration,
    job,
    pod,
    shell,
    whole,
)
from dms_operator.devcluster.cluster import DataDirectoryInUse, DevCluster
from dms_operator.devcluster.config import ImageConfig, NodeConfig

Json = dict[str, Any]
BOARD = "dms.edge/qcs8255"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Whole]:
    async with whole(tmp_path) as running:
        yield running
    assert not children(str(tmp_path)), "processes were left behind"


async def test_a_job_from_yaml_is_followed_waited_for_and_described(here: Whole) -> None:
    text = yaml.safe_dump(job("hello", f"echo one; sleep 0.3; echo two; printf ok > {SANDBOX}/dev/termination-log"))
    assert "job.batch/hello created" in await here.kubectl("apply", "-f", "-", stdin=text)
    await here.until(lambda: any(item["status"]["phase"] == "Running" for item in here.client.list("pods")), "it runs")
    assert await here.kubectl("logs", "-f", "job/hello") == "one\ntwo\n"
    await here.kubectl("wait", "--for=condition=complete", "job/hello", "--timeout=20s")
    described = await here.kubectl("describe", "pod", "-l", "job-name=hello")
    for expected in (
        "Successfully assigned default/hello-",
        "Started container c",
        "Message:      ok",
        "Exit Code:    0",
    ):
        assert expected in described
    assert "Job completed" in await here.kubectl("describe", "job", "hello")
    assert "SuccessfulCreate" in await here.kubectl("events")


async def test_a_deleted_running_job_takes_its_processes_along(here: Whole, tmp_path: Path) -> None:
    await here.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(job("long", "sleep 65 & sleep 66")))
    await here.until(lambda: len(children(str(tmp_path))) >= 3, "its processes run")
    await here.kubectl("delete", "job", "long", "--wait=true", "--cascade=foreground")
    await here.until(lambda: not here.client.list("pods", "default"), "the pod is gone")
    assert not children(str(tmp_path))


async def test_two_jobs_that_ask_for_the_one_board_run_one_after_the_other(here: Whole, tmp_path: Path) -> None:
    capacity = json.dumps([{"op": "add", "path": "/status/capacity/dms.edge~1qcs8255", "value": "1"}])
    await here.kubectl("patch", "node", "build-1", "--subresource=status", "--type=json", "-p", capacity)
    volume = {"volumes": [{"name": "v", "hostPath": {"path": str(tmp_path)}}]}
    script = f"cd {SANDBOX}/v; mkdir busy || exit 9; sleep 0.3; rmdir busy"
    container = {"resources": {"limits": {BOARD: "1"}}, "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    for name in ("first", "second", "third"):
        here.create(job(name, script, container, volume, backoffLimit=0))
    waiting = "0/1 nodes are available: 1 Insufficient dms.edge/qcs8255."
    await here.until(
        lambda: any(
            waiting in text for item in here.client.list("pods") for _, _, text in here.events(item["metadata"]["name"])
        ),
        "one waits",
    )
    await here.kubectl("wait", "--for=condition=complete", "job/first", "job/second", "job/third", "--timeout=20s")


async def test_logs_can_be_cut_stamped_and_followed_to_the_end(here: Whole) -> None:
    here.create(pod("p", shell("for i in 1 2 3 4; do echo $i; done; printf unfinished")))
    await here.ended("p")
    assert await here.kubectl("logs", "p", "--tail=2") == "4\nunfinished"
    assert await here.kubectl("logs", "p", "--limit-bytes=3") == "1\n2"
    stamped = (await here.kubectl("logs", "p", "--timestamps", "--tail=2")).splitlines()[0]
    assert stamped.endswith("Z 4")
    assert len(stamped.split()[0]) == len("2026-01-01T00:00:00.000000000Z")
    assert await here.kubectl("logs", "p", "--since=1h", "-f") == "1\n2\n3\n4\nunfinished"
    assert "previous terminated container" in await here.kubectl("logs", "p", "--previous", code=1)


async def test_a_removed_board_capacity_comes_back_when_patched_and_a_deleted_node_registers_again(
    here: Whole,
) -> None:
    change = {"status": {"capacity": {BOARD: "2"}}}
    here.client.patch("nodes", None, "build-1", change, subresource="status")

    def allocatable() -> str | None:
        node = here.client.get("nodes", None, "build-1")
        return None if node is None else (node["status"].get("allocatable") or {}).get(BOARD)

    await here.until(lambda: allocatable() == "2", "capacity becomes allocatable")
    await here.kubectl("delete", "node", "build-1")
    await here.until(lambda: here.client.get("nodes", None, "build-1"), "the node registers again")
    assert allocatable() is None


async def test_a_deployment_becomes_available_rolls_over_and_scales_down(here: Whole) -> None:
    def deployment(word: str, replicas: int) -> str:
        template: dict[str, Any] = {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [shell(f"echo {word}; sleep 300")]},
        }
        template["spec"]["terminationGracePeriodSeconds"] = 1
        spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template}
        return yaml.safe_dump(
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}
        )

    await here.kubectl("apply", "-f", "-", stdin=deployment("old", 2))
    await here.kubectl("wait", "--for=condition=available", "deployment/web", "--timeout=20s")
    await here.kubectl("apply", "-f", "-", stdin=deployment("new", 2))
    await here.kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    running = [item for item in here.client.list("pods") if not item["metadata"].get("deletionTimestamp")]
    assert {item["spec"]["containers"][0]["command"][2] for item in running} == {"echo new; sleep 300"}
    await here.kubectl("scale", "deployment/web", "--replicas=0")
    await here.until(lambda: not here.client.list("pods", "default"), "all pods are gone")
    await here.kubectl("delete", "deployment", "web")
    await here.until(lambda: not here.client.list("replicasets", "default"), "replica sets follow")


async def test_a_deleted_namespace_empties_itself_and_goes(here: Whole, tmp_path: Path) -> None:
    await here.kubectl("create", "namespace", "short")
    here.create(job("long", "sleep 67", pod_spec={"terminationGracePeriodSeconds": 1}), "short")
    await here.until(lambda: children(str(tmp_path)), "its job runs")
    await here.kubectl("delete", "namespace", "short", "--timeout=20s")
    assert here.client.get("namespaces", None, "short") is None
    assert not here.client.list("events", "short")
    await here.until(lambda: not children(str(tmp_path)), "its processes are gone")


async def test_the_image_table_gives_a_container_its_programs_and_environment(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "tool"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho tool of $KIND $1\n")
    program.chmod(0o755)
    images = {
        "registry.example/tools:*": ImageConfig(
            path=(str(program.parent),), env={"KIND": "tools"}, entrypoint=("tool",)
        )
    }
    async with whole(tmp_path, images=images) as here:
        here.create(pod("p", {"name": "c", "image": "registry.example/tools:1", "args": ["now"]}))
        await here.ended("p")
        assert await here.log("p") == "tool of tools now\n"


async def test_pods_go_to_the_node_that_they_select(tmp_path: Path) -> None:
    nodes = (NodeConfig(name="build-1"), NodeConfig(name="board-1", labels={"dms.edge/board": "qcs8255"}))
    async with whole(tmp_path, nodes=nodes) as here:
        node = {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
        here.create(pod("p", shell("echo $NODE", env=[node]), nodeSelector={"dms.edge/board": "qcs8255"}))
        await here.ended("p")
        assert await here.log("p") == "board-1\n"


async def test_a_stopped_cluster_leaves_no_process_and_no_kubeconfig(tmp_path: Path) -> None:
    async with whole(tmp_path) as here:
        here.create(pod("p", shell("trap '' TERM; sleep 68 & setsid sleep 69 & wait; sleep 70")))
        await here.until(lambda: len(children(str(tmp_path))) >= 3, "its processes run")
        kubeconfig = here.cluster.kubeconfig
        assert kubeconfig.exists()
    assert not children(str(tmp_path))
    assert not kubeconfig.exists()


async def test_two_clusters_cannot_work_in_one_directory(tmp_path: Path) -> None:
    async with whole(tmp_path):
        with pytest.raises(DataDirectoryInUse):
            await DevCluster(configuration(tmp_path)).start()
    async with whole(tmp_path):
        pass


class Foreground:
    """`python -m dms_operator.devcluster` as a process of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "cluster.yaml"
        self.config.write_text(yaml.safe_dump({"nodes": [{"name": "n"}], "images": {IMAGE: {}}}))
        self.ready = directory / "ready"
        self.process: asyncio.subprocess.Process

    async def start(self) -> None:
        arguments = ["--config", str(self.config), "--kubeconfig", str(self.directory / "kubeconfig")]
        arguments += ["--data-dir", str(self.directory / "data"), "--ready-file", str(self.ready)]
        import dms_operator.devcluster as package

        root = str(Path(str(package.__file__)).parents[2])
        environment = {**os.environ, "PYTHONPATH": root}
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "dms_operator.devcluster",
            *arguments,
            env=environment,
            stdout=asyncio.subprocess.DEVNULL,
        )
        await self.wait(self.ready.exists)

    async def wait(self, what: Any) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + 3 * DEADLINE_SECONDS
        while not what():
            assert loop.time() < deadline
            assert self.process.returncode in (None, -signal.SIGKILL)
            await asyncio.sleep(LOOK_SECONDS)

    async def run_a_pod(self) -> None:
        text = yaml.safe_dump(pod("p", shell("setsid sleep 71 & sleep 72")))
        kubectl = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("kubectl")),
            *("--kubeconfig", str(self.directory / "kubeconfig"), "apply", "-f", "-"),
            stdin=asyncio.subprocess.PIPE,
        )
        await kubectl.communicate(text.encode())
        assert kubectl.returncode == 0
        await self.wait(lambda: len(children(str(self.directory))) >= 3)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_in_the_foreground_it_ends_cleanly_when_asked(tmp_path: Path, number: signal.Signals) -> None:
    cluster = Foreground(tmp_path)
    await cluster.start()
    await cluster.run_a_pod()
    cluster.process.send_signal(number)
    assert await cluster.process.wait() == 0
    assert not children(str(tmp_path))
    assert not cluster.ready.exists()
    assert not (tmp_path / "kubeconfig").exists()


async def test_killed_without_warning_its_containers_die_with_it(tmp_path: Path) -> None:
    cluster = Foreground(tmp_path)
    await cluster.start()
    await cluster.run_a_pod()
    cluster.process.kill()
    await cluster.process.wait()
    await cluster.wait(lambda: not children(str(tmp_path)))


async def test_what_was_left_by_a_killed_cluster_and_killed_shims_is_cleaned_up_by_the_next(
    tmp_path: Path,
) -> None:
    cluster = Foreground(tmp_path)
    await cluster.start()
    await cluster.run_a_pod()
    shims = [process for process in children(str(tmp_path)) if any("shim.py" in word for word in process.cmdline())]
    for process in (*shims, psutil.Process(cluster.process.pid)):
        process.suspend()
    for process in (*shims, psutil.Process(cluster.process.pid)):
        process.kill()
    await cluster.process.wait()
    assert children(str(tmp_path)), "without shims the containers live on, which is what the next start is for"
    cluster.ready.unlink()
    await cluster.start()
    assert not children(str(tmp_path))
    cluster.process.terminate()
    await cluster.process.wait()
