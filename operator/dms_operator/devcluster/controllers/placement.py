"""Where a pod fits: the filters and the message of kube-scheduler, as pure functions.

Filters run in the scheduler's order; the first that refuses a node gives its reasons. Spreading, inter-pod affinity,
ports and preemption are left out: a pod waits until there is room.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import reduce

from .meta import Object, labels, matches, name
from .quantity import Resources, add, largest, parse_resources

_TAIL = "no new claims to deallocate, preemption:"
_UNHELPFUL = "Preemption is not helpful for scheduling"
_NO_VICTIMS = "No preemption victims found for incoming pod"


@dataclass(frozen=True)
class Room:
    """A node with what the pods on it have asked for so far."""

    node: Object
    used: Resources = field(default_factory=dict)
    pods: int = 0

    @property
    def allocatable(self) -> Resources:
        """What the node offers."""
        return parse_resources((self.node.get("status") or {}).get("allocatable"))

    def with_pod(self, pod: Object) -> Room:
        """Return the room after this pod has moved in."""
        return Room(self.node, add(self.used, requests(pod)), self.pods + 1)


@dataclass(frozen=True)
class Refusal:
    """Why a node does not take a pod; `lasting` when no other pod's end would change that."""

    reasons: tuple[str, ...]
    lasting: bool


@dataclass(frozen=True)
class Placement:
    """The chosen node, or the message that says why there is none."""

    node: str | None
    message: str = ""


def requests(pod: Object) -> Resources:
    """Return what a pod asks for: the sum over containers, or the largest init container where that is more."""
    spec = pod["spec"]
    running = reduce(add, map(_container_requests, spec["containers"]), Resources())
    starting = reduce(largest, map(_container_requests, spec.get("initContainers") or []), Resources())
    return largest(running, starting)


def _container_requests(container: Object) -> Resources:
    resources = container.get("resources") or {}
    return parse_resources({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def rooms(nodes: Iterable[Object], pods: Iterable[Object]) -> list[Room]:
    """Return each node with the requests of the unfinished pods that are bound to it."""
    found = {name(node): Room(node) for node in nodes}
    for pod in pods:
        home = pod["spec"].get("nodeName")
        if home in found and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
            found[home] = found[home].with_pod(pod)
    return list(found.values())


def place(pod: Object, candidates: Sequence[Room]) -> Placement:
    """Choose the node for a pod: of those that fit, the best score, then the first by name."""
    refusals = {name(room.node): refuse(pod, room) for room in candidates}
    fitting = [room for room in candidates if refusals[name(room.node)] is None]
    if fitting:
        best = min(fitting, key=lambda room: (-score(pod, room), name(room.node)))
        return Placement(name(best.node))
    return Placement(None, _message([refusal for refusal in refusals.values() if refusal]))


def refuse(pod: Object, room: Room) -> Refusal | None:
    """Return why the pod may not run on the node; None if it may."""
    spec, node = pod["spec"], room.node
    if (node.get("spec") or {}).get("unschedulable") and not _tolerates_unschedulable(spec):
        return Refusal(("node(s) were unschedulable",), True)
    if untolerated_taint(spec.get("tolerations") or [], (node.get("spec") or {}).get("taints") or []):
        return Refusal(("node(s) had untolerated taint(s)",), True)  # kubernetes/kubernetes#134740
    if not matches_node_affinity(spec, node):
        return Refusal(("node(s) didn't match Pod's node affinity/selector",), True)
    return _resource_refusal(pod, room)


def _tolerates_unschedulable(spec: Object) -> bool:
    taint = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    return any(tolerates(toleration, taint) for toleration in spec.get("tolerations") or [])


def untolerated_taint(tolerations: Sequence[Object], taints: Sequence[Object]) -> Object | None:
    """Return the first NoSchedule or NoExecute taint that nothing tolerates."""
    for taint in taints:
        hard = taint["effect"] in ("NoSchedule", "NoExecute")
        if hard and not any(tolerates(toleration, taint) for toleration in tolerations):
            return taint
    return None


def tolerates(toleration: Object, taint: Object) -> bool:
    """Tell whether a toleration covers a taint; an empty key or effect covers all."""
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")


def matches_node_affinity(spec: Object, node: Object) -> bool:
    """Evaluate nodeSelector and the required node affinity."""
    selector, own = spec.get("nodeSelector") or {}, labels(node)
    if any(own.get(key) != value for key, value in selector.items()):
        return False
    required = _node_affinity(spec).get("requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or any(_matches_term(term, node) for term in required["nodeSelectorTerms"])


def _node_affinity(spec: Object) -> Object:
    return dict((spec.get("affinity") or {}).get("nodeAffinity") or {})


def _matches_term(term: Object, node: Object) -> bool:
    expressions, fields = term.get("matchExpressions") or [], term.get("matchFields") or []
    if not expressions and not fields:
        return False
    by_label = all(matches(expression, labels(node)) for expression in expressions)
    return by_label and all(matches(expression, {"metadata.name": name(node)}) for expression in fields)


def _resource_refusal(pod: Object, room: Room) -> Refusal | None:
    allocatable, reasons, lasting = room.allocatable, [], False
    limit = allocatable.get("pods")
    if limit is not None and room.pods + 1 > limit:
        reasons.append("Too many pods")
    for resource, amount in requests(pod).items():
        offered = allocatable.get(resource, Decimal(0))
        if amount > offered - room.used.get(resource, Decimal(0)) and amount > 0:
            reasons.append(f"Insufficient {resource}")
            lasting = lasting or amount > offered
    return Refusal(tuple(reasons), lasting) if reasons else None


def score(pod: Object, room: Room) -> Decimal:
    """Prefer what the pod prefers, then the node with most cpu and memory left (0 to 1 each)."""
    preferences = _node_affinity(pod["spec"]).get("preferredDuringSchedulingIgnoredDuringExecution") or []
    wished = sum(item["weight"] for item in preferences if _matches_term(item["preference"], room.node))
    allocatable, used = room.allocatable, add(room.used, requests(pod))
    free = [
        (allocatable[key] - used.get(key, Decimal(0))) / allocatable[key]
        for key in ("cpu", "memory")
        if allocatable.get(key)
    ]
    return Decimal(wished) + sum(free, Decimal(0)) / 2


def _message(refusals: Sequence[Refusal]) -> str:
    if not refusals:
        return "no nodes available to schedule pods"
    reasons = Counter(reason for refusal in refusals for reason in refusal.reasons)
    preemption = Counter(_UNHELPFUL if refusal.lasting else _NO_VICTIMS for refusal in refusals)
    head = f"0/{len(refusals)} nodes are available:"
    return f"{head} {_histogram(reasons)}. {_TAIL} {head} {_histogram(preemption)}."


def _histogram(counts: Counter[str]) -> str:
    return ", ".join(sorted(f"{count} {text}" for text, count in counts.items()))
