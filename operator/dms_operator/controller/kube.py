"""What the operator asks of the Kubernetes API: few calls, each harmless when repeated."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import aiohttp
import orjson

from ..api.labels import API_VERSION, PLURAL
from .caches import ObjectName, Raw
from .connection import Connection

CONFLICT, NOT_FOUND, GONE, TOO_MANY_REQUESTS, UNPROCESSABLE = 409, 404, 410, 429, 422
NOT_LEADING = "NotLeading"
_EVENT_TRIES = 3
"""Events are hints: one that others count up at the same moment so often is left to them."""
_JSON = "application/json"
_MERGE = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"


class ApiError(Exception):
    """The API server refused a request; `code` is the HTTP status (0: no answer), `reason` its CamelCase word."""

    def __init__(self, code: int, reason: str, message: str, retry_after: float = 0.0) -> None:
        super().__init__(f"{reason} ({code}): {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.retry_after = retry_after
        """Seconds that the server asks us to wait."""

    @property
    def is_refusal(self) -> bool:
        """Whether the same request would be refused again: invalid, forbidden, over quota."""
        return 400 <= self.code < 500 and self.code not in (
            CONFLICT,
            NOT_FOUND,
            GONE,
            TOO_MANY_REQUESTS,
            401,
            408,
        )


class Cluster(Protocol):
    """The writes (and two rare reads) that a reconcile needs. All raise ApiError."""

    async def create_job(self, manifest: Raw) -> Raw:
        """Create a Job; one of that name that exists already is returned instead."""

    async def delete_job(self, job: Raw, *, after_pods: bool = False) -> None:
        """Delete this very Job if it is still what is given (409 otherwise), and its pods; one that is gone is success.

        Its pods may outlive it unless `after_pods`.
        """

    async def patch_status(self, name: ObjectName, patch: Raw, version: str) -> Raw:
        """Merge-patch a deployment's status if it still has this resource version (409 otherwise)."""

    async def set_finalizers(self, name: ObjectName, finalizers: list[str], version: str) -> Raw | None:
        """Replace a deployment's finalizers if it still has this resource version (409); None when it is gone."""

    async def node(self, name: str) -> Raw | None:
        """A node, asked for live; None when it is gone."""

    async def patch_node_status(self, name: str, patch: list[dict[str, Any]], version: str) -> Raw | None:
        """JSON-patch a node's status if it still has this resource version (409); None when the node is gone."""

    async def label_node(self, name: str, labels: Mapping[str, str | None], version: str) -> Raw | None:
        """Set labels of a node (None: remove) if it still has this resource version (409); None when it is gone."""

    async def pods_of_job(self, name: ObjectName) -> list[Raw]:
        """Pods of a Job, asked for live."""

    async def post_event(self, event: Raw) -> None:
        """Post an event; the same event (by name) posted again is counted up."""


class Kube:
    """`Cluster` over HTTP."""

    def __init__(self, connection: Connection, may_write: Callable[[], bool] = lambda: True) -> None:
        """`may_write` is asked before each write: an operator that does not lead writes nothing."""
        self._connection = connection
        self._may_write = may_write

    async def create_job(self, manifest: Raw) -> Raw:
        """As Cluster says."""
        name = ObjectName.of(manifest)
        try:
            return await self._call("POST", _jobs(name.namespace), body=manifest)
        except ApiError as error:
            if error.code != CONFLICT:
                raise
        return await self._call("GET", _jobs(name.namespace, name.name))

    async def delete_job(self, job: Raw, *, after_pods: bool = False) -> None:
        """As Cluster says."""
        name, seen = ObjectName.of(job), job["metadata"]
        options = {
            "propagationPolicy": "Foreground" if after_pods else "Background",
            "preconditions": {"uid": seen["uid"], "resourceVersion": seen["resourceVersion"]},
        }
        await self._call("DELETE", _jobs(name.namespace, name.name), accept=(NOT_FOUND,), body=options)

    async def patch_status(self, name: ObjectName, patch: Raw, version: str) -> Raw:
        """As Cluster says."""
        body = {"metadata": {"resourceVersion": version}, "status": patch}
        return await self._patch(f"{deployments_path(name.namespace)}/{name.name}/status", body, _MERGE)

    async def set_finalizers(self, name: ObjectName, finalizers: list[str], version: str) -> Raw | None:
        """As Cluster says."""
        body = {"metadata": {"resourceVersion": version, "finalizers": finalizers}}
        path = f"{deployments_path(name.namespace)}/{name.name}"
        answer = await self._patch(path, body, _MERGE, accept=(NOT_FOUND,))
        return answer if "metadata" in answer and "uid" in answer["metadata"] else None

    async def node(self, name: str) -> Raw | None:
        """As Cluster says."""
        answer = await self._call("GET", f"/api/v1/nodes/{name}", accept=(NOT_FOUND,))
        return answer if answer.get("kind") == "Node" else None

    async def patch_node_status(self, name: str, patch: list[dict[str, Any]], version: str) -> Raw | None:
        """As Cluster says."""
        decided_upon = {"op": "replace", "path": "/metadata/resourceVersion", "value": version}
        body = [decided_upon, *patch]
        answer = await self._patch(f"/api/v1/nodes/{name}/status", body, _JSON_PATCH, accept=(NOT_FOUND,))
        return answer if answer.get("kind") == "Node" else None

    async def label_node(self, name: str, labels: Mapping[str, str | None], version: str) -> Raw | None:
        """As Cluster says. The status subresource of a node takes metadata, too: no right on nodes is needed."""
        patch = {"metadata": {"resourceVersion": version, "labels": dict(labels)}}
        answer = await self._patch(f"/api/v1/nodes/{name}/status", patch, _MERGE, accept=(NOT_FOUND,))
        return answer if answer.get("kind") == "Node" else None

    async def pods_of_job(self, name: ObjectName) -> list[Raw]:
        """As Cluster says."""
        selector = {"labelSelector": f"batch.kubernetes.io/job-name={name.name}"}
        answer = await self._call("GET", f"/api/v1/namespaces/{name.namespace}/pods", params=selector)
        return list(answer["items"])

    async def post_event(self, event: Raw) -> None:
        """As Cluster says. Of two who count it up at once, one counts again what the other has made of it."""
        tries = 0
        while True:
            tries += 1
            try:
                return await self._post_or_count(event)
            except ApiError as error:
                if error.code not in (CONFLICT, NOT_FOUND) or tries == _EVENT_TRIES:
                    raise

    async def _post_or_count(self, event: Raw) -> None:
        """Raises ApiError of 409 when others counted meanwhile, of 404 when it expired meanwhile."""
        name = ObjectName.of(event)
        path = f"/api/v1/namespaces/{name.namespace}/events"
        try:
            await self._call("POST", path, body=event)
        except ApiError as error:
            if error.code != CONFLICT:
                raise
            posted = await self._call("GET", f"{path}/{name.name}")
            again = {"count": (posted.get("count") or 1) + 1, "lastTimestamp": event["lastTimestamp"]}
            version = {"resourceVersion": posted["metadata"]["resourceVersion"]}
            await self._patch(f"{path}/{name.name}", {"metadata": version, **again}, _MERGE)

    async def all_nodes(self) -> list[Raw]:
        """All nodes, in pages: asked for once, at start, to find those whose board label went while we were away."""
        nodes: list[Raw] = []
        page = {"limit": "500"}
        while True:
            answer = await self._call("GET", "/api/v1/nodes", params=page)
            nodes += answer["items"]
            if not answer["metadata"].get("continue"):
                return nodes
            page["continue"] = answer["metadata"]["continue"]

    async def serves_deployments(self) -> bool:
        """Whether the custom resource definition is installed."""
        answer = await self._call("GET", f"/apis/{API_VERSION}", accept=(NOT_FOUND,))
        return any(resource["name"] == PLURAL for resource in answer.get("resources", []))

    async def _patch(self, path: str, body: Any, kind: str, accept: tuple[int, ...] = ()) -> Raw:
        return await self._call("PATCH", path, accept, body=body, kind=kind)

    async def _call(
        self, method: str, path: str, accept: tuple[int, ...] = (), body: Any = None, kind: str = _JSON, **options: Any
    ) -> Raw:
        if method != "GET" and not self._may_write():
            raise ApiError(0, NOT_LEADING, f"{method} {path}: another operator leads")
        return await _exchange(self._connection, method, path, accept, body, kind, **options)


class KubeLease:
    """`Leases` over HTTP: one Lease object, by which operators agree on who leads."""

    def __init__(self, connection: Connection, name: ObjectName) -> None:
        self._connection = connection
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{name.namespace}/leases"
        self._name = name

    async def read_lease(self) -> Raw | None:
        """As Leases says."""
        answer = await _exchange(self._connection, "GET", f"{self._path}/{self._name.name}", (NOT_FOUND,))
        return answer if answer.get("kind") == "Lease" else None

    async def create_lease(self, spec: Raw) -> Raw:
        """As Leases says."""
        return await _exchange(self._connection, "POST", self._path, body=self._manifest(spec, {}))

    async def replace_lease(self, spec: Raw, version: str) -> Raw:
        """As Leases says."""
        manifest = self._manifest(spec, {"resourceVersion": version})
        return await _exchange(self._connection, "PUT", f"{self._path}/{self._name.name}", body=manifest)

    def _manifest(self, spec: Raw, metadata: Raw) -> Raw:
        named = {"name": self._name.name, "namespace": self._name.namespace, **metadata}
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": named, "spec": spec}


async def _exchange(
    connection: Connection,
    method: str,
    path: str,
    accept: tuple[int, ...] = (),
    body: Any = None,
    kind: str = _JSON,
    **options: Any,
) -> Raw:
    """Raises ApiError, of code 0 when no answer came."""
    if body is not None:
        options |= {"data": orjson.dumps(body), "headers": {"Content-Type": kind}}
    try:
        response = await connection.request(method, path, **options)
        async with response:
            text = await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ApiError(0, "Unreachable", f"{method} {path}: {error or type(error).__name__}") from error
    if response.status >= 400 and response.status not in accept:
        raise refusal(response, text)
    return _parsed(text)


def _parsed(text: bytes) -> Raw:
    """An answer; one of an API group that is not served, or of a proxy, may be plain text."""
    try:
        answer = orjson.loads(text)
    except orjson.JSONDecodeError:
        answer = None
    return answer if isinstance(answer, dict) else {"message": text.decode(errors="replace").strip()}


def deployments_path(namespace: str | None) -> str:
    """Path of the deployments of a namespace, or of all."""
    within = f"/namespaces/{namespace}" if namespace else ""
    return f"/apis/{API_VERSION}{within}/{PLURAL}"


def _jobs(namespace: str, name: str = "") -> str:
    return f"/apis/batch/v1/namespaces/{namespace}/jobs{'/' if name else ''}{name}"


def refusal(response: aiohttp.ClientResponse, text: bytes) -> ApiError:
    """An answer of status 400 or more as an error."""
    wait, answer = response.headers.get("Retry-After", ""), _parsed(text)
    return ApiError(
        response.status,
        answer.get("reason") or "Unknown",
        answer.get("message") or response.reason or "",
        float(wait) if wait.isdigit() else 0.0,
    )
