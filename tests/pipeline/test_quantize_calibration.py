"""Ranges from calibration: right for distributions whose best range is known."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from onnxruntime.quantization import CalibrationMethod
from onnxruntime.quantization.calibrate import create_calibrator

import model_fixtures
from dms_operator.api.errors import QuantizationFailed
from dms_operator.api.stages import Calibration
from dms_operator.pipeline.calibration import Feed, calibrate
from dms_operator.pipeline.histogram import (
    Counter,
    Histogram,
    Range,
    entropy_range,
    mse_range,
    percentile_range,
)
from dms_operator.pipeline.progress import silent

Choice = Callable[[Histogram, int], Range]


def histogram(values: np.ndarray) -> Histogram:
    counter = Counter()
    for part in np.array_split(values.astype(np.float32), 50):
        counter.add(part)
    return counter.histogram()


def feeds(samples: int = 8, scale: float = 1.0) -> list[Feed]:
    rng = np.random.default_rng(0)
    return [{"frames": scale * rng.normal(size=(1, 3, 16, 16)).astype(np.float32)} for _ in range(samples)]


class Reader:
    def __init__(self, samples: list[Feed]) -> None:
        self.samples: Iterator[Feed] = iter(samples)

    def get_next(self) -> Feed | None:
        return next(self.samples, None)


def test_minmax_ranges_equal_onnxruntimes_own(tmp_path: Path) -> None:
    model = model_fixtures.layernorm_net(tmp_path / "net.onnx")
    ours = calibrate(model, feeds(), 8, "minmax", 8, silent)
    calibrator = create_calibrator(model, None, str(tmp_path / "augmented.onnx"), CalibrationMethod.MinMax)
    calibrator.collect_data(Reader(feeds()))
    for name, data in calibrator.compute_data().items():
        assert ours[name] == pytest.approx(tuple(float(end.item()) for end in data.range_value), abs=1e-6), name


def test_every_count_lands_in_the_histogram() -> None:
    values = np.random.default_rng(0).normal(size=10_000)
    assert histogram(values).counts.sum() == pytest.approx(10_000)


@pytest.mark.parametrize("choose", [percentile_range, mse_range, entropy_range])
def test_a_far_outlier_is_cut_at_its_own_end_only(choose: Choice) -> None:
    values = np.append(np.random.default_rng(0).uniform(-1, 1, size=200_000), [20.0])
    low, high = choose(histogram(values), 256)
    assert high < 19
    assert low == pytest.approx(-1, abs=0.05)


@pytest.mark.parametrize("choose", [percentile_range, mse_range])
def test_evenly_spread_values_keep_nearly_their_whole_range(choose: Choice) -> None:
    low, high = choose(histogram(np.linspace(-1, 3, 100_000)), 256)
    assert low == pytest.approx(-1, abs=0.05)
    assert high == pytest.approx(3, abs=0.05)


@pytest.mark.parametrize("choose", [percentile_range, mse_range, entropy_range])
def test_the_zeros_of_a_relu_do_not_clip_its_other_values(choose: Choice) -> None:
    values = np.maximum(np.random.default_rng(0).normal(size=200_000), 0)
    _, high = choose(histogram(values), 256)
    assert np.mean(values > high) < 1e-3


def test_mse_is_the_cheapest_of_its_candidates_by_direct_count() -> None:
    values = np.random.default_rng(0).standard_t(3, size=50_000)
    found = mse_range(histogram(values), 256)

    def error(bounds: tuple[float, float]) -> float:
        low, high = bounds
        step = (high - low) / 255
        rounded = np.round((np.clip(values, low, high) - low) / step) * step + low
        return float(((values - rounded) ** 2).mean())

    full = (float(values.min()), float(values.max()))
    assert error(found) < error(full)
    shares = np.linspace(0.2, 1, 33)
    best = min(error((full[0] * a, full[1] * b)) for a in shares for b in shares)
    assert error(found) == pytest.approx(best, rel=0.05)


@pytest.mark.parametrize("method", ["minmax", "percentile", "mse", "entropy"])
def test_each_method_gives_finite_ranges_within_the_seen_values(method: Calibration, tmp_path: Path) -> None:
    model = model_fixtures.tiny_classifier(tmp_path / "net.onnx")
    seen = calibrate(model, feeds(), 8, "minmax", 8, silent)
    ranges = calibrate(model, feeds(), 8, method, 8, silent)
    assert ranges.keys() == seen.keys()
    for name, (low, high) in ranges.items():
        assert min(0, seen[name][0]) <= low <= high <= max(0, seen[name][1]), name


def test_a_constant_activation_has_a_range(tmp_path: Path) -> None:
    model = model_fixtures.tiny_classifier(tmp_path / "net.onnx")
    blank: list[Feed] = [{"frames": np.zeros((1, 3, 16, 16), np.float32)}] * 2
    for method in ("percentile", "mse", "entropy"):
        ranges = calibrate(model, blank, 2, method, 8, silent)
        assert all(np.isfinite(bounds).all() for bounds in ranges.values())


def test_an_activation_that_overflows_is_named(tmp_path: Path) -> None:
    model = model_fixtures.tiny_classifier(tmp_path / "net.onnx")
    with pytest.raises(QuantizationFailed, match="NaN or infinite"):
        calibrate(model, feeds(scale=float("inf")), 8, "minmax", 8, silent)


def test_progress_counts_samples(tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    model = model_fixtures.tiny_classifier(tmp_path / "net.onnx")
    calibrate(model, feeds(), 8, "mse", 8, lambda *step: steps.append(step))
    assert steps == [("calibrate", done, 8) for done in range(1, 9)]
