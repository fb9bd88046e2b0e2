"""Boards by adb, through an adb server on the node: a pod then needs neither USB devices nor privileges.

Contract: Android's `adb help` and shell protocol v2 (Android 7 and Qualcomm Linux), by which `adb shell` passes on
the command's exit code and keeps its output apart from its errors.
"""

import re
from dataclasses import dataclass

from ...api.board_connection import ADB_PORT, Connection
from .link import LinkLost, last_line

_OWN_WORDS = re.compile(r"^(?:adb: |error: |protocol fault|.*cannot connect to daemon).*$", re.MULTILINE)
"""How adb itself speaks: `error: device offline`, `adb: device unauthorized.`, `error: closed`."""

_ADVICE = (
    ("unauthorized", "accept the node's key on the board, or put it into the board's /data/misc/adb/adb_keys"),
    ("offline", "the board is there, but its adbd does not answer: replug it or restart it"),
    ("not found", "no such serial on the adb server: look at `adb devices` on the node"),
    ("no devices", "no board on the adb server: look at `adb devices` on the node"),
    ("cannot connect to daemon", "no adb server answers: start `adb -a -P 5037 nodaemon server` on the node"),
)


@dataclass(frozen=True)
class AdbLink:
    """One board on an adb server."""

    name: str
    serial: str
    host: str
    port: str

    @property
    def _client(self) -> list[str]:
        return ["adb", "-H", self.host, "-P", self.port, "-s", self.serial]

    def command(self, remote: str) -> list[str]:
        """As Link says; -T: no terminal, so that bytes stay what they are."""
        return [*self._client, "shell", "-T", remote]

    def push_command(self, remote: str) -> list[str] | None:
        """As Link says."""
        return [*self._client, "push", remote]

    def verdict(self, code: int, errors: str) -> Exception | None:
        """As Link says: adb's own failures end with 1, as a command's may, but are told in adb's words."""
        found = _OWN_WORDS.search(errors)
        if found is None:
            return None
        words = last_line(found.group()).rstrip(".")
        advice = next((advice for sign, advice in _ADVICE if sign in errors), "")
        return LinkLost(f"{words}. {advice[:1].upper()}{advice[1:]}" if advice else words)


def adb_link(connection: Connection, node_address: str) -> AdbLink:
    """The link to a serial; `node_address` is where the node's own adb server is."""
    host, _, port = (connection.server or f"{node_address}:{ADB_PORT}").rpartition(":")
    return AdbLink(str(connection), connection.serial, host or port, port if host else str(ADB_PORT))
