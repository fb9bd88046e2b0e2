"""The runner's first process on the board, spoken to over bare pipes: silence, damage, and links that take nothing."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from dms_operator.pipeline.links.package import build_runner
from dms_operator.pipeline.on_board import supervise
from dms_operator.pipeline.on_board.frames import header

Process = subprocess.Popen[bytes]


@pytest.fixture
def runner(tmp_path: Path) -> Path:
    build_runner(tmp_path / "runner.pyz")
    return tmp_path / "runner.pyz"


@pytest.fixture
def served(tmp_path: Path, runner: Path) -> Iterator[Process]:
    command = [sys.executable, str(runner), "serve", str(tmp_path / "work")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    yield process
    process.kill()
    process.wait(20)
    for stream in (process.stdin, process.stdout, process.stderr):
        pipe(stream).close()


def pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def failure(process: Process) -> dict[str, Any]:
    for line in pipe(process.stdout):
        if line.startswith(b"@failure "):
            found: dict[str, Any] = json.loads(line.removeprefix(b"@failure "))
            return found
    raise AssertionError(pipe(process.stderr).read().decode())


def test_it_asks_for_the_job_once_it_holds_the_board(served: Process, tmp_path: Path) -> None:
    assert pipe(served.stdout).readline() == b"@ready\n"
    assert (tmp_path / "work/lock").exists()


def test_a_job_that_arrives_damaged_is_not_run(served: Process, tmp_path: Path) -> None:
    (tmp_path / "job.zip").write_bytes(b"x" * 1000)
    pipe(served.stdin).write(header(tmp_path / "job.zip") + b"y" * 1000)
    pipe(served.stdin).flush()
    told = failure(served)
    assert told["reason"] == "BoardRunFailed" and "another SHA-256" in told["message"]
    assert served.wait(20) == 0 and not list((tmp_path / "work").glob("run-*"))


@pytest.mark.parametrize(
    "line", [b"hello\n", b'{"bytes": -1, "sha256": ""}\n', b'{"bytes": 99999999999999, "sha256": ""}\n']
)
def test_what_is_no_job_is_not_waited_for(served: Process, line: bytes) -> None:
    pipe(served.stdin).write(b"\n\n" + line)
    pipe(served.stdin).flush()
    assert "damaged" in failure(served)["message"]


def test_the_end_of_input_ends_it_and_leaves_nothing(served: Process, tmp_path: Path) -> None:
    assert pipe(served.stdout).readline() == b"@ready\n"
    assert list((tmp_path / "work").glob("run-*"))
    pipe(served.stdin).close()
    assert served.wait(20) == supervise.LINK_LOST_EXIT_CODE
    assert not list((tmp_path / "work").glob("run-*"))


def test_a_signal_ends_it_and_leaves_nothing(served: Process, tmp_path: Path) -> None:
    assert pipe(served.stdout).readline() == b"@ready\n"
    served.terminate()
    assert served.wait(20) == 128 + 15
    assert not list((tmp_path / "work").glob("run-*"))


SILENT = """
import sys
from pathlib import Path
from dms_operator.pipeline.on_board import supervise
supervise.SILENCE_SECONDS = 1.0
if sys.argv[2] == "full":
    pipes = supervise._Pipes()
    try:
        pipes.write(b"x" * (1 << 22))
    except supervise.LinkLost as lost:
        sys.exit(f"lost: {lost}")
sys.exit(supervise.serve(Path(sys.argv[1]), Path("runner.pyz")))
"""


@pytest.mark.parametrize("how", ["quiet", "full"])
def test_a_peer_that_says_nothing_or_takes_nothing_is_not_waited_for_for_ever(tmp_path: Path, how: str) -> None:
    """`full`: a pipe that nobody empties, as a link is that is dead and has not noticed."""
    command = [sys.executable, "-c", SILENT, str(tmp_path / "work"), how]
    started = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    # standard output is left alone: that is the point
    assert process.wait(60) != 0 and time.monotonic() - started < 60
    errors = pipe(process.stderr).read().decode()
    assert "no beat for 1 s" in errors
    process.communicate()
