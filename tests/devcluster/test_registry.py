"""Semantics that the recordings do not show, or that need objects in a certain state."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster.running import existing, namespace
from devcluster.widgets import definition, widget
from dms_operator.devcluster.client import LocalClient
from dms_operator.devcluster.errors import ApiError
from dms_operator.devcluster.names import generate, name_problems
from dms_operator.devcluster.registry import Registry
from dms_operator.devcluster.resources import Resources
from dms_operator.devcluster.storage import Store


@pytest.fixture
def client() -> LocalClient:
    client = LocalClient(Registry(Store(), Resources()))
    client.create("namespaces", None, namespace("default"))
    return client


def _pod(name: str = "p", **spec: Any) -> dict[str, Any]:
    containers = [{"name": "c", "image": "i:1"}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": containers, **spec}}


def test_a_running_pod_is_marked_and_ends_when_its_kubelet_says_so(client: LocalClient) -> None:
    client.create("pods", "default", _pod(nodeName="n", terminationGracePeriodSeconds=7))
    marked = client.delete("pods", "default", "p")
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 7
    assert client.get("pods", "default", "p") is not None
    client.delete("pods", "default", "p", grace=0)
    assert client.get("pods", "default", "p") is None


def test_a_pod_that_runs_nowhere_goes_at_once(client: LocalClient) -> None:
    client.create("pods", "default", _pod())
    client.delete("pods", "default", "p")
    assert client.get("pods", "default", "p") is None


def test_a_shorter_grace_shortens_a_deletion_and_a_longer_one_does_not(client: LocalClient) -> None:
    client.create("pods", "default", _pod(nodeName="n"))
    client.delete("pods", "default", "p", grace=20)
    assert client.delete("pods", "default", "p", grace=5)["metadata"]["deletionGracePeriodSeconds"] == 5
    assert client.delete("pods", "default", "p", grace=30)["metadata"]["deletionGracePeriodSeconds"] == 5


def test_a_pods_spec_is_fixed_but_for_images(client: LocalClient) -> None:
    client.create("pods", "default", _pod())
    patch = {"spec": {"hostNetwork": True}}
    with pytest.raises(ApiError, match="pod updates may not change fields"):
        client.patch("pods", "default", "p", patch)


def test_limits_are_requests_when_no_requests_are_given(client: LocalClient) -> None:
    limits = {"cpu": "1", "memory": "1Gi", "dms.edge/qcs8255": "1"}
    containers = [{"name": "c", "image": "i:1", "resources": {"limits": limits}}]
    pod = client.create("pods", "default", _pod(containers=containers))
    assert pod["spec"]["containers"][0]["resources"]["requests"] == limits
    assert pod["status"]["qosClass"] == "Guaranteed"


def test_jobs_deleted_without_a_policy_leave_their_pods(client: LocalClient) -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"template": template}}
    client.create("jobs", "default", job)
    assert client.delete("jobs", "default", "j")["metadata"]["finalizers"] == ["orphan"]


def test_a_job_that_restarts_always_is_refused(client: LocalClient) -> None:
    template = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"template": template}}
    with pytest.raises(ApiError, match="restartPolicy"):
        client.create("jobs", "default", job)


def test_nothing_is_created_in_a_namespace_that_ends(client: LocalClient) -> None:
    client.delete("namespaces", None, "default")
    with pytest.raises(ApiError) as refusal:
        client.create("pods", "default", _pod())
    assert refusal.value.details is not None
    assert (refusal.value.code, refusal.value.details["causes"][0]["reason"]) == (403, "NamespaceTerminating")


def test_a_namespace_is_gone_when_its_finalizer_is(client: LocalClient) -> None:
    ending = client.delete("namespaces", None, "default")
    assert ending is not None and ending["status"]["phase"] == "Terminating"
    client.patch("namespaces", None, "default", {"spec": {"finalizers": []}}, "finalize")
    assert client.get("namespaces", None, "default") is None


def test_a_definition_takes_its_objects_along_and_waits_for_their_finalizers(client: LocalClient) -> None:
    client.create("customresourcedefinitions", None, definition())
    client.create("widgets", "default", widget("a"))
    client.create("widgets", "default", widget("b", finalizers=["demo.example/f"]))
    client.delete("customresourcedefinitions", None, "widgets.demo.example")
    assert [one["metadata"]["name"] for one in client.list("widgets.demo.example")] == ["b"]
    client.patch("widgets", "default", "b", {"metadata": {"finalizers": None}})
    assert client.get("customresourcedefinitions", None, "widgets.demo.example") is None
    with pytest.raises(KeyError):
        client.list("widgets")


def test_an_error_that_was_there_before_does_not_block_a_change_elsewhere(client: LocalClient) -> None:
    crd = definition()
    client.create("customresourcedefinitions", None, crd)
    client.create("widgets", "default", widget("a", size=4))
    size = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["size"]
    size["maximum"] = 3
    live = existing(client, "customresourcedefinitions", None, "widgets.demo.example")
    client.update("customresourcedefinitions", {**live, "spec": {**live["spec"], "versions": crd["spec"]["versions"]}})
    client.patch("widgets", "default", "a", {"metadata": {"labels": {"x": "y"}}})
    with pytest.raises(ApiError, match="less than or equal to 3"):
        client.patch("widgets", "default", "a", {"spec": {"size": 5}})


def test_stored_objects_are_not_changed_by_later_writes(client: LocalClient) -> None:
    client.create("customresourcedefinitions", None, definition())
    before = client.create("widgets", "default", widget("a"))
    client.patch("widgets", "default", "a", {"spec": {"size": 2}, "metadata": {"labels": {"x": "y"}}})
    assert (before["spec"]["size"], "labels" in before["metadata"]) == (1, False)


def test_events_are_the_same_objects_in_both_groups(client: LocalClient) -> None:
    event = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "e"},
        "regarding": {"kind": "Pod", "name": "p", "namespace": "default"},
        "note": "hello",
        "reportingController": "x",
        "reason": "R",
        "type": "Normal",
    }
    created = client.create("events.events.k8s.io", "default", event)
    assert created["note"] == "hello"
    stored = existing(client, "events", "default", "e")
    assert (stored["apiVersion"], stored["message"], stored["involvedObject"]["name"]) == ("v1", "hello", "p")


@given(st.from_regex(r"\A[a-z]([-a-z0-9]{0,60}[a-z0-9])?\Z"))
def test_a_generated_name_is_a_valid_label(prefix: str) -> None:
    assert name_problems("namespaces", generate(prefix)) == []


@pytest.mark.parametrize(
    "broken",
    [
        {"spec": "text"},
        {"spec": {"containers": "text"}},
        {"spec": {"containers": [{"name": "c", "image": 1}]}},
        {"spec": {"containers": [{"name": "c", "image": "i", "resources": {"limits": []}}]}},
        {"spec": {}},
        {"metadata": {"name": "p", "labels": {"a": 1}}},
        {"metadata": {"name": "p", "labels": []}},
        {"metadata": {"name": 1}},
        {"metadata": {"name": "p", "finalizers": "f"}},
    ],
    ids=str,
)
def test_an_object_of_wrong_shape_is_refused_and_breaks_nothing(client: LocalClient, broken: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as refusal:
        client.create("pods", "default", {**_pod(), **broken})
    assert refusal.value.code in (400, 422)
    assert client.list("pods") == []


@pytest.mark.parametrize("patch", [{"spec": None}, {"metadata": {"labels": {"a": 1}}}, {"spec": {"containers": 1}}])
def test_a_patch_into_a_wrong_shape_is_refused(client: LocalClient, patch: dict[str, Any]) -> None:
    before = client.create("pods", "default", _pod())
    with pytest.raises(ApiError) as refusal:
        client.patch("pods", "default", "p", patch)
    assert refusal.value.code in (400, 422)
    assert client.get("pods", "default", "p") == before


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("2026-01-02T03:04:05.678901+00:00", "2026-01-02T03:04:05.678901Z"),
        ("2026-01-02T05:04:05+02:00", "2026-01-02T03:04:05.000000Z"),
        ("2026-01-02T03:04:05.678901Z", "2026-01-02T03:04:05.678901Z"),
    ],
)
def test_times_are_stored_as_go_prints_them(client: LocalClient, written: str, stored: str) -> None:
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "l"},
        "spec": {"holderIdentity": "x", "renewTime": written},
    }
    created = client.create("leases", "default", lease)
    assert created["spec"]["renewTime"] == stored
    python = created["metadata"]["creationTimestamp"].replace("Z", "+00:00")
    sent_back = {**created, "metadata": {**created["metadata"], "creationTimestamp": python}}
    assert client.update("leases", sent_back) == created, "the same moment is no change"


def test_the_default_of_a_custom_status_is_there_from_the_start(client: LocalClient) -> None:
    """A server fills defaults in whenever it reads an object, and a client cannot create one with a status."""
    body = definition()
    status = body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    status |= {"default": {"observedGeneration": -1}}
    status["properties"] = {**status.get("properties", {}), "observedGeneration": {"type": "integer"}}
    client.create("customresourcedefinitions", None, body)
    created = client.create("widgets", "default", {**widget("w"), "status": {"observedGeneration": 7}})
    assert created["status"]["observedGeneration"] == -1
