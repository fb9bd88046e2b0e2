"""Processes that a cluster left behind when it was killed together with its shims.

Every run is noted on disk. A process is taken for a leftover only if it can be proven to be one: it is the noted shim
(same pid and same start time), or its environment names a sandbox below this cluster's data directory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psutil

from .sandbox import MOUNT_POINT


class RunRegister:
    """Notes of the containers that run, one file each."""

    def __init__(self, directory: Path, pods: Path) -> None:
        self._directory = directory
        self._pods = pods.resolve()
        directory.mkdir(parents=True, exist_ok=True)

    def note(self, container_id: str, pid: int) -> None:
        """Note a run by its shim."""
        try:
            started = psutil.Process(pid).create_time()
        except psutil.NoSuchProcess:
            return  # it has ended already, so nothing is left of it
        (self._directory / container_id).write_text(json.dumps({"pid": pid, "started": started}))

    def forget(self, container_id: str) -> None:
        """Drop the note of a run that has ended."""
        (self._directory / container_id).unlink(missing_ok=True)

    def clean_up(self) -> int:
        """Kill what an earlier cluster of this data directory left; return the number of processes."""
        notes = list(self._directory.iterdir())
        if not notes:
            return 0
        proven = {process.pid: process for process in (*self._noted(notes), *self._marked())}
        for process in proven.values():
            process.kill()
        psutil.wait_procs(list(proven.values()))
        for note in notes:
            note.unlink()
        return len(proven)

    def _noted(self, notes: list[Path]) -> Iterator[psutil.Process]:
        for note in notes:
            known = json.loads(note.read_text())
            try:
                process = psutil.Process(known["pid"])
                if process.create_time() == known["started"]:
                    yield process
            except psutil.NoSuchProcess:
                continue

    def _marked(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            try:
                home = process.environ().get(MOUNT_POINT)
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
            if home and Path(home).is_relative_to(self._pods):
                yield process
