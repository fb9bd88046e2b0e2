"""The promises of the design's section 11, checked on every change that the API server tells. Pure but for memory."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from dms_operator.api.labels import MANAGER, RECIPE_DIGEST
from fault_suite.vehicle_promises import VehiclePromises

Event = dict[str, Any]
_DONE = "Succeeded"


class Promises:
    """Told every watch event in order; `violations` is empty as long as all promises are kept."""

    def __init__(self) -> None:
        self.violations: list[str] = []
        self._vehicles = VehiclePromises(self.violations)
        self.events = 0
        self._live: dict[str, dict[str, str]] = defaultdict(dict)
        self._finished: dict[str, tuple[int, frozenset[str]]] = {}
        self._generation: dict[str, int] = {}

    def job_changed(self, event: Event) -> None:
        """At most one live Job per deployment and recipe, and every Job has an owner."""
        self.events += 1
        metadata = event["object"]["metadata"]
        owners = metadata.get("ownerReferences") or []
        if len(owners) != 1:
            self.violations.append(f"Job {metadata['name']} has {len(owners)} owners")
            return
        live = self._live[f"{owners[0]['uid']}/{metadata['annotations'][RECIPE_DIGEST]}"]
        lives = event["type"] != "DELETED" and not _has_ended(event["object"])
        self._vehicles.job_changed(event["object"], owners[0]["uid"], lives=lives)
        if not lives:
            live.pop(metadata["uid"], None)
            return
        live[metadata["uid"]] = metadata["name"]
        if len(live) > 1:
            self.violations.append(f"two live Jobs of one recipe: {', '.join(sorted(live.values()))}")

    def deployment_changed(self, event: Event) -> None:
        """Within a generation nothing that had succeeded is forgotten; no generation goes back."""
        self.events += 1
        metadata, status = event["object"]["metadata"], event["object"].get("status") or {}
        if event["type"] == "DELETED" or not status:
            return
        uid, generation = metadata["uid"], status.get("observedGeneration") or 0
        before = self._finished.get(uid, (-1, frozenset()))
        if generation < before[0]:
            self.violations.append(f"{metadata['name']}: observedGeneration went from {before[0]} to {generation}")
        now = frozenset(stage["recipe"] for stage in status.get("stages") or [] if stage["state"] == _DONE)
        if generation == before[0] and not before[1] <= now:
            self.violations.append(f"{metadata['name']}: {len(before[1] - now)} succeeded stages were forgotten")
        self._finished[uid] = (generation, now)
        for target in status.get("targets") or []:
            self._target_seen(metadata["name"], target)

    def _target_seen(self, name: str, target: Event) -> None:
        """No failed gate advances."""
        chosen = [each for each in target.get("candidates") or [] if each["variant"] == target.get("variant")]
        missed = [gate["name"] for each in chosen for gate in each.get("gates") or [] if gate["outcome"] != "Pass"]
        if target.get("state") == "Ready" and (missed or not chosen):
            self.violations.append(f"{name}: {target['name']} is ready though {', '.join(missed) or 'nothing'} failed")

    def asked(self, entry: Event) -> None:
        """Nothing but the operator's own Jobs is deleted (an entry of the API server's audit log)."""
        about = entry["objectRef"]
        is_ours = about["resource"] == "jobs" and about["name"].startswith("driver-")
        if entry["userAgent"] == MANAGER and entry["verb"].startswith("delete") and not is_ours:
            self.violations.append(f"the operator deleted {about['resource']} {about['name']}")


def _has_ended(job: dict[str, Any]) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or []
    ended = any(one["type"] in ("Complete", "Failed") and one["status"] == "True" for one in conditions)
    return ended or "deletionTimestamp" in job["metadata"]


_TIMES = ("lastTransitionTime", "startedAt", "finishedAt")
_MILESTONES = ("reachedAt", "progressedAt")
"""Times of a rollout, which no two runs share: but one that has a wave's vehicles has them in every run."""
_PAST = ("history", "previous", "proven")
_CIRCUMSTANCES = (*_TIMES, *_PAST, "attempts", "job", "handledRetry", "node", "observedGeneration")


def essence(value: Any) -> Any:
    """A status without times and without the traces of how it came about.

    One that failed keeps the revision that an earlier spec had reached, as it should.
    """
    if isinstance(value, dict):
        past = ("revision",) if value.get("phase") == "Failed" else ()
        kept = {key: item for key, item in value.items() if key not in (*_CIRCUMSTANCES, *past)}
        return {key: item is not None if key in _MILESTONES else essence(item) for key, item in kept.items()}
    return [essence(item) for item in value] if isinstance(value, list) else value


_ABSENT = "absent"


def differences(one: Any, other: Any, path: str = "status") -> Iterator[str]:
    """Where two values differ, each place with both values."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            yield from differences(one.get(key, _ABSENT), other.get(key, _ABSENT), f"{path}.{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, pair in enumerate(zip(one, other, strict=True)):
            yield from differences(*pair, f"{path}[{place}]")
    elif one != other:
        yield f"{path} is {one!r:.200} instead of {other!r:.200}"
