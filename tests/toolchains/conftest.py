"""Compiled once for all tests of the folder: real compilations take a second each."""

from pathlib import Path

import pytest

from dms_operator.toolchains.base import Compiled
from dms_operator.toolchains.qnn.toolchain import Qnn
from model_fixtures import tiny_classifier
from toolchains.qdq import quantized


def silent(step: str, done: int, total: int) -> None:
    pass


@pytest.fixture(scope="session")
def tiny_qdq(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tiny")
    return quantized(tiny_classifier(directory / "float.onnx"), directory / "qdq.onnx")


@pytest.fixture(scope="session")
def tiny_compiled(tiny_qdq: Path, tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    return Qnn().convert(tiny_qdq, "qcs8255", {}, tmp_path_factory.mktemp("compiled"), silent)
