"""A cluster in memory that behaves like the API server for the few calls of the operator, and writes them down."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import jsonpatch

from dms_operator.controller.caches import ObjectCache, ObjectName, Raw
from dms_operator.controller.kube import CONFLICT, ApiError


def merged(value: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for name, part in patch.items():
        if part is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), part)
    return result


def relist(cache: ObjectCache, bodies: Iterable[Raw]) -> None:
    """Let a cache catch up with all there is."""
    listing = cache.listing(None)
    listing.page(bodies)
    listing.finish(1 << 62)


def _check_version(body: Raw, version: str) -> None:
    if body["metadata"]["resourceVersion"] != version:
        raise ApiError(CONFLICT, "Conflict", "the object has been modified")


@dataclass
class RecordingCluster:
    """`calls` holds every call in order; `faults` maps the name of a call to the error that it raises once."""

    calls: list[str] = field(default_factory=list)
    faults: dict[str, ApiError] = field(default_factory=dict)
    deployments: dict[ObjectName, dict[str, Any]] = field(default_factory=dict)
    jobs: dict[ObjectName, dict[str, Any]] = field(default_factory=dict)
    pods: list[dict[str, Any]] = field(default_factory=list)
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    version: int = 1000

    @property
    def writes(self) -> list[str]:
        return [call for call in self.calls if not call.startswith(("node ", "pods_of_job "))]

    def stamp(self, body: dict[str, Any]) -> dict[str, Any]:
        """Give an object the next resource version."""
        self.version += 1
        body["metadata"]["resourceVersion"] = str(self.version)
        return body

    def put_deployment(self, body: dict[str, Any]) -> dict[str, Any]:
        """As `kubectl apply` would."""
        self.deployments[ObjectName.of(body)] = self.stamp(deepcopy(body))
        return deepcopy(self.deployments[ObjectName.of(body)])

    async def create_job(self, manifest: Raw) -> Raw:
        name = ObjectName.of(manifest)
        self._called("create_job", name.name)
        if name not in self.jobs:
            job = self.stamp(deepcopy(dict(manifest)))
            job["metadata"]["uid"] = f"uid-{self.version}"
            self.jobs[name] = {**job, "status": {}}
        return deepcopy(self.jobs[name])

    async def delete_job(self, job: Raw, *, after_pods: bool = False) -> None:
        name = ObjectName.of(job)
        self._called("delete_job", name.name)
        if name in self.jobs:
            _check_version(self.jobs[name], job["metadata"]["resourceVersion"])
            del self.jobs[name]

    async def patch_status(self, name: ObjectName, patch: Raw, version: str) -> Raw:
        self._called("patch_status", name.name)
        body = self.deployments[name]
        _check_version(body, version)
        status = merged(body.get("status") or {}, patch)
        if status != body.get("status"):
            self.deployments[name] = self.stamp({**body, "status": status})
        return deepcopy(self.deployments[name])

    async def set_finalizers(self, name: ObjectName, finalizers: list[str], version: str) -> Raw | None:
        self._called("set_finalizers", f"{name.name} {','.join(finalizers)}")
        body = self.deployments.get(name)
        if body is None:
            return None
        _check_version(body, version)
        if not finalizers and "deletionTimestamp" in body["metadata"]:
            return self.deployments.pop(name)
        metadata = {**body["metadata"], "finalizers": finalizers}
        self.deployments[name] = self.stamp({**body, "metadata": metadata})
        return deepcopy(self.deployments[name])

    async def node(self, name: str) -> Raw | None:
        self._called("node", name)
        return deepcopy(self.nodes.get(name))

    async def patch_node_status(self, name: str, patch: list[dict[str, Any]], version: str) -> Raw | None:
        self._called("patch_node_status", name)
        if name not in self.nodes:
            return None
        _check_version(self.nodes[name], version)
        self.nodes[name] = self.stamp(jsonpatch.apply_patch(self.nodes[name], patch))
        return deepcopy(self.nodes[name])

    async def label_node(self, name: str, labels: Mapping[str, str | None], version: str) -> Raw | None:
        self._called("label_node", f"{name} {','.join(f'{key}={value}' for key, value in labels.items())}")
        if name not in self.nodes:
            return None
        _check_version(self.nodes[name], version)
        self.nodes[name] = self.stamp(merged(self.nodes[name], {"metadata": {"labels": dict(labels)}}))
        return deepcopy(self.nodes[name])

    async def pods_of_job(self, name: ObjectName) -> list[Raw]:
        self._called("pods_of_job", name.name)
        return [pod for pod in self.pods if pod["metadata"]["ownerReferences"][0]["name"] == name.name]

    async def post_event(self, event: Raw) -> None:
        self._called("post_event", event["reason"])
        self.events[event["metadata"]["name"]] = dict(event)

    def _called(self, call: str, about: str) -> None:
        self.calls.append(f"{call} {about}")
        if (fault := self.faults.pop(call, None)) is not None:
            raise fault
