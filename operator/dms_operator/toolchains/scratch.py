"""A scratch directory whose failure leaves nothing behind."""

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from ..api.errors import StoreFull


@contextlib.contextmanager
def all_or_nothing(workdir: Path) -> Iterator[Path]:
    """Give a scratch directory in `workdir`; on any failure also what was put beside it is gone.

    Raises StoreFull when the disk is full.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    before = set(workdir.iterdir())
    try:
        with TemporaryDirectory(prefix="scratch-", dir=workdir) as name:
            yield Path(name)
    except BaseException as error:
        for path in set(workdir.iterdir()) - before:
            _remove(path)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise StoreFull("no space is left in the pod's scratch space for the conversion") from error
        raise


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
