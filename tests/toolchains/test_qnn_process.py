"""The child process that shields a stage from Qualcomm's libraries."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from dms_operator.api.errors import ConverterKilled, StoreFull
from dms_operator.toolchains.qnn import process
from dms_operator.toolchains.qnn.process import ToolFailed, run_task

T = TypeVar("T")


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that runs in place of the real child."""
    script = tmp_path / "child.sh"
    monkeypatch.setattr(sys, "executable", str(script))
    return script


def program(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def run(tmp_path: Path) -> list[str]:
    return run_task({"task": "compile"}, tmp_path)


def test_a_crash_is_told_by_signal_and_last_lines(child: Path, tmp_path: Path) -> None:
    program(child, "echo preparing graph; echo bad tensor >&2; kill -SEGV $$")
    with pytest.raises(ToolFailed) as caught:
        run(tmp_path)
    assert caught.value.why() == "it crashed by SIGSEGV, last lines: preparing graph | bad tensor"


def test_an_exit_of_the_native_library_is_told_by_code(child: Path, tmp_path: Path) -> None:
    program(child, "echo giving up >&2; exit 7")
    with pytest.raises(ToolFailed) as caught:
        run(tmp_path)
    assert caught.value.why() == "it exited with code 7, last lines: giving up"


def test_a_silent_death_is_still_a_message(child: Path, tmp_path: Path) -> None:
    program(child, "exit 1")
    with pytest.raises(ToolFailed) as caught:
        run(tmp_path)
    assert "it printed nothing" in caught.value.why()


def test_lines_that_name_errors_come_before_chatter(child: Path, tmp_path: Path) -> None:
    program(child, "echo '[E:onnxruntime:, q.cc:1 F] op refused'; for i in 1 2 3 4 5; do echo chatter; done; exit 3")
    with pytest.raises(ToolFailed) as caught:
        run(tmp_path)
    assert caught.value.why() == "it reported: [E:onnxruntime:, q.cc:1 F] op refused"


def test_a_kill_from_outside_may_be_tried_again(child: Path, tmp_path: Path) -> None:
    program(child, "kill -KILL $$")
    with pytest.raises(ConverterKilled, match=r"SIGKILL.*memory") as caught:
        run(tmp_path)
    assert caught.value.retryable


def test_a_compiler_without_memory_may_be_tried_again(child: Path, tmp_path: Path) -> None:
    program(child, "echo \"terminate called after throwing an instance of 'std::bad_alloc'\"; kill -ABRT $$")
    with pytest.raises(ConverterKilled, match=r"ran out of memory: .*bad_alloc.*more memory"):
        run(tmp_path)


def test_a_compiler_that_hangs_is_stopped_and_may_be_tried_again(child: Path, tmp_path: Path) -> None:
    program(child, f"echo $$ > {tmp_path}/pid; exec sleep 100")
    with pytest.raises(ConverterKilled, match=r"compile process did not finish within 3 s.*timeout-minutes") as caught:
        run_task({"task": "compile", "timeout_seconds": 3}, tmp_path)
    assert caught.value.retryable
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_full_disk_is_named_as_such(child: Path, tmp_path: Path) -> None:
    program(child, "echo '@error OSError: [Errno 28] No space left on device'; exit 3")
    with pytest.raises(StoreFull):
        run(tmp_path)


def test_colours_and_time_stamps_are_kept_out_of_the_log(child: Path, tmp_path: Path) -> None:
    program(child, r"printf '\033[0;93m2026-11-23 02:27:12.0 [W:onnxruntime:, x] warned\033[m\n'")
    assert run(tmp_path) == ["[W:onnxruntime:, x] warned"]


def test_an_interrupted_stage_leaves_no_child(child: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(child, f"echo $$ > {tmp_path}/pid; echo ready; exec sleep 100")

    def interrupt(process: "subprocess.Popen[str]", lines: list[str], wanted: str | None) -> bool:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        raise KeyboardInterrupt

    monkeypatch.setattr(process, "read_until", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_the_child_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    job = tmp_path / "job.json"
    os.mkfifo(job)
    command = f'"{sys.executable}" -P -m dms_operator.toolchains.qnn.child "{job}" & echo $!; wait'
    parent = subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, text=True, env=process._environment())
    assert parent.stdout is not None
    with parent:
        pid = int(parent.stdout.readline())
        # the child opens its job only when it is bound to its parent; until then there is no reader
        writer = poll(lambda: opened_for_writing(job))
        parent.kill()
        poll(lambda: ended(pid))
        os.close(writer)


def opened_for_writing(fifo: Path) -> int | None:
    try:
        return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def poll(condition: Callable[[], T | None], seconds: float = 30.0) -> T:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found
