"""kubernetes.aio, as the operator uses it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from kubernetes.aio import client, config, watch
from kubernetes.aio.client.exceptions import ApiException

from devcluster.running import Running
from devcluster.widgets import GROUP, PLURAL, VERSION, definition, widget

WHERE = (GROUP, VERSION, "default", PLURAL)
JOB = client.V1Job.model_validate(
    {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "one", "labels": {"app": "x"}},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}},
    }
)


def body(answer: object) -> dict[str, Any]:
    """A custom object or a list of them, which the client gives without a type."""
    assert isinstance(answer, dict)
    return answer


@pytest.fixture
async def api(cluster: Running) -> AsyncIterator[client.ApiClient]:
    cluster.client.create("customresourcedefinitions", None, definition())
    configuration = client.Configuration()
    await config.load_kube_config(str(cluster.kubeconfig), client_configuration=configuration)
    async with client.ApiClient(configuration) as api_client:
        yield api_client


async def test_a_job_is_created_listed_and_deleted(api: client.ApiClient) -> None:
    batch = client.BatchV1Api(api)
    created = await batch.create_namespaced_job("default", JOB)
    assert created.spec is not None and created.spec.backoff_limit == 6
    listed = await batch.list_namespaced_job("default", label_selector="app=x")
    assert [job.metadata and job.metadata.name for job in listed.items] == ["one"]
    await batch.delete_namespaced_job("one", "default", propagation_policy="Background")
    assert not (await batch.list_namespaced_job("default")).items


async def test_an_existing_name_is_a_conflict(api: client.ApiClient) -> None:
    batch = client.BatchV1Api(api)
    await batch.create_namespaced_job("default", JOB)
    with pytest.raises(ApiException) as refusal:
        await batch.create_namespaced_job("default", JOB)
    assert (refusal.value.status, refusal.value.reason) == (409, "Conflict")


async def test_a_watch_goes_on_from_the_version_of_a_list(api: client.ApiClient) -> None:
    custom = client.CustomObjectsApi(api)
    await custom.create_namespaced_custom_object(*WHERE, widget("before"))
    listed = body(await custom.list_namespaced_custom_object(*WHERE))
    seen = []

    async def follow() -> None:
        async with watch.Watch() as stream:
            version = listed["metadata"]["resourceVersion"]
            async for event in stream.stream(
                custom.list_namespaced_custom_object, *WHERE, resource_version=version, timeout_seconds=30
            ):
                seen.append((event["type"], event["object"]["metadata"]["name"]))
                if event["type"] == "DELETED":
                    return

    follower = asyncio.create_task(follow())
    await custom.create_namespaced_custom_object(*WHERE, widget("after"))
    await custom.delete_namespaced_custom_object(*WHERE, "after")
    await asyncio.wait_for(follower, 20)
    assert seen == [("ADDED", "after"), ("DELETED", "after")]


async def test_a_json_patch_tests_the_version(api: client.ApiClient) -> None:
    custom = client.CustomObjectsApi(api)
    created = body(await custom.create_namespaced_custom_object(*WHERE, widget("a")))
    patch = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": created["metadata"]["resourceVersion"]},
        {"op": "add", "path": "/metadata/finalizers", "value": ["demo.example/f"]},
    ]
    content_type = "application/json-patch+json"
    patched = body(await custom.patch_namespaced_custom_object(*WHERE, "a", patch, _content_type=content_type))
    assert patched["metadata"]["finalizers"] == ["demo.example/f"]
    with pytest.raises(ApiException) as refusal:
        await custom.patch_namespaced_custom_object(*WHERE, "a", patch, _content_type=content_type)
    assert refusal.value.status == 422


async def test_status_is_replaced_apart_from_the_spec(api: client.ApiClient) -> None:
    custom = client.CustomObjectsApi(api)
    created = body(await custom.create_namespaced_custom_object(*WHERE, widget("a", size=2)))
    changed = {**created, "spec": {"size": 3}, "status": {"phase": "Ready"}}
    replaced = body(await custom.replace_namespaced_custom_object_status(*WHERE, "a", changed))
    assert (replaced["spec"]["size"], replaced["status"], replaced["metadata"]["generation"]) == (
        2,
        {"phase": "Ready"},
        1,
    )
    with pytest.raises(ApiException) as refusal:
        await custom.replace_namespaced_custom_object_status(*WHERE, "a", changed)
    assert refusal.value.status == 409
