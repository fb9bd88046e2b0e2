"""Which form of the answer a client accepts: objects, a Table, or metadata only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from dms_operator.devcluster.errors import ApiError

Form = Literal["Object", "Table", "PartialObjectMetadata"]

_JSON = ("application/json", "application/*", "*/*")
_PARTIAL = ("PartialObjectMetadata", "PartialObjectMetadataList")
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def _entries(accept: str) -> Iterator[tuple[str, dict[str, str]]]:
    for entry in accept.split(","):
        media, *parameters = (part.strip() for part in entry.split(";"))
        yield media, dict(part.split("=", 1) for part in parameters if "=" in part)


def response_form(accept: str) -> Form:
    """The first form that the client accepts and we speak; raises 406 when there is none."""
    for media, parameters in _entries(accept or "*/*"):
        if media not in _JSON:
            continue
        wanted = parameters.get("as")
        if wanted is None:
            return "Object"
        if parameters.get("g") == "meta.k8s.io" and parameters.get("v") == "v1":
            if wanted == "Table":
                return "Table"
            if wanted in _PARTIAL:
                return "PartialObjectMetadata"
    message = "only the following media types are accepted: application/json, application/yaml"
    raise ApiError(406, "NotAcceptable", message)


def wants_aggregated_discovery(accept: str) -> bool:
    """Whether the client prefers one aggregated discovery document (v2)."""
    for media, parameters in _entries(accept):
        if media == "application/json":
            wanted = (parameters.get("g"), parameters.get("v"), parameters.get("as"))
            if wanted == ("apidiscovery.k8s.io", "v2", "APIGroupDiscoveryList"):
                return True
            if wanted == (None, None, None):
                return False
    return False
