"""Boards as extended resources: a node labelled `dms.edge/board=<type>` offers one `dms.edge/<type>`.

A benchmark pod asks for one, so that the scheduler itself lets only one pod at a time onto a board. Plain nodes are
boards as well (generic-x86, generic-arm64): two benchmarks at once would measure each other.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from ..api import labels
from ..api.capabilities import BOARDS
from ..api.reasons import EVENT_BOARD_ADVERTISED
from .board_pods import Attachment
from .caches import Caches, ObjectCache, ObjectName, Raw
from .kube import Cluster
from .observation import BoardCount
from .plan import Event
from .posts import event_manifest

_log = logging.getLogger(__name__)
_OFFERED = "1"


def board_type(node: Raw) -> str | None:
    """The known board type that a node is labelled with."""
    kind = (node["metadata"].get("labels") or {}).get(labels.BOARD)
    return kind if kind in BOARDS else None


def is_disabled(node: Raw) -> bool:
    """Whether the board was taken out of service, by a label or an annotation of any value but `false`."""
    metadata = node["metadata"]
    marks = (metadata.get(part) or {} for part in ("labels", "annotations"))
    return any(mark.get(labels.BOARD_DISABLED, "false") != "false" for mark in marks)


def complaint(node: Raw) -> str:
    """What the probe says against a board that is in service; empty for a healthy one, or one without a probe."""
    conditions = (node.get("status") or {}).get("conditions") or []
    found = next((each for each in conditions if each["type"] == labels.BOARD_CONDITION), None)
    if found is None or found["status"] != "False" or is_disabled(node):
        return ""
    return f"{node['metadata']['name']}: {found.get('message') or found.get('reason') or 'not healthy'}"


def attachment(node: Raw) -> Attachment | None:
    """How the node's board is reached; None where the node itself is the board."""
    annotations = node["metadata"].get("annotations") or {}
    connection = annotations.get(labels.BOARD_CONNECTION, "").strip()
    if connection in ("", "local"):
        return None
    return Attachment(node["metadata"]["name"], connection, annotations.get(labels.BOARD_SECRET, "").strip())


def capacity_patch(node: Raw) -> list[dict[str, Any]]:
    """JSON patch of the node's status that makes its offer right; empty when it is.

    A board that is out of service, or that its probe finds unhealthy, is not offered.
    Allocatable is written too: the kubelet would copy it within seconds, other implementations never do.
    """
    board = board_type(node)
    offers = not is_disabled(node) and not complaint(node)
    wanted = {labels.board_resource(board): _OFFERED} if board and offers else {}
    return [
        operation
        for part in ("capacity", "allocatable")
        for operation in _operations(part, (node.get("status") or {}).get(part) or {}, wanted)
    ]


def _operations(part: str, present: dict[str, str], wanted: dict[str, str]) -> list[dict[str, Any]]:
    def path(resource: str) -> str:
        return f"/status/{part}/{resource.replace('~', '~0').replace('/', '~1')}"

    ours = {name for name in present if name.startswith(f"{labels.GROUP}/")}
    return [
        *({"op": "remove", "path": path(name)} for name in sorted(ours - set(wanted))),
        *(
            {"op": "add", "path": path(name), "value": amount}
            for name, amount in wanted.items()
            if present.get(name) != amount
        ),
    ]


def count_boards(nodes: Iterable[Raw]) -> dict[str, BoardCount]:
    """Boards by type."""
    by_type: defaultdict[str, list[Raw]] = defaultdict(list)
    for node in sorted(nodes, key=lambda each: str(each["metadata"]["name"])):
        if (board := board_type(node)) is not None:
            by_type[board].append(node)
    return {board: _count(board, found) for board, found in by_type.items()}


def _count(board: str, nodes: list[Raw]) -> BoardCount:
    return BoardCount(
        total=len(nodes),
        allocatable=sum(_offered(node, board) for node in nodes),
        disabled=sum(map(is_disabled, nodes)),
        unhealthy=tuple(filter(None, map(complaint, nodes))),
        attachments=tuple(found for node in nodes if (found := attachment(node))),
    )


def _offered(node: Raw, board: str) -> int:
    return int(((node.get("status") or {}).get("allocatable") or {}).get(labels.board_resource(board), 0))


class BoardCounts:
    """Boards by type, counted anew only when a node changed: asked for at every reconcile."""

    def __init__(self, nodes: ObjectCache) -> None:
        self._nodes = nodes
        self._counted_at = -1
        self._counts: dict[str, BoardCount] = {}

    def __call__(self) -> dict[str, BoardCount]:
        """The present counts."""
        if self._counted_at != self._nodes.changes:
            self._counts, self._counted_at = count_boards(self._nodes.values()), self._nodes.changes
        return self._counts


class BoardKeeper:
    """Keeps the offers of board nodes right."""

    def __init__(
        self, caches: Caches, cluster: Cluster, now: Callable[[], datetime], changed: Callable[[Raw], object]
    ) -> None:
        """`changed` takes a node as a watch would tell of it: the watch's own word comes too late to be news."""
        self._caches = caches
        self._cluster = cluster
        self._now = now
        self._changed = changed

    async def reconcile(self, name: str) -> None:
        """Look at one node, and patch its status if its offer is not right. Raises ApiError.

        A node that is not in the cache is gone, or has lost its board label: only the API server knows.
        """
        node = self._caches.nodes.get(ObjectName("", name)) or await self._cluster.node(name)
        if node is not None:
            await self.correct(node)

    async def correct(self, node: Raw) -> None:
        """Patch a node's status if its offer is not right, and say so in an event. Raises ApiError.

        The patch applies to the node that was looked at alone: a board that was taken out of service meanwhile is not
        offered again. Kubelets write a node's status when it changes, and every five minutes: few patches meet one.
        """
        patch = capacity_patch(node)
        if not patch:
            return
        answer = await self._cluster.patch_node_status(
            node["metadata"]["name"], patch, node["metadata"]["resourceVersion"]
        )
        if answer is None:
            return
        if board_type(answer):
            self._changed(answer)
        event = Event("Normal", EVENT_BOARD_ADVERTISED, _offer_text(answer))
        await self._cluster.post_event(event_manifest(answer, "Node", "v1", event, self._now()))


def _offer_text(node: Raw) -> str:
    board = board_type(node)
    if board is None:
        return "no board any more: benchmarks no longer come here"
    if is_disabled(node):
        return f"{board} is out of service: benchmarks wait for another board"
    if words := complaint(node):
        return f"{board} is not healthy, benchmarks wait for another board: {words}"
    return f"one {board} offered as {labels.board_resource(board)}"
