"""Bad inputs of toolchain qnn: one clear error each, and nothing left in the stage's directory."""

import errno
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from dms_operator.api.errors import ConversionFailed, ConverterKilled, DatasetInvalid, DMSError, StoreFull
from dms_operator.toolchains.base import Compiled
from dms_operator.toolchains.qnn import toolchain
from dms_operator.toolchains.qnn.toolchain import Qnn
from model_fixtures import INPUT_NAME
from toolchains.conftest import silent
from toolchains.qdq import samples


def test_paths_with_blanks_and_umlauts_compile_and_simulate(tiny_qdq: Path, tmp_path: Path) -> None:
    directory = tmp_path / "Fahrer Überwachung"
    directory.mkdir()
    model = Path(shutil.copyfile(tiny_qdq, directory / "modèle final.onnx"))
    compiled = Qnn().convert(model, "sa8255", {}, directory / "out", silent)
    assert "conv1" in compiled.files["layers.json"].read_text()
    assert Qnn().simulate(directory / "out", samples(1), directory, silent)


def test_an_opset_that_is_too_new_is_refused_by_number(tiny_qdq: Path, tmp_path: Path) -> None:
    model = onnx.load(tiny_qdq)
    model.opset_import[0].version = 99
    onnx.save(model, tmp_path / "new.onnx")
    with pytest.raises(ConversionFailed, match=r"QNN compiler refused the model.*Opset 99"):
        Qnn().convert(tmp_path / "new.onnx", "sa8255", {}, tmp_path / "out", silent)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_sample_of_another_layout_is_refused_before_the_simulator_starts(
    tiny_compiled: Compiled, tmp_path: Path
) -> None:
    compiled = tiny_compiled.files["model_ctx.onnx"].parent
    sample = {INPUT_NAME: np.zeros((1, 16, 16, 3), np.float32)}
    with pytest.raises(DatasetInvalid, match=r"1x16x16x3, the model takes 1x3x16x16: the layout is another"):
        Qnn().simulate(compiled, [sample], tmp_path, silent)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("kill -KILL $$", ConverterKilled),
        ("echo half > context.part; echo '@error OSError: [Errno 28] No space left on device'; exit 3", StoreFull),
        ("kill -SEGV $$", ConversionFailed),
    ],
)
def test_a_compiler_that_dies_half_way_leaves_nothing(
    tiny_qdq: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, kind: type[DMSError]
) -> None:
    script = tmp_path / "child.sh"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(kind):
        Qnn().convert(tiny_qdq, "sa8255", {}, tmp_path / "out", silent)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_disk_that_fills_after_the_compiler_leaves_nothing(
    tiny_qdq: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **details: Any) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    name: Callable[..., Path] = full
    monkeypatch.setattr(toolchain, "write_manifest", name)
    with pytest.raises(StoreFull):
        Qnn().convert(tiny_qdq, "sa8255", {"layer-profile": "false"}, tmp_path / "out", silent)
    assert list((tmp_path / "out").iterdir()) == []
