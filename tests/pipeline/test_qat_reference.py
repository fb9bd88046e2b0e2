"""The reference net, skewed: 4-bit weights fail after training, QAT recovers them, and the NPU takes it whole."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dms_operator.api.quantization import QatRecipe
from dms_operator.api.stages import VariantFacts
from dms_operator.pipeline.session import cpu_session
from dms_operator.toolchains.qnn.toolchain import Qnn
from driver_monitor.dataset import write_dataset
from model_fixtures.hard_models import skewed
from pipeline.stages import Stages, succeeded

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SIMULATOR_TOLERANCE = 0.15
"""Largest difference of a logit (they reach 5) between the functional simulator and ONNX Runtime; seen: 0.05."""


@dataclass(frozen=True)
class Trained:
    """The skewed net at int4, by post-training quantization and by training."""

    static: VariantFacts
    qat: VariantFacts
    model: Path
    data: Path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    root = tmp_path_factory.mktemp("reference")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DMS_FILE_ROOTS", str(root))
        yield _train(Stages(root))


def _train(stages: Stages) -> Trained:
    data = stages.root / "data.npz"
    write_dataset(data, samples=600, seed=7)
    resolved = succeeded(stages.resolve(skewed(stages.root / "net.pt2"), data)).artifact
    assert resolved is not None
    reference = succeeded(stages.quantize(resolved.digest, evaluation_samples=200)).artifact
    assert reference is not None
    common = {"reference": reference.digest, "precision": "int4", "evaluation_samples": 200}
    static = succeeded(stages.quantize(resolved.digest, method="static", calibration="minmax", **common)).variant
    qat = QatRecipe(epochs=6, learning_rate=1e-3, batch_size=16)
    result = succeeded(stages.quantize(resolved.digest, method="qat", qat=qat, **common))
    assert static is not None
    assert result.variant is not None
    return Trained(static, result.variant, stages.files(result)["model.onnx"], data)


def test_training_recovers_what_post_training_quantization_loses(trained: Trained) -> None:
    assert trained.static.accuracy_drop >= 0.2
    assert trained.qat.accuracy_drop <= 0.04


def test_the_trained_net_compiles_whole_and_the_simulator_agrees(trained: Trained, tmp_path: Path) -> None:
    tools = Qnn()
    compiled = tools.convert(trained.model, "qcs8255", {}, tmp_path, lambda step, done, total: None)
    assert compiled.facts.delegation.npu == compiled.facts.delegation.total > 50
    with np.load(trained.data) as data:
        samples = [{"frames": data["frames"][at : at + 1].astype(np.float32)} for at in range(4)]
    (tmp_path / "simulate").mkdir()
    simulated = tools.simulate(tmp_path, samples, tmp_path / "simulate", lambda step, done, total: None)
    assert simulated is not None
    session = cpu_session(trained.model)
    for sample, outputs in zip(samples, simulated, strict=True):
        difference = np.abs(session.run(["logits"], sample)[0] - outputs["logits"]).max()
        assert difference <= SIMULATOR_TOLERANCE
