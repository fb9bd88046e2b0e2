"""What the operator asked of a dev cluster, from its audit log, beside what the table of permissions grants."""

import itertools
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from dms_operator.api.labels import GROUP, MANAGER, PLURAL
from dms_operator.controller.permissions import PERMISSIONS, Scope
from e2e.running import AUDIT_LOG, Cluster


class Ask(NamedTuple):
    """A verb on a resource (or subresource), as RBAC sees it."""

    group: str
    resource: str
    verb: str


OWNS = Ask(GROUP, f"{PLURAL}/finalizers", "update")
"""Asked by whoever creates an object whose owner reference has blockOwnerDeletion, where the admission plugin
OwnerReferencesPermissionEnforcement is on, as on OpenShift."""


def granted(*scopes: Scope) -> set[Ask]:
    """What the table grants at these places."""
    rows = [permission for permission in PERMISSIONS if permission.scope in scopes]
    return {Ask(row.group, row.resource, verb) for row in rows for verb in row.verbs}


def granted_by(rules: Iterable[Mapping[str, list[str]]]) -> set[Ask]:
    """What the rules of a role grant."""
    return {
        Ask(*each) for rule in rules for each in itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"])
    }


def asked(cluster: Cluster, *namespaces: str, agent: str = MANAGER) -> set[Ask]:
    """What every operator (or another agent) so far asked in these namespaces (empty: without one), or anywhere."""
    assert cluster.control is not None
    lines = (cluster.control / AUDIT_LOG).read_text().splitlines()
    return set(_asks((json.loads(line) for line in lines), namespaces, agent))


def _asks(entries: Iterable[dict[str, Any]], namespaces: tuple[str, ...], agent: str) -> Iterable[Ask]:
    for entry in entries:
        reference = entry["objectRef"]
        if entry["userAgent"] != agent or (namespaces and reference["namespace"] not in namespaces):
            continue
        resource = "/".join(filter(None, (reference["resource"], reference["subresource"])))
        yield Ask(reference["apiGroup"], resource, entry["verb"])
        if (resource, entry["verb"]) == ("jobs", "create"):
            yield OWNS
