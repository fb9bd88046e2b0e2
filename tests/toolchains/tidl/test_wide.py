"""QDQ models with 16-bit layers, which TI's tools cannot read: they get the float model and the layers' names."""

import json
import shutil
from pathlib import Path

import onnx
import pytest

from dms_operator.api.errors import ConversionFailed, InvalidSpec
from dms_operator.api.target_options.tidl import TidlOptions
from dms_operator.api.target_options.tidl_socs import soc_of
from dms_operator.toolchains.tidl import Tidl
from dms_operator.toolchains.tidl.fixed_point import Precision, to_fixed_point
from dms_operator.toolchains.tidl.ranges import ranges_of
from dms_operator.toolchains.tidl.samples import CALIBRATION_FILE, save_samples
from dms_operator.toolchains.tidl.surgery import lowered
from dms_operator.toolchains.tidl.wide import FLOAT_FILE, import_source, wide_outputs
from model_fixtures import tiny_classifier
from toolchains.conftest import silent
from toolchains.qdq import samples

NO_OPTIONS = TidlOptions(soc_of("tda4vm"), {})


def variant(directory: Path, precision: Precision, *, whole: bool = True) -> Path:
    """The tiny classifier as the quantize stage leaves it."""
    source = lowered(onnx.load(tiny_classifier(directory / FLOAT_FILE)))
    onnx.save(to_fixed_point(source, ranges_of(source, samples(4)), precision), directory / "model.onnx")
    save_samples(directory / CALIBRATION_FILE, samples(4))
    if not whole:
        (directory / FLOAT_FILE).unlink()
    return directory / "model.onnx"


def test_an_8_bit_model_is_imported_itself(tmp_path: Path) -> None:
    model = variant(tmp_path, Precision(8), whole=False)
    source, options = import_source(model, NO_OPTIONS)
    assert wide_outputs(source) == frozenset() and options.given == {}


def test_a_16_bit_model_becomes_the_float_model_and_16_tensor_bits(tmp_path: Path) -> None:
    source, options = import_source(variant(tmp_path, Precision(16)), NO_OPTIONS)
    assert not [node for node in source.graph.node if node.op_type == "QuantizeLinear"]
    assert options.given == {"tensor-bits": "16"}


def test_16_bit_layers_are_named_by_their_outputs_in_the_float_model(tmp_path: Path) -> None:
    model = variant(tmp_path, Precision(8, frozenset({"logits"})))
    source, options = import_source(model, NO_OPTIONS)
    assert options.given == {"output-16bit-names": "logits"}
    assert "logits" in {name for node in source.graph.node for name in node.output}


def test_precision_options_of_the_user_contradict_it(tmp_path: Path) -> None:
    options = TidlOptions(soc_of("tda4vm"), {"tensor-bits": "16"})
    with pytest.raises(InvalidSpec, match="option tensor-bits does not go with"):
        import_source(variant(tmp_path, Precision(16)), options)


def test_without_the_float_model_the_message_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConversionFailed, match=r"no float.onnx beside it.*Quantize it again"):
        import_source(variant(tmp_path, Precision(16), whole=False), NO_OPTIONS)


@pytest.mark.usefixtures("ti_tools")
def test_tis_tools_calibrate_its_layers_from_the_samples_beside_it(tmp_path: Path, workdir: Path) -> None:
    model = variant(tmp_path, Precision(8, frozenset({"logits"})))
    compiled = Tidl().convert(model, "tda4vm", {}, workdir, silent)
    manifest = json.loads(compiled.files["manifest.json"].read_text())
    assert manifest["prequantized"] is False
    assert manifest["options"] == {"output-16bit-names": "logits"}


def test_its_layers_are_priced_in_16_bits(tmp_path: Path, workdir: Path) -> None:
    costs = []
    for number, precision in enumerate((Precision(8), Precision(8, frozenset({"logits"})), Precision(16))):
        directory = tmp_path / str(number)
        directory.mkdir()
        Tidl().convert(variant(directory, precision), "tda4vm", {"estimate-only": "true"}, directory, silent)
        cost = Tidl().cost(directory)
        assert cost is not None
        costs.append(cost)
    assert costs[0].p50.value < costs[2].p50.value
    assert [cost.bound is None for cost in costs] == [False, True, True]
    shutil.rmtree(tmp_path)
