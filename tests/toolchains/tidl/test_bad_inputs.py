"""Everything that goes wrong with TI's tools: one clear message, terminal or to be retried, and no partial artifact."""

import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from dms_operator.api.errors import (
    ConversionFailed,
    ConverterKilled,
    DatasetInvalid,
    DMSError,
    InvalidSpec,
    StoreFull,
    ToolchainUnavailable,
    UnsupportedOperators,
)
from dms_operator.api.target_options.tidl_socs import soc_named, soc_of
from dms_operator.toolchains.tidl import Tidl, process
from dms_operator.toolchains.tidl.artifacts import read_offload
from dms_operator.toolchains.tidl.process import run_program
from dms_operator.toolchains.tidl.samples import CALIBRATION_FILE, save_samples
from model_fixtures import INPUT_NAME, tiny_classifier
from toolchains.conftest import silent
from toolchains.qdq import samples
from toolchains.tidl.models import graph_of, node

Mode = Callable[[str], None]


@pytest.mark.parametrize(
    ("mode", "kind", "message"),
    [
        (
            "kill",
            ConverterKilled,
            "TIDL compile was killed by SIGKILL. If it happens again, give the stage more memory",
        ),
        ("crash", ConversionFailed, "crashed by SIGSEGV, last lines: TIDL_subgraphImport: bad tensor"),
        ("refuse", ConversionFailed, "ERROR : Unsupported layer configuration in conv2 | RuntimeError"),
        ("no-space", StoreFull, "no space is left in the pod's scratch space for TIDL compile"),
        ("no-allowed", ConversionFailed, "reported success, but left no allowedNode.txt"),
        ("empty-net", ConversionFailed, "left an empty subgraph_0_tidl_net.bin. Convert again"),
        ("part-missing", ConversionFailed, "left no *_tidl_net.bin. Convert again"),
        (
            "unsupported:Conv,Relu,GlobalAveragePool,Flatten,Gemm,QuantizeLinear,DequantizeLinear",
            UnsupportedOperators,
            "TIDL takes no node of the model",
        ),
    ],
)
def test_an_import_that_goes_wrong_leaves_one_message_and_no_file(
    powers_qdq: Path, workdir: Path, ti_tools: Mode, mode: str, kind: type[DMSError], message: str
) -> None:
    ti_tools(mode)
    with pytest.raises(DMSError) as caught:
        Tidl().convert(powers_qdq, "tda4vm", {}, workdir, silent)
    assert type(caught.value) is kind and message in str(caught.value)
    assert not list(workdir.iterdir())


def test_an_import_that_hangs_is_ended_with_all_its_children(powers_qdq: Path, workdir: Path, ti_tools: Mode) -> None:
    ti_tools("hang")
    with pytest.raises(
        ConverterKilled, match=r"TIDL compile did not finish within 2 s.*raise the option import-timeout"
    ):
        Tidl().convert(powers_qdq, "tda4vm", {"import-timeout": "2"}, workdir, silent)
    assert not list(workdir.iterdir())


def test_no_grandchild_outlives_its_program(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    run_program(
        ["sh", "-c", f"sleep 300 >/dev/null 2>&1 & echo $! > {pid_file}"], tmp_path, 60, lambda _: None, what="x"
    )
    deadline = time.monotonic() + 30
    while _alive(int(pid_file.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_full_disk_behind_an_empty_file_is_told_as_such(
    powers_qdq: Path, workdir: Path, ti_tools: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    ti_tools("empty-net")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 0})())
    with pytest.raises(StoreFull, match="no space is left") as caught:
        Tidl().convert(powers_qdq, "tda4vm", {}, workdir, silent)
    assert caught.value.retryable and not list(workdir.iterdir())


def test_a_full_disk_while_our_own_files_are_written_leaves_none(
    powers_qdq: Path, workdir: Path, ti_tools: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dms_operator.toolchains.tidl.compile.save_samples", full)
    with pytest.raises(OSError, match="No space left"):  # the stage's runner makes StoreFull of it
        Tidl().convert(powers_qdq, "tda4vm", {}, workdir, silent)
    assert not list(workdir.iterdir())


def test_tools_without_their_python_say_what_to_install(
    powers_qdq: Path, workdir: Path, ti_tools: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDL_PYTHON", "/nowhere/python3.10")
    with pytest.raises(ToolchainUnavailable, match=r"/nowhere/python3.10 cannot be started.*TIDL_PYTHON"):
        Tidl().convert(powers_qdq, "tda4vm", {}, workdir, silent)


def test_a_python_with_another_onnxruntime_is_told_apart(powers_qdq: Path, workdir: Path, ti_tools: Mode) -> None:
    ti_tools("no-provider")
    with pytest.raises(ToolchainUnavailable, match="has no TIDLCompilationProvider"):
        Tidl().convert(powers_qdq, "tda4vm", {}, workdir, silent)


def test_half_unpacked_tools_are_named(
    powers_qdq: Path, workdir: Path, ti_tools: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    (Path(os.environ["TIDL_TOOLS_PATH"]) / "device_config.cfg").unlink()
    with pytest.raises(ToolchainUnavailable, match=r"holds no device_config.cfg. Unpack"):
        Tidl().convert(powers_qdq, "tda4vm", {}, workdir, silent)


def test_tools_for_another_chip_are_refused(
    powers_qdq: Path, workdir: Path, ti_tools: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOC", "am68a")
    with pytest.raises(ToolchainUnavailable, match=r"are for am68a.*the board carries am68pa"):
        Tidl().convert(powers_qdq, "tda4vm", {}, workdir, silent)


@pytest.mark.parametrize(
    ("release", "board", "message"),
    [
        ("11_02_07_00", "10.01", "TIDL tools 11.2 make artifacts that a board with SDK 10.1 does not load"),
        ("", "11.02", "release of the TIDL tools is unknown"),
        ("08_06_00_00", "", r"TIDL tools 8.6 are not supported. Use a release from 9.0 to 11.2"),
        ("12_00_00_00", "", "TIDL tools 12.0 are not supported"),
    ],
)
def test_the_wrong_release_line_is_refused_before_anything_runs(
    powers_qdq: Path,
    workdir: Path,
    ti_tools: Mode,
    monkeypatch: pytest.MonkeyPatch,
    release: str,
    board: str,
    message: str,
) -> None:
    monkeypatch.setenv("TIDL_TOOLS_RELEASE", release)
    options = {"board-release": board} if board else {}
    with pytest.raises(ToolchainUnavailable, match=message):
        Tidl().convert(powers_qdq, "tda4vm", options, workdir, silent)
    assert not list(workdir.iterdir())


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((1, 16, 16, 3), np.float32), r"channels last \(NHWC\).*transpose to \[1, 3, 16, 16\]"),
        (np.zeros((3, 16, 16), np.float32), r"shape \[3, 16, 16\] instead of \[1, 3, 16, 16\]"),
        (np.zeros((1, 3, 16, 16), np.uint8), "uint8 instead of float32"),
        (np.full((1, 3, 16, 16), np.nan, np.float32), "NaN or infinite"),
    ],
)
def test_a_calibration_sample_that_does_not_fit_is_named(
    tmp_path: Path, workdir: Path, ti_tools: Mode, array: np.ndarray, message: str
) -> None:
    model = tiny_classifier(tmp_path / "model.onnx")
    save_samples(tmp_path / CALIBRATION_FILE, [{INPUT_NAME: array}])
    with pytest.raises(DatasetInvalid, match=rf"calibration sample 0, input frames: .*{message}"):
        Tidl().convert(model, "tda4vm", {}, workdir, silent)
    assert not list(workdir.iterdir())


def test_a_float_model_without_samples_is_refused(tmp_path: Path, workdir: Path, ti_tools: Mode) -> None:
    with pytest.raises(DatasetInvalid, match="there is no calibration sample"):
        Tidl().convert(tiny_classifier(tmp_path / "model.onnx"), "tda4vm", {}, workdir, silent)


def test_calibration_samples_that_are_damaged_are_refused(tmp_path: Path, workdir: Path, ti_tools: Mode) -> None:
    model = tiny_classifier(tmp_path / "model.onnx")
    (tmp_path / CALIBRATION_FILE).write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(DatasetInvalid, match="cannot be read"):
        Tidl().convert(model, "tda4vm", {}, workdir, silent)


def test_samples_under_another_name_are_refused(tmp_path: Path, workdir: Path, ti_tools: Mode) -> None:
    model = tiny_classifier(tmp_path / "model.onnx")
    save_samples(tmp_path / CALIBRATION_FILE, [{"image": samples(1)[0][INPUT_NAME]}])
    with pytest.raises(DatasetInvalid, match="has the inputs image, the model frames"):
        Tidl().convert(model, "tda4vm", {}, workdir, silent)


def test_a_qdq_model_with_other_scales_is_refused_with_the_reason(
    tiny_qdq: Path, workdir: Path, ti_tools: Mode
) -> None:
    with pytest.raises(ConversionFailed, match=r"one power-of-two scale per tensor and no zero point: .*per channel"):
        Tidl().convert(tiny_qdq, "tda4vm", {}, workdir, silent)


def test_an_unsupported_operator_is_found_before_the_import(tmp_path: Path, workdir: Path, ti_tools: Mode) -> None:
    model = graph_of([node("Relu", ["x"], "a"), node("Einsum", ["a"], "y", equation="bc->cb")], {"x": [2, 3]}, ["y"])
    onnx.save(model, tmp_path / "model.onnx")
    ti_tools("kill")  # nothing may have been started
    with pytest.raises(
        UnsupportedOperators, match=r"1 of 2 nodes will not \(by TI's published tables\).*Einsum: no TIDL"
    ):
        Tidl().convert(tmp_path / "model.onnx", "tda4vm", {}, workdir, silent)


def test_an_opset_that_cannot_be_lowered_names_the_operators(tmp_path: Path, workdir: Path, ti_tools: Mode) -> None:
    onnx.save(
        graph_of([node("Relu", ["x"], "a"), node("Swish", ["a"], "y")], {"x": [2, 3]}, ["y"], opset=24),
        tmp_path / "m.onnx",
    )
    with pytest.raises(ConversionFailed, match=r"opset 24, TI's tools read up to 19.*Swish \(opset 24\) x1"):
        Tidl().convert(tmp_path / "m.onnx", "tda4vm", {}, workdir, silent)


@pytest.mark.parametrize("text", ["", "x\n", "2\n1\n0\n", "1\n2\n0\n", "1\n0\n", "1\n1\n0\n7\n"])
def test_a_damaged_report_of_nodes_is_refused(text: str) -> None:
    with pytest.raises(ConversionFailed, match="damaged"):
        read_offload(text)


def test_an_unknown_chip_lists_the_known_ones() -> None:
    with pytest.raises(InvalidSpec, match=r"knows no chip 'j7200'. It knows J721E \(am68pa\)"):
        soc_named("j7200")
    with pytest.raises(InvalidSpec, match="am62 has no C7x/MMA accelerator"):
        soc_named("am62")
    with pytest.raises(InvalidSpec, match="generic-x86"):
        soc_of("generic-x86")


def test_a_program_that_does_not_exist_is_a_failure_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(process.TaskFailed) as caught:
        run_program([str(tmp_path / "none")], tmp_path, 10, silent_line, what="x")
    assert "cannot be started: No such file" in caught.value.why()


def test_an_interrupted_import_leaves_no_process(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"

    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    program = (
        f"import os,time; open({str(pid_file)!r},'w').write(str(os.getpid())); print('x',flush=True); time.sleep(300)"
    )
    with pytest.raises(KeyboardInterrupt):
        run_program([sys.executable, "-c", program], tmp_path, 60, interrupt, what="x")
    assert not _alive(int(pid_file.read_text()))


def silent_line(line: str) -> None:
    pass
