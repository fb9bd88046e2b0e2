"""A dev cluster whose Jobs end at once, for `bench_operator.py`: no scheduler, no kubelet, no process per pod.

A Job that comes gets its pod, already succeeded, with the answer of the tests' fake stage, and is complete: what a
cluster with instant stages would show, at the least cost for the API server that is shared with what is measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "operator")]
os.environ.setdefault("FAKE_STAGE_CONTROL", os.devnull)

from e2e import fake_stage

from dms_operator.devcluster.__main__ import configuration, parse_arguments, serve
from dms_operator.devcluster.cluster import DevCluster
from dms_operator.devcluster.controllers.job import JobCleaner, JobController, new_pod
from dms_operator.devcluster.controllers.loop import Controller, Key
from dms_operator.devcluster.controllers.meta import Object, find_condition, name, rfc3339, utc_now
from dms_operator.devcluster.controllers.scheduler import Scheduler

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
        """One pod, one status of the pod, one status of the Job."""
        job = self.client.get("jobs", *key)
        if job is None or find_condition(job.get("status") or {}, "Complete"):
            return None
        now = rfc3339(utc_now())
        wanted = dict(new_pod(job))
        wanted["metadata"] = {field: value for field, value in wanted["metadata"].items() if field != "finalizers"}
        pod = self.client.create("pods", key[0], wanted)
        self.client.update_status("pods", {**pod, "status": ended(pod, now)})
        condition = {"status": "True", "lastProbeTime": now, "lastTransitionTime": now}
        status = {
            "startTime": now,
            "completionTime": now,
            "succeeded": 1,
            "conditions": [{"type": "SuccessCriteriaMet", **condition}, {"type": "Complete", **condition}],
            "uncountedTerminatedPods": {},
        }
        self.client.update_status("jobs", {**job, "status": status})
        return None


def _controllers(cluster: DevCluster, original: Any = DevCluster._controllers) -> list[Controller]:
    others = [one for one in original(cluster) if not isinstance(one, REPLACED)]
    return [InstantJobs(cluster.client), *others]


if __name__ == "__main__":
    DevCluster._controllers = _controllers  # type: ignore[method-assign]
    given = parse_arguments(sys.argv[1:])
    asyncio.run(serve(configuration(given, given.data_dir), given.ready_file))
