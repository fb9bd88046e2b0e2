"""The rung `qat` of the quantize stage: train, convert, carry the learned scales over, prove that nothing got lost."""

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch.fx import GraphModule

from ...api.errors import ArtifactMissing, QuantizationFailed
from ...api.quantization import QatRecipe
from ...api.stages import QuantizeRecipe, recipe_digest
from ..calibration import Feed
from ..context import StageContext
from ..dataset import Dataset
from ..evaluate import first_outputs as onnx_outputs
from ..progress import silent
from ..rounding import SAMPLES
from ..schemes import Scheme, scheme_for
from .batching import batched
from .checkpoints import Checkpoints
from .features import Features
from .learned_range import learned_counts
from .limits import limits_from_environment
from .losses import Loss
from .program import example_inputs, load_program, trainable
from .requantize import requantize
from .samples import Indices, Parts, Samples, first_outputs, outputs_of, parts
from .snapshot import converted, judge, prepared, quiet, to_onnx
from .start import LearnedRounding
from .strip import strip
from .trainer import Settings, Trainer
from .twin import Twin

HISTORY = "training.json"
"""The file with one row per epoch; it holds no times, so that the same recipe gives the same bytes."""
TRANSFER_TOLERANCE = {8: 0.02, 16: 0.01}
"""Largest mean difference between the written file and the trained net, as a share of the fp32 outputs'
standard deviation, by activation bits. The same grids leave ties and fused arithmetic to differ: 0.5 % at most in the
trained nets of the tests."""
TIES_SHARE = 0.1
"""Of what rounding as a whole does to a net's outputs, the most that ties alone may: 0.04 in the turned net of
tests/pipeline/test_qat_sheared.py."""
THREADS_VARIABLE = "DMS_TRAINING_THREADS"
"""Threads that train; 1 if absent. Another number is faster on idle cores, and gives other last digits."""
_CALIBRATION_SAMPLES = 32


@dataclass(frozen=True)
class Outcome:
    """What training made beside the model file."""

    scheme: str
    notes: str
    history: Path


def train_variant(
    recipe: QuantizeRecipe,
    resolved: dict[str, Path],
    target: Path,
    dataset: Dataset,
    evaluation: Indices,
    context: StageContext,
) -> Outcome:
    """Write the trained QDQ model to `target`. No sample of `evaluation` is trained or judged on.

    Raises QuantizationFailed (no PyTorch program, diverged, transfer not exact), DatasetInvalid (too few samples),
    TimeLimitReached, MemoryLimitReached.
    """
    if "source" not in resolved:
        raise ArtifactMissing("the resolved artifact lacks source", hint="Run its resolve stage again")
    scheme = scheme_for(recipe.toolchain, recipe.precision, recipe.static)
    qat = recipe.qat or QatRecipe()
    divided = parts(len(dataset), evaluation, recipe.seed)
    with _reproducible(recipe.seed):
        program = load_program(resolved["source"], target.with_name("safe.pt2"), context.limit_bytes)
        module = trainable(program)
        names = [str(name) for name in program.graph_signature.user_inputs]
        training, held_out = (Samples(dataset, which, names) for which in (divided.training, divided.held_out))
        with quiet():
            twin = Twin(to_onnx(module, example_inputs(program), names, len(_output_names(resolved))), module)
        twin.equalize(module)
        module, together = batched(module, training)
        for samples in (training, held_out):
            samples.teacher = outputs_of(module, samples, together, context.progress, "teach")
        loss = Loss(recipe.metric, training.teacher)
        checkpoints = Checkpoints(context.store.uri, recipe_digest(recipe), context.roots)
        model = prepared(module, scheme, _never_negative(training, names))
        start = LearnedRounding(model, twin, scheme, lambda: _feeds(training, names, SAMPLES), context.progress)
        trainer = Trainer(
            model,
            training,
            loss,
            judge(held_out, together, recipe.metric, loss),
            Settings(**qat.model_dump(), seed=recipe.seed, together=together),
            checkpoints,
            limits_from_environment(),
            context.progress,
            Features(module, model),
            None if scheme.power_of_two else start,  # whose steps are not free to be learned
        )
        history = trainer.train()
        final = converted(trainer.model)
        unseen = _write(final, example_inputs(program), names, resolved, target, scheme, training)
    difference = _transfer_difference(final, held_out, target, dataset, scheme)
    checkpoints.remove()
    report = target.with_name(HISTORY)
    rows = [asdict(row) for row in history]
    facts = {
        "transferDifference": difference,
        "calibratedAfterTraining": unseen,
        "chosenEpoch": trainer.best_epoch,
        "learnedRanges": learned_counts(trainer.model),
    }
    report.write_text(json.dumps({**facts, "epochs": rows}, indent=2) + "\n")
    return Outcome(scheme.name, _notes(divided, trainer, qat.max_accuracy_drop, dataset.labels is not None), report)


def _never_negative(samples: Samples, names: Sequence[str]) -> frozenset[str]:
    """The inputs in which no calibration sample has a negative value, such as images."""
    lowest = [float("inf")] * len(names)
    for at in range(min(_CALIBRATION_SAMPLES, len(samples))):
        lowest = [min(low, float(value.min())) for low, value in zip(lowest, samples.inputs([at]), strict=True)]
    return frozenset(name for name, low in zip(names, lowest, strict=True) if low >= 0)


def _write(
    final: GraphModule,
    example: tuple[torch.Tensor, ...],
    inputs: Sequence[str],
    resolved: dict[str, Path],
    target: Path,
    scheme: Scheme,
    training: Samples,
) -> list[str]:
    outputs = _output_names(resolved)
    model = to_onnx(final, example, inputs, len(outputs))
    with quiet():
        return requantize(strip(model, outputs), target, scheme, _feeds(training, inputs, _CALIBRATION_SAMPLES))


def _output_names(resolved: dict[str, Path]) -> list[str]:
    model = onnx.load_model(resolved["model.onnx"], load_external_data=False)
    return [value.name for value in model.graph.output]


def _feeds(samples: Samples, names: Sequence[str], most: int) -> Iterator[Feed]:
    for at in range(min(most, len(samples))):
        yield dict(zip(names, map(torch.Tensor.numpy, samples.inputs([at])), strict=True))


def _transfer_difference(
    final: GraphModule, held_out: Samples, target: Path, dataset: Dataset, scheme: Scheme
) -> float:
    """Mean difference of the file's outputs from the trained net's, as a share of the fp32 model's spread.

    A net that amplifies rounding does so with ties, too, and may differ by TIES_SHARE of it. Raises QuantizationFailed
    beyond that and TRANSFER_TOLERANCE.
    """
    expected = first_outputs(held_out.teacher).astype(np.float64)
    trained = first_outputs(outputs_of(final, held_out, 1, silent, "compare")).astype(np.float64)
    written: NDArray[Any] = onnx_outputs(target, dataset, held_out.indices).astype(np.float64)
    spread = max(float(expected.std()), 1e-12)
    difference = float(np.abs(written - trained).mean() / spread)
    rounding = float(np.abs(trained - expected).mean() / spread)
    allowed = max(TRANSFER_TOLERANCE[scheme.activation_bits], TIES_SHARE * rounding)
    if difference > allowed:
        raise QuantizationFailed(
            f"the quantized file differs from the trained net by {difference:.1%} of its outputs' spread, more than "
            f"{allowed:.1%}",
            hint="Use method: static, and report this model",
        )
    return round(difference, 6)


def _notes(divided: Parts, trainer: Trainer, max_accuracy_drop: float, labelled: bool) -> str:
    source = "labels and the fp32 model" if labelled else "the fp32 model"
    notes = (
        f"trained on {len(divided.training)} samples by {source}, {len(trainer.history) - 1} epochs, "
        f"judged on {len(divided.held_out)} held-out samples; epoch {trainer.best_epoch} was best"
    )
    if trainer.best_epoch:
        return notes
    if trainer.history[0].drop <= max_accuracy_drop:
        return f"{notes}: the start was within the gate already"
    return f"{notes}: training brought nothing, try another learningRate"


@contextlib.contextmanager
def _reproducible(seed: int) -> Iterator[None]:
    """Same seed, same bytes, on one core as on many: sums over threads depend on how many there are."""
    threads, before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(int(os.environ.get(THREADS_VARIABLE) or 1))
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        torch.set_num_threads(threads)
