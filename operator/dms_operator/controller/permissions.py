"""What the operator may ask of the Kubernetes API: the one table behind the roles of the Helm chart.

`dms rbac` prints it and `make generate` gives it to the chart. The end-to-end tests compare it with what the operator
really asks for (tests/e2e/test_permissions.py): nothing may be missing, and nothing may be unused.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import yaml

from ..api.labels import GROUP, PLURAL

Scope = Literal["watched", "cluster", "default", "own"]
"""Where a permission is needed: in every namespace that is watched, for cluster-wide objects, in the namespace
`default` (where events about nodes go), or in the operator's own namespace."""

CORE = ""


@dataclass(frozen=True)
class Permission:
    """Verbs on one resource (or subresource), and what they are for."""

    scope: Scope
    group: str
    resource: str
    verbs: tuple[str, ...]
    purpose: str

    def rule(self) -> dict[str, list[str]]:
        """The rule of an RBAC role."""
        return {"apiGroups": [self.group], "resources": [self.resource], "verbs": list(self.verbs)}


PERMISSIONS = (
    Permission("watched", GROUP, PLURAL, ("list", "watch", "patch"), "see deployments; set our finalizer"),
    Permission("watched", GROUP, f"{PLURAL}/status", ("patch",), "tell what was found and done"),
    Permission("watched", GROUP, f"{PLURAL}/finalizers", ("update",), "own Jobs that block a foreground deletion"),
    Permission("watched", "batch", "jobs", ("list", "watch", "create", "get", "delete"), "run stages"),
    Permission("watched", CORE, "pods", ("list", "watch"), "read results and reasons; pods are made by Jobs"),
    Permission("watched", CORE, "events", ("create", "get", "patch"), "tell people; count a repeated event up"),
    Permission("default", CORE, "events", ("create", "get", "patch"), "events about nodes"),
    Permission("cluster", CORE, "nodes", ("list", "watch", "get"), "find boards by their label"),
    Permission("cluster", CORE, "nodes/status", ("patch",), "offer a board as an extended resource"),
    Permission("own", "coordination.k8s.io", "leases", ("get", "create", "update"), "agree on which replica works"),
)


def permissions(scope: Scope) -> list[Permission]:
    """The permissions that are needed at a place."""
    return [permission for permission in PERMISSIONS if permission.scope == scope]


def as_yaml() -> str:
    """The table as the chart reads it: RBAC rules by scope, each with its purpose as a comment."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    for scope, group in groupby(sorted(PERMISSIONS, key=_place), key=lambda permission: permission.scope):
        yield f"{scope}:"
        for permission in group:
            yield f"  # {permission.purpose}"
            yield f"  - {yaml.safe_dump(permission.rule(), default_flow_style=True, width=200).strip()}"


def _place(permission: Permission) -> int:
    return ("watched", "cluster", "default", "own").index(permission.scope)
