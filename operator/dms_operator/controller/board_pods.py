"""What a benchmark pod is given to reach a board that hangs off its node: where it is, and the keys of this one alone.

The scheduler chooses the node, so the pod is told of every node that it may come to; the keys are mounted by the
node's name, so that it sees those of its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..api.base import canonical_json
from ..api.board_connection import CONNECTIONS_VARIABLE, CREDENTIALS_PATH, NODE_ADDRESS_VARIABLE

VOLUME = "board"
KEYS = ("ssh-privatekey", "known_hosts")
_READABLE_BY_GROUP = 0o440
"""The pod's user is no root; fsGroup makes the files its group's."""


@dataclass(frozen=True)
class Attachment:
    """A node whose board hangs off it: the values of its annotations."""

    node: str
    connection: str
    secret: str = ""


def environment(attachments: Iterable[Attachment]) -> list[dict[str, Any]]:
    """Variables of the container; none where every board is its node itself."""
    table = {each.node: each.connection for each in attachments}
    if not table:
        return []
    address = {"fieldRef": {"fieldPath": "status.hostIP"}}
    return [
        {"name": CONNECTIONS_VARIABLE, "value": canonical_json(table).decode().replace("$", "\\u0024")},
        {"name": NODE_ADDRESS_VARIABLE, "valueFrom": address},
    ]


def volumes(attachments: Iterable[Attachment]) -> list[dict[str, Any]]:
    """One volume with a folder for each node whose board needs keys."""
    sources = [_source(each) for each in attachments if each.secret]
    projected = {"defaultMode": _READABLE_BY_GROUP, "sources": sources}
    return [{"name": VOLUME, "projected": projected}] if sources else []


def mounts(attachments: Iterable[Attachment], node_variable: str) -> list[dict[str, Any]]:
    """The folder of the pod's own node."""
    if not any(each.secret for each in attachments):
        return []
    own = f"$({node_variable})"
    return [{"name": VOLUME, "mountPath": CREDENTIALS_PATH, "subPathExpr": own, "readOnly": True}]


def _source(attachment: Attachment) -> dict[str, Any]:
    items = [{"key": key, "path": f"{attachment.node}/{key}"} for key in KEYS]
    # optional: a Secret that one board lacks must not keep pods from all others; the pod itself says what is missing
    return {"secret": {"name": attachment.secret, "items": items, "optional": True}}
