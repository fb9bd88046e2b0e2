"""The table of permissions as RBAC rules."""

import yaml

from dms_operator.controller.permissions import PERMISSIONS, as_yaml, permissions


def test_the_printed_table_holds_every_permission_at_its_place() -> None:
    printed = yaml.safe_load(as_yaml())
    assert {scope: len(rules) for scope, rules in printed.items()} == {
        scope: len(permissions(scope)) for scope in {permission.scope for permission in PERMISSIONS}
    }
    assert {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["list", "watch", "create", "get", "delete"]} in (
        printed["watched"]
    )


def test_no_permission_is_a_wildcard_and_none_reaches_secrets() -> None:
    for permission in PERMISSIONS:
        assert "*" not in (permission.group, permission.resource, *permission.verbs)
        assert permission.resource not in ("secrets", "pods/exec", "roles", "clusterroles")
        assert permission.purpose


def test_a_place_and_a_resource_stand_in_the_table_once() -> None:
    keys = [(permission.scope, permission.group, permission.resource) for permission in PERMISSIONS]
    assert len(keys) == len(set(keys))
