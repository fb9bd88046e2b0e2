"""The link of a connection."""

from pathlib import Path

from ...api.board_connection import Connection
from .adb import adb_link
from .link import Link
from .ssh import ssh_link


def make_link(connection: Connection, credentials: Path, scratch: Path, node_address: str) -> Link:
    """The link of a connection that is not local; `node_address` is where the node's adb server is.

    Raises BoardRefused when keys are missing.
    """
    if connection.kind == "ssh":
        return ssh_link(connection, credentials, scratch)
    return adb_link(connection, node_address)
