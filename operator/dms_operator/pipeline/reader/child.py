"""Entry point of the process that opens models and datasets: confined before any library that reads them is loaded.

Called with a job's file and an answer's file, both JSON.
"""

import ctypes
import errno
import json
import logging
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from ...api.errors import DMSError, StoreFull
from ...api.log_lines import FORMAT_VARIABLE, formatter, lines_are_about
from . import landlock

_PR_SET_PDEATHSIG = 1
_LIBRARIES = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime")
_MACHINE = ("/sys", "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/dev/urandom")
"""What libraries ask about the machine; nothing of other processes."""
OUT_OF_MEMORY = "OutOfMemory"
"""Reason of the answer of a child that lacked memory."""

_log = logging.getLogger(__name__)


def confine(workdir: Path, memory_bytes: int | None) -> None:
    """End with the parent, take no more memory than this, open nothing but libraries and the scratch directory."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not landlock.version():
        _log.warning("this node's kernel has no Landlock: the model is read without being kept from other files")
        return
    readable = {*_LIBRARIES, *_MACHINE, *filter(None, sys.path), sys.prefix, sys.base_prefix}
    landlock.confine(map(Path, readable), [workdir, Path("/dev/null")])


def answer_to(job: dict[str, Any]) -> dict[str, Any]:
    """What was found, or in the words of the domain why not."""
    from .read import read

    try:
        return read(job)
    except DMSError as error:
        return {"reason": error.reason, "message": error.message, "hint": error.hint}
    except MemoryError:
        return {"reason": OUT_OF_MEMORY}
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        hint = "Give the node or the volume more"
        return {"reason": StoreFull.reason, "message": "no space is left in the pod's scratch space", "hint": hint}


def main(job_file: Path, answer_file: Path) -> None:
    """Answer a job. What is unexpected ends in a traceback, and in no answer."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(os.environ.get(FORMAT_VARIABLE, "plain")))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    job = json.loads(job_file.read_text())
    lines_are_about(**job["log_keys"])
    confine(job_file.parent, job["memory_bytes"])
    answer_file.write_text(json.dumps(answer_to(job)))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
