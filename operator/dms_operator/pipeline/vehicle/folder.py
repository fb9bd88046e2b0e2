"""A deployment's folder on a vehicle's disk: who may work in it, and what its links say.

    <fleet>/<node>/<namespace>/<deployment>/
        current            -> revisions/<revision>, what the vehicle runs
        previous           -> revisions/<revision>, what it ran before
        before             -> what `current` was, while a switch is not yet confirmed
        revisions/<revision>/
        work/              what is not finished; nothing in it outlives the pod that made it

A pod holds a lock on the folder (flock), which the kernel takes back when the pod dies.
"""

import errno
import fcntl
import logging
import os
import re
import stat
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import reduce
from pathlib import Path

from ...api.errors import VehicleBusy, VehicleFolderUnusable, VehicleFull
from ...artifacts.copying import FULL
from . import durable

_log = logging.getLogger(__name__)
_LINK = re.compile(r"revisions/([0-9a-f]{1,64})")
_PARTS = 2
"""Folders above the deployment's that are ours, too: the namespace's and the node's."""
_NOTHING = "nothing"
"""What `before` points to where nothing was current."""
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
LOCK_SECONDS = 30.0
"""How long another pod may hold the lock: what Kubernetes gives one to end (terminationGracePeriodSeconds)."""
_POLL_SECONDS = 0.1


class Folder:
    """One deployment's folder, while its lock is held."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.revisions = _directory(path, "revisions")
        self.work = _directory(path, "work")
        for entry in self.work.iterdir():  # of a pod that was killed
            durable.remove(entry)

    def revision(self, name: str) -> Path:
        """Folder of a revision, there or not."""
        return self.revisions / name

    @property
    def current_link(self) -> Path:
        """The link that the vehicle's runtime follows."""
        return self.path / "current"

    @property
    def current(self) -> str | None:
        """Revision that the vehicle runs. Raises VehicleFolderUnusable for a link that is not ours."""
        return self._target("current")

    @property
    def previous(self) -> str | None:
        """Revision that it ran before."""
        return self._target("previous")

    @property
    def before(self) -> str | None:
        """Revision to go back to while a switch is not confirmed; also None where there was none."""
        return self._target("before")

    def place(self, fresh: Path, name: str) -> None:
        """Put a whole revision, made in `work`, where it belongs; an older folder of its name is replaced."""
        durable.sync_tree(fresh)
        target = self.revision(name)
        if not os.path.lexists(target):
            durable.move(fresh, target)
            return
        try:
            durable.exchange(fresh, target)
        except OSError as error:
            if durable.can_exchange(error):
                raise
            _log.warning("the vehicle's file system cannot exchange folders: %s is missing for a moment", name)
            durable.move(target, self.work / "replaced")
            durable.move(fresh, target)

    def switch(self, name: str) -> None:
        """Let `current` point to a revision; `confirm` or `go_back` must follow."""
        durable.link(f"revisions/{self.current}" if self.current else _NOTHING, self.path / "before", self.work)
        durable.link(f"revisions/{name}", self.current_link, self.work)

    def confirm(self) -> None:
        """Keep what was switched to: what was before becomes `previous`, by one rename."""
        self._end_switch(self.path / "previous")

    def go_back(self) -> bool:
        """Undo a switch that was not confirmed, by one rename, which needs no space; says whether there was one."""
        if not os.path.lexists(self.path / "before"):
            return False
        self._end_switch(self.current_link)
        return True

    def _end_switch(self, link: Path) -> None:
        before = self.path / "before"
        if self.before:
            durable.move(before, link)
        else:
            durable.unlink(link)
            durable.unlink(before)

    def prune(self, keep: Collection[str | None]) -> None:
        """Remove all revisions but these; what is half removed has left its place before."""
        for entry in sorted(self.revisions.iterdir()):
            if entry.name not in keep:
                doomed = self.work / f"removed-{entry.name}"
                durable.move(entry, doomed)
                durable.remove(doomed)

    def remove(self) -> None:
        """Remove the whole folder, the link first, and the folders above that are empty then."""
        durable.unlink(self.current_link)
        self.prune(())
        for entry in self.path.iterdir():
            durable.remove(entry)
        self.path.rmdir()
        durable.sync(self.path.parent)
        for parent in self.path.parents[:_PARTS]:
            durable.remove_if_empty(parent)

    def _target(self, name: str) -> str | None:
        link = self.path / name
        try:
            text = str(link.readlink())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unusable(link, "is no symbolic link", "Move it away: it is not ours") from error
        found = _LINK.fullmatch(text)
        if found is None and (name, text) != ("before", _NOTHING):
            raise _unusable(link, f"points to {text[:100]!r}, which is no revision", "Remove it: it is not ours")
        return found[1] if found else None


@contextmanager
def open_folder(fleet: Path, parts: Collection[str]) -> Iterator[Folder]:
    """Make, lock and open the folder at `parts` below the fleet folder.

    Raises VehicleFolderUnusable, VehicleBusy, VehicleFull.
    """
    if not fleet.is_dir():
        raise _unusable(fleet, "is not there", f"Mount {_SETTING} into the pod")
    fleet = fleet.resolve()
    with _disk_errors(fleet), _locked(fleet, parts) as path:
        yield Folder(path)


@contextmanager
def _locked(fleet: Path, parts: Collection[str]) -> Iterator[Path]:
    """Lock the folder itself: no file is left behind, and one that was removed meanwhile is made again."""
    give_up = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            path = reduce(_directory, parts, fleet)
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            if not fleet.is_dir():
                raise
            continue  # another pod has just removed it
        try:
            _lock(descriptor, path, give_up)
            if _is(descriptor, path):
                yield path
                return
        finally:
            os.close(descriptor)


def _lock(descriptor: int, path: Path, give_up: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > give_up:
                raise VehicleBusy(f"another pod has worked in {path} for {LOCK_SECONDS:g} s") from error
        time.sleep(_POLL_SECONDS)


def _is(descriptor: int, path: Path) -> bool:
    """Whether what is open is still what stands there."""
    opened = os.fstat(descriptor)
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return (opened.st_dev, opened.st_ino) == (found.st_dev, found.st_ino)


def _directory(parent: Path, name: str) -> Path:
    """A real folder of that name, made when missing."""
    path = parent / name
    try:
        path.mkdir()
        durable.sync(parent)
    except FileExistsError:
        pass
    if not stat.S_ISDIR(path.lstat().st_mode):
        raise _unusable(path, "is no folder", "Move it away: it is not ours")
    return path


@contextmanager
def _disk_errors(fleet: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            message = f"no space is left on the vehicle's disk below {fleet}"
            raise VehicleFull(message, hint="Free some, or make the model smaller") from error
        denied = Path(error.filename or "/") if error.errno in _DENIED else Path("/")
        if not denied.is_relative_to(fleet):
            raise
        hint = f"Give {_SETTING} to user {os.getuid()}, group {os.getgid()}"
        raise _unusable(denied, f"may not be written ({error.strerror})", hint) from error


_SETTING = "the folder of settings.fleet.volume"


def _unusable(path: Path, problem: str, hint: str) -> VehicleFolderUnusable:
    return VehicleFolderUnusable(f"{path} {problem}", hint=hint)
