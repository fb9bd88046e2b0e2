"""The entry point of stage pods: request from the environment, result to the termination log, exit code."""

import contextlib
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from ..api.base import problems
from ..api.errors import TERMINAL_EXIT_CODE
from ..api.log_lines import FORMAT_VARIABLE, formatter, lines_are_about
from ..api.stages import REQUEST_VARIABLE, RESULT_LIMIT_BYTES, StageRequest, StageResult
from ..artifacts.paths import SANDBOX_VARIABLE, sandboxed
from . import termination
from .progress import ProgressPrinter
from .runner import run
from .tracing import traced

TERMINATION_LOG_VARIABLE = "DMS_TERMINATION_LOG"
WORKDIR_VARIABLE = "DMS_WORKDIR"
RETRYABLE_EXIT_CODE = 1
_TERMINATED_EXIT_CODE = 128 + signal.SIGTERM
_log = logging.getLogger(__name__)


def main(arguments: Sequence[str] = ()) -> int:
    """Run the stage of a request file (first argument) or of DMS_REQUEST; gives the exit code."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(os.environ.get(FORMAT_VARIABLE, "plain")))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    with (
        tempfile.TemporaryDirectory(prefix="dms-stage-", dir=_scratch_parent()) as workdir,
        _temporary_files_in(workdir),
        end_at_once_on_sigterm(Path(workdir)),
    ):
        try:
            request = StageRequest.model_validate_json(_request_text(arguments))
        except (OSError, ValidationError) as error:
            return _refuse_request(error)
        lines_are_about(**_keys(request))
        _log.info("%s begins", request.recipe.stage)
        result = traced(request, ProgressPrinter(), lambda progress: run(request, Path(workdir), progress))
    _log.info("%s %s after %.1f s", result.stage, _end(result), result.seconds)
    _report(result)
    return exit_code(result)


def _keys(request: StageRequest) -> dict[str, str]:
    """What the pod's log lines are about. Only vehicles' stages know the revision: it follows from all the others."""
    found = {
        "deployment": request.deployment,
        "stage": request.recipe.stage,
        "target": request.target,
        "revision": getattr(request.recipe, "revision", None),
    }
    return {name: value for name, value in found.items() if value}


def _end(result: StageResult) -> str:
    if result.failure is not None:
        return f"failed ({result.failure.reason})"
    return "was answered by an earlier run" if result.cached else "succeeded"


def _scratch_parent() -> Path | None:
    """The pod's scratch volume: DMS_WORKDIR, else the temporary directory as the container sees it."""
    parent = sandboxed(os.environ.get(WORKDIR_VARIABLE) or tempfile.gettempdir())
    return parent if parent.is_dir() else None


def exit_code(result: StageResult) -> int:
    """0 for success, 10 for what no retry can mend, 1 for what the Job should retry."""
    if result.failure is None:
        return 0
    return RETRYABLE_EXIT_CODE if result.failure.retryable else TERMINAL_EXIT_CODE


def termination_log() -> Path | None:
    """Where the termination message goes; None outside a pod."""
    named = os.environ.get(TERMINATION_LOG_VARIABLE)
    path = sandboxed(named or "/dev/termination-log")
    return path if named or path.exists() or os.environ.get(SANDBOX_VARIABLE) else None


@contextlib.contextmanager
def end_at_once_on_sigterm(workdir: Path) -> Iterator[None]:
    """End the process as soon as SIGTERM arrives, even inside native code, and remove the scratch directory.

    Python runs signal handlers between bytecodes, so a long native call would delay one; the wakeup pipe does not.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    previous = signal.signal(signal.SIGTERM, lambda *_: None)
    previous_descriptor = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    watcher = threading.Thread(target=_await_sigterm, args=(reader, workdir), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous_descriptor)
        signal.signal(signal.SIGTERM, previous)
        os.close(writer)
        watcher.join()
        os.close(reader)


@contextlib.contextmanager
def _temporary_files_in(workdir: str) -> Iterator[None]:
    """What libraries leave behind when the process is ended goes with the scratch directory."""
    previous, tempfile.tempdir = tempfile.tempdir, workdir
    try:
        yield
    finally:
        tempfile.tempdir = previous


def _await_sigterm(reader: int, workdir: Path) -> None:
    while received := os.read(reader, 1):
        if signal.SIGTERM in received:
            break
    else:
        return  # the writing end was closed: the stage is over
    shutil.rmtree(workdir, ignore_errors=True)
    os._exit(_TERMINATED_EXIT_CODE)


def _request_text(arguments: Sequence[str]) -> str:
    return Path(arguments[0]).read_text() if arguments else os.environ.get(REQUEST_VARIABLE, "")


def _refuse_request(error: Exception) -> int:
    """A request that cannot be read names no stage, so the answer is plain text."""
    words = problems(error) if isinstance(error, ValidationError) else str(error)
    message = f"the stage request cannot be read: {words}. Name a file, or set {REQUEST_VARIABLE} to its JSON"
    print(message, file=sys.stderr)
    if path := termination_log():
        path.write_bytes(message.encode("utf-8", "replace")[:RESULT_LIMIT_BYTES])
    return TERMINAL_EXIT_CODE


def _report(result: StageResult) -> None:
    print(f"@result {termination.encoded(result).decode()}", flush=True)
    if path := termination_log():
        termination.write(result, path)
