"""What a request's path names."""

from __future__ import annotations

from dataclasses import dataclass

from dms_operator.devcluster import errors
from dms_operator.devcluster.resources import ResourceInfo, Resources

_NAMESPACE_SUBRESOURCES = ("status", "finalize")


@dataclass(frozen=True, slots=True)
class Target:
    """A resource, and within it a namespace, an object and its subresource where the path goes so far."""

    info: ResourceInfo
    namespace: str | None = None
    name: str = ""
    subresource: str = ""


class UnknownGroup(Exception):
    """The path names a group or version that is not served: plain 404."""


def parse(resources: Resources, path: str) -> Target:
    """The target of `/api/v1/...` or `/apis/group/version/...`; raises UnknownGroup or ApiError 404."""
    parts = path.strip("/").split("/")
    group, version, rest = ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
    if version not in resources.versions().get(group, {}):
        raise UnknownGroup
    namespace, rest = _namespace(rest)
    info = resources.find(group, version, rest[0])
    if info is None or len(rest) > 3 or (namespace is not None and not info.namespaced):
        raise errors.unknown_resource()
    name, subresource = [*rest[1:], "", ""][:2]
    if subresource and subresource not in info.subresources:
        raise errors.unknown_resource()
    if name and info.namespaced and namespace is None:
        raise errors.unknown_resource()
    return Target(info, namespace, name, subresource)


def _namespace(rest: list[str]) -> tuple[str | None, list[str]]:
    """Split off `namespaces/<name>` unless the namespace itself is the object."""
    if len(rest) < 3 or rest[0] != "namespaces":
        return None, rest
    if len(rest) == 3 and rest[2] in _NAMESPACE_SUBRESOURCES:
        return None, rest
    return rest[1], rest[2:]
