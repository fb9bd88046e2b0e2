"""Things that happen to the cluster at once, when they are asked for."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from dms_operator.devcluster.errors import ApiError
from dms_operator.devcluster.faults.rules import Seconds

Silence = Literal["unreachable", "not-ready", "unnoticed"]


class NodeControl(Protocol):
    """What the process-kubelet lets happen to pods and nodes; methods raise KeyError for what it does not run."""

    def kill(self, namespace: str, pod: str, number: signal.Signals, container: str | None) -> None:
        """Signal the processes of a pod's containers, behind the API's back."""

    def evict(self, namespace: str, pod: str, message: str) -> None:
        """End a pod as a node does that runs short of memory."""

    def silence(self, node: str, how: Silence) -> None:
        """Cut a node off: it counts as unreachable at once, says last that it is not ready, or nobody notices yet."""

    def revive(self, node: str) -> None:
        """Let it report again, and catch up with what it missed."""


class ApiControl(Protocol):
    """What the API server lets happen to itself."""

    def cut_connections(self, spared: asyncio.Transport | None = None) -> None:
        """Break every open connection but one."""

    def lose_events(self) -> None:
        """Forget past events."""

    def begin_restart(self, seconds: float, lose_events: bool, spared: asyncio.Transport | None = None) -> None:
        """Be away for so many seconds, from the next turn of the loop on."""

    def renew_token(self) -> None:
        """Refuse the token of until now."""

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something so many seconds later."""


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CutConnections(_Form):
    """Break all open connections, watches too."""

    what: Literal["cut-connections"] = "cut-connections"


class LoseEvents(_Form):
    """Forget past events (as etcd's compaction does): who watches from an older version is told 410 Gone."""

    what: Literal["lose-events"] = "lose-events"


class RestartApi(_Form):
    """Stop serving for so many seconds, then serve the same objects at the same place."""

    what: Literal["restart-api"] = "restart-api"
    seconds: Seconds = 0.0
    lose_events: bool = False


class ExpireToken(_Form):
    """Refuse the token that was good until now; the kubeconfig gets a new one."""

    what: Literal["expire-token"] = "expire-token"


class KillPod(_Form):
    """Kill a pod's processes with a signal, as somebody on its node might."""

    what: Literal["kill-pod"] = "kill-pod"
    namespace: str
    name: str
    container: str | None = None
    signal: Annotated[int, Field(ge=1, le=64)] = int(signal.SIGKILL)


class EvictPod(_Form):
    """End a pod because its node is short of memory: it fails with the reason Evicted."""

    what: Literal["evict-pod"] = "evict-pod"
    namespace: str
    name: str
    message: str = "The node was low on resource: memory. "


class SilenceNode(_Form):
    """A node is cut off (its conditions become Unknown), or says that it is not ready; its processes live on."""

    what: Literal["silence-node"] = "silence-node"
    name: str
    how: Literal["unreachable", "not-ready"] = "unreachable"


class ReviveNode(_Form):
    """A silent node is back."""

    what: Literal["revive-node"] = "revive-node"
    name: str


class RestartKubelet(_Form):
    """The kubelet of a node is away for so many seconds; its containers run on, and it catches up."""

    what: Literal["restart-kubelet"] = "restart-kubelet"
    name: str
    seconds: Seconds = 0.0


Happening = Annotated[
    CutConnections
    | LoseEvents
    | RestartApi
    | ExpireToken
    | KillPod
    | EvictPod
    | SilenceNode
    | ReviveNode
    | RestartKubelet,
    Field(discriminator="what"),
]
HAPPENING: TypeAdapter[Happening] = TypeAdapter(Happening)


def happen(
    server: ApiControl, nodes: NodeControl | None, event: Happening, asking: asyncio.Transport | None = None
) -> None:
    """Let it happen, or begin to; `asking` is the connection of who wants it. Raises ApiError 404 or 503."""
    if isinstance(event, CutConnections):
        server.cut_connections(asking)
    elif isinstance(event, LoseEvents):
        server.lose_events()
    elif isinstance(event, RestartApi):
        server.begin_restart(event.seconds, event.lose_events, asking)
    elif isinstance(event, ExpireToken):
        server.renew_token()
    elif nodes is None:
        raise ApiError(503, "ServiceUnavailable", "no kubelet is running")
    else:
        try:
            _on_node(server, nodes, event)
        except KeyError as missing:
            raise ApiError(404, "NotFound", f"no kubelet here runs {missing}") from None


def _on_node(
    server: ApiControl, nodes: NodeControl, event: KillPod | EvictPod | SilenceNode | ReviveNode | RestartKubelet
) -> None:
    if isinstance(event, KillPod):
        nodes.kill(event.namespace, event.name, signal.Signals(event.signal), event.container)
    elif isinstance(event, EvictPod):
        nodes.evict(event.namespace, event.name, event.message)
    elif isinstance(event, SilenceNode):
        nodes.silence(event.name, event.how)
    elif isinstance(event, ReviveNode):
        nodes.revive(event.name)
    else:
        nodes.silence(event.name, "unnoticed")
        server.later(event.seconds, lambda: nodes.revive(event.name))
