"""Changes of a folder that a kill or a power cut either leaves undone or finds done."""

import ctypes
import errno
import os
import shutil
from pathlib import Path

_EXCHANGE = 2
"""RENAME_EXCHANGE of renameat2(2)."""
_AT_FDCWD = -100


def sync(path: Path) -> None:
    """Bring a file's bytes, or a folder's entries, onto the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Bring everything below a folder onto the disk, the folder last."""
    for directory, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync(Path(directory) / name)
        sync(Path(directory))


def move(source: Path, target: Path) -> None:
    """Rename, for good. Both are in one file system; a folder is not put over another one."""
    source.rename(target)
    sync(target.parent)
    sync(source.parent)


def exchange(first: Path, second: Path) -> None:
    """Let two entries change places, for good, in one step: no moment sees one of the names missing.

    Raises OSError EINVAL or ENOSYS where the file system cannot.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(second))
    sync(second.parent)
    sync(first.parent)


def can_exchange(error: OSError) -> bool:
    """Whether a failed exchange failed for another reason than a file system without it."""
    return error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


def link(text: str, target: Path, scratch: Path) -> None:
    """Make or replace a symbolic link by one rename, for good; `scratch` is a folder of the same file system."""
    fresh = scratch / f"{target.name}.link"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(text)
    fresh.rename(target)
    sync(target.parent)


def unlink(target: Path) -> None:
    """Remove a file or link, for good, where there is one."""
    target.unlink(missing_ok=True)
    sync(target.parent)


def remove_if_empty(folder: Path) -> None:
    """Remove a folder that holds nothing; another pod may put something in at any moment."""
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.ENOENT):
            raise


def remove(entry: Path) -> None:
    """Remove whatever an entry is; symbolic links are not followed."""
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink(missing_ok=True)
