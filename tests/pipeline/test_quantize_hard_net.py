"""The net that naive 4-bit quantization ruins: every better rung recovers it, compiles whole, and agrees on the HTP."""

from pathlib import Path
from typing import Any

import pytest

from model_fixtures.hard_models import skewed
from pipeline.stages import Stages
from pipeline.whole_nets import SAMPLES, WholeNet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

INT4 = {"precision": "int4", "method": "static", **SAMPLES}
INT8 = {"precision": "int8", "method": "static", **SAMPLES}
BETTER = {"equalize": True, "correct_bias": True}


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("hard")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DMS_FILE_ROOTS", str(root))
        yield WholeNet(Stages(root), skewed)


def test_rounding_to_nearest_loses_more_than_twenty_points(hard: WholeNet) -> None:
    facts, _ = hard.make(INT4)
    assert facts.accuracy_drop > 0.2
    assert "sum coarser on the HTP" in facts.notes


@pytest.mark.parametrize(
    ("fields", "static", "tolerance"),
    [
        (INT4, {"rounding": "learned"}, 0.15),
        (INT4, BETTER, 0.05),
        (INT4, {"mixed": True}, 0.1),
        (INT4, {**BETTER, "rounding": "learned"}, 0.05),
        (INT8, {**BETTER, "activation_bits": 16}, 0.03),
        (INT8, {**BETTER, "mixed": True, "max_accuracy_drop": 0.0}, 0.2),
    ],
    ids=["learned", "equalized", "int4-mixed", "equalized-learned", "w8a16", "int8-mixed"],
)
def test_every_better_rung_stays_within_a_point_compiles_whole_and_agrees_on_the_htp(
    fields: dict[str, Any], static: dict[str, Any], tolerance: float, hard: WholeNet, tmp_path: Path
) -> None:
    facts, model = hard.make(fields, **static)
    assert facts.accuracy_drop <= 0.01
    simulated = hard.simulate_whole(model, tmp_path)
    print(f"largest difference {simulated.difference:.4f} logits")
    assert simulated.difference <= tolerance
    assert simulated.same_answers
