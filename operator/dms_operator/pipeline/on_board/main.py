"""Entry point of the runner that is pushed to a board: `serve <directory>`, `job <directory>`, `facts <directory>`."""

import json
import platform
import sys
from pathlib import Path

from .supervise import FAILURE_FILE, JOB, RUN_FILE, serve

SECONDS_BETWEEN_LINES = 5.0
"""Progress is rare on a board: each line is work for its network beside the timed queries."""
NEEDS = ("numpy", "onnxruntime", "onnxruntime_qnn")


def main(arguments: list[str]) -> int:
    """Do what the first argument says; gives the exit code."""
    command, directory = arguments[0], Path(arguments[1])
    if command == "serve":
        return serve(directory, Path(sys.argv[0]))
    if command == "facts":
        from .facts import board_facts

        print(json.dumps(board_facts(directory)))
        return 0
    return _job(directory)


def _job(directory: Path) -> int:
    """Run the job that lies in a directory; what ends it in words goes to a file beside it."""
    try:
        _run(directory)
    except ImportError as error:
        if (error.name or "").split(".")[0] not in NEEDS:
            raise
        _fail(directory, "ToolchainUnavailable", _missing(error))
    except Exception as error:
        reason = getattr(error, "reason", None)
        if reason is None:
            raise
        _fail(directory, reason, str(error))
    return 0


def _run(directory: Path) -> None:
    from ..progress import ProgressPrinter
    from .run import run_job
    from .wire import pack_run, unpack_job

    job, inputs = unpack_job(directory / JOB, directory)
    (directory / JOB).unlink()
    pack_run(run_job(job, inputs, ProgressPrinter(seconds=SECONDS_BETWEEN_LINES)), directory / RUN_FILE)


def _missing(error: ImportError) -> str:
    python = f"{sys.executable} ({platform.python_version()})"
    return (
        f"the board's Python {python} cannot import {error.name}: {error}. Install numpy and the board's ONNX Runtime"
    )


def _fail(directory: Path, reason: str, message: str) -> None:
    (directory / FAILURE_FILE).write_text(json.dumps({"reason": reason, "message": message}))
