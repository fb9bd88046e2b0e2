from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from dms_operator.toolchains.qnn.delegation import (
    Node,
    delegation_of,
    refused_nodes,
    split_of,
    unsupported,
)


def graph_of(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [value("in", TensorProto.FLOAT, [1])], [value("out", TensorProto.FLOAT, [1])])
    return helper.make_model(graph)


def node(op_type: str, source: str, target: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op_type, [source], [target], name=f"{op_type}_{target}", **attributes)


ORIGINAL = graph_of(
    node("QuantizeLinear", "in", "q"),
    node("DequantizeLinear", "q", "d"),
    node("Relu", "d", "a"),
    node("Erf", "a", "b"),
    node("Relu", "b", "out"),
)


def test_a_graph_of_one_context_node_is_delegated_whole() -> None:
    split = split_of(graph_of(node("EPContext", "in", "out")))
    assert split.whole
    delegation = delegation_of(ORIGINAL, split)
    assert (delegation.npu, delegation.total, delegation.left_on_cpu) == (3, 3, [])


def test_quantization_at_the_graphs_edge_is_no_fallback() -> None:
    split = split_of(
        graph_of(node("QuantizeLinear", "in", "q"), node("EPContext", "q", "p"), node("DequantizeLinear", "p", "out"))
    )
    assert split.whole


def test_a_node_left_between_partitions_is_counted_without_the_quantization_that_serves_it() -> None:
    split = split_of(
        graph_of(
            node("EPContext", "in", "p"),
            node("DequantizeLinear", "p", "d"),
            node("Erf", "d", "e"),
            node("QuantizeLinear", "e", "q"),
            node("EPContext", "q", "out"),
        )
    )
    assert not split.whole
    delegation = delegation_of(ORIGINAL, split)
    assert (delegation.npu, delegation.total, delegation.left_on_cpu) == (2, 3, ["Erf x1"])


def test_quantization_that_alone_parts_two_partitions_counts_itself() -> None:
    split = split_of(
        graph_of(
            node("EPContext", "in", "p"),
            node("DequantizeLinear", "p", "d"),
            node("QuantizeLinear", "d", "q"),
            node("EPContext", "q", "out"),
        )
    )
    assert not split.whole
    delegation = delegation_of(ORIGINAL, split)
    assert (delegation.npu, delegation.total) == (3, 5)


def test_a_graph_without_any_partition_runs_on_the_cpu_alone() -> None:
    assert delegation_of(ORIGINAL, split_of(ORIGINAL)).npu == 0


LOG = [
    "[E:onnxruntime:, x.cc:1 GetCapabilityImpl] Unsupported nodes in QNN EP: { name: a, type: Erf }"
    "{ name: b, type: GRU }",
    "[E:onnxruntime:, x.cc:1 GetCapabilityImpl] Unsupported nodes in QNN EP: { name: a, type: Erf }",
    "Unsupported nodes in QNN EP: { name: QNNExecutionProvider_3_0, type: QNNExecutionProvider_11_3 }",
    "QNN.backendValidateOpConfig() failed for node `b` of type `Gru` with error code 3110",
]


def test_the_log_names_each_refused_node_once_and_no_partition() -> None:
    assert refused_nodes(LOG) == [Node("a", "Erf"), Node("b", "GRU")]


def test_the_refusal_names_nodes_types_reason_and_what_to_try() -> None:
    error = unsupported(refused_nodes(LOG), 9, "SA8255 v73", LOG)
    for part in ("2 of 9 nodes", "a (Erf)", "b (GRU)", "error 3110", "LSTM", 'allow-cpu-fallback: "true"'):
        assert part in str(error)


@pytest.mark.parametrize("count", [11, 400])
def test_a_long_refusal_is_cut(count: int) -> None:
    error = unsupported([Node(f"n{index}", "Erf") for index in range(count)], count, "SA8255 v73", [])
    assert f"and {count - 10} more" in str(error) and len(str(error)) < 1000
