"""The cluster that a command talks to, and its refusals in the user's words."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from dms_operator.api.errors import Retryable, SourceNotFound, SourceUnavailable

TIMEOUT: dict[str, Any] = {"_request_timeout": 30}
"""Seconds for one request."""

Namespace = Annotated[str | None, typer.Option("-n", "--namespace", help="Default: the context's.")]
Context = Annotated[str | None, typer.Option(help="Context of kubeconfig.")]
Kubeconfig = Annotated[Path | None, typer.Option(help="Default: KUBECONFIG, then ~/.kube/config.")]


class ChangedMeanwhile(Retryable):
    """Somebody else wrote the object after it was read."""

    reason = "ChangedMeanwhile"


@dataclass(frozen=True)
class ClusterAccess:
    """Which cluster and namespace; None stands for what kubeconfig says."""

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None

    @property
    def options(self) -> str:
        """What a command line needs to reach the same deployments."""
        given = {"-n": self.namespace, "--context": self.context, "--kubeconfig": self.kubeconfig}
        return "".join(f" {name} {value}" for name, value in given.items() if value)


@dataclass(frozen=True)
class Connection:
    """A client of the cluster, and the namespace that is meant."""

    client: Any
    namespace: str


@contextmanager
def connected(access: ClusterAccess) -> Iterator[Connection]:
    """Talk to the cluster. Raises SourceNotFound, SourceUnavailable, ChangedMeanwhile for what goes wrong within."""
    import kubernetes
    import urllib3

    namespace = access.namespace or ""
    try:
        namespace = namespace or _namespace(access)
        client = kubernetes.config.new_client_from_config(
            config_file=str(access.kubeconfig) if access.kubeconfig else None, context=access.context
        )
        yield Connection(client, namespace)
    except kubernetes.config.ConfigException as error:
        raise SourceNotFound(
            f"no cluster is known: {error}",
            hint="Set KUBECONFIG or --kubeconfig; compare and report also read a file, by --filename",
        ) from error
    except kubernetes.client.ApiException as error:
        raise _refused(error, namespace) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise SourceUnavailable(f"the cluster does not answer: {error}") from error


def _namespace(access: ClusterAccess) -> str:
    """Namespace of the context, as kubectl takes it."""
    from kubernetes.config import list_kube_config_contexts

    contexts, active = list_kube_config_contexts(str(access.kubeconfig) if access.kubeconfig else None)
    chosen = next((each for each in contexts if each["name"] == access.context), active)
    return str(chosen["context"].get("namespace") or "default")


def _refused(error: Any, namespace: str) -> SourceNotFound | SourceUnavailable | ChangedMeanwhile:
    if error.status == 404:
        return SourceNotFound(
            f"not found in namespace {namespace}: {_message(error)}", hint="kubectl get dmsd -A shows what there is"
        )
    if error.status == 409:
        return ChangedMeanwhile(_message(error))
    return SourceUnavailable(f"the cluster refused ({error.status}): {_message(error)}")


def _message(error: Any) -> str:
    try:
        return str(yaml.safe_load(error.body)["message"])
    except (yaml.YAMLError, AttributeError, KeyError, TypeError):
        return str(error.reason)
