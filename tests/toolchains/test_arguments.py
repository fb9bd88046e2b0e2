"""Programs of toolchains say what is wrong with their arguments before they begin."""

import subprocess
import sys
from pathlib import Path

import pytest

TOOLCHAINS = "dms_operator.toolchains"


@pytest.mark.parametrize(
    ("program", "arguments", "words"),
    [
        ("qnn.compare", ["a=none.onnx", "--dataset", "none.npz"], "there is no file none.onnx"),
        ("qnn.compare", ["none.onnx", "--dataset", "none.npz"], "none.onnx is no name=model.onnx"),
        ("tidl.compare", ["none.onnx", "none.npz"], "there is no file none.onnx"),
        ("tidl.import_options", ["none.txt"], "there is no file none.txt"),
        ("tidl.import_options", ["foo.txt"], "InvalidSpec: line 1 of the import configuration: tidl_model_import.out"),
        ("tidl.tables", [], "the following arguments are required: table"),
    ],
)
def test_a_wrong_argument_is_told_without_a_traceback(
    tmp_path: Path, program: str, arguments: list[str], words: str
) -> None:
    (tmp_path / "foo.txt").write_text("foo = 1\n")
    command = [sys.executable, "-m", f"{TOOLCHAINS}.{program}", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode in (1, 2) and words in done.stderr and "Traceback" not in done.stderr
