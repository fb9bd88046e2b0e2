"""Columns and rows of the built-in kinds, as `kubectl get` shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from dms_operator.devcluster.human import age, between
from dms_operator.devcluster.table_pods import pod_cells

Object = Mapping[str, Any]
Cells = Callable[[Object, datetime], list[Any]]


class Layout(NamedTuple):
    """Names of the columns (those after `|` are wide), and what makes a row."""

    columns: str
    cells: Cells


def name_of(obj: Object) -> str:
    """The name of an object."""
    return str(obj["metadata"]["name"])


def age_of(obj: Object, now: datetime) -> str:
    """How long ago the object was created."""
    return age(obj["metadata"].get("creationTimestamp"), now)


def _job(job: Object, now: datetime) -> list[Any]:
    spec, status = job["spec"], job.get("status", {})
    parallel = spec.get("parallelism", 1)
    wanted = spec.get("completions", f"1 of {parallel}" if parallel > 1 else 1)
    start = status.get("startTime")
    duration = between(start, status.get("completionTime"), now) if start else ""
    done = f"{status.get('succeeded', 0)}/{wanted}"
    return [name_of(job), job_state(job), done, duration, age_of(job, now), *_pods_of(spec)]


def job_state(job: Object) -> str:
    """The STATUS column of a job."""
    true = {each["type"] for each in job.get("status", {}).get("conditions") or () if each["status"] == "True"}
    ended = next((kind for kind in ("Complete", "Failed") if kind in true), "")
    if ended:
        return ended
    if job["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return next((kind for kind in ("Suspended", "FailureTarget", "SuccessCriteriaMet") if kind in true), "Running")


def _pods_of(spec: Object) -> list[str]:
    containers = spec.get("template", {}).get("spec", {}).get("containers", ())
    names, images = (",".join(each.get(word, "") for each in containers) for word in ("name", "image"))
    return [names, images, _selector(spec.get("selector"))]


def _selector(selector: Object | None) -> str:
    if not selector:
        return "<none>"
    terms = _pairs(selector.get("matchLabels") or {})
    for each in selector.get("matchExpressions") or ():
        values = f" ({','.join(sorted(each.get('values') or ()))})" if each.get("values") else ""
        terms.append(f"{each['key']} {each['operator'].lower()}{values}")
    return ",".join(terms) or "<none>"


def _pairs(labels: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in sorted(labels.items())]


def _node(node: Object, now: datetime) -> list[Any]:
    info = node.get("status", {}).get("nodeInfo", {})
    return [
        name_of(node),
        node_state(node),
        ",".join(_roles(node["metadata"].get("labels") or {})) or "<none>",
        age_of(node, now),
        info.get("kubeletVersion", ""),
        _address(node, "InternalIP"),
        _address(node, "ExternalIP"),
        info.get("osImage") or "<unknown>",
        info.get("kernelVersion") or "<unknown>",
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


def node_state(node: Object) -> str:
    """The STATUS column of a node."""
    conditions = node.get("status", {}).get("conditions") or ()
    ready = [each["status"] == "True" for each in conditions if each["type"] == "Ready"]
    state = "Unknown" if not ready else "Ready" if ready[0] else "NotReady"
    return state + (",SchedulingDisabled" if node.get("spec", {}).get("unschedulable") else "")


def _roles(labels: Mapping[str, str]) -> list[str]:
    prefix = "node-role.kubernetes.io/"
    roles = {label.removeprefix(prefix) for label in labels if label.startswith(prefix)}
    return sorted(role for role in (*roles, labels.get("kubernetes.io/role", "")) if role)


def _address(node: Object, kind: str) -> str:
    addresses = node.get("status", {}).get("addresses") or ()
    return next((each["address"] for each in addresses if each["type"] == kind), "<none>")


def _event(event: Object, now: datetime) -> list[Any]:
    series, about = event.get("series") or {}, event.get("involvedObject") or event.get("regarding") or {}
    first = event.get("firstTimestamp") or event.get("deprecatedFirstTimestamp") or event.get("eventTime")
    last = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("deprecatedLastTimestamp")
    source = event.get("source") or event.get("deprecatedSource") or {}
    component = source.get("component") or event.get("reportingComponent") or event.get("reportingController", "")
    host = source.get("host") or event.get("reportingInstance", "")
    return [
        age(last or first, now),
        event.get("type", ""),
        event.get("reason", ""),
        f"{about.get('kind', '').lower()}/{about.get('name', '')}",
        about.get("fieldPath", ""),
        ", ".join(text for text in (component, host) if text),
        (event.get("message") or event.get("note", "")).strip(),
        age(first, now),
        series.get("count") or event.get("count") or event.get("deprecatedCount") or 1,
        name_of(event),
    ]


def _deployment(deployment: Object, now: datetime) -> list[Any]:
    spec, status = deployment["spec"], deployment.get("status", {})
    return [
        name_of(deployment),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        age_of(deployment, now),
        *_pods_of(spec),
    ]


def _replica_set(replicas: Object, now: datetime) -> list[Any]:
    spec, status = replicas["spec"], replicas.get("status", {})
    counts = [spec.get("replicas", 1), status.get("replicas", 0), status.get("readyReplicas", 0)]
    return [name_of(replicas), *counts, age_of(replicas, now), *_pods_of(spec)]


def _service(service: Object, now: datetime) -> list[Any]:
    spec = service["spec"]
    ports = [_port(port) for port in spec.get("ports") or ()]
    return [
        name_of(service),
        spec.get("type", "ClusterIP"),
        spec.get("clusterIP") or "<none>",
        spec.get("externalName") or ",".join(spec.get("externalIPs") or ()) or "<none>",
        ",".join(ports) or "<none>",
        age_of(service, now),
        ",".join(_pairs(spec.get("selector") or {})) or "<none>",
    ]


def _port(port: Object) -> str:
    exposed = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port['port']}{exposed}/{port.get('protocol', 'TCP')}"


def _size(*fields: str) -> Callable[[Object], int]:
    return lambda obj: sum(len(obj.get(field) or ()) for field in fields)


def _simple(*values: Callable[[Object], Any]) -> Cells:
    """Name, these values, age."""
    return lambda obj, now: [name_of(obj), *(value(obj) for value in values), age_of(obj, now)]


def _definition(crd: Object, now: datetime) -> list[Any]:
    return [name_of(crd), crd["metadata"].get("creationTimestamp")]


_PODS_OF = "|Containers|Images|Selector"
_EVENTS = Layout("Last Seen,Type,Reason,Object|Subobject|Source,Message|First Seen|Count|Name", _event)
LAYOUTS: dict[tuple[str, str], Layout] = {
    ("", "configmaps"): Layout("Name,Data,Age", _simple(_size("data", "binaryData"))),
    ("", "events"): _EVENTS,
    ("", "namespaces"): Layout("Name,Status,Age", _simple(lambda obj: obj.get("status", {}).get("phase", ""))),
    ("", "nodes"): Layout(
        "Name,Status,Roles,Age,Version|Internal-IP|External-IP|OS-Image|Kernel-Version|Container-Runtime",
        _node,
    ),
    ("", "pods"): Layout("Name,Ready,Status,Restarts,Age|IP|Node|Nominated Node|Readiness Gates", pod_cells),
    ("", "secrets"): Layout("Name,Type,Data,Age", _simple(lambda obj: obj.get("type", ""), _size("data"))),
    ("", "serviceaccounts"): Layout("Name,Secrets,Age", _simple(_size("secrets"))),
    ("", "services"): Layout("Name,Type,Cluster-IP,External-IP,Port(s),Age|Selector", _service),
    ("apiextensions.k8s.io", "customresourcedefinitions"): Layout("Name,Created At", _definition),
    ("apps", "deployments"): Layout(f"Name,Ready,Up-to-date,Available,Age{_PODS_OF}", _deployment),
    ("apps", "replicasets"): Layout(f"Name,Desired,Current,Ready,Age{_PODS_OF}", _replica_set),
    ("batch", "jobs"): Layout(f"Name,Status,Completions,Duration,Age{_PODS_OF}", _job),
    ("coordination.k8s.io", "leases"): Layout(
        "Name,Holder,Age", _simple(lambda obj: obj.get("spec", {}).get("holderIdentity", ""))
    ),
    ("events.k8s.io", "events"): _EVENTS,
}
OTHERS = Layout("Name,Age", lambda obj, now: [name_of(obj), age_of(obj, now)])


def column_names(columns: str) -> Iterable[tuple[str, int]]:
    """Name and priority (1 = only wide) of each column of a layout."""
    for part in columns.replace("|", ",|").split(","):
        yield part.removeprefix("|"), int(part.startswith("|"))
