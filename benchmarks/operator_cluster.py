"""A dev cluster whose Jobs end at once, for `bench_operator.py`: no scheduler, no kubelet, no process per pod.

A Job that comes gets its pod, already succeeded, with the answer of the tests' fake stage, and is complete: what a
cluster with instant stages would show, at the least cost for the API server that is shared with what is measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "operator")]
os.environ.setdefault("FAKE_STAGE_CONTROL", os.devnull)
os.environ.setdefault("DMS_FLEET_FOLDER", tempfile.mkdtemp(prefix="bench-fleet-"))

from dms_operator.devcluster.__main__ import configuration, parse_arguments, serve  # noqa: E402
from dms_operator.devcluster.cluster import DevCluster  # noqa: E402
from dms_operator.devcluster.controllers.job import JobCleaner, JobController, new_pod  # noqa: E402
from dms_operator.devcluster.controllers.loop import Controller, Key  # noqa: E402
from dms_operator.devcluster.controllers.meta import Object, find_condition, name, rfc3339, utc_now  # noqa: E402
from dms_operator.devcluster.controllers.scheduler import Scheduler  # noqa: E402
from e2e import fake_stage  # noqa: E402

REPLACED = (JobController, JobCleaner, Scheduler)


def answer(pod: Any) -> str:
    """The termination message of a stage pod."""
    request = json.loads(pod["spec"]["containers"][0]["env"][0]["value"])
    return json.dumps(fake_stage.answer(request, {}))


def ended(pod: Any, now: str) -> dict[str, Any]:
    """The status of a pod whose stage succeeded at once."""
    terminated = {"exitCode": 0, "reason": "Completed", "message": answer(pod), "startedAt": now, "finishedAt": now}
    container = {"name": "stage", "image": "fake", "imageID": "", "ready": False, "restartCount": 0}
    return {
        "phase": "Succeeded",
        "startTime": now,
        "containerStatuses": [{**container, "state": {"terminated": terminated}}],
    }


class InstantJobs(Controller):
    """Completes every Job that comes. Keys: (namespace, job)."""

    watched = ("jobs",)

    def keys(self, change: str, resource: str, obj: Object) -> Iterable[Key]:
        """Jobs that have not ended."""
        done = change == "DELETED" or find_condition(obj.get("status") or {}, "Complete")
        return [] if done else [(obj["metadata"]["namespace"], name(obj))]

    def reconcile(self, key: Key) -> float | None:
        """One pod and one status of the Job, put into the store as they are: they are not what is measured."""
        job = self.client.get("jobs", *key)
        if job is None or find_condition(job.get("status") or {}, "Complete"):
            return None
        now = rfc3339(utc_now())
        self._put("pods", self._pod(job, now))
        condition = {"status": "True", "lastProbeTime": now, "lastTransitionTime": now}
        status = {
            "startTime": now,
            "completionTime": now,
            "succeeded": 1,
            "conditions": [{"type": "SuccessCriteriaMet", **condition}, {"type": "Complete", **condition}],
            "uncountedTerminatedPods": {},
        }
        self._put("jobs.batch", {**job, "metadata": dict(job["metadata"]), "status": status})
        return None

    def _pod(self, job: Object, now: str) -> dict[str, Any]:
        pod = dict(new_pod(job))
        metadata = {key: value for key, value in pod["metadata"].items() if key not in ("finalizers", "generateName")}
        own = {"name": f"{name(job)}-{uuid4().hex[:5]}", "uid": str(uuid4()), "creationTimestamp": now}
        return {**pod, "metadata": {**metadata, **own}, "status": ended(pod, now)}

    def _put(self, resource: str, obj: dict[str, Any]) -> None:
        self.client.registry.store.put(resource, obj)


def _controllers(cluster: DevCluster, original: Any = DevCluster._controllers) -> list[Controller]:
    others = [one for one in original(cluster) if not isinstance(one, REPLACED)]
    return [InstantJobs(cluster.client), *others]


if __name__ == "__main__":
    given = parse_arguments(sys.argv[1:])
    with patch.object(DevCluster, "_controllers", _controllers):
        asyncio.run(serve(configuration(given, given.data_dir), given.ready_file))
