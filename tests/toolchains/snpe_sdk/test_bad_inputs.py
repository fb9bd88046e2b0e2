"""Everything that goes wrong is one clear error of the right class, and leaves nothing behind."""

import errno
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

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
from dms_operator.api.target_options.snpe_sdk import parse_options
from dms_operator.toolchains.snpe_sdk import run, toolchain
from dms_operator.toolchains.snpe_sdk.inputs import write_inputs
from dms_operator.toolchains.snpe_sdk.run import run_tool
from dms_operator.toolchains.snpe_sdk.sdk import find_sdk
from dms_operator.toolchains.snpe_sdk.toolchain import SnpeSdk
from model_fixtures import tiny_classifier
from toolchains.conftest import silent
from toolchains.snpe_sdk.fakes import HOST, FakeSdk
from toolchains.test_qnn_process import ended, poll

SHAPES = {"frames": (1, 3, 16, 8)}


def test_without_an_sdk_the_user_is_told_how_to_bring_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SNPE_ROOT", "QAIRT_SDK_ROOT", "QNN_SDK_ROOT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ToolchainUnavailable, match=r"set one of QAIRT_SDK_ROOT.*Toolchain qnn"):
        assert SnpeSdk().version


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda root: shutil.rmtree(root), "is no directory"),
        (lambda root: shutil.rmtree(root / "bin"), "no host tools"),
        (lambda root: (root / "sdk.yaml").write_text("version: 1.68.0.3932\n"), r"1\.68.*not supported.*2\.22"),
        (lambda root: (root / "sdk.yaml").write_text("version: 2.10.0.1\n"), r"2\.10.*not supported"),
        (lambda root: (root / "sdk.yaml").write_text("version: [1\n"), r"sdk\.yaml cannot be read"),
        (lambda root: (root / "sdk.yaml").unlink(), "tells no version"),
        (lambda root: [path.unlink() for path in (root / "bin" / HOST).glob("*er")], "lacks qairt-converter.*SNPE"),
    ],
)
def test_an_unusable_sdk_is_told_by_what_is_wrong_with_it(sdk: FakeSdk, spoil: Any, says: str) -> None:
    spoil(sdk.root)
    if says.startswith("lacks"):
        (sdk.root / "bin" / HOST / "snpe-dlc-info").unlink()
    with pytest.raises(ToolchainUnavailable, match=says) as caught:
        find_sdk()
    assert not caught.value.retryable


def test_the_version_is_read_from_the_directorys_name_too(tmp_path: Path) -> None:
    fake = FakeSdk(tmp_path / "2.31.0.250130")
    (fake.root / "sdk.yaml").unlink()
    assert find_sdk({"SNPE_ROOT": str(fake.root)}).version == "2.31.0.250130"


def test_a_path_with_a_colon_is_refused_because_search_paths_split_there(tmp_path: Path) -> None:
    with pytest.raises(ToolchainUnavailable, match="colon"):
        find_sdk({"SNPE_ROOT": str(FakeSdk(tmp_path / "a:b").root)})


@pytest.mark.parametrize(
    ("behaviour", "kind", "says"),
    [
        ({"signal": "SIGKILL"}, ConverterKilled, "qairt-quantizer was killed by SIGKILL.*memory"),
        ({"exit": 137}, ConverterKilled, "killed by SIGKILL"),
        ({"signal": "SIGSEGV", "says": ["loading"]}, ConversionFailed, "crashed by SIGSEGV: loading"),
        ({"says": ["terminate: std::bad_alloc"], "exit": 1}, ConverterKilled, "bad_alloc.*more memory"),
        (
            {"says": ["OSError: [Errno 28] No space left on device"], "exit": 1, "leaves": "half.dlc"},
            StoreFull,
            "space",
        ),
        (
            {"says": ["KeyError: 'No translation registered for op type onnx_isnan.'"], "exit": 1},
            UnsupportedOperators,
            "onnx_isnan.*Replace the operator",
        ),
        (
            {"says": ["[ ERROR ] Failed to validate op conv1 with error 0xc26"], "exit": 1},
            UnsupportedOperators,
            "conv1",
        ),
        (
            {"says": ["ModuleNotFoundError: No module named 'qti'"], "exit": 1},
            ToolchainUnavailable,
            "python-dependency",
        ),
        ({"says": ["libc.so.6: version `GLIBC_2.38' not found"], "exit": 1}, ToolchainUnavailable, "check-linux"),
        ({"says": ["error: unrecognized arguments: --x"], "exit": 2}, ToolchainUnavailable, "does not know the option"),
        ({"says": ["chatter", "ERROR - shapes differ", "bye"], "exit": 4}, ConversionFailed, "code 4: ERROR - shapes"),
        ({"says": ["ERROR: licence check failed"], "exit": 1}, ToolchainUnavailable, "asks for its licence"),
        ({"says": ["(c) Qualcomm, see LICENSE.pdf", "bye"], "exit": 3}, ConversionFailed, "code 3: bye"),
        ({"exit": 5}, ConversionFailed, "it printed nothing"),
        ({"writes_nothing": True}, ConversionFailed, r"reported success, but wrote no quantized\.dlc"),
    ],
)
def test_a_failing_tool_is_one_error_with_its_own_line_and_leaves_nothing(
    sdk: FakeSdk, tiny_qdq: Path, tmp_path: Path, behaviour: dict[str, Any], kind: type[DMSError], says: str
) -> None:
    sdk.behave(qairt_quantizer=behaviour)
    with pytest.raises(kind, match=says) as caught:
        SnpeSdk().convert(tiny_qdq, "sa8255", {}, tmp_path / "out", silent)
    assert type(caught.value) is kind
    assert list((tmp_path / "out").iterdir()) == []


def test_a_tool_that_hangs_is_stopped_with_all_that_it_started(
    sdk: FakeSdk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sdk.behave(snpe_dlc_info={"sleeps": True})
    pid_file, communicate = sdk.root / "grandchild.pid", subprocess.Popen.communicate

    def wait_for_the_grandchild(process: Any, timeout: float | None = None) -> Any:
        if timeout is None:
            return communicate(process)
        poll(lambda: pid_file.is_file() and pid_file.read_text())
        raise subprocess.TimeoutExpired(process.args, timeout)

    monkeypatch.setattr(subprocess.Popen, "communicate", wait_for_the_grandchild)
    with pytest.raises(ConverterKilled, match=r"snpe-dlc-info did not finish within 60 s.*timeout-minutes") as caught:
        run_tool(find_sdk(), ["snpe-dlc-info", "-i", "model.dlc"], tmp_path, 60)
    assert caught.value.retryable
    grandchild = int(pid_file.read_text())
    poll(lambda: ended(grandchild))


def test_a_disk_that_fills_at_the_end_leaves_no_partial_artifact(
    sdk: FakeSdk, tiny_qdq: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **details: Any) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(toolchain, "write_manifest", full)
    out = tmp_path / "out"
    out.mkdir()
    (out / "of others").touch()
    with pytest.raises(StoreFull):
        SnpeSdk().convert(tiny_qdq, "sa8255", {}, out, silent)
    assert [path.name for path in out.iterdir()] == ["of others"]


def test_paths_with_blanks_and_umlauts_reach_no_tool(sdk: FakeSdk, tiny_qdq: Path, tmp_path: Path) -> None:
    directory = tmp_path / "Fahrer Überwachung"
    directory.mkdir()
    model = Path(shutil.copyfile(tiny_qdq, directory / "modèle final.onnx"))
    SnpeSdk().convert(model, "sa8255", {"generation": "snpe"}, directory / "out", silent)
    assert all(argument.isascii() and " " not in argument for call in sdk.calls for argument in call)


def test_an_opset_that_is_too_new_is_refused_before_any_tool_runs(sdk: FakeSdk, tmp_path: Path) -> None:
    model = onnx.load(tiny_classifier(tmp_path / "float.onnx"))
    model.opset_import[0].version = 24
    onnx.save(model, tmp_path / "new.onnx")
    with pytest.raises(ConversionFailed, match=r"opset 24.*up to 21"):
        SnpeSdk().convert(tmp_path / "new.onnx", "sa8255", {}, tmp_path / "out", silent)
    assert sdk.calls == []


def test_a_batch_other_than_one_is_refused(sdk: FakeSdk, tmp_path: Path) -> None:
    model = onnx.load(tiny_classifier(tmp_path / "float.onnx"))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    onnx.save(model, tmp_path / "four.onnx")
    with pytest.raises(InvalidSpec, match=r"batch 4.*batch 1 alone"):
        SnpeSdk().convert(tmp_path / "four.onnx", "sa8255", {}, tmp_path / "out", silent)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"io-quantization": "cpu"}, "no option 'io-quantization'.* It knows generation"),
        ({"generation": "snpe1"}, "one of auto, qairt, snpe"),
        ({"timeout-minutes": "0"}, "1 to 1440"),
        ({"vtcm": "9"}, "1 to 8"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidSpec, match=says):
        parse_options(options, "sa8255")


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ((1, 16, 8, 3), "the layout is another.*channels first, 1x3x16x8"),
        ((1, 3, 16, 9), "has shape 1x3x16x9, the model takes 1x3x16x8"),
    ],
)
def test_a_sample_of_another_shape_is_refused_and_a_layout_recognised(
    tmp_path: Path, shape: tuple[int, ...], says: str
) -> None:
    with pytest.raises(DatasetInvalid, match=says):
        write_inputs(tmp_path, SHAPES, [{"frames": np.zeros(shape, np.float32)}])


@pytest.mark.parametrize("name", ["two words", "a:=b", "#comment"])
def test_an_input_name_that_the_list_cannot_hold_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidSpec, match="input lists cannot hold"):
        write_inputs(tmp_path, {name: (1,)}, [])


def test_the_environment_begins_with_the_sdks_own_paths(sdk: FakeSdk) -> None:
    found = run.host_environment(find_sdk(), {"PATH": "/bin", "PYTHONPATH": "/ours", "HOME": "/root"})
    assert found["LD_LIBRARY_PATH"] == f"{sdk.root}/lib/{HOST}" and found["HOME"] == "/root"
    assert found["PATH"] == f"{sdk.root}/bin/{HOST}:/bin" and found["PYTHONPATH"] == f"{sdk.root}/lib/python"
    board = run.target_environment("/qairt", "aarch64-oe-linux-gcc11.2", 73)
    assert board["ADSP_LIBRARY_PATH"].split(";")[0] == "/qairt/lib/hexagon-v73/unsigned"
