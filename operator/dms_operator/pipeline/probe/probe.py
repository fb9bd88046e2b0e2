"""Looks at the node's board now and then, and writes what changed."""

import logging
import tempfile
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...api.board_connection import Connection, InvalidConnection, parse_connection
from ...api.catalog import BOARDS
from ...api.errors import BoardRefused, DMSError
from ...api.labels import BOARD, BOARD_CONNECTION, BOARD_SECRET
from ..links.make import make_link
from ..links.runner import RemoteRunner
from ..on_board.facts import board_facts
from .node import ApiUnavailable, NodeApi
from .reading import FAILURES_IN_A_ROW, Reading, Verdict, healthy_or_not, status_patch

_log = logging.getLogger(__name__)

RUNTIMES = {"qnn": "onnxruntime-qnn"}
"""Distribution that a board's default toolchain runs by; the others run by plain onnxruntime."""

Raw = Mapping[str, Any]


def _now() -> datetime:
    return datetime.now(UTC)


class Probe:
    """One node's board. `credentials` holds a folder for each Secret of a board, by the Secret's name."""

    def __init__(self, api: NodeApi, credentials: Path, now: Callable[[], datetime] = _now) -> None:
        self._api = api
        self._credentials = credentials
        self._now = now
        self._failures = 0

    def run(self, interval: float, stop: threading.Event) -> None:
        """Look until told to stop; an API server that is away is tried again at the next look."""
        while True:
            try:
                self.look()
            except ApiUnavailable as error:
                _log.warning("%s", error)
            if stop.wait(interval):
                return

    def look(self) -> bool:
        """Look once; says whether anything was written. Raises ApiUnavailable."""
        node = self._api.read()
        reading = self.read_board(node)
        patch = status_patch(node, reading, self._now())
        if patch is None:
            return False
        self._api.patch_status(patch)
        _log.info("%s: %s", reading.verdict.reason, reading.verdict.message)
        return True

    def read_board(self, node: Raw) -> Reading:
        """Ask the board, wherever it is."""
        metadata = node["metadata"]
        board = (metadata.get("labels") or {}).get(BOARD, "")
        if board not in BOARDS:
            return Reading(None, Verdict("Unknown", "NoBoard", f"label {BOARD} names no board of the catalog"))
        annotations = metadata.get("annotations") or {}
        try:
            connection = parse_connection(annotations.get(BOARD_CONNECTION) or "local")
            facts = self._facts(connection, annotations.get(BOARD_SECRET, ""), node)
        except InvalidConnection as error:
            return Reading(None, Verdict("False", "InvalidConnection", f"{BOARD_CONNECTION}: {error}"))
        except DMSError as error:
            return Reading(None, self._failed(error))
        self._failures = 0
        how = "the node is the board" if connection.kind == "local" else f"reached by {connection}"
        runtime = RUNTIMES.get(BOARDS[board].toolchains[0], "onnxruntime")
        return Reading(facts, healthy_or_not(facts, how, runtime))

    def _facts(self, connection: Connection, secret: str, node: Raw) -> Raw:
        if connection.kind == "local":
            return board_facts(Path(tempfile.gettempdir()))
        with tempfile.TemporaryDirectory(prefix="probe-") as scratch:
            link = make_link(connection, self._credentials / Path(secret).name, Path(scratch), _address(node))
            # a look that fails is made again at the next interval
            return RemoteRunner(link, connection, pauses=()).facts()

    def _failed(self, error: DMSError) -> Verdict:
        """A board that refuses us is told at once, one that is away after some looks."""
        self._failures += 1
        if error.retryable and self._failures < FAILURES_IN_A_ROW:
            return Verdict("Unknown", error.reason, f"{error} (look {self._failures} of {FAILURES_IN_A_ROW})")
        return Verdict("False", BoardRefused.reason if not error.retryable else error.reason, str(error))


def _address(node: Raw) -> str:
    addresses = (node.get("status") or {}).get("addresses") or []
    return next((each["address"] for each in addresses if each["type"] == "InternalIP"), "127.0.0.1")
