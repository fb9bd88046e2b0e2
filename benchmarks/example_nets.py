"""The example's trained nets, resolved and quantized in this process, for the tables of several pages."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from dms_operator.api.capabilities import ToolchainName
from dms_operator.api.stages import QuantizeRecipe, StageResult
from dms_operator.controller.rungs import Rung
from driver_monitor.nets import NETS
from pipeline.stages import Stages, succeeded

CALIBRATE, EVALUATE = 64, 300
ACCEPTED_DROP = 0.01
TITLES = {
    "resnet18": "ResNet-18 + Transformer",
    "mobilenet-v3-small": "MobileNetV3-small + Transformer",
    "efficientnet-lite0": "EfficientNet-Lite0 + GRU",
}


@dataclass(frozen=True)
class Net:
    """A resolved net with its reference."""

    stages: Stages
    resolved: StageResult
    reference: StageResult

    def variant(self, ladder: list[Rung], toolchain: ToolchainName) -> tuple[Rung, StageResult]:
        """The first rung that keeps the accuracy, as the operator climbs; else the one that loses least."""
        best: tuple[Rung, StageResult] | None = None
        for rung in ladder:
            made = self.quantize(rung, toolchain)
            if best is None or drop_of(made) < drop_of(best[1]):
                best = rung, made
            if drop_of(made) <= ACCEPTED_DROP:
                break
        assert best is not None
        return best

    def quantize(self, rung: Rung, toolchain: ToolchainName) -> StageResult:
        """One rung for a toolchain."""
        assert self.reference.artifact is not None and self.resolved.artifact is not None
        recipe = QuantizeRecipe(
            image="table",
            resolved=self.resolved.artifact.digest,
            reference=self.reference.artifact.digest,
            precision=rung.precision,
            method=rung.method,
            calibration=rung.calibration,
            static=rung.static,
            toolchain=toolchain,
            calibration_samples=CALIBRATE,
            evaluation_samples=EVALUATE,
        )
        return succeeded(self.stages.run(recipe))


def drop_of(result: StageResult) -> float:
    """Loss against the reference."""
    assert result.variant is not None
    return result.variant.accuracy_drop


def resolved(name: str, root: Path, dataset: Path) -> Net:
    """A net of `NETS` with its fp32 reference, in a directory of its own below `root`."""
    stages = Stages(root / name)
    stages.root.mkdir()
    os.link(dataset, stages.root / "data.npz")
    program = Path(shutil.copy(NETS[name].program, stages.root))
    model = succeeded(stages.resolve(program, stages.root / "data.npz"))
    assert model.artifact is not None
    sizes = {"calibration_samples": CALIBRATE, "evaluation_samples": EVALUATE}
    return Net(stages, model, succeeded(stages.quantize(model.artifact.digest, **sizes)))
