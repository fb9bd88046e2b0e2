"""Stages convert and benchmark on real artifacts: the real quantizer, compiler, simulator and cost model."""

import json
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dms_operator.api.capabilities import BoardType, ToolchainName
from dms_operator.api.end_to_end import EndToEnd
from dms_operator.api.errors import ArtifactMissing, ConversionFailed, ToolchainUnavailable
from dms_operator.api.stages import (
    RESULT_LIMIT_BYTES,
    BenchmarkFacts,
    BenchmarkRecipe,
    CompiledFacts,
    ConvertRecipe,
    QuantizeRecipe,
)
from dms_operator.artifacts.store import Store, open_store
from dms_operator.pipeline import benchmark, convert, quantize
from dms_operator.pipeline.context import StageContext
from dms_operator.pipeline.latency import PROFILES, Profile
from dms_operator.pipeline.power import PowerMeter, record
from dms_operator.pipeline.rows import REFERENCE, REFERENCE_PROFILE, VARIANT, cpu_jobs
from dms_operator.pipeline.subject import subject
from dms_operator.pipeline.target_accuracy import errors, first_outputs, judge
from model_fixtures import tiny_classifier, tiny_dataset

SAMPLES = 8
OWN_BOARD: BoardType = "generic-x86" if platform.machine() == "x86_64" else "generic-arm64"


@dataclass(frozen=True)
class Bench:
    """A store with a resolved model and its int8 variant for the HTP."""

    store: Store
    directory: Path
    resolved: str
    variant: str

    def context(self, progress: Callable[[str, int, int], None] = lambda *_: None) -> StageContext:
        return StageContext(self.store, self.directory / "work", progress)

    def convert(
        self, board: BoardType, toolchain: ToolchainName, options: dict[str, str] | None = None
    ) -> tuple[str, CompiledFacts]:
        recipe = ConvertRecipe(image="i", variant=self.variant, board=board, toolchain=toolchain, options=options or {})
        context = self.context()
        files, facts = convert.run(recipe, context)
        assert isinstance(facts, CompiledFacts)
        return context.store.put(files).digest, facts

    def benchmark(
        self,
        compiled: str,
        board: BoardType = "qcs8255",
        toolchain: ToolchainName = "qnn",
        progress: Callable[[str, int, int], None] = lambda *_: None,
        **fields: Any,
    ) -> tuple[dict[str, Any], BenchmarkFacts]:
        defaults: dict[str, Any] = {
            "image": "i", "resolved": self.resolved, "variant": self.variant, "compiled": compiled, "board": board,
            "toolchain": toolchain, "profile": "rapid", "warmup": 2, "percentile": 90, "simulation_samples": SAMPLES,
        }  # fmt: skip
        recipe = BenchmarkRecipe(**(defaults | fields))
        files, facts = benchmark.run(recipe, self.context(progress))
        assert isinstance(facts, BenchmarkFacts)
        return json.loads(files["report.json"].read_text()), facts


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    directory = tmp_path_factory.mktemp("bench")
    (directory / "store").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DMS_FILE_ROOTS", str(directory))
        context = StageContext(open_store(f"file://{directory}/store"), directory / "work")
    files = {
        "model.onnx": tiny_classifier(directory / "model.onnx"),
        "dataset.npz": tiny_dataset(directory / "dataset.npz"),
    }
    resolved = context.store.put(files).digest
    fp32 = QuantizeRecipe(
        image="i", resolved=resolved, precision="fp32", method="none", toolchain="onnxruntime", evaluation_samples=24
    )
    reference = context.store.put(quantize.run(fp32, context)[0]).digest
    int8 = fp32.model_copy(update={"precision": "int8", "method": "static", "toolchain": "qnn", "reference": reference})
    return Bench(context.store, directory, resolved, context.store.put(quantize.run(int8, context)[0]).digest)


@pytest.fixture(scope="module")
def compiled(bench: Bench) -> str:
    return bench.convert("qcs8255", "qnn")[0]


@pytest.fixture(autouse=True)
def short_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROFILES, "rapid", Profile(64, 0.0))


def test_convert_makes_a_whole_sa8255_artifact_of_the_quantized_variant(bench: Bench, compiled: str) -> None:
    facts = bench.convert("qcs8255", "qnn")[1]
    assert (facts.soc, facts.architecture) == ("SA8255", "v73")
    assert facts.delegation.npu == facts.delegation.total > 0
    assert "model.dlc" in bench.context().fetch(compiled)


def test_tda4vm_ends_in_a_clear_message(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDL_TOOLS_PATH", raising=False)
    with pytest.raises(ToolchainUnavailable, match="TIDL tools are not installed in the converter image"):
        bench.convert("tda4vm", "tidl")


def test_a_soc_without_cost_model_gets_words_in_place_of_a_latency(bench: Bench) -> None:
    _, facts = bench.benchmark(bench.convert("qcs8550", "qnn")[0], "qcs8550")
    assert [latency.provenance for latency in facts.latencies] == ["host"]
    assert facts.latency_note == "toolchain qnn has no cost model for this SoC (QCS8550), and no board is at hand"
    assert facts.accuracy_provenance == "simulated"  # the functional simulator works for every SoC


def test_without_tis_tools_tda4vm_gets_an_estimate_of_latency_and_accuracy(bench: Bench) -> None:
    context = bench.context()
    recipe = QuantizeRecipe(
        image="i",
        resolved=bench.resolved,
        reference=bench.variant,  # its artifact holds the reference's outputs, too
        precision="int8",
        method="static",
        toolchain="tidl",
        evaluation_samples=24,
    )
    ti = replace(bench, variant=context.store.put(quantize.run(recipe, context)[0]).digest)
    compiled, _ = ti.convert("tda4vm", "tidl", {"estimate-only": "true"})
    report, facts = ti.benchmark(compiled, "tda4vm", "tidl")
    assert [latency.provenance for latency in facts.latencies] == ["estimated", "host"]
    assert facts.accuracy_provenance == "estimated"
    assert facts.accuracy_on_target is not None and facts.accuracy_on_target.samples == SAMPLES
    assert facts.accuracy_on_target_drop is not None and facts.accuracy_on_target_drop <= 1 / SAMPLES
    assert report["compiled"]["toolVersion"] == "estimate only, no TI tools ran"


def test_a_variant_without_model_is_missing_not_empty(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no model")
    digest = bench.context().store.put({"notes.txt": tmp_path / "notes.txt"}).digest
    recipe = ConvertRecipe(image="i", variant=digest, board="sa8255", toolchain="qnn")
    with pytest.raises(ArtifactMissing, match=r"model\.onnx"):
        convert.run(recipe, bench.context())


def test_without_a_board_there_are_simulated_and_host_figures_and_nothing_is_called_measured(
    bench: Bench, compiled: str
) -> None:
    _, facts = bench.benchmark(compiled)
    simulated, host = facts.latencies
    assert (simulated.provenance, host.provenance) == ("simulated", "host")
    assert simulated.source == "QNN cost model SA8255 v73" and simulated.samples == 0
    assert host.samples == 64 and host.p90 is not None and host.bound is not None
    assert facts.throughput == pytest.approx(1 / simulated.p50.value)
    assert facts.power is None and facts.power_source == "unavailable"
    assert facts.power_note == "the board is not at hand, and the power of another machine says nothing about it"


def test_the_fp32_model_on_the_same_cpu_is_there_for_ratios(bench: Bench, compiled: str) -> None:
    report, facts = bench.benchmark(compiled)
    assert facts.reference is not None and facts.reference.source.startswith("fp32 reference, onnxruntime")
    assert facts.reference.provenance == "host" and facts.reference.samples >= 64
    assert report["reference"]["p50"] == facts.reference.p50


def test_every_timed_row_tells_load_first_inference_and_how_steady_it_was(bench: Bench, compiled: str) -> None:
    report, facts = bench.benchmark(compiled)
    host = facts.latencies[1]
    assert host.load and host.first and host.min and host.max and host.stddev and host.p999 and host.throughput
    (only,) = report["rows"][1]["passes"]
    assert only["queries"] == 64 and set(only["stability"]) == {"halves", "drift", "outliers", "complaints"}
    assert "before" in only["machine"]


def test_memory_without_a_board_is_a_lower_limit_and_says_so(bench: Bench, compiled: str) -> None:
    report, facts = bench.benchmark(compiled)
    assert facts.memory is not None and facts.memory_provenance == "estimated"
    assert facts.memory.value >= report["compiled"]["sizeBytes"]


def test_camera_to_decision_without_a_board_is_an_estimate(bench: Bench, compiled: str) -> None:
    _, facts = bench.benchmark(compiled, end_to_end=EndToEnd(width=64, height=48))
    assert facts.end_to_end is not None and facts.end_to_end.provenance == "estimated"
    assert facts.end_to_end.p50.value > facts.latencies[0].p50.value


def test_camera_to_decision_on_the_board_is_measured_whole(bench: Bench) -> None:
    compiled, _ = bench.convert(OWN_BOARD, "onnxruntime")
    _, facts = bench.benchmark(compiled, OWN_BOARD, "onnxruntime", end_to_end=EndToEnd(width=64, height=48))
    assert facts.end_to_end is not None and facts.end_to_end.provenance == "measured"
    assert facts.end_to_end.samples >= 64 and facts.memory_provenance == "measured"


def test_a_board_runs_every_evaluation_sample_and_tells_how_sure_the_drop_is(bench: Bench) -> None:
    compiled, _ = bench.convert(OWN_BOARD, "onnxruntime")
    _, facts = bench.benchmark(compiled, OWN_BOARD, "onnxruntime")
    assert facts.accuracy_on_target is not None and facts.accuracy_on_target.samples == 24
    found = facts.accuracy_on_target_interval
    assert found is not None and (found.lost, found.gained) == (0, 0)
    assert found.high == pytest.approx(1 - 0.05 ** (1 / 24), abs=1e-6)


def test_rows_that_no_gate_rests_on_do_not_take_the_ten_minutes_of_an_official_run(bench: Bench, compiled: str) -> None:
    recipe = BenchmarkRecipe(
        image="i",
        resolved=bench.resolved,
        variant=bench.variant,
        compiled=compiled,
        board="qcs8255",
        toolchain="qnn",
        profile="official",
    )
    jobs = cpu_jobs(subject(recipe, bench.context()), recipe)
    assert {name: job.profile for name, job in jobs.items()} == {
        VARIANT: PROFILES["quick"],
        REFERENCE: REFERENCE_PROFILE,
    }


def test_a_board_is_sent_no_more_samples_than_fit(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "BOARD_BYTES", 0)
    compiled, _ = bench.convert(OWN_BOARD, "onnxruntime")
    _, facts = bench.benchmark(compiled, OWN_BOARD, "onnxruntime")
    assert facts.accuracy_on_target is not None and facts.accuracy_on_target.samples == SAMPLES


def test_a_result_with_everything_in_it_fits_the_termination_message(bench: Bench, compiled: str) -> None:
    _, facts = bench.benchmark(compiled, end_to_end=EndToEnd(width=64, height=48))
    wordy = facts.model_copy(update={"power_note": "x" * 300})
    assert len(json.dumps(wordy.to_wire())) < RESULT_LIMIT_BYTES - 500


def test_power_is_sampled_beside_the_boards_run(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rail whose figure rises when the idle time is over; the sensor is a file, everything else is real."""
    chip = tmp_path / "class/hwmon/hwmon5"
    chip.mkdir(parents=True)
    (chip / "name").write_text("ina226\n")
    (chip / "power1_input").write_text("1000000\n")
    compiled, _ = bench.convert(OWN_BOARD, "onnxruntime")
    monkeypatch.setattr(record, "IDLE_SECONDS", 0.4)
    monkeypatch.setattr(record, "PowerMeter", lambda: PowerMeter(tmp_path, 0.01))
    monkeypatch.setitem(PROFILES, "rapid", Profile(64, 0.4))

    def rise(step: str, done: int, total: int) -> None:
        if step == "time-measured" and done == 0:
            (tmp_path / "risen").write_text("3000000\n")
            (tmp_path / "risen").rename(chip / "power1_input")

    _, facts = bench.benchmark(compiled, OWN_BOARD, "onnxruntime", rise)
    assert facts.idle_power == "1000mW" and facts.power == "2000mW"
    assert facts.power_source.startswith("hwmon ina226") and facts.throughput
    assert facts.energy_per_inference is not None
    assert facts.energy_per_inference.value == pytest.approx(2.0 / facts.throughput, abs=2e-6)


def test_the_simulator_scores_the_targets_arithmetic_on_evaluation_samples(bench: Bench, compiled: str) -> None:
    reports: list[tuple[str, int, int]] = []
    report, facts = bench.benchmark(compiled, progress=lambda *args: reports.append(args))
    accuracy = facts.accuracy_on_target
    assert accuracy is not None and facts.accuracy_provenance == "simulated"
    assert (accuracy.value, accuracy.samples, accuracy.agreement) == (1.0, SAMPLES, 1.0)
    assert facts.accuracy_on_target_drop == 0.0
    found = report["errors"]
    assert isinstance(found, dict)
    # quantized, so not equal; near, so the same net
    assert 0 < found["meanAbsolute"] <= found["maxAbsolute"] < 0.1 * found["referenceMaxAbsolute"]
    assert ("simulate", SAMPLES, SAMPLES) in reports and ("time-host", 64, 64) in reports


def test_the_report_tells_where_and_with_what_the_figures_were_made(bench: Bench, compiled: str) -> None:
    report, facts = bench.benchmark(compiled)
    environment = report["environment"]
    assert isinstance(environment, dict)
    assert environment["cores"] >= 1 and environment["cpu"] and "onnxruntime-qnn" in environment["toolchain"]
    assert report["benchmark"] == facts.to_wire()
    rows = report["rows"]
    assert isinstance(rows, list) and [row["provenance"] for row in rows] == ["simulated", "host"]


def test_a_generic_board_is_the_machine_itself_so_its_figures_are_measured(bench: Bench) -> None:
    compiled, _ = bench.convert(OWN_BOARD, "onnxruntime")
    _, facts = bench.benchmark(compiled, OWN_BOARD, "onnxruntime")
    assert [row.provenance for row in facts.latencies] == ["measured"]
    assert facts.accuracy_provenance == "measured" and facts.accuracy_on_target is not None
    assert facts.accuracy_on_target.value == 1.0


def test_the_host_baseline_of_a_board_is_host_and_has_no_accuracy_on_target(bench: Bench) -> None:
    compiled, _ = bench.convert("qcs8255", "onnxruntime")
    _, facts = bench.benchmark(compiled, "qcs8255", "onnxruntime")
    assert [row.provenance for row in facts.latencies] == ["host"]
    assert facts.accuracy_on_target is None and facts.accuracy_provenance is None


def test_a_wrong_answer_on_the_target_shows_as_drop_and_lost_agreement() -> None:
    reference = np.eye(4, dtype=np.float32)
    values = reference.copy()
    values[3] = [1, 0, 0, 0]
    found = judge("top1", values, reference, np.arange(4), "simulated")
    assert (found.facts.value, found.drop, found.facts.agreement) == (0.75, 0.25, 0.75)


def test_errors_are_absolute_and_over_all_values() -> None:
    found = errors(np.array([[1.0, 2.0]]), np.array([[1.5, 1.0]]))
    assert found == {"maxAbsolute": 1.0, "meanAbsolute": 0.75, "referenceMaxAbsolute": 1.5}


@pytest.mark.parametrize(("name", "value", "message"), [("logits", np.nan, "NaN"), ("other", 1.0, "no output logits")])
def test_outputs_that_mean_nothing_are_refused(tmp_path: Path, name: str, value: float, message: str) -> None:
    import onnx

    model = onnx.load(tiny_classifier(tmp_path / "model.onnx"))
    with pytest.raises(ConversionFailed, match=message):
        first_outputs([{name: np.full((1, 3), value)}], model, (3,))
