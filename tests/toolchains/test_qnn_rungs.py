"""Every rung of the ladder compiles whole for SA8255, and the HTP's arithmetic agrees with the QDQ model."""

from pathlib import Path
from typing import Any

import pytest
from onnxruntime.quantization import QuantType, quantize
from onnxruntime.quantization.execution_providers.qnn import get_qnn_qdq_config

from dms_operator.toolchains.qnn.evaluate import evaluate
from dms_operator.toolchains.qnn.toolchain import Qnn
from model_fixtures import tiny_classifier
from toolchains.conftest import silent
from toolchains.qdq import Reader, samples

WIDE = {"activation_type": QuantType.QUInt16, "weight_type": QuantType.QInt8}
RUNGS: dict[str, tuple[dict[str, Any], float]] = {
    "w8a16": (WIDE, 60),
    # matrix products keep 8-bit weights, as in pipeline.schemes
    "w4a16": (
        WIDE | {"weight_type": QuantType.QInt4, "init_overrides": {"head_weight": [{"quant_type": QuantType.QInt8}]}},
        60,
    ),
    "mixed": (
        {
            "weight_type": QuantType.QInt8,
            "init_overrides": {"features": [{"quant_type": QuantType.QUInt16}]},
            "add_qtype_converts": True,
        },
        40,
    ),
}


@pytest.mark.parametrize("rung", RUNGS)
def test_a_rung_compiles_whole_and_agrees_with_its_model(rung: str, tmp_path: Path) -> None:
    settings, least_sqnr_db = RUNGS[rung]
    source, model = tiny_classifier(tmp_path / "float.onnx"), tmp_path / "model.onnx"
    quantize(source, model, get_qnn_qdq_config(source, Reader(), per_channel=True, **settings))
    compiled = Qnn().convert(model, "qcs8255", {"layer-profile": "false"}, tmp_path / "out", silent)
    assert compiled.facts.delegation.npu == compiled.facts.delegation.total == 5
    found = evaluate(tmp_path / "out", model, samples(2), 2, tmp_path, silent)
    assert found.agreement.outputs["logits"].sqnr_db > least_sqnr_db
