"""Which failed pods of a Job count, and how long the next one waits (podFailurePolicy, backoff)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from .meta import Object, is_deleted, name, namespace, parse_time


@dataclass(frozen=True)
class Backoff:
    """Exponential waiting, in seconds. The defaults are those of the Job controller of Kubernetes."""

    initial: float = 10.0
    limit: float = 600.0

    def delay(self, failures: int) -> float:
        """Return how long to wait after this many failures in a row."""
        if failures == 0:
            return 0.0
        return float(min(self.initial * 2.0 ** min(failures - 1, 62), self.limit))


@dataclass(frozen=True)
class Verdict:
    """What podFailurePolicy says of one failed pod: Count, Ignore or FailJob, with its message."""

    action: str = "Count"
    message: str = ""


def is_succeeded(pod: Object) -> bool:
    """Tell whether the pod ended well."""
    return phase(pod) == "Succeeded"


def is_failed(pod: Object, job: Object) -> bool:
    """Tell whether a pod is a failure; a terminating one is, unless only ended ones are to be replaced."""
    if phase(pod) == "Failed":
        return True
    if job["spec"].get("podReplacementPolicy") == "Failed":
        return False
    return is_deleted(pod) and not is_succeeded(pod)


def phase(pod: Object) -> str:
    """Return status.phase; a pod that has none yet is Pending."""
    return str((pod.get("status") or {}).get("phase") or "Pending")


def judge(job: Object, pod: Object) -> Verdict:
    """Apply the first matching rule of spec.podFailurePolicy to a failed pod."""
    rules = (job["spec"].get("podFailurePolicy") or {}).get("rules") or []
    for index, rule in enumerate(rules):
        reason = _exit_code_match(rule, pod) or _condition_match(rule, pod)
        if reason:
            return Verdict(rule["action"], f"{reason} matching {rule['action']} rule at index {index}")
    return Verdict()


def _exit_code_match(rule: Object, pod: Object) -> str | None:
    requirement = rule.get("onExitCodes")
    if not requirement:
        return None
    for status in container_statuses(pod):
        code = ((status.get("state") or {}).get("terminated") or {}).get("exitCode")
        if not code or requirement.get("containerName") not in (None, status["name"]):
            continue
        if (code in requirement["values"]) == (requirement["operator"] == "In"):
            return f"Container {status['name']} for pod {namespace(pod)}/{name(pod)} failed with exit code {code}"
    return None


def _condition_match(rule: Object, pod: Object) -> str | None:
    conditions = (pod.get("status") or {}).get("conditions") or []
    for wanted in rule.get("onPodConditions") or []:
        expected = (wanted["type"], wanted.get("status", "True"))
        if any((found["type"], found["status"]) == expected for found in conditions):
            return f"Pod {namespace(pod)}/{name(pod)} has condition {wanted['type']}"
    return None


def container_statuses(pod: Object) -> list[Object]:
    """Return the statuses of init containers and containers."""
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def restarts_exceeded(job: Object, pods: Sequence[Object]) -> bool:
    """Tell whether restarts inside pods (restartPolicy OnFailure) used up the backoff limit."""
    spec = job["spec"]
    if spec["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    living = [pod for pod in pods if phase(pod) in ("Running", "Pending")]
    restarts = sum(status.get("restartCount", 0) for pod in living for status in container_statuses(pod))
    limit = int(spec["backoffLimit"])
    return bool(restarts > 0) if limit == 0 else bool(restarts >= limit)


def finish_time(pod: Object) -> datetime:
    """Return when a pod ended: its last container's end, else its deletion, else its creation."""
    ends = [
        ((status.get("state") or {}).get("terminated") or {}).get("finishedAt") for status in container_statuses(pod)
    ]
    if ends and all(ends):
        return max(parse_time(str(end)) for end in ends)
    metadata = pod["metadata"]
    return parse_time(metadata.get("deletionTimestamp") or metadata["creationTimestamp"])


def remaining_backoff(job: Object, pods: Sequence[Object], now: datetime, backoff: Backoff) -> float:
    """Return the seconds before the next pod may be created, by the failures since the last success."""
    successes = [finish_time(pod) for pod in pods if is_succeeded(pod)]
    failures = [finish_time(pod) for pod in pods if not is_succeeded(pod) and is_failed(pod, job)]
    recent = [moment for moment in failures if not successes or moment > max(successes)]
    if not recent:
        return 0.0
    due = max(recent) + timedelta(seconds=backoff.delay(len(recent)))
    return max(0.0, (due - now).total_seconds())
