"""The table: every cell says where its figure comes from, and only what is comparable is divided."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from cli.comparing import accuracy, deployment, gate, latency, target, tried
from dms_operator.cli.compare.advice import RULES
from dms_operator.cli.compare.cells import Section, sections
from dms_operator.cli.compare.ratios import changes
from dms_operator.cli.compare.recommendation import recommend
from dms_operator.cli.compare.render import as_markdown, as_text
from dms_operator.cli.compare.rows import groups
from dms_operator.cli.main import app
from dms_operator.cli.objects import Deployment

DATA = Path(__file__).parent / "data"
SAVED = DATA / "deployment.json"
"""Status of a real run on the dev cluster (examples/platforms.yaml, `kubectl get dmsd platforms -o json`)."""

SEED = deployment(
    target("qcs8255", "onnxruntime", tried("fp32", [latency(45, 46, "measured")], method="none", power="2500mW")),
    target("qcs8255", "qnn", tried("int8", [latency(12, 12.5, "measured")], power="800mW")),
    target("tda4vm", "onnxruntime", tried("fp32", [latency(38, 39, "measured")], method="none", power="2200mW")),
    target("tda4vm", "tidl", tried("int8", [latency(15, 15.5, "measured")], power="750mW")),
)
"""The figures that the project began with, as if boards had given them."""


def tables(*deployments: Deployment) -> list[Section]:
    return sections(groups(deployments))


def test_the_projects_first_table_comes_out_of_a_status() -> None:
    (section,) = tables(SEED)
    shown = [(line.platform, line.precision, str(line.cells[0]), str(line.cells[1])) for line in section.lines]
    assert shown == [
        ("Qualcomm QCS8255", "FP32 onnxruntime", "45 (<= 46) measured", "2500 measured"),
        ("Qualcomm QCS8255", "INT8 qnn static", "12 (<= 12.5) measured", "800 measured"),
        ("", "FP32 -> INT8", "3.8x measured", "3.1x measured"),
        ("TI TDA4VM", "FP32 onnxruntime", "38 (<= 39) measured", "2200 measured"),
        ("TI TDA4VM", "INT8 tidl static", "15 (<= 15.5) measured", "750 measured"),
        ("", "FP32 -> INT8", "2.5x measured", "2.9x measured"),
    ]


def test_a_saved_real_run_gives_the_page_that_is_kept_beside_it() -> None:
    """Renew it by `dms compare -f tests/cli/data/deployment.json -o markdown > tests/cli/data/comparison.md`."""
    found = CliRunner().invoke(app, ["compare", "-f", str(SAVED), "-o", "markdown"])
    assert found.exit_code == 0, found.output
    assert found.output.rstrip("\n") == (DATA / "comparison.md").read_text().rstrip("\n")


def test_figures_of_different_provenance_are_not_divided() -> None:
    one = deployment(
        target(
            "qcs8255", "qnn", tried("fp16", [latency(5, 6, "measured")]), tried("int8", [latency(1, 2, "simulated")])
        )
    )
    (change,) = [each for group in groups([one]) for each in changes(group) if each.base.precision == "fp16"]
    assert "latency" not in change.ratios


def test_a_ratio_of_the_build_machine_says_so() -> None:
    both = [latency(1, 2, "simulated"), latency(3, 4, "host", noisy=True)]
    (change,) = [
        each for group in groups([deployment(target("qcs8255", "qnn", tried("int8", both)))]) for each in changes(group)
    ]
    assert str(change.ratios["latency"]) == "3.0x host, noisy"


@pytest.mark.parametrize(
    ("metric", "drop", "told"),
    [("top1", 0.004, "-0.4 points"), ("top1", -0.004, "+0.4 points"), ("mae", 0.02, "+0.02"), ("mae", -0.02, "-0.02")],
)
def test_what_a_precision_costs_is_the_change_of_the_metric(metric: str, drop: float, told: str) -> None:
    change = drop if metric == "mae" else -drop
    made = tried("int8", [latency(1, 2, "simulated")], drop=drop, score=accuracy(0.5 + change, metric=metric))
    (section,) = tables(deployment(target("qcs8255", "qnn", made), fp32=accuracy(0.5, metric=metric)))
    (line,) = (line for line in section.lines if line.is_ratio)
    assert str(line.cells[2]) == f"{told} host"


def test_a_precision_that_was_not_needed_is_told() -> None:
    one = deployment(target("qcs8255", "qnn", tried("int8", [latency(1, 2, "simulated")]), tried("fp16", [])))
    fp16 = next(line for line in tables(one)[0].lines if line.precision.startswith("FP16"))
    assert str(fp16.cells[0]) == "unavailable" and fp16.cells[0].notes


def test_a_platform_without_candidates_shows_why() -> None:
    one = deployment(target("tda4vm", "tidl", message="TIDL tools are not installed"))
    int8 = next(line for line in tables(one)[0].lines if line.precision.startswith("INT8"))
    assert all("TIDL tools are not installed" in cell.notes for cell in int8.cells)


def test_several_deployments_of_one_model_share_a_table_and_others_get_their_own() -> None:
    int8 = deployment(target("qcs8255", "qnn", tried("int8", [latency(1, 2, "simulated")])), name="one")
    fp16 = deployment(target("qcs8255", "qnn", tried("fp16", [latency(4, 5, "simulated")])), name="two")
    other = deployment(target("qcs8255", "qnn", tried("int8", [latency(1, 2, "simulated")])), model="b", name="three")
    first, second = tables(int8, fp16, other)
    assert [line.precision for line in first.lines][:3] == ["FP32", "FP16 qnn static", "INT8 qnn static"]
    assert len(second.lines) < len(first.lines)


FIGURE = st.tuples(
    st.floats(0.01, 100), st.none() | st.floats(0.01, 100), st.sampled_from(["measured", "simulated", "estimated"])
)
GATES = st.lists(
    st.builds(
        gate,
        st.sampled_from(["accuracy", "delegation", "latency", "power", "provenance"]),
        st.sampled_from(["Pass", "Fail", "Inconclusive"]),
    ),
    min_size=1,
    max_size=3,
)
TRY = st.builds(
    lambda precision, figures, gates, drop, power, noisy: tried(
        precision,
        [latency(*figures, noisy=noisy)] if figures else [],
        gates=gates,
        drop=drop,
        power=power,
        method="static" if precision == "int8" else "cast",
    ),
    st.sampled_from(["fp16", "int8"]),
    st.none() | FIGURE,
    GATES,
    st.floats(-0.01, 0.2),
    st.none() | st.just("800mW"),
    st.booleans(),
)
QUALCOMM = st.builds(
    lambda board, tries: target(board, "qnn", *tries),
    st.sampled_from(["qcs8255", "sa8255"]),
    st.lists(TRY, max_size=3),
)
TI = st.builds(
    lambda tries: target("tda4vm", "tidl", *[each for each in tries if each["precision"] == "int8"]),
    st.lists(TRY, max_size=2),
)
TARGETS = st.lists(QUALCOMM | TI, min_size=1, max_size=4)


@given(TARGETS)
def test_no_cell_stands_without_provenance_or_reason(targets: list[dict[str, object]]) -> None:
    for line in tables(deployment(*targets))[0].lines:
        for cell in line.cells:
            assert cell.provenance in ("measured", "simulated", "estimated", "host", "compiled", "ONNX", "unavailable")
            assert cell.text or cell.notes, "unavailable needs its reason"
            assert cell.provenance == "unavailable" or cell.text


@given(TARGETS)
def test_what_is_recommended_passed_every_gate_and_a_cheaper_board_did_not(targets: list[dict[str, object]]) -> None:
    one = deployment(*targets)
    passing = {(row.target.board, row.precision) for group in groups([one]) for row in group.rows if row.passes}
    used = [each.text for each in recommend([one]) if each.text.startswith("Use ")]
    assert len(used) == (1 if passing else 0)
    for text in used:
        _, precision, _, board, *_ = text.split()
        assert (board, precision.lower()) in passing
        assert board == "tda4vm" or not any(name == "tda4vm" for name, _ in passing)
        assert precision == "INT8" or (board, "int8") not in passing


@given(TARGETS)
def test_every_line_of_advice_shows_its_figures_or_what_is_missing(targets: list[dict[str, object]]) -> None:
    for each in recommend([deployment(*targets)]):
        assert each.figures or each.missing, each


@pytest.mark.parametrize("budget", ["100us", "1s"])
def test_another_budget_is_judged_at_once(budget: str) -> None:
    found = CliRunner().invoke(app, ["compare", "-f", str(SAVED), "-o", "json", "--latency-budget", budget])
    document = json.loads(found.output)
    passing = [row["precision"] for model in document["models"] for row in model["rows"] if row["passes"]]
    assert bool(passing) is (budget == "1s")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-f", "/no/such/file"], "SourceNotFound: /no/such/file cannot be read"),
        (["-f", str(SAVED), "other"], "holds no DMSModelDeployment other"),
        (["-f", str(SAVED), "--latency-budget", "20"], "needs a unit"),
        (["--kubeconfig", "/no/such/file"], "no cluster is known"),
    ],
)
def test_what_cannot_be_compared_is_one_line(arguments: list[str], told: str) -> None:
    found = CliRunner().invoke(app, ["compare", *arguments])
    assert found.exit_code == 1 and told in found.output and "Traceback" not in found.output


def test_a_list_from_standard_input_is_read() -> None:
    body = json.loads(SAVED.read_text())
    text = json.dumps({"kind": "List", "apiVersion": "v1", "items": [body]})
    found = CliRunner().invoke(app, ["compare", "-f", "-"], input=text)
    assert found.exit_code == 0 and "Recommendation" in found.output


def test_text_and_markdown_hold_the_same_cells() -> None:
    found, advice = tables(SEED), recommend([SEED])
    console = Console(width=200, record=True, file=io.StringIO())
    as_text(found, advice, console)
    text, page = console.export_text(), as_markdown(found, advice)
    for line in found[0].lines:
        for cell in line.cells:
            assert str(cell) in text and str(cell) in page


def test_the_documentation_shows_what_the_command_prints() -> None:
    """Renew the block in docs/benchmarks.md by `dms compare -f tests/cli/data/deployment.json`."""
    page = (DATA.parents[2] / "docs" / "benchmarks.md").read_text()
    printed = CliRunner().invoke(app, ["compare", "-f", str(SAVED)]).output.splitlines()
    assert "\n".join(line.rstrip() for line in printed) in page
    assert all(f"| `{rule}` | {text} |" in page for rule, text in RULES.items())
