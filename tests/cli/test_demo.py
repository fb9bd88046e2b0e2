"""What the demo shows: progress read from logs, and a table in which no figure stands without its provenance."""

from pathlib import Path
from typing import Any

import pytest

from dms_operator.cli.demo.demo import Demo
from dms_operator.cli.demo.follow import StageProgress, is_final, parse_progress, waits_for_approval
from dms_operator.cli.demo.report import rows
from dms_operator.cli.demo.rollout import BUSY, is_noise, roll_out

ACCURACY = {"metric": "top1", "value": 0.99, "low": 0.97, "high": 0.998, "samples": 300}
STATUS: dict[str, Any] = {
    "variants": [
        {"name": "fp32", "accuracy": ACCURACY, "sizeBytes": 4_110_000},
        {"name": "int8", "accuracy": ACCURACY, "sizeBytes": 1_210_000},
    ],
    "targets": [
        {
            "name": "cockpit",
            "candidates": [
                {
                    "variant": "int8",
                    "compiled": {"sizeBytes": 2_000_000},
                    "benchmark": {
                        "latencies": [
                            {"provenance": "simulated", "p50": "0.300ms", "bound": "0.313ms"},
                            {"provenance": "host", "p50": "4.000ms", "p99": "5.000ms"},
                        ],
                        "reference": {"provenance": "host", "p50": "9.000ms", "p99": "9.500ms"},
                        "accuracyOnTarget": {**ACCURACY, "value": 1.0, "samples": 16},
                        "accuracyProvenance": "simulated",
                    },
                }
            ],
        }
    ],
}


def test_a_progress_line_is_read() -> None:
    assert parse_progress("quantize int8", "@progress calibrate 3/64\n") == StageProgress(
        "quantize int8", "calibrate", 3, 64
    )


@pytest.mark.parametrize("line", ["", "progress", "@progress x 3", "@progress x a/b", "INFO @progress x 1/2"])
def test_other_lines_of_a_log_are_not_progress(line: str) -> None:
    assert parse_progress("stage", line) is None


@pytest.mark.parametrize(
    ("generation", "observed", "phase", "final"),
    [(2, 2, "Ready", True), (2, 1, "Ready", False), (1, 1, "Failed", True), (1, 1, "Converting", False)],
)
def test_the_end_is_a_final_phase_of_the_present_generation(
    generation: int, observed: int, phase: str, final: bool
) -> None:
    body = {"metadata": {"generation": generation}, "status": {"observedGeneration": observed, "phase": phase}}
    assert is_final(body) is final


def test_the_end_of_the_try_before_is_not_that_of_a_retry() -> None:
    status = {"observedGeneration": 1, "phase": "Failed", "handledRetry": "first"}
    metadata = {"generation": 1, "annotations": {"dms.edge/retry": "second"}}
    assert not is_final({"metadata": metadata, "status": status})
    assert is_final({"metadata": metadata, "status": status | {"handledRetry": "second"}})


@pytest.mark.parametrize(
    ("phase", "pauses", "waits"),
    [("RollingOut", ["ApprovalRequired"], True), ("RollingOut", [], False), ("Failed", [], True)],
)
def test_the_rollout_is_followed_to_the_wave_that_waits_for_a_person(
    phase: str, pauses: list[str], waits: bool
) -> None:
    rollout = {"pauses": [{"reason": reason} for reason in pauses]}
    body = {"metadata": {"generation": 1}, "status": {"observedGeneration": 1, "phase": phase, "rollout": rollout}}
    assert waits_for_approval(body) is waits


@pytest.mark.parametrize(
    ("phase", "outcome", "message", "noise"),
    [
        ("Failed", "Inconclusive", "p99 at most 3 ms, but the run was noisy: measure again", True),
        ("Failed", "Fail", "p99 at most 80 ms (measured), budget 50 ms", False),
        ("RollingOut", "Inconclusive", "another target's run was noisy", False),
    ],
)
def test_only_a_failure_by_a_disturbed_benchmark_is_the_machines(
    phase: str, outcome: str, message: str, noise: bool
) -> None:
    gates = [{"name": "latency", "outcome": outcome, "message": message}]
    assert is_noise({"status": {"phase": phase, "targets": [{"candidates": [{"gates": gates}]}]}}) is noise


class Rehearsal(Demo):
    """A demo whose deployments come to given ends, and whose kubectl writes down what it is asked."""

    def __init__(self, directory: Path, *ends: dict[str, Any]) -> None:
        super().__init__(directory, keep=False)
        self.ends = list(ends)
        self.asked = directory / "asked"
        self.tool = directory / "kubectl"
        self.tool.write_text(f'#!/bin/sh\necho "$@" >> {self.asked}\n')
        self.tool.chmod(0o755)

    @property
    def kubectl_command(self) -> list[str]:
        return [str(self.tool)]

    def apply(self, example: Path) -> str:
        return example.stem

    def follow(self, name: str, *_: Any) -> dict[str, Any]:
        return self.ends.pop(0)

    @property
    def steps(self) -> list[str]:
        """Commands without the words that they have in common."""
        lines = self.asked.read_text().splitlines() if self.asked.exists() else []
        return [line.removeprefix("dms rollout ") for line in lines]


GATES = [{"name": "latency", "outcome": "Inconclusive", "message": "the run was noisy: measure again"}]
NOISY = {
    "status": {
        "phase": "Failed",
        "targets": [{"candidates": [{"gates": GATES}]}],
        "summary": {"message": "car: latency Inconclusive"},
    }
}
WAITS: dict[str, Any] = {"status": {"phase": "RollingOut"}}
ROLLOUT = ["status cars", "approve cars", "status cars --watch --vehicles"]


@pytest.mark.parametrize(
    ("noise", "steps"),
    [(0, []), (1, ["retry cars"]), (2, ["retry cars", "retry cars"])],
)
def test_a_disturbed_benchmark_is_run_again_until_the_rollout_can_be_shown(
    tmp_path: Path, noise: int, steps: list[str]
) -> None:
    demo = Rehearsal(tmp_path, *[NOISY] * noise, WAITS)
    assert roll_out(demo, Path("cars.yaml"))
    assert demo.steps == [*steps, *ROLLOUT]


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ([NOISY] * 3, f"car: latency Inconclusive; {BUSY}"),
        ([{"status": {"phase": "Failed", "summary": {"message": "the model cannot be read"}}}], "cannot be read"),
    ],
)
def test_a_rollout_that_cannot_be_shown_fails_the_demo_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ends: list[dict[str, Any]], told: str
) -> None:
    demo = Rehearsal(tmp_path, *ends)
    assert not roll_out(demo, Path("cars.yaml"))
    assert not set(ROLLOUT) & set(demo.steps)
    assert told in " ".join(capsys.readouterr().out.split())


def test_every_row_of_the_table_names_its_provenance() -> None:
    assert [row[:2] for row in rows(STATUS)] == [
        ("fp32", "host"),
        ("int8 on cockpit", "simulated"),
        ("int8", "host"),
    ]


def test_the_float_reference_is_shown_with_its_own_latency() -> None:
    assert next(rows(STATUS))[:4] == ("fp32", "host", "9.000ms", "9.500ms (too few samples for a bound)")


def test_a_latency_without_bound_says_so() -> None:
    assert [row[3] for row in rows(STATUS)][1:] == ["(<= 0.313ms)", "5.000ms (too few samples for a bound)"]


def test_accuracy_on_target_stands_only_in_the_row_of_its_own_provenance() -> None:
    assert [row[4].split()[0] for row in rows(STATUS)] == ["0.9900", "1.0000", "0.9900"]
