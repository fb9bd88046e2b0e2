"""Starts the process that opens models and datasets, bounds it, and tells how it ended in the user's words.

What comes from outside may crash a library, hang it or take all memory: this process survives, and the deployment is
told. The child gets none of the pod's secrets: neither its environment nor its files (reader/landlock.py).
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dms_operator

from ...api import errors
from ...api.errors import DMSError, ModelInvalid
from ...api.log_lines import FORMAT_VARIABLE, lines_keys
from ...toolchains.endings import cause_outside, signal_of
from ..pod_limits import memory_limit, resident_bytes, seconds_left
from .child import OUT_OF_MEMORY

_SHARE = 0.9
"""Share of the pod's time after which reading is ended: what is left is for telling."""
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "OMP_NUM_THREADS", "SSL_CERT_FILE", FORMAT_VARIABLE)
"""All that the child sees of the environment, which holds the credentials of stores."""
_EXPORT_AGAIN = "Export it again, or give ONNX"


def read_apart(job: dict[str, Any], workdir: Path) -> dict[str, Any]:
    """Give what reader.read gives for this job, whose files lie in `workdir`.

    Raises ModelInvalid, ModelShapeMismatch, DatasetInvalid; StoreFull, ConverterKilled (from outside).
    """
    job_file, answer = workdir / "reader.json", workdir / "answer.json"
    memory = memory_limit()
    left = None if memory is None else max(0, memory - resident_bytes())
    job = job | {"memory_bytes": left, "log_keys": lines_keys()}
    job_file.write_text(json.dumps(job))
    command = [sys.executable, "-P", "-m", f"{__package__}.child", str(job_file), str(answer)]
    try:
        code = subprocess.run(
            command, cwd=workdir, env=_environment(workdir), stdin=subprocess.DEVNULL, timeout=seconds_left(_SHARE)
        ).returncode
    except subprocess.TimeoutExpired as error:
        raise ModelInvalid(
            f"reading the model, and running one sample of it, did not end within {error.timeout:.0f} s",
            hint="Make it smaller, or raise deadlines.resolve in the operator's settings",
        ) from error
    if code != 0 or not answer.is_file():
        raise _ended(code)
    found: dict[str, Any] = json.loads(answer.read_text())
    if "reason" in found:
        raise _told(found, memory)
    return found


def _ended(code: int) -> Exception:
    """What a child that left no answer died of."""
    what = "the process that reads the model"
    if outside := cause_outside(what, code, ()):
        return outside
    if killed := signal_of(code):
        return ModelInvalid(f"{what} crashed by {killed.name}", hint=_EXPORT_AGAIN)
    return RuntimeError(f"{what} ended with code {code}: see the pod's log")


def _told(found: dict[str, str], memory: int | None) -> DMSError:
    if found["reason"] == OUT_OF_MEMORY:
        limit = "this machine has" if memory is None else f"the {memory} bytes that the pod may use"
        return ModelInvalid(
            f"reading the model and its dataset takes more memory than {limit}",
            hint="Make them smaller, or raise resources.resolve.limits.memory in the operator's settings",
        )
    kind: type[DMSError] = getattr(errors, found["reason"])
    return kind(found["message"], hint=found["hint"])


def _environment(workdir: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    root, others = str(Path(dms_operator.__file__).parents[1]), os.environ.get("PYTHONPATH")
    own = {"PYTHONPATH": f"{root}{os.pathsep}{others}" if others else root, "LOGNAME": "dms"}
    return kept | own | dict.fromkeys(("HOME", "TMPDIR"), str(workdir))
