"""Dynamic quantization reaches recurrent layers as exporters write them, and says what it is not for."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from dms_operator.pipeline.dynamic import to_dynamic_int8
from dms_operator.pipeline.session import cpu_session, run_once

WIDTH = 32


def recurrent(path: Path, operator: str) -> Path:
    """Five steps of a torch layer as torch exports it: gates are put into ONNX's order by nodes on the weights."""
    torch.manual_seed(0)
    layer = getattr(torch.nn, operator)(WIDTH, WIDTH, batch_first=True).eval()
    program = torch.onnx.export(
        layer, (torch.zeros(1, 5, WIDTH),), dynamo=True, opset_version=20, input_names=["x"], verbose=False
    )
    assert program is not None
    program.save(path)
    return path


@pytest.mark.parametrize(("operator", "becomes"), [("GRU", "GRU"), ("LSTM", "DynamicQuantizeLSTM")])
def test_a_recurrent_layers_weights_become_int8(operator: str, becomes: str, tmp_path: Path) -> None:
    source = recurrent(tmp_path / "net.onnx", operator)
    notes = to_dynamic_int8(source, tmp_path / "dynamic.onnx")
    model = onnx.load(tmp_path / "dynamic.onnx")
    assert becomes in {node.op_type for node in model.graph.node}
    large = {tensor.data_type for tensor in model.graph.initializer if np.prod(tensor.dims) >= WIDTH**2}
    assert large == {TensorProto.INT8}
    assert notes[0] == "runs on CPUs only: NPUs do not take dynamic quantization"
    assert (notes[1:] == ["1 GRU computes in float from int8 weights"]) == (operator == "GRU")
    feed = {"x": np.random.default_rng(0).normal(size=(1, 5, WIDTH)).astype(np.float32)}
    expected, found = (run_once(cpu_session(path), feed)[0] for path in (source, tmp_path / "dynamic.onnx"))
    assert found == pytest.approx(expected, abs=0.02)


def test_a_gru_weight_of_zeros_and_one_that_is_read_elsewhere_do_no_harm(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.normal(size=(1, 3 * WIDTH, WIDTH)).astype(np.float32),
        "r": np.zeros((1, 3 * WIDTH, WIDTH), np.float32),
    }
    nodes = [
        helper.make_node("GRU", ["x", "w", "r"], ["y"], hidden_size=WIDTH),
        helper.make_node("ReduceSum", ["w"], ["sum"], keepdims=0),
        helper.make_node("Add", ["y", "sum"], ["out"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "shared",
        [value("x", TensorProto.FLOAT, [5, 1, WIDTH])],
        [value("out", TensorProto.FLOAT, [5, 1, 1, WIDTH])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), tmp_path / "a.onnx")
    to_dynamic_int8(tmp_path / "a.onnx", tmp_path / "b.onnx")
    feed = {"x": rng.normal(size=(5, 1, WIDTH)).astype(np.float32)}
    expected, found = (run_once(cpu_session(tmp_path / name), feed)[0] for name in ("a.onnx", "b.onnx"))
    assert found == pytest.approx(expected, abs=0.05)
