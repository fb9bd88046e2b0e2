"""`dms report`: one page from a status and the artifacts' files, that says what it could not read."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cli.comparing import deployment, gate, latency, target, tried
from dms_operator.artifacts.store import open_store
from dms_operator.cli.main import app
from dms_operator.cli.report.contents import report
from dms_operator.cli.report.evidence import Evidence, Files, VariantFiles, gather
from dms_operator.cli.report.html import as_html
from dms_operator.cli.report.markdown import as_markdown
from dms_operator.cli.report.picture import histogram, ticks
from dms_operator.cli.report.result import as_json

SAVED = Path(__file__).parent / "data" / "deployment.json"
HOSTILE = "<script>alert(1)</script>|`*"
FIGURES: dict[str, Any] = {"p50": "1.000ms", "p99": "2.000ms", "bound": "2.500ms", "max": "9.000ms"}
ROW = FIGURES | {"provenance": "host", "samples": 1000, "source": HOSTILE}
FILES = Files(
    benchmark={
        "rows": [ROW | {"distribution": {"edges": [0.9, 1.1, 9.1], "counts": [990, 10]}}],
        "environment": {"cpu": "a processor", "kernel": "6.1"},
        "recipe": {"stage": "benchmark", "profile": "quick"},
    },
    manifest={"cpuNodes": [{"node": HOSTILE, "opType": "Einsum", "shape": "[1]", "reason": "no kernel"}]},
    layers={
        "soc": "SA8255 v73",
        "layers": [{"name": HOSTILE, "cycles": 10, "share": 0.9, "ddrBytes": 1, "nodes": ["conv"]}],
        "costModel": {"timeUs": 137, "lowerUs": 119, "upperUs": 158},
    },
)


class Page(HTMLParser):
    """Tags that were opened and never closed, and addresses that a browser would fetch."""

    VOID = ("meta", "link", "img", "br", "rect", "line")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "data", "action")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag in self.VOID or self.open.pop() == tag


def page(evidence: Evidence) -> str:
    one = deployment(target("qcs8255", "qnn", tried("int8", [latency(1, 2, "simulated"), latency(3, 4, "host")])))
    return as_html(report(one, evidence))


def full() -> Evidence:
    return Evidence({("t0", "int8-qnn-0-static"): FILES})


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    found = Page(page(full()))
    assert found.open == [] and found.loads == []
    assert not {"script", "link", "img", "iframe"} & set(found.seen)
    assert "url(" not in page(full()) and "@import" not in page(full())


def test_names_from_users_files_are_shown_not_interpreted() -> None:
    assert "<script" not in page(full()) and "&lt;script&gt;" in page(full())


@pytest.mark.parametrize(
    "told",
    [
        "Precision ladder",
        "passed every gate and was selected",
        "gate</th><th>outcome</th><th>found</th><th>allowed</th><th>inputs",
        "p99 2",
        "power above idle",
        "The 1 costliest of 1 operators, 90% of all cycles (simulated",
        "1 of 1 nodes on the NPU",
        "cpu a processor, kernel 6.1",
        "dms stage run request.json",
        "&#34;profile&#34;: &#34;quick&#34;",
        "entry-board",
    ],
)
def test_the_page_tells_the_whole_story(told: str) -> None:
    assert told in page(full())


def test_every_latency_stands_under_its_provenance() -> None:
    found = re.search(r"<td>provenance</td>(.*?)</tr>", page(full()), re.DOTALL)
    assert found and re.findall(r'class="tag (\w+)"', found[1]) == ["simulated", "host", "host"]


def test_without_the_store_the_report_says_what_it_lacks() -> None:
    found = CliRunner().invoke(app, ["report", "platforms", "-f", str(SAVED), "--store", "file:///no/such/store"])
    assert found.exit_code == 0, found.output
    assert "Not in this report: the store file:///no/such/store has none of the artifacts" in found.output
    assert "Precision ladder" in found.output


def test_files_are_read_from_the_store_by_digest(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}", (tmp_path,))
    names = ("report.json", "manifest.json", "layers.json", "sensitivity.json", "model.bin")
    written = {name: tmp_path / name for name in names}
    for name, path in written.items():
        path.write_text(json.dumps({"file": name}))
    digest = store.put(written).digest
    body = json.loads(SAVED.read_text())
    for each in body["status"]["targets"]:
        for candidate in each["candidates"]:
            for part in ("compiled", "benchmark"):
                candidate.get(part, {"artifact": {}})["artifact"]["digest"] = digest
    for variant in body["status"]["variants"]:
        variant["artifact"]["digest"] = digest
    saved = tmp_path / "deployment.json"
    saved.write_text(json.dumps(body))
    from dms_operator.cli.objects import from_file

    (one,) = from_file(str(saved), ["platforms"])
    found = gather(one, f"file://{tmp_path}")
    assert found.problems == () and {files.layers["file"] for files in found.files.values()} == {"layers.json"}
    assert {files.sensitivity["file"] for files in found.variants.values()} == {"sensitivity.json"}


def test_what_rounding_hurts_and_how_training_went_is_told_under_the_ladder() -> None:
    one = deployment(target("qcs8255", "qnn", tried("int8", [latency(1, 2, "simulated")])))
    [name] = [variant.name for variant in one.status.variants][-1:]
    layers = [{"tensors": [HOSTILE], "operator": "Conv", "error": 0.02, "cost": 0.1, "widened": True}]
    epochs = [{"epoch": 0, "training_loss": None, "held_out_loss": 1.5, "score": 0.7, "drop": 0.29}]
    files = VariantFiles(
        {"layers": layers, "costModelUs": {"narrow": 137, "mixed": 150, "wide": 363}},
        {"epochs": epochs, "chosenEpoch": 3},
    )
    text = as_markdown(report(one, Evidence(variants={name: files})))
    assert f"How {name} was made" in text
    assert "150 us, with 8 bits 137, with 16 bits throughout 363" in text
    assert "| Conv | 2.00e-02 | 10.0% | yes |" in text
    assert "epoch 3 was taken" in text and "29.0 points" in text
    assert HOSTILE not in text


def test_result_json_has_each_rung_with_its_figures_why_it_ended_and_what_was_learned_of_it() -> None:
    missed = gate("accuracy", "Fail", "lost 2.0 points of top1")
    rungs = [
        tried("int8", [], drop=0.02, gates=[missed]),
        tried("int8", [latency(1, 2, "simulated")], method="qat", seconds=41.0),
    ]
    one = deployment(target("qcs8255", "qnn", *rungs))
    table, history = {"simulatedDrop": 0.0, "layers": [{"tensors": ["conv"], "error": 0.02}]}, {"chosenEpoch": 3}
    _, static, trained = [variant.name for variant in one.status.variants]
    evidence = Evidence(variants={static: VariantFiles(sensitivity=table), trained: VariantFiles(training=history)})
    found = json.loads(as_json(one, evidence))
    fp32, lost, won = found["ladder"]
    assert (fp32["outcome"], fp32["sensitivity"], fp32["training"]) == ("the reference", {}, {})
    assert lost["outcome"] == "t0: accuracy Fail: lost 2.0 points of top1"
    assert (lost["accuracyDrop"], lost["sensitivity"]) == (0.02, table)
    assert won["outcome"].startswith("t0: passed every gate")
    assert (won["seconds"], won["training"]) == (41.0, history)
    assert {"low", "high", "samples"} < won["accuracy"].keys() and won["sizeBytes"] == 1_100_000
    assert found["targets"][0]["candidates"][0]["gates"][0]["outcome"] == "Fail"


def test_result_json_goes_to_a_file_and_says_what_it_lacks(tmp_path: Path) -> None:
    to = tmp_path / "result.json"
    options = ["-f", str(SAVED), "--store", "file:///no/such/store", "-o", "json", "--to", str(to)]
    done = CliRunner().invoke(app, ["report", "platforms", *options])
    found = json.loads(to.read_text())
    assert done.exit_code == 0 and found["deployment"].endswith("/platforms")
    assert "none of the artifacts" in found["missing"][0] and found["ladder"][0]["outcome"]


def test_markdown_tells_the_same_gates_and_escapes_its_tables() -> None:
    one = deployment(target("qcs8255", "qnn", tried("int8", [latency(1, 2, "simulated")])))
    text = as_markdown(report(one, full()))
    assert text.startswith("# default/driver-monitor: Ready\n")
    assert "| accuracy | Pass |" in text and "\\|`*" in text


def test_the_html_goes_to_a_file(tmp_path: Path) -> None:
    to = tmp_path / "report.html"
    done = CliRunner().invoke(app, ["report", "platforms", "-f", str(SAVED), "--to", str(to)])
    assert done.exit_code == 0 and to.read_text().startswith("<!doctype html>")


@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=48),
    st.floats(0.001, 1000),
    st.floats(1.01, 2),
    st.floats(0.5, 100),
)
def test_bars_and_marks_stay_inside_the_drawing(counts: list[int], low: float, factor: float, mark: float) -> None:
    edges = [low * factor**number for number in range(len(counts) + 1)]
    svg = histogram(edges, counts, {"p50": low * mark, "max": edges[-1]})
    places = [float(x) for x in re.findall(r' x1?="([-0-9.]+)"', svg)]
    assert all(0 <= place <= 680 for place in places)
    assert "nan" not in svg and "inf" not in svg


@given(st.floats(0.0001, 1000), st.floats(1.5, 1e6))
def test_ticks_are_few_and_inside(low: float, factor: float) -> None:
    assert all(low <= tick <= low * factor for tick in ticks(low, low * factor))
