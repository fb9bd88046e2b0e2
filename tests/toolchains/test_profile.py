from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dms_operator.api.errors import ConversionFailed
from dms_operator.api.target_options.qnn_socs import soc_of
from dms_operator.toolchains.qnn.cost import simulated_latency
from dms_operator.toolchains.qnn.profile import HEADER, PartitionCost, parse_profile

FIXTURES = Path(__file__).parent / "fixtures"
SOC = soc_of("sa8255")


def recorded(name: str) -> str:
    return (FIXTURES / name).read_text()


def block(time: int, lower: int, upper: int, missing: int = 0, finalize: int = 1) -> str:
    return (
        f"0,FINALIZE,{finalize},US,BACKEND,ROOT,QNN (finalize) time\n"
        f"0,BACKEND,{time},US,BACKEND,SUB-EVENT,Simulated (Accelerator exec time us)\n"
        f"0,BACKEND,{lower},US,BACKEND,SUB-EVENT,Simulated (Accelerator exec time us (lower estimate))\n"
        f"0,BACKEND,{upper},US,BACKEND,SUB-EVENT,Simulated (Accelerator exec time us (upper estimate))\n"
        f"0,BACKEND,{missing},US,BACKEND,SUB-EVENT,Missing Ops (Number of Ops with no Costs associated)\n"
    )


HEAD = ",".join(HEADER) + "\n"


def test_the_recorded_profile_of_resnet18_gives_its_published_estimate() -> None:
    assert parse_profile(recorded("qnn_profile_sa8255_resnet18_w8a8.csv")) == [PartitionCost(300, 289, 313, 0)]


def test_a_block_that_qnn_writes_twice_counts_once() -> None:
    costs = parse_profile(recorded("qnn_profile_sa8255_three_partitions.csv"))
    assert [cost.time_us for cost in costs] == [2, 1, 3]


def test_equal_costs_of_two_partitions_count_twice() -> None:
    costs = parse_profile(HEAD + block(5, 4, 6, finalize=1) + block(5, 4, 6, finalize=2))
    assert len(costs) == 2


def test_a_profile_without_simulated_rows_gives_no_costs() -> None:
    assert parse_profile(HEAD + "0,FINALIZE,347115,US,BACKEND,ROOT,QNN (finalize) time\n") == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        HEAD + "0,BACKEND,300\n",
        HEAD + block(300, 289, 313).replace(",300,", ",3e2,"),
        HEAD + block(300, 289, 313).replace(",300,", ",-300,"),
        HEAD + block(300, 289, 313).replace("US,BACKEND,SUB-EVENT,Simulated", "MS,BACKEND,SUB-EVENT,Simulated"),
        HEAD + block(300, 389, 313),
    ],
)
def test_a_malformed_profile_is_refused(text: str) -> None:
    if not text:
        assert parse_profile(text) == []
        return
    with pytest.raises(ConversionFailed, match="QNN profile"):
        parse_profile(text)


def test_a_block_without_its_bounds_is_refused() -> None:
    kept = [line for line in block(300, 289, 313).splitlines() if "upper" not in line]
    with pytest.raises(ConversionFailed, match="upper estimate"):
        parse_profile(HEAD + "\n".join(kept))


@given(st.lists(st.lists(st.text(max_size=12), max_size=9), max_size=6))
def test_whatever_the_rows_say_the_answer_is_costs_or_a_refusal(rows: list[list[str]]) -> None:
    text = HEAD + "\n".join(",".join(row) for row in rows)
    try:
        costs = parse_profile(text)
    except ConversionFailed:
        return
    assert all(0 <= cost.lower_us <= cost.time_us <= cost.upper_us for cost in costs)


@given(st.data())
def test_one_damaged_field_never_changes_the_estimate_unnoticed(data: st.DataObject) -> None:
    rows = [line.split(",") for line in block(300, 289, 313).splitlines()]
    row = data.draw(st.integers(1, 3))
    rows[row][2] = data.draw(st.text(max_size=6).filter(lambda text: not (text.isascii() and text.isdigit())))
    with pytest.raises(ConversionFailed):
        parse_profile(HEAD + "\n".join(",".join(fields) for fields in rows))


def test_the_latency_is_the_sum_over_partitions_and_its_bound_the_sum_of_upper_estimates() -> None:
    costs = [PartitionCost(300, 289, 313, 0), PartitionCost(100, 90, 120, 0)]
    facts = simulated_latency(costs, 2, 0, SOC)
    assert facts is not None
    assert (facts.provenance, facts.p50, facts.bound, facts.samples) == ("simulated", "0.400ms", "0.433ms", 0)
    assert facts.source == "QNN cost model SA8255 v73"
    assert "2 partitions" in facts.notes


@pytest.mark.parametrize(
    ("costs", "partitions", "left", "note"),
    [
        ([PartitionCost(3, 2, 4, 7)], 1, 0, "no cost for 7 operators"),
        ([PartitionCost(3, 2, 4, 0)], 1, 5, "5 nodes run on the CPU"),
        ([PartitionCost(3, 2, 4, 0)], 3, 0, "1 of 3 partitions"),
    ],
)
def test_what_the_estimate_leaves_out_is_noted(
    costs: list[PartitionCost], partitions: int, left: int, note: str
) -> None:
    facts = simulated_latency(costs, partitions, left, SOC)
    assert facts is not None and note in facts.notes


def test_a_soc_without_cost_model_has_no_simulated_latency() -> None:
    assert simulated_latency([], 1, 0, SOC) is None
