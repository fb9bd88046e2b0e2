from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from devcluster.recordings import exchange, stored_objects, widget_version
from dms_operator.devcluster.human import human_duration
from dms_operator.devcluster.jsonpath import JSONPathError, json_path
from dms_operator.devcluster.resources import ResourceInfo
from dms_operator.devcluster.table import render

NOW = datetime(2026, 11, 22, 21, 54, 42, tzinfo=UTC)
WIDGETS = ResourceInfo(
    group="demo.example",
    version="v1",
    plural="widgets",
    kind="Widget",
    custom=True,
    columns=widget_version()["additionalPrinterColumns"],
)


def info(plural: str, kind: str, group: str = "") -> ResourceInfo:
    return ResourceInfo(group=group, version="v1", plural=plural, kind=kind)


def state_of(shown: Any) -> Any:
    """The recorded object that a row shows, in the version that it shows."""
    wanted = shown["metadata"]["uid"], shown["metadata"]["resourceVersion"]
    versions = [each for each in stored_objects() if each["metadata"].get("uid") == wanted[0]]
    exact = [each for each in versions if each["metadata"].get("resourceVersion") == wanted[1]]
    return (exact or versions)[-1]


def without_ages(resource: ResourceInfo, table: Any) -> list[Any]:
    """The cells of a table but those that tell the time since something."""
    times = ("Age", "Last Seen", "First Seen")
    keep = [index for index, each in enumerate(table["columnDefinitions"]) if each["name"] not in times]
    return [[row["cells"][index] for index in keep] for row in table["rows"]]


@pytest.mark.parametrize(
    ("recording", "note", "resource"),
    [
        ("02", "table of namespaces", info("namespaces", "Namespace")),
        ("07", "table", WIDGETS),
        ("07", "table of one", WIDGETS),
        ("10", "events table", info("events", "Event")),
        ("10", "node table", info("nodes", "Node")),
        ("11", "job table", info("jobs", "Job", "batch")),
        ("11", "pod table", info("pods", "Pod")),
    ],
)
def test_a_table_shows_what_the_real_server_shows(recording: str, note: str, resource: ResourceInfo) -> None:
    want = exchange(recording, note)["response"]["body"]
    objects = [state_of(row["object"]) for row in want["rows"]]
    table = render(resource, objects, metadata=want["metadata"], now=NOW)
    assert {name: value for name, value in table.items() if name != "rows"} == {
        name: value for name, value in want.items() if name != "rows"
    }
    assert without_ages(resource, table) == without_ages(resource, want)
    assert [row["object"]["kind"] for row in table["rows"]] == [row["object"]["kind"] for row in want["rows"]]


@pytest.mark.parametrize(
    ("include", "expected"), [("None", None), ("Metadata", "PartialObjectMetadata"), ("Object", "Widget")]
)
def test_rows_carry_as_much_of_the_object_as_asked_for(include: str, expected: str | None) -> None:
    widget = {"kind": "Widget", "metadata": {"name": "w"}, "spec": {}}
    row = render(WIDGETS, [widget], include)["rows"][0]
    assert row.get("object", {}).get("kind") == expected


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (135, "2m15s"),
        (599, "9m59s"),
        (605, "10m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"),
        (7 * 3600 + 1800, "7h30m"),
        (8 * 3600 + 1800, "8h"),
        (47 * 3600, "47h"),
        (50 * 3600, "2d2h"),
        (8 * 86400 + 3600, "8d"),
        (2 * 365 * 86400 + 86400, "2y1d"),
        (9 * 365 * 86400, "9y"),
    ],
)
def test_ages_are_rounded_as_kubectl_does(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


COLUMN_VALUES = {
    "text": "a",
    "count": 3,
    "flag": True,
    "rate": 1.5,
    "whole": 2.0,
    "list": [1, {"a": "b"}],
    "since": "2026-11-22T21:49:42Z",
}


@pytest.mark.parametrize(
    ("kind", "field", "cell"),
    [
        ("string", "text", "a"),
        ("string", "count", "3"),
        ("string", "flag", "true"),
        ("string", "rate", "1.5"),
        ("string", "list", '[1,{"a":"b"}]'),
        ("string", "missing", None),
        ("integer", "count", 3),
        ("integer", "whole", 2),
        ("integer", "text", None),
        ("number", "rate", 1.5),
        ("number", "flag", None),
        ("boolean", "flag", True),
        ("boolean", "text", None),
        ("date", "since", "5m"),
        ("date", "text", "<invalid>"),
        ("date", "missing", None),
    ],
)
def test_a_column_shows_its_value_in_its_type(kind: str, field: str, cell: Any) -> None:
    columns = [{"name": "C", "type": kind, "jsonPath": f".status.{field}"}]
    resource = ResourceInfo(group="g.example", version="v1", plural="ws", kind="W", custom=True, columns=columns)
    table = render(resource, [{"metadata": {"name": "w"}, "status": COLUMN_VALUES}], now=NOW)
    assert table["rows"][0]["cells"] == ["w", cell]


def test_a_definition_without_columns_shows_the_age() -> None:
    resource = ResourceInfo(group="g.example", version="v1", plural="ws", kind="W", custom=True)
    table = render(resource, [{"metadata": {"name": "w", "creationTimestamp": "2026-11-22T21:54:40Z"}}], now=NOW)
    assert [each["name"] for each in table["columnDefinitions"]] == ["Name", "Age"]
    assert table["rows"][0]["cells"] == ["w", "2s"]


VALUE = {"a": {"b.c/d": 1}, "list": [{"type": "X", "v": 1}, {"type": "Ready", "v": 2}], "n": [{"i": 1}, {"i": 2}]}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".a.b\\.c/d", [1]),
        (".a['b.c/d']", [1]),
        (".list[0].v", [1]),
        (".list[-1].v", [2]),
        (".list[5].v", []),
        (".list[*].v", [1, 2]),
        ('.list[?(@.type=="Ready")].v', [2]),
        (".list[?(@.type!='Ready')].v", [1]),
        (".n[?(@.i==2)].i", [2]),
        ("{.list[0].type}", ["X"]),
        (".missing.deep", []),
        (".a[0]", []),
    ],
)
def test_simple_json_paths(path: str, found: list[Any]) -> None:
    assert json_path(path)(VALUE) == found


@pytest.mark.parametrize("path", ["a", ".a[", "..a", ".a[?(@)]"])
def test_other_json_paths_are_refused(path: str) -> None:
    with pytest.raises(JSONPathError):
        json_path(path)


def cells(resource: ResourceInfo, **obj: Any) -> dict[str, Any]:
    metadata = {"name": "x", "creationTimestamp": "2026-11-22T21:53:42Z", **obj.pop("metadata", {})}
    table = render(resource, [{"metadata": metadata, **obj}], now=NOW)
    names = [each["name"] for each in table["columnDefinitions"]]
    return dict(zip(names, table["rows"][0]["cells"], strict=True))


def container(restarts: int = 0, ready: bool = False, last: Any = None, **state: Any) -> dict[str, Any]:
    status = {"name": "c", "ready": ready, "restartCount": restarts, "state": state}
    return {**status, "lastState": {"terminated": last}} if last else status


RUNNING = container(ready=True, running={})


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ({"phase": "Pending"}, "Pending"),
        ({"phase": "Running", "containerStatuses": [RUNNING]}, "Running"),
        ({"phase": "Failed", "reason": "Evicted"}, "Evicted"),
        (
            {"phase": "Pending", "containerStatuses": [container(waiting={"reason": "ImagePullBackOff"})]},
            "ImagePullBackOff",
        ),
        (
            {"phase": "Running", "containerStatuses": [container(waiting={"reason": "CrashLoopBackOff"})]},
            "CrashLoopBackOff",
        ),
        (
            {"phase": "Succeeded", "containerStatuses": [container(terminated={"reason": "Completed", "exitCode": 0})]},
            "Completed",
        ),
        (
            {"phase": "Failed", "containerStatuses": [container(terminated={"reason": "OOMKilled", "exitCode": 137})]},
            "OOMKilled",
        ),
        ({"phase": "Failed", "containerStatuses": [container(terminated={"exitCode": 3})]}, "ExitCode:3"),
        ({"phase": "Failed", "containerStatuses": [container(terminated={"signal": 9, "exitCode": 137})]}, "Signal:9"),
        ({"phase": "Pending", "initContainerStatuses": [container(running={})]}, "Init:0/1"),
        (
            {"phase": "Pending", "initContainerStatuses": [container(terminated={"exitCode": 1, "reason": "Error"})]},
            "Init:Error",
        ),
        (
            {"phase": "Pending", "initContainerStatuses": [container(waiting={"reason": "ErrImagePull"})]},
            "Init:ErrImagePull",
        ),
        ({"phase": "Pending", "initContainerStatuses": [container(waiting={"reason": "PodInitializing"})]}, "Init:0/1"),
        (
            {"phase": "Running", "containerStatuses": [RUNNING, container(terminated={"reason": "Completed"})]},
            "NotReady",
        ),
        (
            {
                "phase": "Pending",
                "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}],
            },
            "SchedulingGated",
        ),
    ],
)
def test_the_status_of_a_pod_says_why_it_does_not_run(status: Any, shown: str) -> None:
    spec = {"containers": [{"name": "c"}], "initContainers": [{"name": "i"}]}
    pod = {"spec": spec, "status": status}
    assert cells(info("pods", "Pod"), **pod)["Status"] == shown
    deleted = cells(info("pods", "Pod"), metadata={"deletionTimestamp": "2026-11-22T21:54:42Z"}, **pod)["Status"]
    assert deleted == (shown if status["phase"] in ("Succeeded", "Failed") else "Terminating")


def test_restarts_tell_when_the_last_one_was() -> None:
    statuses = [container(restarts=2, last={"finishedAt": "2026-11-22T21:54:12Z"}, ready=True, running={})]
    pod = cells(
        info("pods", "Pod"), spec={"containers": [{}]}, status={"phase": "Running", "containerStatuses": statuses}
    )
    assert (pod["Ready"], pod["Restarts"], pod["Age"]) == ("1/1", "2 (30s ago)", "60s")


@pytest.mark.parametrize(
    ("condition", "shown"),
    [
        ("Complete", "Complete"),
        ("Failed", "Failed"),
        ("Suspended", "Suspended"),
        ("FailureTarget", "FailureTarget"),
        (None, "Running"),
    ],
)
def test_the_status_of_a_job(condition: str | None, shown: str) -> None:
    conditions = [{"type": condition, "status": "True"}] if condition else []
    job = cells(info("jobs", "Job", "batch"), spec={"completions": 1}, status={"conditions": conditions})
    assert (job["Status"], job["Completions"], job["Duration"]) == (shown, "0/1", "")


def test_the_status_of_a_node() -> None:
    status = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
        "nodeInfo": {"kubeletVersion": "v1.36.0"},
    }
    labels = {"node-role.kubernetes.io/board": "", "other": "x"}
    node = cells(info("nodes", "Node"), metadata={"labels": labels}, spec={"unschedulable": True}, status=status)
    assert node["Status"] == "Ready,SchedulingDisabled"
    assert (node["Roles"], node["Version"], node["Internal-IP"]) == ("board", "v1.36.0", "10.0.0.1")


@pytest.mark.parametrize(
    ("resource", "obj", "shown"),
    [
        (info("configmaps", "ConfigMap"), {"data": {"a": "1"}, "binaryData": {"b": "Yg=="}}, {"Data": 2}),
        (info("secrets", "Secret"), {"type": "Opaque", "data": {"a": "MQ=="}}, {"Type": "Opaque", "Data": 1}),
        (info("leases", "Lease", "coordination.k8s.io"), {"spec": {"holderIdentity": "me"}}, {"Holder": "me"}),
        (info("serviceaccounts", "ServiceAccount"), {}, {"Secrets": 0}),
        (
            info("deployments", "Deployment", "apps"),
            {"spec": {"replicas": 2}, "status": {"readyReplicas": 1, "updatedReplicas": 2}},
            {"Ready": "1/2", "Up-to-date": 2, "Available": 0},
        ),
        (
            info("services", "Service"),
            {"spec": {"clusterIP": "10.0.0.9", "ports": [{"port": 80, "protocol": "TCP"}], "selector": {"a": "b"}}},
            {"Type": "ClusterIP", "Cluster-IP": "10.0.0.9", "Port(s)": "80/TCP", "Selector": "a=b"},
        ),
        (
            info("customresourcedefinitions", "CustomResourceDefinition", "apiextensions.k8s.io"),
            {},
            {"Created At": "2026-11-22T21:53:42Z"},
        ),
        (info("roles", "Role", "rbac.authorization.k8s.io"), {}, {"Name": "x"}),
    ],
)
def test_other_kinds_show_what_matters(resource: ResourceInfo, obj: Any, shown: dict[str, Any]) -> None:
    assert cells(resource, **obj).items() >= shown.items()
