"""A board behind adb: a program that takes adb's documented command line and nothing else stands in for it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from boards import fake_adb
from dms_operator.api.board_connection import parse_connection
from dms_operator.api.errors import BoardRefused, BoardUnreachable, ToolchainUnavailable
from dms_operator.pipeline.links.adb import AdbLink, adb_link
from dms_operator.pipeline.links.connected import ConnectedBoard
from dms_operator.pipeline.links.link import CommandFailed, LinkLost, run
from dms_operator.pipeline.links.runner import RemoteRunner
from dms_operator.pipeline.on_board.job import BoardInputs, BoardJob

SERVER = "10.0.0.4:5037"


def silent(step: str, done: int, total: int) -> None:
    """Report nothing."""


class Adb:
    """The fake on PATH, its devices, and a connection to one of them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        program = directory / "adb"
        program.write_text(f"#!{sys.executable} -IS\n{Path(fake_adb.__file__).read_text()}")
        program.chmod(0o755)
        self.workdir = directory / "device"
        self.devices({SERVER: {"4f2a11": "device"}})

    def devices(self, devices: dict[str, dict[str, str]]) -> None:
        (self.directory / "devices.json").write_text(json.dumps(devices))

    def board(self, serial: str = "4f2a11", python: str = sys.executable) -> ConnectedBoard:
        connection = parse_connection(f"adb://{serial}?python={python}&workdir={self.workdir}")
        return ConnectedBoard(RemoteRunner(adb_link(connection, "10.0.0.4"), connection, pauses=(0.0,)))

    @property
    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.directory / "calls.log").read_text().splitlines()]


@pytest.fixture
def adb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Adb:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return Adb(tmp_path)


def test_a_job_runs_on_the_device_and_leaves_nothing(adb: Adb, job: BoardJob, inputs: BoardInputs) -> None:
    found = adb.board().run(job, inputs, silent)
    assert len(found.outputs) == 4 and len(found.target.passes[0].timing.nanoseconds) >= 64
    assert sorted(path.name.split("-")[0] for path in adb.workdir.iterdir()) == ["lock", "runner"]
    assert all(call[:6] == ["-H", "10.0.0.4", "-P", "5037", "-s", "4f2a11"] for call in adb.calls)
    assert [call[6] for call in adb.calls].count("push") == 1


@pytest.mark.parametrize(
    ("devices", "words", "advice"),
    [
        ({SERVER: {"4f2a11": "offline"}}, "adb: device offline", "replug it"),
        ({SERVER: {"4f2a11": "unauthorized"}}, "device unauthorized", "accept the node's key on the board"),
        ({SERVER: {"other": "device"}}, "device '4f2a11' not found", "look at `adb devices`"),
        ({}, "cannot connect to daemon", "start `adb -a -P 5037 nodaemon server` on the node"),
    ],
)
def test_a_device_that_is_away_is_unreachable_with_advice(
    adb: Adb, job: BoardJob, inputs: BoardInputs, devices: dict[str, dict[str, str]], words: str, advice: str
) -> None:
    adb.devices(devices)
    with pytest.raises(BoardUnreachable) as error:
        adb.board().run(job, inputs, silent)
    message = str(error.value)
    assert message.startswith("adb://4f2a11 is unreachable") and "tried 2 times" in message
    assert words.split(":")[-1].strip() in message and advice.lower() in message.lower()


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_the_exit_code_of_a_command_on_the_device_is_the_commands(adb: Adb, code: int) -> None:
    link = adb_link(parse_connection("adb://4f2a11"), "10.0.0.4")
    if code == 0:
        assert run(link, "echo here; exit 0") == "here"
        return
    with pytest.raises(CommandFailed) as error:
        run(link, f"echo broken >&2; exit {code}")
    assert error.value.code == code


def test_an_older_adbs_words_are_understood_as_well(adb: Adb) -> None:
    link = AdbLink("adb://x", "x", "h", "1")
    for words in ("error: device offline", "error: closed", "adb: error: failed to get feature set: no devices"):
        assert isinstance(link.verdict(1, words), LinkLost)
    assert link.verdict(1, "Segmentation fault") is None


def test_a_device_without_python_is_told_apart(adb: Adb, job: BoardJob, inputs: BoardInputs) -> None:
    with pytest.raises(ToolchainUnavailable, match="has no python9"):
        adb.board(python="python9").run(job, inputs, silent)


def test_an_image_without_adb_says_so(
    adb: Adb, job: BoardJob, inputs: BoardInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(adb.directory / "empty"))
    with pytest.raises(BoardRefused, match="image has no adb"):
        adb.board().run(job, inputs, silent)


def test_the_fake_refuses_what_adb_does_not_know(adb: Adb) -> None:
    program = str(adb.directory / "adb")
    for words in (["--fast", "shell", "ls"], ["-H", "10.0.0.4", "-s", "4f2a11", "shell", "-Q", "ls"], ["teleport"]):
        done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 1 and "unknown" in done.stderr
