"""The caches: newest version wins, lists replace, only what is read is kept."""

from collections.abc import Iterable
from typing import Any

from dms_operator.controller.caches import (
    Caches,
    ObjectCache,
    ObjectName,
    cut_deployment,
    cut_job,
    cut_node,
    cut_pod,
)


def _object(name: str, version: int, *, uid: str = "", namespace: str = "ns", **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "uid": uid or f"uid-{name}", "resourceVersion": str(version)}
    return {"metadata": {**metadata, **more.pop("metadata", {})}, **more}


def _job(name: str, version: int, owner: str = "deployment-uid", **more: Any) -> dict[str, Any]:
    reference = {"kind": "DMSModelDeployment", "name": "dms", "uid": owner, "controller": True}
    return _object(name, version, metadata={"ownerReferences": [reference]}, **more)


def _pod(name: str, version: int, job: str) -> dict[str, Any]:
    reference = {"kind": "Job", "name": job, "uid": f"uid-{job}", "controller": True}
    return _object(name, version, metadata={"ownerReferences": [reference]}, status={"phase": "Running"})


def _names(bodies: Iterable[Any]) -> list[str]:
    return sorted(body["metadata"]["name"] for body in bodies)


def test_an_older_version_that_arrives_late_changes_nothing() -> None:
    cache = ObjectCache(cut_job)
    assert cache.put(_job("a", 9, status={"failed": 1}))
    assert not cache.put(_job("a", 7, status={}))
    found = cache.get(ObjectName("ns", "a"))
    assert found and found["status"] == {"failed": 1}


def test_a_new_version_without_a_change_that_we_read_counts_as_no_change() -> None:
    cache = ObjectCache(cut_node)
    node = {"capacity": {"cpu": "4", "dms.edge/qcs8255": "1"}}
    ready = {"type": "Ready", "status": "True"}
    assert cache.put(_object("node", 1, status={**node, "conditions": [{**ready, "lastHeartbeatTime": "then"}]}))
    assert not cache.put(_object("node", 2, status={**node, "conditions": [{**ready, "lastHeartbeatTime": "now"}]}))
    assert cache.put(_object("node", 3, status={"capacity": {"cpu": "4"}}))


def test_the_deletion_of_an_earlier_object_of_the_same_name_is_ignored() -> None:
    cache = ObjectCache(cut_job)
    cache.put(_job("a", 5) | {"status": {}})
    new = _object("a", 8, uid="new")
    cache.put(new)
    assert not cache.drop(_job("a", 6))
    assert cache.drop(new)
    assert cache.get(ObjectName("ns", "a")) is None


def test_a_list_removes_what_it_does_not_hold_in_its_namespace_only() -> None:
    cache = ObjectCache(cut_job)
    for name, namespace in (("kept", "ns"), ("gone", "ns"), ("elsewhere", "other")):
        cache.put(_object(name, 1, namespace=namespace))
    listing = cache.listing("ns")
    came = listing.page([_object("kept", 1)]) + listing.page([_object("new", 2)])
    assert _names(came) == ["new"]
    assert _names(listing.finish(2)) == ["gone"]
    assert _names(cache.values()) == ["elsewhere", "kept", "new"]


def test_a_list_of_all_namespaces_removes_everywhere() -> None:
    cache = ObjectCache(cut_job)
    cache.put(_object("elsewhere", 1, namespace="other"))
    cache.listing(None).finish(1)
    assert len(cache) == 0


def test_what_came_into_being_after_a_list_was_made_stays() -> None:
    cache = ObjectCache(cut_job)
    cache.put(_job("ours", 7))
    assert cache.listing(None).finish(6) == []
    assert _names(cache.listing(None).finish(7)) == ["ours"]


def test_a_late_answer_about_an_object_that_is_gone_does_not_bring_it_back() -> None:
    cache = ObjectCache(cut_job)
    cache.put(_job("a", 1))
    cache.drop(_job("a", 3))
    assert not cache.put(_job("a", 2))
    cache.put(_job("b", 2))
    cache.listing(None).finish(4)
    assert not cache.put(_job("b", 2))
    assert len(cache) == 0
    assert cache.put(_object("b", 5, uid="a new one"))


def test_an_object_that_lost_its_label_comes_back_when_we_are_shown_it() -> None:
    cache = ObjectCache(cut_job)
    cache.put(_job("a", 1))
    cache.drop(_job("a", 3))
    assert cache.put(_job("a", 3))
    cache.put(_job("b", 1))
    cache.listing(None).finish(9)
    assert cache.put(_job("b", 3))


def test_what_a_reader_does_with_an_object_changes_nothing_for_others() -> None:
    cache = ObjectCache(cut_job)
    cache.put(_job("a", 1, status={"failed": 1}))
    mine = cache.get(ObjectName("ns", "a"))
    assert mine
    mine["status"]["failed"] = 2
    assert cache.owned_by("deployment-uid")[0]["status"] == {"failed": 1}


def test_a_mark_is_gone_as_soon_as_its_object_changes() -> None:
    cache, name = ObjectCache(cut_job), ObjectName("ns", "a")
    cache.put(_job("a", 1))
    cache.mark(name)
    assert cache.is_marked(name)
    cache.put(_job("a", 2, status={"failed": 1}))
    assert not cache.is_marked(name)


def test_a_deletion_of_ours_is_known_until_the_watch_tells_of_it() -> None:
    cache, name = ObjectCache(cut_job), ObjectName("ns", "a")
    cache.put(_job("a", 1))
    cache.amend(name, deletionTimestamp="now")
    found = cache.get(name)
    assert found and found["metadata"]["deletionTimestamp"] == "now"
    assert not cache.put(_job("a", 1)), "an old event does not undo it"


def test_an_object_that_changed_hands_is_found_by_its_new_owner_alone() -> None:
    cache = ObjectCache(cut_job)
    cache.put(_job("a", 1, owner="one"))
    cache.put(_job("a", 2, owner="other"))
    assert cache.owned_by("one") == []
    assert len(cache.owned_by("other")) == 1


def test_jobs_are_found_by_their_owner_until_they_are_gone() -> None:
    cache = ObjectCache(cut_job)
    cache.put(_job("b", 1))
    cache.put(_job("a", 2))
    cache.put(_job("foreign", 3, owner="other"))
    assert [job["metadata"]["name"] for job in cache.owned_by("deployment-uid")] == ["a", "b"]
    cache.drop(_job("a", 4))
    cache.drop(_job("b", 4))
    assert cache.owned_by("deployment-uid") == []


def test_a_pod_leads_to_its_deployment_through_its_job() -> None:
    caches = Caches()
    pod = _pod("pod", 2, job="job")
    assert caches.deployment_of(pod) is None
    caches.jobs.put(_job("job", 1))
    assert caches.deployment_of(pod) == ObjectName("ns", "dms")


def test_what_is_not_read_is_not_kept() -> None:
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": "long", "dms.edge/retry": "1"}
    deployment = cut_deployment(
        _object("d", 1, metadata={"annotations": annotations, "managedFields": ["long"]}, spec={"targets": []})
    )
    assert deployment["metadata"]["annotations"] == {"dms.edge/retry": "1"}
    assert "managedFields" not in deployment["metadata"]
    assert deployment["spec"] == {"targets": []}
    assert "spec" not in cut_job(_job("j", 1, spec={"template": "long"}))
    board = {"dms.edge/board": "qcs8255"}
    spec = {"containers": [{"name": "stage", "env": ["long"]}], "nodeName": "n", "nodeSelector": {**board, "a": "b"}}
    assert cut_pod(_object("p", 1, spec=spec))["spec"] == {"nodeName": "n", "nodeSelector": board}


def test_of_owners_conditions_and_ends_of_containers_only_what_is_read_is_kept() -> None:
    owner = {"kind": "Job", "name": "j", "uid": "u", "controller": True}
    other = {"kind": "ConfigMap", "name": "c", "uid": "v"}
    metadata = {"ownerReferences": [other, {**owner, "apiVersion": "batch/v1", "blockOwnerDeletion": True}]}
    failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "tried twice"}
    conditions = [{"type": "FailureTarget", "status": "True"}, {**failed, "lastProbeTime": "now"}]
    job = cut_job(_object("j", 1, metadata=metadata, status={"conditions": conditions}))
    assert (job["metadata"]["ownerReferences"], job["status"]["conditions"]) == ([owner], [failed])
    end = {"exitCode": 1, "reason": "Error", "message": "{}"}
    state = {"terminated": {**end, "startedAt": "then", "containerID": "long"}}
    container = {"name": "stage", "image": "i", "state": state, "imageID": "long"}
    pod = cut_pod(_object("p", 1, status={"containerStatuses": [container]}))
    assert pod["status"]["containerStatuses"] == [{"name": "stage", "image": "i", "state": {"terminated": end}}]


def test_cutting_leaves_the_original_whole() -> None:
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": "long"}
    original = _object("d", 1, metadata={"annotations": annotations})
    cut_deployment(original)
    assert original["metadata"]["annotations"] == annotations
