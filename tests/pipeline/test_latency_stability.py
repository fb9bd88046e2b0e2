"""When a run is quiet, when it is run again, and when its figures are called noisy."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dms_operator.pipeline import throttling
from dms_operator.pipeline.latency import Timing
from dms_operator.pipeline.passes import Pass, outcome, run_passes
from dms_operator.pipeline.stability import stability
from dms_operator.pipeline.throttling import ClockState


def quiet(count: int = 1000, level: float = 1e6, seed: int = 0) -> np.ndarray:
    """Latencies around a level (nanoseconds) with 1 % of spread."""
    return np.random.default_rng(seed).normal(level, level / 100, count).astype(np.int64)


def timing(nanoseconds: np.ndarray, first: float = 0.0) -> Timing:
    return Timing(nanoseconds, float(nanoseconds.sum()) * 1e-9, first)


def test_a_quiet_run_has_no_complaints() -> None:
    assert stability(quiet()).complaints == []


def test_halves_under_other_conditions_disagree() -> None:
    found = stability(np.concatenate([quiet(500), quiet(500, 1.1e6)]))
    assert not found.halves_agree and found.halves == pytest.approx(0.1, abs=0.01)


def test_a_slow_rise_is_drift_even_if_it_is_small_between_neighbours() -> None:
    found = stability((quiet() * np.linspace(1, 1.08, 1000)).astype(np.int64))
    assert found.halves_agree and found.drift == pytest.approx(0.07, abs=0.02)
    assert found.complaints == [f"latency drifts by {found.drift:+.0%}"]


def test_many_far_out_latencies_are_told_but_a_few_are_what_percentiles_are_for() -> None:
    few, many = quiet(), quiet()
    few[::50], many[::10] = 3_000_000, 3_000_000
    assert stability(few).complaints == []
    assert stability(many).complaints == ["10% outliers"]


def test_clock_ticks_of_a_very_short_query_are_no_outliers() -> None:
    latencies = np.full(1000, 1000, dtype=np.int64)
    latencies[::3] = 1010
    assert stability(latencies).complaints == []


@given(st.integers(1, 39), st.integers(1, 10**9))
def test_a_run_too_short_to_tell_finds_no_drift(count: int, level: int) -> None:
    assert stability(np.arange(1, count + 1, dtype=np.int64) * level).halves_agree


def test_halves_that_disagree_ask_for_one_more_pass() -> None:
    runs = iter([timing(np.concatenate([quiet(500), quiet(500, 2e6)]), 0.5), timing(quiet(seed=1))])
    passes = run_passes(lambda: next(runs), repeat=True)
    found = outcome(passes)
    assert len(passes) == 2 and not found.noisy
    assert len(found.timing.nanoseconds) == 1000 and found.timing.first_seconds == 0.5
    assert found.notes.startswith("second pass: in the first the medians of its halves differ by 100%")


def test_a_figure_that_no_gate_rests_on_is_not_run_twice() -> None:
    runs: Iterator[Timing] = iter([timing(np.concatenate([quiet(500), quiet(500, 2e6)]))])
    assert len(run_passes(lambda: next(runs), repeat=False)) == 1


def test_two_disturbed_passes_count_together_and_are_noisy() -> None:
    disturbed = np.concatenate([quiet(500), quiet(500, 2e6)])
    found = outcome([pass_of(disturbed), pass_of(disturbed)])
    assert found.noisy and len(found.timing.nanoseconds) == 2000
    assert found.timing.seconds == pytest.approx(2 * disturbed.sum() * 1e-9)


def test_a_throttled_run_is_noisy_however_even_it_is() -> None:
    found = outcome([Pass(timing(quiet()), ClockState(), ClockState(cooling={"cpufreq-cpu0": 2}))])
    assert found.noisy and found.notes == "noisy: cooling device cpufreq-cpu0 is at 2"


def pass_of(nanoseconds: np.ndarray) -> Pass:
    return Pass(timing(nanoseconds), ClockState(), ClockState())


def write(sys: Path, name: str, value: object) -> None:
    (sys / name).parent.mkdir(parents=True, exist_ok=True)
    (sys / name).write_text(f"{value}\n")


def fake_sys(sys: Path) -> Path:
    """One processor of each kind of kernel file, a sensor, a fan and a processor cooling device."""
    cpu = "devices/system/cpu/cpu0"
    write(sys, f"{cpu}/cpufreq/scaling_cur_freq", 1_800_000)
    write(sys, f"{cpu}/cpufreq/scaling_max_freq", 2_000_000)
    write(sys, f"{cpu}/cpufreq/scaling_governor", "performance")
    write(sys, f"{cpu}/thermal_throttle/core_throttle_count", 7)
    write(sys, "class/thermal/thermal_zone0/type", "cpu-thermal")
    write(sys, "class/thermal/thermal_zone0/temp", 45_500)
    write(sys, "class/thermal/cooling_device0/type", "pwm-fan")
    write(sys, "class/thermal/cooling_device0/cur_state", 3)
    write(sys, "class/thermal/cooling_device1/type", "cpufreq-cpu0")
    write(sys, "class/thermal/cooling_device1/cur_state", 0)
    return sys


def test_the_kernels_files_are_read_in_the_kernels_units(tmp_path: Path) -> None:
    state = throttling.look(fake_sys(tmp_path))
    assert state.frequency_khz == {"cpu0": 1_800_000} and state.limit_khz == {"cpu0": 2_000_000}
    assert state.governor == {"cpu0": "performance"}
    assert state.celsius == {"cpu-thermal": 45.5}
    assert state.cooling == {"cpufreq-cpu0": 0}, "a fan slows nothing down"
    assert throttling.throttled(state, state) == []


@pytest.mark.parametrize(
    ("file", "value", "told"),
    [
        ("devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", 9, "cpu0 core_throttle_count rose by 2"),
        ("class/thermal/cooling_device1/cur_state", 1, "cooling device cpufreq-cpu0 is at 1"),
        ("devices/system/cpu/cpu0/cpufreq/scaling_max_freq", 1_200_000, "cpu0 is limited to 1200 MHz"),
    ],
)
def test_what_slows_the_processor_down_is_told(tmp_path: Path, file: str, value: int, told: str) -> None:
    before = throttling.look(fake_sys(tmp_path))
    write(tmp_path, file, value)
    assert throttling.throttled(before, throttling.look(tmp_path)) == [told]


def test_a_machine_that_shows_nothing_claims_nothing(tmp_path: Path) -> None:
    state = throttling.look(tmp_path)
    assert state == ClockState() and throttling.throttled(state, state) == []
