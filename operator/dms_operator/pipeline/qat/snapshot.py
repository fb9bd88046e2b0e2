"""Converted snapshots of the net in training: what is judged is what would be deployed, never the training graph."""

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator, Sequence

import onnx
import torch
from torch.fx import GraphModule
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_qat_pt2e

from ...api.errors import QuantizationFailed
from ...api.stages import Metric
from ..metrics import drop, score
from ..progress import silent
from ..schemes import Scheme
from .annotation import SchemeQuantizer
from .biases import fold_biases, round_biases
from .losses import Loss
from .samples import Samples, first_outputs, outputs_of
from .trainer import Judge, Verdict

OPSET = 20
"""As the float model of the resolve stage, so that both are quantized alike."""


OUTPUT = "dms_output_"
"""Prefix of the outputs' names: the exporter does not notice that a tensor inside has an output's name already."""


def prepared(module: GraphModule, scheme: Scheme, unsigned_inputs: frozenset[str] = frozenset()) -> GraphModule:
    """A copy of the net with fake quantization for a scheme; `unsigned_inputs` are never negative."""
    with quiet():
        model: GraphModule = prepare_qat_pt2e(copy.deepcopy(module), SchemeQuantizer(scheme, unsigned_inputs))
    round_biases(model)
    return model


def converted(model: GraphModule) -> GraphModule:
    """A copy of a prepared net in integer weights and Q/DQ."""
    copied = copy.deepcopy(model)
    fold_biases(copied)
    with quiet():
        quantized: GraphModule = convert_pt2e(copied)
    return quantized


def judge(held_out: Samples, together: int, metric: Metric, loss: Loss) -> Judge:
    """Score converted snapshots on held-out samples, against what the fp32 model scores there."""
    labels = held_out.labels()
    expected = first_outputs(held_out.teacher)
    base = score(metric, expected, labels, None).value

    def verdict(model: GraphModule) -> Verdict:
        outputs = outputs_of(converted(model), held_out, together, silent, "judge")
        found = score(metric, first_outputs(outputs), labels, expected).value
        places = range(len(held_out))
        distance = loss(
            tuple(map(torch.cat, zip(*outputs, strict=True))), held_out.answers(places), held_out.labels_of(places)
        )
        return Verdict(found, drop(metric, base, found), float(distance))

    return verdict


def to_onnx(
    model: GraphModule, example: tuple[torch.Tensor, ...], inputs: Sequence[str], outputs: int
) -> onnx.ModelProto:
    """ONNX with Q/DQ of a converted net. Raises QuantizationFailed."""
    try:
        with quiet():
            program = torch.export.export(model, example)
            exported = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=OPSET,
                input_names=list(inputs),
                output_names=[f"{OUTPUT}{place}" for place in range(outputs)],
                verbose=False,
            )
    except Exception as error:
        raise QuantizationFailed(
            f"torch {torch.__version__} cannot export the trained model to ONNX ({str(error)[:200]})",
            hint="Use method: static, and report this model",
        ) from error
    assert exported is not None  # only the older exporter gives None
    return exported.model_proto


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence torch and torchao, which warn of their own plans, and the exporter, which prints progress."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)
