"""Every row of the board catalog, by the compiler's own account."""

from pathlib import Path

import pytest

from dms_operator.api.errors import InvalidSpec
from dms_operator.api.target_options.qnn import QnnOptions
from dms_operator.api.target_options.qnn_socs import SOCS
from dms_operator.toolchains.qnn.binary import check_target, read_target
from dms_operator.toolchains.qnn.compile import soc_job
from dms_operator.toolchains.qnn.process import run_task
from dms_operator.toolchains.qnn.profile import parse_profile
from dms_operator.toolchains.qnn.toolchain import Qnn
from model_fixtures import tiny_classifier
from toolchains.conftest import silent

# a minute for all: the default run takes those that differ in kind
FIRST = {"SA8295", "QCS6490", "SA8797"}
PRICED = {"SA8255", "QCS9100", "SA8540", "SA8797"}


@pytest.mark.parametrize(
    "name", [name if name in FIRST else pytest.param(name, marks=pytest.mark.slow) for name in SOCS]
)
def test_the_compiler_names_each_soc_its_architecture_and_its_memory_as_the_catalog_does(
    name: str, tiny_qdq: Path, tmp_path: Path
) -> None:
    soc = SOCS[name]
    job = soc_job(QnnOptions(soc, soc.vtcm_mb), tiny_qdq) | {"optimization": "1", "directory": str(tmp_path)}
    # no architecture and no memory given: what stands in the binary is the compiler's own knowledge of the SoC
    run_task(job | {"task": "compile", "architecture": 0, "vtcm_mb": 0}, tmp_path)
    target = read_target(tmp_path / "model_ctx_qnn.bin")
    assert (target.soc_model, target.soc_name, target.architecture) == (soc.model, soc.name, soc.architecture)
    assert target.vtcm_bytes == soc.vtcm_mb << 20
    check_target(target, soc)
    priced = bool(parse_profile((tmp_path / "profile.csv").read_text()))
    assert priced == (name in PRICED)


def test_a_soc_without_cost_model_says_so_and_gives_no_number(tiny_qdq: Path, tmp_path: Path) -> None:
    compiled = Qnn().convert(tiny_qdq, "qcs6490", {"layer-profile": "false"}, tmp_path, silent)
    assert Qnn().cost(tmp_path) is None
    assert '"note": "no cost model for this SoC"' in compiled.files["manifest.json"].read_text()
    assert "timeUs" not in compiled.files["layers.json"].read_text()


def test_a_float_model_for_an_integer_htp_is_refused_with_the_way_out(tmp_path: Path) -> None:
    model = tiny_classifier(tmp_path / "float.onnx")
    with pytest.raises(InvalidSpec, match=r"QCS6490 v68 computes integers only.*int8"):
        Qnn().convert(model, "qcs6490", {}, tmp_path, silent)


def test_less_scratch_memory_is_planned_with_and_read_back(tiny_qdq: Path, tmp_path: Path) -> None:
    Qnn().convert(tiny_qdq, "sa8295", {"vtcm": "2", "layer-profile": "false"}, tmp_path, silent)
    assert read_target(tmp_path / "model_ctx_qnn.bin").vtcm_bytes == 2 << 20


def test_a_batch_that_the_model_does_not_have_is_refused(tiny_qdq: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match=r"batch is 4, but the exported model has batch 1.*spec\.model\.inputs"):
        Qnn().convert(tiny_qdq, "sa8255", {"batch": "4"}, tmp_path, silent)


def test_input_quantization_on_the_cpu_is_no_fallback(tiny_qdq: Path, tmp_path: Path) -> None:
    compiled = Qnn().convert(tiny_qdq, "sa8255", {"io-quantization": "cpu"}, tmp_path, silent)
    assert compiled.facts.delegation.npu == compiled.facts.delegation.total
    layers = (tmp_path / "layers.json").read_text()
    assert "frames_QuantizeLinear" not in layers
