"""What a power cut may find: nothing is named that is not yet on the disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from dms_operator.pipeline.vehicle import durable
from pipeline.stages import succeeded
from pipeline.vehicle.disk import Release, Vehicle


class Journal:
    """Every rename and fsync of this process, in order; fsyncs by what was synced, and its state then."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.events: list[tuple[str, Any]] = []
        self.unsynced: list[Path] = []
        """What lay in a revision's folder, not on the disk, when the folder got its name."""
        self._synced: set[tuple[int, int]] = set()
        rename, fsync = os.rename, os.fsync

        def renamed(source: Any, target: Any, **more: Any) -> None:
            if Path(target).parent.name == "revisions":
                self.unsynced += [path for path in _all(Path(source)) if _state(path.lstat()) not in self._synced]
            rename(source, target, **more)
            self.events.append(("rename", Path(target)))

        def synced(descriptor: int) -> None:
            fsync(descriptor)
            self._synced.add(_state(os.fstat(descriptor)))
            self.events.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink()))

        patch.setattr(os, "rename", renamed)
        patch.setattr(os, "fsync", synced)

    def after(self, event: tuple[str, Any]) -> list[tuple[str, Any]]:
        return self.events[self.events.index(event) + 1 :]


def _all(folder: Path) -> list[Path]:
    return [folder, *folder.rglob("*")]


def _state(found: os.stat_result) -> tuple[int, int]:
    return found.st_ino, found.st_mtime_ns


def test_a_revision_gets_its_name_when_all_of_it_is_on_the_disk(
    vehicle: Vehicle, releases: list[Release], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(monkeypatch)
    succeeded(vehicle.prefetch(releases[0]))
    named = ("rename", vehicle.folder / "revisions" / releases[0].revision)
    assert named in journal.events and journal.unsynced == []
    assert ("sync", vehicle.folder / "revisions") in journal.after(named)


def test_the_way_back_is_on_the_disk_before_the_switch_and_the_switch_before_the_answer(
    vehicle: Vehicle, releases: list[Release], monkeypatch: pytest.MonkeyPatch
) -> None:
    vehicle.update(releases[0])
    succeeded(vehicle.prefetch(releases[1]))
    journal = Journal(monkeypatch)
    succeeded(vehicle.activate(releases[1]))
    ours = {*(vehicle.folder / name for name in ("before", "current", "previous")), vehicle.folder}
    names = [kind if kind == "sync" else path.name for kind, path in journal.events if path in ours]
    assert names[:6] == ["before", "sync", "current", "sync", "previous", "sync"]


def test_folders_change_places_in_one_step(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    durable.exchange(tmp_path / "first", tmp_path / "second")
    assert (tmp_path / "first" / "second").exists() and (tmp_path / "second" / "first").exists()


def test_a_file_system_that_cannot_exchange_still_gets_the_new_folder(
    vehicle: Vehicle, releases: list[Release], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Path) -> None:
        raise OSError(22, "Invalid argument")

    succeeded(vehicle.prefetch(releases[0]))
    monkeypatch.setattr(durable, "exchange", refused)
    (vehicle.folder / "revisions" / releases[0].revision / "release.json").unlink()
    succeeded(vehicle.prefetch(releases[0]))
    succeeded(vehicle.activate(releases[0]))
