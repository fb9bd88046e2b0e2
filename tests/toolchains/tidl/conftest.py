"""TI's tools, faked as documented: a tools folder, and a Python whose onnxruntime is `fake_site`."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from model_fixtures import tiny_classifier
from toolchains.tidl.models import fixed_point

FAKE_SITE = Path(__file__).with_name("fake_site")
TOOL_FILES = ("tidl_model_import_onnx.so", "device_config.cfg", "PC_dsp_test_dl_algo.out")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TIDL_TOOLS_PATH", "TIDL_PYTHON", "TIDL_TOOLS_RELEASE", "SOC", "FAKE_TIDL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def ti_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """TI's tools are installed; call with a mode of the fake to make them misbehave."""
    tools, python = tmp_path / "tidl tools", tmp_path / "python é"
    tools.mkdir()
    for name in TOOL_FILES:
        (tools / name).write_bytes(b"x")
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{FAKE_SITE}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv("TIDL_TOOLS_PATH", str(tools))
    monkeypatch.setenv("TIDL_PYTHON", str(python))
    monkeypatch.setenv("SOC", "am68pa")
    return lambda mode: monkeypatch.setenv("FAKE_TIDL", mode)


@pytest.fixture(scope="session")
def powers_qdq(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny classifier in TIDL's fixed point."""
    directory = tmp_path_factory.mktemp("powers")
    return fixed_point(tiny_classifier(directory / "float.onnx"), directory / "model.onnx")


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    path = tmp_path / "work"
    path.mkdir()
    return path
