"""The streamed simulator: many processes, every sample once, nothing left behind."""

import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dms_operator.api.errors import ConversionFailed, ConverterKilled
from dms_operator.api.target_options.qnn import parse_options
from dms_operator.toolchains.base import Arrays, Compiled
from dms_operator.toolchains.qnn.agreement import Agreement, OutputAgreement
from dms_operator.toolchains.qnn.cores import usable_cores
from dms_operator.toolchains.qnn.evaluate import evaluate
from dms_operator.toolchains.qnn.simulate import simulate_samples, simulate_stream
from toolchains.conftest import silent
from toolchains.qdq import samples

FLOATS = arrays.arrays(np.float32, (2, 3), elements=st.floats(-100, 100, width=32))


def directory_of(compiled: Compiled) -> Path:
    return compiled.files["model_ctx.onnx"].parent


def test_two_processes_answer_every_sample_once_and_as_one_does(tiny_compiled: Compiled, tmp_path: Path) -> None:
    inputs, directory = samples(5), directory_of(tiny_compiled)
    found = dict(simulate_stream(directory, parse_options({}), inputs, tmp_path, processes=2))
    alone = dict(simulate_stream(directory, parse_options({}), inputs[3:4], tmp_path, processes=1))
    assert sorted(found) == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(found[3]["logits"], alone[0]["logits"])
    assert list(tmp_path.iterdir()) == []


def test_samples_are_taken_only_as_they_are_needed(tiny_compiled: Compiled, tmp_path: Path) -> None:
    taken: list[int] = []

    def stream() -> Iterator[Arrays]:
        for index, sample in enumerate(samples(8)):
            taken.append(index)
            yield sample

    found = simulate_stream(directory_of(tiny_compiled), parse_options({}), stream(), tmp_path, processes=1)
    next(found)
    assert len(taken) <= 3
    found.close()
    assert not [child for child in psutil.Process().children() if "qnn.child" in " ".join(child.cmdline())]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        ("read line; kill -KILL $$", ConverterKilled, "SIGKILL.*more memory"),
        ("echo '@error RuntimeError: bad graph'; exit 3", ConversionFailed, "simulator failed; it reported.*bad graph"),
        ("exit 0", ConversionFailed, "ended before it had answered"),
    ],
)
def test_a_simulator_that_dies_is_one_clear_error(
    tiny_compiled: Compiled,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    body: str,
    error: type[Exception],
    says: str,
) -> None:
    script = tmp_path / "child.sh"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(error, match=says):
        simulate_samples(directory_of(tiny_compiled), parse_options({}), samples(3), tmp_path, silent)
    assert [path.name for path in tmp_path.iterdir()] == ["child.sh"]


def test_the_evaluation_compares_target_and_model_per_output(
    tiny_compiled: Compiled, tiny_qdq: Path, tmp_path: Path
) -> None:
    reports: list[tuple[str, int, int]] = []
    found = evaluate(
        directory_of(tiny_compiled), tiny_qdq, iter(samples(4)), 4, tmp_path, lambda *report: reports.append(report)
    )
    output = found.agreement.outputs["logits"]
    assert found.target.shape == found.host.shape == (4, 3)
    assert output.max_error == pytest.approx(np.abs(found.target - found.host).max())
    assert output.max_error < 0.05 and output.sqnr_db > 30
    assert reports[0] == ("simulate", 0, 4) and reports[-1] == ("simulate", 4, 4)


def test_an_evaluation_without_samples_is_refused(tiny_compiled: Compiled, tiny_qdq: Path, tmp_path: Path) -> None:
    with pytest.raises(ConversionFailed, match="no sample"):
        evaluate(directory_of(tiny_compiled), tiny_qdq, [], 0, tmp_path, silent)


@given(st.lists(st.tuples(FLOATS, FLOATS), min_size=1, max_size=5))
def test_errors_added_sample_by_sample_are_those_of_all_values_at_once(
    pairs: list[tuple[np.ndarray, np.ndarray]],
) -> None:
    output = OutputAgreement()
    for found, expected in pairs:
        output.add(found, expected)
    target, host = (np.stack(side).astype(np.float64) for side in zip(*pairs, strict=True))
    error = target - host
    assert output.max_error == pytest.approx(np.abs(error).max())
    assert output.mean_error == pytest.approx(np.abs(error).mean())
    noise, signal = np.square(error).sum(), np.square(host).sum()
    if noise and signal:
        assert output.sqnr_db == pytest.approx(10 * math.log10(signal / noise))


def test_equal_outputs_have_an_infinite_ratio_and_the_same_top() -> None:
    agreement = Agreement()
    agreement.add({"a": np.array([1.0, 2.0])}, {"a": np.array([1.0, 2.0])})
    assert agreement.outputs["a"].sqnr_db == math.inf and agreement.same_top == 1
    assert agreement.outputs["a"].to_wire()["sqnrDb"] is None


@pytest.mark.parametrize(("quota", "most"), [("max 100000", 16), ("100000 100000", 1), ("50000 100000", 1)])
def test_a_containers_cpu_limit_bounds_the_processes(tmp_path: Path, quota: str, most: int) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    assert 1 <= usable_cores(tmp_path / "cpu.max") <= most
