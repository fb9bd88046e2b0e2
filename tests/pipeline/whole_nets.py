"""A trained net of the example: resolved, scored, quantized by any recipe, and held against Qualcomm's simulator."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from dms_operator.api.quantization import StaticRecipe
from dms_operator.api.stages import VariantFacts
from dms_operator.pipeline.dataset import load_dataset
from dms_operator.pipeline.onnx_file import inputs_of
from dms_operator.pipeline.progress import silent
from dms_operator.pipeline.session import cpu_session, run_once
from dms_operator.toolchains.qnn.toolchain import Qnn
from driver_monitor.dataset import write_dataset
from pipeline.stages import Stages, Writer, succeeded

SAMPLES = {"calibration_samples": 64, "evaluation_samples": 300}
_SIMULATED = 3
"""Clips on the simulator: a second or more each."""


@dataclass(frozen=True)
class OnSimulator:
    """A compiled net's first output [N, classes] on the HTP's arithmetic, and the host's for the same clips."""

    found: np.ndarray
    host: np.ndarray

    @property
    def difference(self) -> float:
        """Largest difference of a logit."""
        return float(np.abs(self.found - self.host).max())

    @property
    def same_answers(self) -> bool:
        return bool((self.found.argmax(axis=1) == self.host.argmax(axis=1)).all())


class WholeNet:
    """A net whose fp32 reference is scored."""

    def __init__(self, stages: Stages, write: Writer) -> None:
        """`write` writes the program to a path."""
        self.stages = stages
        self.dataset = write_dataset(stages.root / "data.npz", 364, 777)
        artifact = succeeded(stages.resolve(write(stages.root / "net.pt2"), self.dataset)).artifact
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

    def simulate_whole(self, model: Path, directory: Path) -> OnSimulator:
        """Compile for SA8255, demand that every node runs on the NPU, and run some clips."""
        (directory / "compiled").mkdir()
        (directory / "work").mkdir()
        compiled = Qnn().convert(model, "sa8255", {"layer-profile": "false"}, directory / "compiled", silent)
        assert compiled.facts.delegation.npu == compiled.facts.delegation.total > 0
        dataset = load_dataset(self.dataset, inputs_of(onnx.load(model)), 1 << 32)
        feeds = [dataset.feed(index) for index in range(_SIMULATED)]
        simulated = Qnn().simulate(directory / "compiled", feeds, directory / "work", silent)
        assert simulated is not None
        session = cpu_session(model)
        return OnSimulator(
            np.concatenate([next(iter(outputs.values())) for outputs in simulated]),
            np.concatenate([run_once(session, feed)[0] for feed in feeds]),
        )
