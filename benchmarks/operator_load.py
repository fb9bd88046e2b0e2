"""What `bench_operator.py` measures against: the same Job and status writes, made by a bare asyncio client.

The writes are those that the operator's own planner asks for, one deployment at a time, when each stage succeeds at
once, or (`--seen-running`) when each is seen to run first; only names and owners differ between deployments. Run as a
process of its own, it prints what it cost.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import json
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from kubernetes.aio import client, config
from operator_cluster import answer

from dms_operator.api.labels import GROUP, PLURAL, VERSION
from dms_operator.controller.merge import merge_patch
from dms_operator.controller.observation import BoardCount, observe
from dms_operator.controller.plan import plan
from dms_operator.controller.settings import Settings

MERGE = "application/merge-patch+json"
BOARD = "generic-x86"
"""Shared by all pods: an exclusive board would make them queue."""
SETTINGS: dict[str, Any] = {
    "images": {
        "resolve": "fake-stage:bench",
        "quantize": "fake-stage:bench",
        "convert": {"onnxruntime": "fake-stage:bench"},
        "benchmark": {"onnxruntime": "fake-stage:bench"},
    },
    "nodeSelectors": {
        stage: {"dms.edge/bench": "instant"} for stage in ("resolve", "quantize", "convert", "benchmark")
    },
}
Write = tuple[str, dict[str, Any]]
"""`job` with a manifest, or `status` with a merge patch."""
Seen = tuple[dict[str, Any], list[dict[str, Any]]]
"""A Job with its pods."""


def deployment(namespace: str, number: int) -> dict[str, Any]:
    """A deployment with recipes of its own."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "DMSModelDeployment",
        "metadata": {"name": f"d{number:05d}", "namespace": namespace},
        "spec": {
            "model": {"uri": f"file:///models/{namespace}/{number}.onnx"},
            "dataset": {"uri": "file:///data/dms.npz"},
            "targets": [{"name": "host", "board": BOARD}],
            "artifacts": {"uri": "file:///artifacts"},
        },
    }


def planned_writes(seen_running: bool = False) -> list[Write]:
    """What the planner writes for one deployment, in order; with a look at each Job while its pod runs, or without."""
    settings, now = Settings.model_validate(SETTINGS), datetime.now(UTC)
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    body = deployment("bench", 0)
    body["metadata"] |= {"uid": "0" * 36, "generation": 1}
    body["status"] = {}
    jobs: dict[str, Seen] = {}
    fresh: dict[str, dict[str, Any]] = {}
    writes: list[Write] = []
    while True:
        made: dict[str, dict[str, Any]] = {}
        before = len(writes)
        for look in (_running, _completed) if seen_running else (_completed,):
            jobs |= {name: look(manifest, stamp) for name, manifest in fresh.items()}
            step = plan(observe(body, jobs.values(), {BOARD: BoardCount(1, 1)}), settings, now)
            status = step.status.to_wire()
            patch = merge_patch(body["status"], status)
            writes += [("job", manifest) for manifest in step.create]
            writes += [("status", patch)] if patch else []
            body["status"] = status
            made |= {manifest["metadata"]["name"]: manifest for manifest in step.create}
            jobs |= {name: ({**manifest, "status": {}}, []) for name, manifest in made.items()}
        if len(writes) == before:
            return writes
        fresh = made


def _running(manifest: dict[str, Any], stamp: str) -> Seen:
    pod = {"metadata": {"name": "pod"}, "spec": manifest["spec"]["template"]["spec"], "status": {"phase": "Running"}}
    return {**manifest, "status": {"startTime": stamp}}, [pod]


def _completed(manifest: dict[str, Any], stamp: str) -> Seen:
    condition = {"type": "Complete", "status": "True", "lastTransitionTime": stamp}
    job = {**manifest, "status": {"startTime": stamp, "completionTime": stamp, "conditions": [condition]}}
    pod = {"metadata": {"name": "pod"}, "spec": manifest["spec"]["template"]["spec"]}
    state = {"terminated": {"exitCode": 0, "message": answer(pod)}}
    return job, [{**pod, "status": {"phase": "Succeeded", "containerStatuses": [{"name": "stage", "state": state}]}}]


async def in_flight(limit: int, work: Callable[[int], Awaitable[None]], count: int) -> None:
    """Do numbered work, so much at once."""
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await work(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(limit):
            group.create_task(worker())


class BareClient:
    """Creates deployments, their Jobs and their statuses; looks at nothing."""

    def __init__(self, api: client.ApiClient, namespace: str, writes: list[Write]) -> None:
        self._objects = client.CustomObjectsApi(api)
        self._batch = client.BatchV1Api(api)
        self._namespace = namespace
        self._writes = writes

    async def create(self, number: int) -> dict[str, Any]:
        """Create a deployment."""
        body = deployment(self._namespace, number)
        made = await self._objects.create_namespaced_custom_object(GROUP, VERSION, self._namespace, PLURAL, body)
        assert isinstance(made, dict)
        return made

    async def work_through(self, number: int) -> None:
        """Create a deployment and make all its writes."""
        metadata = (await self.create(number))["metadata"]
        for kind, content in self._writes:
            if kind == "job":
                await self._batch.create_namespaced_job(self._namespace, self._own(content, metadata))
            else:
                await self._objects.patch_namespaced_custom_object_status(
                    GROUP, VERSION, self._namespace, PLURAL, metadata["name"], {"status": content}, _content_type=MERGE
                )

    def _own(self, manifest: dict[str, Any], metadata: dict[str, Any]) -> client.V1Job:
        job = copy.copy(manifest)
        name = manifest["metadata"]["name"].replace("d00000", metadata["name"])
        owner = {**manifest["metadata"]["ownerReferences"][0], "name": metadata["name"], "uid": metadata["uid"]}
        job["metadata"] = {
            **manifest["metadata"], "name": name, "namespace": self._namespace, "ownerReferences": [owner]
        }  # fmt: skip
        return client.V1Job.model_validate(job)


async def main() -> None:
    """Print seconds, CPU seconds and peak memory as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("namespace")
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0, help="number of the first deployment")
    parser.add_argument("--in-flight", type=int, default=50)
    parser.add_argument("--only-create", action="store_true", help="deployments alone: the operator does the rest")
    parser.add_argument("--seen-running", action="store_true", help="also the writes that tell of running stages")
    arguments = parser.parse_args()
    await config.load_kube_config(os.environ["KUBECONFIG"])
    async with client.ApiClient() as api:
        bare = BareClient(api, arguments.namespace, planned_writes(arguments.seen_running))

        async def create(number: int) -> None:
            await bare.create(arguments.first + number)

        started = time.monotonic()
        await in_flight(arguments.in_flight, create if arguments.only_create else bare.work_through, arguments.count)
        seconds = time.monotonic() - started
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cost = {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "peakMegabytes": usage.ru_maxrss / 1e3}
    json.dump(cost, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main())
