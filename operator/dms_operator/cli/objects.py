"""Deployments for commands that only read: from the cluster through kubeconfig, or from a file of kubectl."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dms_operator.api.errors import SourceNotFound, SourceUnavailable
from dms_operator.api.labels import GROUP, KIND, PLURAL, VERSION
from dms_operator.api.resource import Metadata, parse_spec, parse_status
from dms_operator.api.spec import DeploymentSpec
from dms_operator.api.status import DeploymentStatus


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


@dataclass(frozen=True)
class ClusterAccess:
    """Which cluster and namespace; None stands for what kubeconfig says."""

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None


def from_cluster(access: ClusterAccess, names: Sequence[str]) -> list[Deployment]:
    """Deployments of a namespace by name; no names: all. Raises SourceNotFound, SourceUnavailable, InvalidSpec."""
    import kubernetes
    import urllib3

    try:
        namespace = access.namespace or _namespace(access)
        client = kubernetes.config.new_client_from_config(
            config_file=str(access.kubeconfig) if access.kubeconfig else None, context=access.context
        )
        bodies = _get(kubernetes.client.CustomObjectsApi(client), namespace, names)
    except kubernetes.config.ConfigException as error:
        raise SourceNotFound(
            f"no cluster is known: {error}", hint="Set KUBECONFIG or --kubeconfig, or read a file with --filename"
        ) from error
    except kubernetes.client.ApiException as error:
        raise _refused(error, namespace) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise SourceUnavailable(f"the cluster does not answer: {error}") from error
    if not bodies:
        raise SourceNotFound(f"namespace {namespace} holds no {KIND}", hint="Name another one with --namespace")
    return [parse_deployment(body) for body in bodies]


def _namespace(access: ClusterAccess) -> str:
    """Namespace of the context, as kubectl takes it."""
    from kubernetes.config import list_kube_config_contexts

    contexts, active = list_kube_config_contexts(str(access.kubeconfig) if access.kubeconfig else None)
    chosen = next((each for each in contexts if each["name"] == access.context), active)
    return str(chosen["context"].get("namespace") or "default")


def _get(api: Any, namespace: str, names: Sequence[str]) -> list[dict[str, Any]]:
    timeout = {"_request_timeout": 30}
    if not names:
        return list(api.list_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, **timeout)["items"])
    return [api.get_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name, **timeout) for name in names]


def _refused(error: Any, namespace: str) -> SourceNotFound | SourceUnavailable:
    if error.status == 404:
        return SourceNotFound(
            f"not found in namespace {namespace}: {_message(error)}", hint="kubectl get dmsd -A shows what there is"
        )
    return SourceUnavailable(f"the cluster refused ({error.status}): {_message(error)}")


def _message(error: Any) -> str:
    try:
        return str(yaml.safe_load(error.body)["message"])
    except (yaml.YAMLError, AttributeError, KeyError, TypeError):
        return str(error.reason)
