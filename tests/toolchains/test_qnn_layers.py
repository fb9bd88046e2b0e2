"""Per-layer profile and delegation report: from rows and traces to figures per operator."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dms_operator.api.errors import ConversionFailed, UnsupportedOperators
from dms_operator.toolchains.base import Compiled
from dms_operator.toolchains.qnn.layers import cost_document, layers
from dms_operator.toolchains.qnn.placement import read_op_trace
from dms_operator.toolchains.qnn.profile import HEADER, SOURCES, NodeCycles, PartitionCost, parse_nodes, parse_profile
from dms_operator.toolchains.qnn.schedule import OperatorCost, Schedule, parse_schedules
from dms_operator.toolchains.qnn.toolchain import Qnn
from model_fixtures import with_unsupported_op
from toolchains.conftest import silent
from toolchains.qdq import quantized

HEAD = ",".join((*HEADER, SOURCES)) + "\n"


def row(name: str, operator: int, cycles: int, sources: str = "") -> str:
    return f"0,NODE,{cycles},CYCLES,BACKEND,SUB-EVENT,{name}OpId_{operator} (cycles),{sources}\n"


def event(name: str, operator: int, duration: int, flags: list[str], read: int = 0, write: int = 0) -> dict[str, Any]:
    traffic = {"dram_read": read, "dram_write": write}
    details = {"id": hex(0x4095 << 32 | operator), "flags": flags, "bw_info": traffic}
    return {"name": name, "ph": "X", "dur": duration, "ts": 0, "args": details}


def log(*traces: list[dict[str, Any]]) -> bytes:
    return b"\x01\x00frame".join([b""] + [json.dumps({"traceEvents": trace}).encode() + b"\x00" for trace in traces])


CONV = [
    event("q::ConvLayer", 24, 500, ["uses_hmx"]),
    event("default_dma (q::ConvLayer)", 24, 70, ["for_dma"], read=2048),
    event("default_hvx_spawn (q::Quantize)", 24, 9, ["scalar"]),
]


def test_a_schedule_counts_work_and_transfers_but_not_the_waiting_for_them() -> None:
    [schedule] = parse_schedules(log(CONV))
    assert schedule.operators == {24: OperatorCost(compute=500, transfer=70, ddr_read=2048, ddr_write=0)}


def test_a_trace_that_the_log_repeats_counts_once() -> None:
    other = [event("q::Pool", 40, 3, ["for_hvx"])]
    assert len(parse_schedules(log(CONV, CONV, other))) == 2


@given(st.binary(max_size=400))
def test_bytes_that_are_no_log_give_no_schedule(content: bytes) -> None:
    assert parse_schedules(content) == []


@pytest.mark.parametrize("cut", [30, 120, 300])
def test_a_log_that_was_cut_off_gives_no_schedule(cut: int) -> None:
    assert parse_schedules(log(CONV)[:cut]) == []


def test_rows_of_a_detailed_profile_name_operator_cycles_and_sources() -> None:
    text = HEAD + row("Input ", 2, 7) + row("conv1_token_1:", 24, 90, "DequantizeLinear;conv1_token_1")
    assert parse_nodes(text) == [
        NodeCycles("Input", 2, 7, ()),
        NodeCycles("conv1_token_1", 24, 90, ("DequantizeLinear", "conv1_token_1")),
    ]


def test_a_row_without_operator_is_refused() -> None:
    with pytest.raises(ConversionFailed, match="names no operator"):
        parse_nodes(HEAD + "0,NODE,7,CYCLES,BACKEND,SUB-EVENT,conv1 (cycles),\n")


def test_layers_join_rows_and_schedule_by_operator_and_name_the_models_own_nodes() -> None:
    rows = [
        NodeCycles("Input", 2, 7, ()),
        NodeCycles("conv1_token_1", 24, 90, ("DequantizeLinear", "conv1_token_1")),
        NodeCycles("Input", 2, 5, ()),
    ]
    found = layers(rows, [Schedule({24: OperatorCost(500, 70, 2048, 1), 2: OperatorCost(0, 10, 64, 0)})], ["conv1"])
    assert [(layer.name, layer.cycles, layer.ddr_bytes) for layer in found] == [("Input", 0, 64), ("conv1", 500, 2049)]
    assert found[1].nodes == ("conv1",) and found[0].simulator_cycles == 12


def test_without_a_schedule_layers_have_no_target_cycles() -> None:
    [layer] = layers([NodeCycles("head", 50, 90, ())], [], [])
    assert layer.cycles is None and "cycles" not in layer.to_wire(0) and "share" not in layer.to_wire(0)


def test_the_cost_models_sums_name_missing_operators_and_traffic() -> None:
    costs = [PartitionCost(3, 2, 4, 1, {"Input Fill": 10}), PartitionCost(1, 1, 1, 2, {"Input Fill": 5})]
    document = cost_document(costs)
    assert (document["timeUs"], document["lowerUs"], document["upperUs"], document["missingOps"]) == (4, 3, 5, 3)
    assert document["trafficBytes"] == {"Input Fill": 15}


def test_without_cost_model_there_is_a_sentence_and_no_number() -> None:
    assert cost_document([]) == {"note": "no cost model for this SoC"}


def test_the_schedules_ddr_reads_are_the_cost_models_fills(tiny_compiled: Compiled) -> None:
    document = json.loads(tiny_compiled.files["layers.json"].read_text())
    traffic = document["costModel"]["trafficBytes"]
    [costs] = parse_profile(tiny_compiled.files["profile.csv"].read_text())
    assert traffic == costs.traffic and traffic["Input Fill"] > 0
    moved = sum(layer["ddrBytes"] for layer in document["layers"] if layer["name"] != "Output")
    assert moved == sum(size for kind, size in traffic.items() if kind.endswith("Fill"))


def test_every_compute_node_of_the_model_is_in_the_layer_profile(tiny_compiled: Compiled) -> None:
    document = json.loads(tiny_compiled.files["layers.json"].read_text())
    nodes = {node for layer in document["layers"] for node in layer["nodes"]}
    assert nodes == {"conv1", "conv2", "pool", "flatten", "head"}
    assert sum(layer["share"] for layer in document["layers"]) == pytest.approx(1, abs=1e-4)


def test_the_delegation_report_tells_for_each_node_where_it_runs(tiny_compiled: Compiled) -> None:
    rows = json.loads(tiny_compiled.files["delegation.json"].read_text())
    assert [(row["node"], row["where"]) for row in rows] == [
        (name, "npu") for name in ("conv1", "conv2", "pool", "flatten", "head")
    ]
    assert rows[0]["shape"] == "1x3x16x16, 8x3x3x3 -> 1x8x16x16" and "Conv2d" in rows[0]["qnnOp"]


def test_a_node_on_the_cpu_is_reported_with_reason_shape_and_suggestion(tmp_path: Path) -> None:
    model = quantized(with_unsupported_op(tmp_path / "float.onnx"), tmp_path / "qdq.onnx")
    compiled = Qnn().convert(model, "sa8255", {"allow-cpu-fallback": "30%"}, tmp_path / "out", silent)
    nodes = json.loads(compiled.files["manifest.json"].read_text())["cpuNodes"]
    assert [node["node"] for node in nodes] == ["activation1", "activation2"]
    assert nodes[0]["reason"] == "Operators of type `Erf` are not supported by QNN EP"
    assert nodes[0]["shape"] == "1x8x16x16 -> 1x8x16x16" and "HardSwish" in nodes[0]["suggestion"]
    with pytest.raises(UnsupportedOperators, match=r"2 of 7 nodes.*activation1: Operators of type `Erf`.*1x8x16x16"):
        Qnn().convert(model, "sa8255", {"allow-cpu-fallback": "20%"}, tmp_path / "refused", silent)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"subgraph_traces": [{}]}'])
def test_an_op_trace_of_another_schema_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "qnn_op_trace.json").write_text(content)
    with pytest.raises(ConversionFailed, match=r"qnn_op_trace\.json"):
        read_op_trace(tmp_path / "qnn_op_trace.json")
