"""What commands write into a cluster: a few fields of one deployment, and only of the one that was read before."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dms_operator.api.labels import GROUP, PLURAL, VERSION

from .cluster import TIMEOUT, ChangedMeanwhile, ClusterAccess, Connection, connected
from .objects import Deployment, get

FIELD_MANAGER = "kubectl-dms"
ATTEMPTS = 10
"""Reads of an object that others write to all the time, such as the operator its status."""


@dataclass(frozen=True)
class Request:
    """What a person asks for: fields to write, and how to say it."""

    says: str
    """What is asked for, with what it concerns."""
    annotations: dict[str, str | None] = field(default_factory=dict)
    """None takes one off."""
    spec: dict[str, Any] = field(default_factory=dict)
    remark: str = ""
    """What the person has to know besides."""


def write(access: ClusterAccess, name: str, decide: Callable[[Deployment], Request]) -> Request:
    """Decide upon a deployment as it is, and write that. The write fails when the deployment has changed by then.

    It is read again in that case, and decided anew: another decision is not what the person asked for.
    Raises ChangedMeanwhile, what `decide` raises, and what `connected` does.
    """
    first: Request | None = None
    with connected(access) as connection:
        for _ in range(ATTEMPTS):
            deployment = get(connection, name)
            request = decide(deployment)
            first = first or request
            if request.says != first.says:
                raise ChangedMeanwhile(f"{name} changed: {first.says} no longer fits, now {request.says}", hint=_LOOK)
            if _patched(connection, deployment, request):
                return request
    raise ChangedMeanwhile(f"{name} was changed by others at each of {ATTEMPTS} tries", hint="Try again")


_LOOK = "Look at `kubectl dms rollout status`, and ask again"


def _patched(connection: Connection, deployment: Deployment, request: Request) -> bool:
    """Whether the cluster took it; False when the deployment is not the one that was read."""
    from kubernetes.client import ApiException, CustomObjectsApi

    api: Any = CustomObjectsApi(connection.client)
    where = (GROUP, VERSION, connection.namespace, PLURAL, deployment.name)
    kind = {"field_manager": FIELD_MANAGER, "_content_type": "application/merge-patch+json"}
    try:
        api.patch_namespaced_custom_object(*where, body(deployment, request), **kind, **TIMEOUT)
    except ApiException as error:
        if error.status != 409:
            raise
        return False
    return True


def body(deployment: Deployment, request: Request) -> dict[str, Any]:
    """A merge patch that applies to this version of the object alone."""
    metadata: dict[str, Any] = {
        "resourceVersion": deployment.metadata.resource_version,
        "uid": deployment.metadata.uid,
        "annotations": request.annotations,
    }
    return {"metadata": metadata, "spec": request.spec}
