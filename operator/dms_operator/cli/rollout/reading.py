"""Reads the vehicles of a deployment and the Jobs on them from the cluster."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from dms_operator.api.errors import DMSError
from dms_operator.api.labels import STAGE, VEHICLE, revision_label
from dms_operator.controller.fleet_view import vehicle_of
from dms_operator.controller.observation import is_ours, job_view
from dms_operator.controller.rollout.ledger import SWITCHES

from ..cluster import TIMEOUT, ClusterAccess, connected
from ..objects import Deployment
from .vehicles import Fleet

PAGE = 500
ON_VEHICLES = f"{STAGE} in ({', '.join(('prefetch', *SWITCHES))})"


def read_fleet(access: ClusterAccess, deployment: Deployment) -> Fleet | DMSError:
    """All vehicles and the Jobs on them, or why they cannot be read: not everybody may look at nodes."""
    from kubernetes.client import BatchV1Api, CoreV1Api

    label = revision_label(deployment.metadata.namespace, deployment.name)
    try:
        with connected(access) as connection:
            nodes = list(_pages(CoreV1Api(connection.client).list_node, label_selector=VEHICLE))
            list_jobs = BatchV1Api(connection.client).list_namespaced_job
            jobs = list(_pages(list_jobs, namespace=connection.namespace, label_selector=ON_VEHICLES))
    except DMSError as error:
        return error
    seen = [vehicle_of(node) for node in nodes]
    mine = [job for job in jobs if is_ours(job) and _owner(job) == deployment.metadata.uid]
    return Fleet(
        tuple(replace(vehicle, revision=vehicle.labels.get(label, "")) for vehicle in seen),
        tuple(job_view(job, []) for job in mine),
    )


def _pages(listed: Callable[..., Any], **wanted: Any) -> Iterator[dict[str, Any]]:
    """All objects of a list as plain JSON, page by page."""
    following = None
    while True:
        answer = listed(limit=PAGE, _continue=following, _preload_content=False, **wanted, **TIMEOUT)
        page = json.loads(answer.data)
        yield from page["items"]
        following = page["metadata"].get("continue")
        if not following:
            return


def _owner(job: dict[str, Any]) -> str:
    owners = job["metadata"].get("ownerReferences") or [{}]
    return str(owners[0].get("uid", ""))
