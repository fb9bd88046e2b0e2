"""OpenAPI v3 documents, one a group and version."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from dms_operator.devcluster.schema.validate import Schema


class OpenAPIResource(Protocol):
    """What a document needs to know of a resource."""

    @property
    def group(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def plural(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def namespaced(self) -> bool: ...
    @property
    def subresources(self) -> Iterable[str]: ...
    @property
    def schema(self) -> Schema | None: ...


def group_document(resources: Sequence[OpenAPIResource]) -> dict[str, Any]:
    """The document of one group and version (all `resources` share them); `schema` None = unknown fields kept."""
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.36.0"}, "paths": {}}
