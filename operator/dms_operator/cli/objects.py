"""Deployments for commands that only read: from the cluster through kubeconfig, or from a file of kubectl."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dms_operator.api.errors import SourceNotFound
from dms_operator.api.labels import GROUP, KIND, PLURAL, VERSION
from dms_operator.api.resource import Metadata, parse_spec, parse_status
from dms_operator.api.spec import DeploymentSpec
from dms_operator.api.status import DeploymentStatus

from .cluster import TIMEOUT, ClusterAccess, Connection, connected


@dataclass(frozen=True)
class Deployment:
    """What was asked, and what came of it."""

    metadata: Metadata
    spec: DeploymentSpec
    status: DeploymentStatus

    @property
    def name(self) -> str:
        """Name of the object."""
        return self.metadata.name

    @property
    def is_current(self) -> bool:
        """Whether the status is about the present spec."""
        return self.status.observed_generation == self.metadata.generation


def parse_deployment(body: dict[str, Any]) -> Deployment:
    """Read one object as the API shows it. Raises InvalidSpec."""
    metadata = {"namespace": "default", "uid": "", "name": ""} | body.get("metadata", {})
    return Deployment(Metadata.model_validate(metadata), parse_spec(body), parse_status(body))


def from_file(path: str, names: Sequence[str]) -> list[Deployment]:
    """Deployments of a file that `kubectl get -o json` (or `-o yaml`) wrote; `-` is standard input.

    No names: all of them. Raises SourceNotFound, InvalidSpec.
    """
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text()
        bodies = [body for document in yaml.safe_load_all(text) for body in _items(document)]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SourceNotFound(f"{path} cannot be read: {' '.join(str(error).split())[:300]}", hint=_HOW) from error
    found = [body for body in bodies if body.get("kind") == KIND]
    chosen = [body for body in found if not names or body.get("metadata", {}).get("name") in names]
    missing = sorted(set(names) - {body["metadata"]["name"] for body in chosen})
    if missing or not chosen:
        raise SourceNotFound(f"{path} holds no {KIND} {', '.join(missing)}".rstrip(), hint=_HOW)
    return [parse_deployment(body) for body in chosen]


_HOW = "Save one by: kubectl get dmsd NAME -o json > deployment.json"


def _items(document: Any) -> list[dict[str, Any]]:
    """The objects of a List, or the one object."""
    if not isinstance(document, dict):
        return []
    items = document.get("items") if str(document.get("kind", "")).endswith("List") else [document]
    return [item for item in items or [] if isinstance(item, dict)]


def from_cluster(access: ClusterAccess, names: Sequence[str]) -> list[Deployment]:
    """Deployments of a namespace by name; no names: all. Raises SourceNotFound, SourceUnavailable, InvalidSpec."""
    with connected(access) as connection:
        found = [get(connection, name) for name in names] if names else _all(connection)
    if not found:
        raise SourceNotFound(
            f"namespace {connection.namespace} holds no {KIND}", hint="Name another one with --namespace"
        )
    return found


def get(connection: Connection, name: str) -> Deployment:
    """One deployment as it is now."""
    return parse_deployment(_api(connection).get_namespaced_custom_object(*_where(connection), name, **TIMEOUT))


def _all(connection: Connection) -> list[Deployment]:
    listed = _api(connection).list_namespaced_custom_object(*_where(connection), **TIMEOUT)
    return [parse_deployment(body) for body in listed["items"]]


def _api(connection: Connection) -> Any:
    from kubernetes.client import CustomObjectsApi

    return CustomObjectsApi(connection.client)


def _where(connection: Connection) -> tuple[str, str, str, str]:
    return GROUP, VERSION, connection.namespace, PLURAL
