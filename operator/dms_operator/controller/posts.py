"""Kubernetes events as manifests. Their names follow from their content, so that a repeat is counted, not added."""

import hashlib
from datetime import datetime

from ..api.labels import MANAGER
from .caches import Raw
from .plan import Event

_NAME_LENGTH = 200
_MESSAGE_LENGTH = 1024
"""Limit of an event's message (Kubernetes API, core/v1 Event validation)."""


def event_manifest(about: Raw, kind: str, api_version: str, event: Event, now: datetime) -> dict[str, object]:
    """A core/v1 Event about an object; events about cluster-wide objects go to the namespace `default`."""
    metadata = about["metadata"]
    namespace = metadata.get("namespace", "default")
    content = "\n".join((metadata["uid"], event.type, event.reason, event.message))
    digest = hashlib.sha256(content.encode()).hexdigest()[:16]
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    reference = {"apiVersion": api_version, "kind": kind, "name": metadata["name"], "uid": metadata["uid"]}
    if "namespace" in metadata:
        reference["namespace"] = metadata["namespace"]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name'][:_NAME_LENGTH]}.{digest}", "namespace": namespace},
        "involvedObject": reference,
        "type": event.type,
        "reason": event.reason,
        "message": event.message[:_MESSAGE_LENGTH],
        "source": {"component": MANAGER},
        "reportingComponent": MANAGER,
        "reportingInstance": MANAGER,
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
    }
