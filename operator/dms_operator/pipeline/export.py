"""From any accepted model file to float ONNX with static shapes. Nothing in an untrusted file is unpickled."""

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx

from ..api.errors import ModelInvalid, ModelShapeMismatch
from ..api.stages import ModelFormat, TensorSpec
from .onnx_file import read_float_model
from .pt2 import rewrite_safely
from .static_axes import close_axes
from .torchscript import check_torchscript
from .untrusted import causes, first_line, told_as

OPSET = 20
"""Newest opset whose Q/DQ, LayerNormalization and Gelu both ONNX Runtime's quantizer and the QNN converter take."""

_NODE = re.compile(r"translating node %(\w+)")


def to_onnx(
    source: Path, source_format: ModelFormat, inputs: list[TensorSpec] | None, workdir: Path
) -> onnx.ModelProto:
    """Give the model as ONNX with static shapes and the inputs' own names.

    `inputs` are the declared ones; TorchScript needs them, and ONNX with open axes. Raises ModelInvalid,
    ModelShapeMismatch.
    """
    if source_format == "onnx":
        model = read_float_model(source)
        close_axes(model, inputs)
        return model
    if source_format == "pt2":
        return _checked(_export_pt2(source, workdir / "safe.pt2"))
    return _checked(_export_torchscript(source, inputs, workdir / "traced.onnx"))


def _export_pt2(source: Path, safe: Path) -> onnx.ModelProto:
    rewrite_safely(source, safe)
    import torch

    def refusal(error: Exception) -> ModelInvalid:
        return ModelInvalid(
            f"torch {torch.__version__} cannot export the .pt2 program to ONNX ({_exporters_words(error)})",
            hint="Write that part otherwise, save it with this torch version, or give ONNX",
        )

    with told_as(refusal), _quiet():
        program = torch.export.load(safe)
        signature = program.graph_signature
        exported = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=[str(name) for name in signature.user_inputs],
            output_names=[str(name) for name in signature.user_outputs],
            verbose=False,
        )
    assert exported is not None  # only the older exporter gives None
    return exported.model_proto


def _export_torchscript(source: Path, inputs: list[TensorSpec] | None, target: Path) -> onnx.ModelProto:
    if not inputs:
        raise ModelShapeMismatch(
            "a TorchScript file does not tell the shapes of its inputs",
            hint="Write them in forward's order, named as in the dataset: "
            "spec.model.inputs: [{name: frames, shape: [1, 3, 224, 224]}]",
        )
    check_torchscript(source)
    import torch

    def refusal(error: Exception) -> ModelInvalid:
        return ModelInvalid(f"the TorchScript file cannot be read ({first_line(error)})", hint="Save it again")

    # torch.jit.load unpickles in C++ tensors and classes of the archive only, and runs no Python; the archive's own
    # code does run (__setstate__ here, forward below): that is why this process is confined (reader/process.py).
    with told_as(refusal), _quiet():
        module = torch.jit.load(str(source), map_location="cpu").eval()
    examples = tuple(torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype)) for spec in inputs)
    _run_torchscript(module, examples, inputs)
    return _trace(module, examples, inputs, target)


def _run_torchscript(module: Any, examples: tuple[Any, ...], inputs: list[TensorSpec]) -> None:
    import torch

    def refusal(error: Exception) -> ModelShapeMismatch:
        shapes = ", ".join(f"{spec.name} {spec.shape} {spec.dtype}" for spec in inputs)
        return ModelShapeMismatch(
            f"the model does not take the declared inputs ({shapes}): {_last_line(error)}",
            hint="Correct spec.model.inputs",
        )

    with told_as(refusal), torch.no_grad():
        module(*examples)


def _trace(module: Any, examples: tuple[Any, ...], inputs: list[TensorSpec], target: Path) -> onnx.ModelProto:
    import torch

    def refusal(error: Exception) -> ModelInvalid:
        line = first_line(error)
        return ModelInvalid(f"the TorchScript model cannot be exported to ONNX ({line})", hint="Give .pt2 or ONNX")

    with told_as(refusal), _quiet():
        # dynamo cannot look into TorchScript; the older exporter reads it directly
        torch.onnx.export(
            module, examples, target, dynamo=False, opset_version=OPSET, input_names=[spec.name for spec in inputs]
        )
    return onnx.load_model(target, load_external_data=False)


def _checked(model: onnx.ModelProto) -> onnx.ModelProto:
    """Refuse a silent surprise: torch leaves another opset than asked for without an error."""
    opset = next(entry.version for entry in model.opset_import if entry.domain == "")
    if opset != OPSET:
        raise ModelInvalid(f"torch exported opset {opset} instead of {OPSET}", hint="Give ONNX, or report this model")
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter prints progress with emoji, and warns of its own deprecations."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        previous = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(previous)


def _exporters_words(error: Exception) -> str:
    """The operator and why: the exporter's own error tells how to report it, and its causes what it is."""
    chain = list(causes(error))
    node = next((found[1] for each in chain if (found := _NODE.search(str(each)))), "")
    return f"{node}: {first_line(chain[-1])}".removeprefix(": ")


def _last_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]
