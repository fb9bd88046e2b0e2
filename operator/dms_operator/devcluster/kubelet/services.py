"""What the workers of one simulated node share."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path

from dms_operator.devcluster.client import LocalClient
from dms_operator.devcluster.config import DevClusterConfig
from dms_operator.devcluster.controllers.events import EventRecorder
from dms_operator.devcluster.controllers.meta import Clock

from .leftovers import RunRegister
from .logs import LogStore


@dataclass(frozen=True)
class NodeServices:
    """The node's name, its way to the API, and what is shared by all nodes.

    `token` gives a service account's token by (namespace, account); `service` is the API's host and port;
    `silent` are the nodes that cannot reach the API now.
    """

    node: str
    config: DevClusterConfig
    client: LocalClient
    events: EventRecorder
    logs: LogStore
    runs: RunRegister
    clock: Clock
    token: Callable[[str, str], str]
    service: tuple[str, int]
    silent: Set[str]

    def pod_directory(self, uid: str) -> Path:
        """Return the directory of a pod's volumes and sandboxes."""
        return self.config.data_directory / "pods" / uid
