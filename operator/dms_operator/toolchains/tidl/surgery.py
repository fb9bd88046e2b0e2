"""Brings a model to what TI's ONNX Runtime 1.15 reads (opset 19, IR 8) without changing what it computes."""

from collections import Counter

import onnx

from ...api.errors import ConversionFailed
from .graph import opset_of
from .operators import IR_VERSION, MAXIMUM_OPSET
from .rewrites import rewritten

_CONTRIB = {"com.microsoft"}


def lowered(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy at opset 19 or lower, with `rewrites` applied and shapes inferred: what is calibrated and imported.

    A newer opset is only a label while each of its operators is still the one of opset 19. Raises ConversionFailed
    naming the operators that are not.
    """
    copy = rewritten(model)
    opset = opset_of(copy)
    if opset > MAXIMUM_OPSET:
        _refuse_newer(copy, opset)
        for entry in copy.opset_import:
            if entry.domain in ("", "ai.onnx"):
                entry.version = MAXIMUM_OPSET
    copy.ir_version = min(copy.ir_version, IR_VERSION)
    return onnx.shape_inference.infer_shapes(copy)


def _refuse_newer(model: onnx.ModelProto, opset: int) -> None:
    newer: Counter[str] = Counter()
    for node in model.graph.node:
        if node.domain in _CONTRIB:
            continue
        try:
            since = onnx.defs.get_schema(node.op_type, opset, node.domain).since_version
        except onnx.defs.SchemaError:
            continue  # not an operator of ONNX: the pre-flight names it
        if since > MAXIMUM_OPSET:
            newer[f"{node.op_type} (opset {since})"] += 1
    if newer:
        named = ", ".join(f"{name} x{count}" for name, count in newer.most_common(10))
        raise ConversionFailed(
            f"the model is of opset {opset}, TI's tools read up to {MAXIMUM_OPSET}, and these operators changed since: "
            f"{named}",
            hint=f"Export the model with opset {MAXIMUM_OPSET} or lower",
        )
