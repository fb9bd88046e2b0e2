from pathlib import Path

import pytest

from dms_operator.api.capabilities import TOOLCHAINS
from dms_operator.api.errors import InvalidSpec, ToolchainUnavailable
from dms_operator.toolchains.registry import toolchain
from toolchains.conftest import silent


def test_every_toolchain_of_the_capability_table_is_registered_under_its_name() -> None:
    assert [toolchain(row.name).name for row in TOOLCHAINS.values()] == list(TOOLCHAINS)


def test_tda4vm_without_tis_tools_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDL_TOOLS_PATH", raising=False)
    with pytest.raises(ToolchainUnavailable, match="TIDL tools are not installed in the converter image: set TIDL"):
        toolchain("tidl").convert(tmp_path / "model.onnx", "tda4vm", {}, tmp_path, silent)


def test_tis_tools_without_tis_onnxruntime_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDL_TOOLS_PATH", str(tmp_path))
    with pytest.raises(ToolchainUnavailable, match="TIDLCompilationProvider"):
        toolchain("tidl").convert(tmp_path / "model.onnx", "tda4vm", {}, tmp_path, silent)


def test_the_host_toolchain_takes_no_options(tmp_path: Path, tiny_qdq: Path) -> None:
    with pytest.raises(InvalidSpec, match="allow-cpu-fallback"):
        toolchain("onnxruntime").convert(tiny_qdq, "generic-x86", {"allow-cpu-fallback": "true"}, tmp_path, silent)


def test_the_host_toolchain_runs_the_model_as_it_is(tmp_path: Path, tiny_qdq: Path) -> None:
    host = toolchain("onnxruntime")
    compiled = host.convert(tiny_qdq, "generic-x86", {}, tmp_path, silent)
    assert compiled.files["model.onnx"].read_bytes() == tiny_qdq.read_bytes()
    assert host.cost(tmp_path) is None and host.simulate(tmp_path, [], tmp_path, silent) is None
    assert not host.has_target("qcs8255")
