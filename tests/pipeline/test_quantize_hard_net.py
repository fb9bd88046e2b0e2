"""The net that naive 4-bit quantization ruins: every better rung recovers it, compiles whole, and agrees on the HTP."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from dms_operator.api.stages import StaticRecipe, VariantFacts
from dms_operator.pipeline.dataset import load_dataset
from dms_operator.pipeline.onnx_file import inputs_of
from dms_operator.pipeline.progress import silent
from dms_operator.pipeline.session import cpu_session, run_once
from dms_operator.toolchains.qnn.compile import compile_model
from dms_operator.toolchains.qnn.options import parse_options
from dms_operator.toolchains.qnn.simulate import simulate_samples
from driver_monitor.dataset import write_dataset
from model_fixtures.hard_models import skewed
from pipeline.stages import Stages, succeeded

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SAMPLES = {"calibration_samples": 64, "evaluation_samples": 300}
INT4 = {"precision": "int4", "method": "static", **SAMPLES}
INT8 = {"precision": "int8", "method": "static", **SAMPLES}
BETTER = {"equalize": True, "correct_bias": True}


class Hard:
    """The resolved net and its reference."""

    def __init__(self, stages: Stages) -> None:
        self.stages = stages
        dataset = write_dataset(stages.root / "data.npz", 364, 777)
        artifact = succeeded(stages.resolve(skewed(stages.root / "hard.pt2"), dataset)).artifact
        assert artifact is not None
        self.resolved = artifact.digest
        reference = succeeded(stages.quantize(self.resolved, **SAMPLES)).artifact
        assert reference is not None
        self.reference = reference.digest

    def make(self, fields: dict[str, Any], **static: Any) -> tuple[VariantFacts, Path]:
        recipe = StaticRecipe(**static) if static else None
        result = succeeded(self.stages.quantize(self.resolved, reference=self.reference, static=recipe, **fields))
        assert result.variant is not None
        return result.variant, self.stages.files(result)["model.onnx"]


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("hard")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DMS_FILE_ROOTS", str(root))
        yield Hard(Stages(root))


def test_rounding_to_nearest_loses_more_than_twenty_points(hard: Hard) -> None:
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
    fields: dict[str, Any], static: dict[str, Any], tolerance: float, hard: Hard, tmp_path: Path
) -> None:
    facts, model = hard.make(fields, **static)
    assert facts.accuracy_drop <= 0.01
    (tmp_path / "compiled").mkdir()
    (tmp_path / "work").mkdir()
    options = parse_options({})
    assert compile_model(model, options, tmp_path / "compiled", silent).split.whole
    dataset = load_dataset(hard.stages.root / "data.npz", inputs_of(onnx.load(model)), 1 << 32)
    feeds = [dataset.feed(index) for index in range(3)]
    session = cpu_session(model)
    host = np.concatenate([run_once(session, feed)[0] for feed in feeds])
    simulated = simulate_samples(tmp_path / "compiled", options, feeds, tmp_path / "work", silent)
    found = np.concatenate([next(iter(outputs.values())) for outputs in simulated])
    difference = float(np.abs(found - host).max())
    print(f"largest difference {difference:.4f} logits of {np.abs(host).max():.2f}")
    assert difference <= tolerance
    assert (found.argmax(axis=1) == host.argmax(axis=1)).all()
