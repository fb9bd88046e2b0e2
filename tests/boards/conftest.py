"""Boards behind real ssh and behind an adb that speaks its documented command line."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from boards.sshd import SshServer, unpacked
from dms_operator.api.board_connection import Connection, parse_connection
from dms_operator.pipeline.latency import Profile
from dms_operator.pipeline.links.connected import ConnectedBoard
from dms_operator.pipeline.links.runner import RemoteRunner
from dms_operator.pipeline.links.ssh import ssh_link
from dms_operator.pipeline.on_board.job import BoardInputs, BoardJob, CpuJob
from dms_operator.toolchains.base import Arrays
from dms_operator.toolchains.onnxruntime_cpu import OnnxRuntimeCpu
from model_fixtures import tiny_classifier


@pytest.fixture(scope="session")
def sshd_files(pytestconfig: pytest.Config) -> Path:
    cache = pytestconfig.cache
    assert cache is not None
    return unpacked(cache.mkdir("openssh"))


@pytest.fixture
def sshd(sshd_files: Path, tmp_path: Path) -> Iterator[SshServer]:
    """A board behind ssh: this machine."""
    server = SshServer(sshd_files, tmp_path / "board")
    server.start()
    yield server
    server.cut()
    server.stop()


def runner_over(server: SshServer, scratch: Path, pauses: tuple[float, ...] = (0.1, 0.1)) -> RemoteRunner:
    connection: Connection = parse_connection(server.connection)
    scratch.mkdir(exist_ok=True)
    return RemoteRunner(ssh_link(connection, server.credentials, scratch), connection, pauses)


def board_over(server: SshServer, scratch: Path, pauses: tuple[float, ...] = (0.1, 0.1)) -> ConnectedBoard:
    return ConnectedBoard(runner_over(server, scratch, pauses))


@pytest.fixture
def ssh_runner(sshd: SshServer, tmp_path: Path) -> RemoteRunner:
    return runner_over(sshd, tmp_path / "scratch")


@pytest.fixture
def ssh_board(sshd: SshServer, tmp_path: Path) -> ConnectedBoard:
    return board_over(sshd, tmp_path / "scratch")


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> BoardInputs:
    directory = tmp_path_factory.mktemp("inputs")
    model = tiny_classifier(directory / "model.onnx")
    (directory / "compiled").mkdir()
    OnnxRuntimeCpu().convert(model, "generic-x86", {}, directory / "compiled", lambda *_: None)
    random = np.random.default_rng(7)
    samples: list[Arrays] = [{"frames": random.standard_normal((1, 3, 16, 16)).astype(np.float32)} for _ in range(4)]
    return BoardInputs(directory / "compiled", {"reference": model}, samples, samples, np.zeros((1, 3), np.float32))


@pytest.fixture
def job(inputs: BoardInputs) -> BoardJob:
    loading = OnnxRuntimeCpu().loading(inputs.compiled)
    return BoardJob(loading, Profile(64, 0.2), 2, 0, cpu={"reference": CpuJob("time-fp32", Profile(16, 0.0))})
