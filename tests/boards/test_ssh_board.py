"""A board behind a real sshd: the job runs there, and whatever happens, nothing stays behind."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from boards.conftest import board_over
from boards.sshd import SshServer
from dms_operator.api.board_connection import parse_connection
from dms_operator.api.errors import BoardRefused, BoardRunFailed, BoardUnreachable, ToolchainUnavailable
from dms_operator.pipeline.latency import Profile
from dms_operator.pipeline.links.connected import ConnectedBoard
from dms_operator.pipeline.links.runner import RemoteRunner
from dms_operator.pipeline.links.ssh import ssh_link
from dms_operator.pipeline.on_board.job import BoardInputs, BoardJob, CameraJob
from dms_operator.pipeline.on_board.run import run_job
from dms_operator.toolchains.loading import Loading


def silent(step: str, done: int, total: int) -> None:
    """Report nothing."""


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def long(job: BoardJob) -> BoardJob:
    return BoardJob(job.loading, Profile(64, 60.0), 2, 0)


def left(sshd: SshServer) -> list[str]:
    return sorted(path.name.split("-")[0] for path in sshd.workdir.iterdir())


def test_a_job_over_ssh_gives_what_it_gives_here_and_leaves_nothing_but_the_runner(
    sshd: SshServer, ssh_board: ConnectedBoard, job: BoardJob, inputs: BoardInputs
) -> None:
    told: list[str] = []
    there = ssh_board.run(job, inputs, lambda step, done, total: told.append(step))
    here = run_job(job, inputs, silent)
    for over_ssh, local in zip(there.outputs, here.outputs, strict=True):
        np.testing.assert_array_equal(over_ssh["logits"], local["logits"])
    assert there.version == here.version
    assert {**there.environment, "load": 0} == {**here.environment, "load": 0}
    assert len(there.target.passes[0].timing.nanoseconds) >= 64 and there.target.load_seconds > 0
    assert len(there.cpu["reference"].passes[0].timing.nanoseconds) == 16
    assert (there.peak_bytes is None) == (here.peak_bytes is None)
    assert there.power.unavailable == here.power.unavailable and there.power.source == here.power.source
    assert set(told) == {"time-measured", "time-fp32"}
    assert left(sshd) == ["lock", "runner"] and sshd.runners() == []


def test_the_runner_is_pushed_once_and_again_when_it_is_damaged(sshd: SshServer, ssh_runner: RemoteRunner) -> None:
    ssh_runner.facts()
    (runner,) = sshd.workdir.glob("runner-*.pyz")
    first = runner.stat().st_ino
    ssh_runner.facts()
    assert runner.stat().st_ino == first
    runner.write_bytes(runner.read_bytes()[:-100])
    ssh_runner.facts()
    assert runner.stat().st_ino != first and left(sshd) == ["runner"]


def test_a_link_that_is_cut_mid_run_is_tried_again_and_the_first_run_leaves_nothing(
    sshd: SshServer, ssh_board: ConnectedBoard, job: BoardJob, inputs: BoardInputs
) -> None:
    cuts: list[int] = []

    def cut_once(step: str, done: int, total: int) -> None:
        if not cuts and step == "time-measured":
            cuts.append(sshd.cut())

    run = ssh_board.run(BoardJob(job.loading, Profile(64, 1.5), 2, 0), inputs, cut_once)
    assert cuts == [1] and len(run.outputs) == 4
    assert left(sshd) == ["lock", "runner"] and sshd.runners() == []


def test_a_board_that_is_away_is_unreachable_and_the_model_is_not_blamed(
    sshd: SshServer, ssh_board: ConnectedBoard, job: BoardJob, inputs: BoardInputs
) -> None:
    sshd.stop()
    with pytest.raises(BoardUnreachable, match=r"ssh://.* is unreachable \(.*Connection refused; tried 3 times\)") as e:
        ssh_board.run(job, inputs, silent)
    assert e.value.retryable and "power and network" in str(e.value)


def test_a_job_whose_pod_is_gone_ends_and_leaves_nothing(
    sshd: SshServer, tmp_path: Path, job: BoardJob, inputs: BoardInputs
) -> None:
    """As SIGKILL of the pod: the client dies with it."""
    started = threading.Event()

    def note(step: str, done: int, total: int) -> None:
        started.set()

    board = board_over(sshd, tmp_path / "gone", pauses=())
    thread = threading.Thread(target=lambda: _unreachable(board, long(job), inputs, note), daemon=True)
    thread.start()
    assert started.wait(30) and sshd.runners()
    sshd.cut()
    sshd.stop()
    wait_for(lambda: not sshd.runners())
    wait_for(lambda: left(sshd) == ["lock", "runner"])
    thread.join(30)


def _unreachable(
    board: ConnectedBoard, job: BoardJob, inputs: BoardInputs, progress: Callable[[str, int, int], None]
) -> None:
    with pytest.raises(BoardUnreachable):
        board.run(job, inputs, progress)


def test_what_a_killed_or_an_older_runner_left_is_removed_by_the_next(
    sshd: SshServer, ssh_board: ConnectedBoard, job: BoardJob, inputs: BoardInputs
) -> None:
    (sshd.workdir / "run-left").mkdir(parents=True)
    (sshd.workdir / "run-left" / "job.zip").write_bytes(b"x")
    (sshd.workdir / "runner-0123456789abcdef.pyz").write_text("of an older release")
    ssh_board.run(job, inputs, silent)
    assert left(sshd) == ["lock", "runner"]


@pytest.mark.slow
def test_a_runner_that_is_killed_is_tried_again_and_is_no_fault_of_the_model(
    sshd: SshServer, tmp_path: Path, job: BoardJob, inputs: BoardInputs
) -> None:
    def kill(step: str, done: int, total: int) -> None:
        for runner in sshd.runners():
            if "serve" in (runner.info["cmdline"] or []):
                runner.kill()

    board = board_over(sshd, tmp_path / "killed", pauses=(0.1,))
    with pytest.raises(BoardUnreachable, match="tried 2 times"):
        board.run(BoardJob(job.loading, Profile(64, 1.0), 2, 0), inputs, kill)


def test_a_job_that_is_killed_names_the_signal(
    sshd: SshServer, ssh_board: ConnectedBoard, job: BoardJob, inputs: BoardInputs
) -> None:
    def kill(step: str, done: int, total: int) -> None:
        for runner in sshd.runners():
            if "job" in (runner.info["cmdline"] or []):
                runner.kill()

    with pytest.raises(BoardRunFailed, match="killed by signal 9, most often for want of memory"):
        ssh_board.run(long(job), inputs, kill)


def test_a_job_that_breaks_tells_the_last_line_that_it_printed(
    ssh_board: ConnectedBoard, job: BoardJob, inputs: BoardInputs
) -> None:
    broken = BoardJob(job.loading, job.profile, 0, 0, CameraJob({"width": "wide"}, []))
    with pytest.raises(BoardRunFailed, match=r"ended with code 1 \(.*Error: "):
        ssh_board.run(broken, inputs, silent)


@pytest.mark.slow
def test_two_pods_never_time_on_one_board_at_once(
    sshd: SshServer, tmp_path: Path, job: BoardJob, inputs: BoardInputs
) -> None:
    """Two nodes that name the same board: the second waits for the first."""
    spans: list[tuple[float, float]] = []

    def one(name: str) -> None:
        run = board_over(sshd, tmp_path / name).run(BoardJob(job.loading, Profile(64, 1.0), 2, 0), inputs, silent)
        timing = run.target.passes[0].timing
        spans.append((timing.began, timing.ended))

    threads = [threading.Thread(target=one, args=(f"pod-{number}",)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    (_, first_end), (second_begin, _) = sorted(spans)
    assert first_end <= second_begin


def test_another_host_key_is_refused_for_good(
    sshd: SshServer, tmp_path: Path, job: BoardJob, inputs: BoardInputs
) -> None:
    other = (sshd.credentials / "known_hosts").read_text().split()
    (sshd.credentials / "known_hosts").write_text(
        f"{other[0]} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtkzdH31IPz8DMxnZX/1ZI2k1Xk8mcTRjgqK1BuFPNo\n"
    )
    with pytest.raises(BoardRefused, match="host key is not the one in known_hosts") as error:
        board_over(sshd, tmp_path / "scratch").run(job, inputs, silent)
    assert not error.value.retryable


def test_a_key_that_the_board_does_not_know_is_refused_for_good(
    sshd: SshServer, tmp_path: Path, job: BoardJob, inputs: BoardInputs
) -> None:
    (sshd.credentials.parent / "authorized_keys").write_text("")
    with pytest.raises(BoardRefused, match="does not accept the key"):
        board_over(sshd, tmp_path / "scratch").run(job, inputs, silent)


def test_a_secret_without_host_key_is_refused_before_anything_is_sent(sshd: SshServer, tmp_path: Path) -> None:
    (sshd.credentials / "known_hosts").unlink()
    with pytest.raises(BoardRefused, match=r"no known_hosts in the board's Secret.*dms\.edge/board-secret"):
        board_over(sshd, tmp_path / "scratch")


def test_a_board_without_python_is_told_apart_from_a_lost_link(
    sshd: SshServer, tmp_path: Path, job: BoardJob, inputs: BoardInputs
) -> None:
    connection = parse_connection(f"{sshd.connection.split('?')[0]}?python=python9&workdir={sshd.workdir}")
    (tmp_path / "scratch").mkdir()
    board = ConnectedBoard(RemoteRunner(ssh_link(connection, sshd.credentials, tmp_path / "scratch"), connection))
    with pytest.raises(ToolchainUnavailable, match=r"has no python9.*\?python="):
        board.run(job, inputs, silent)


def test_a_board_without_its_runtime_says_what_to_install(
    sshd: SshServer, tmp_path: Path, job: BoardJob, inputs: BoardInputs
) -> None:
    bare = tmp_path / "bare-python"
    bare.write_text(f'#!/bin/sh\nexec {os.path.realpath("/proc/self/exe")} -S "$@"\n')
    bare.chmod(0o755)
    connection = parse_connection(f"{sshd.connection.split('?')[0]}?python={bare}&workdir={sshd.workdir}")
    (tmp_path / "scratch").mkdir()
    board = ConnectedBoard(RemoteRunner(ssh_link(connection, sshd.credentials, tmp_path / "scratch"), connection))
    with pytest.raises(ToolchainUnavailable, match=r"cannot import onnxruntime.*Install numpy and the board's"):
        board.run(job, inputs, silent)


@pytest.mark.slow
def test_hardware_that_the_board_does_not_have_is_no_lost_link(
    ssh_board: ConnectedBoard, job: BoardJob, inputs: BoardInputs
) -> None:
    with pytest.raises(ToolchainUnavailable, match=r"ssh://.*: no QNN device of the wanted kind"):
        ssh_board.run(BoardJob(Loading("qnn", "model.onnx"), job.profile, 0, 0), inputs, silent)


def test_the_board_tells_what_it_is(ssh_runner: RemoteRunner) -> None:
    facts = ssh_runner.facts()
    assert facts["runtimes"]["onnxruntime"] and facts["freeDiskBytes"] > 0
    assert ("powerSource" in facts) != ("powerUnavailable" in facts)
