"""Camera to decision: pre-processing that is right, and figures that say what they are made of."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dms_operator.api.end_to_end import EndToEnd
from dms_operator.api.errors import InvalidSpec
from dms_operator.api.stages import LatencyFacts, TensorSpec
from dms_operator.pipeline.camera_row import together
from dms_operator.pipeline.end_to_end import (
    Postprocessor,
    Preprocessor,
    camera_frame,
    camera_queries,
    image_input,
)

SMALL = EndToEnd(width=40, height=24)
IMAGE = TensorSpec(name="frames", shape=[1, 3, 8, 10])
CLIP = TensorSpec(name="frames", shape=[1, 4, 3, 8, 10])


def frame(wanted: EndToEnd, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (wanted.height, wanted.width, 3), dtype=np.uint8)


@given(st.integers(16, 70), st.integers(16, 70), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_frames_are_resized_as_torch_does(width: int, height: int, to_width: int, to_height: int) -> None:
    wanted = EndToEnd(width=width, height=height)
    spec = TensorSpec(name="x", shape=[1, 3, to_height, to_width])
    source = frame(wanted)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(source.transpose(2, 0, 1)[None].astype(np.float32) / 255),
        size=(to_height, to_width), mode="bilinear", align_corners=False,
    )  # fmt: skip
    np.testing.assert_allclose(Preprocessor(wanted, spec)(source), expected.numpy(), atol=1e-5)


def test_channels_are_normalised_each_by_its_own_mean_and_deviation() -> None:
    wanted = EndToEnd(width=40, height=24, mean=[0.5, 0.25, 0.0], std=[0.5, 0.25, 1.0])
    white = np.full((24, 40, 3), 255, dtype=np.uint8)
    found = Preprocessor(wanted, IMAGE)(white)
    np.testing.assert_allclose(found[0, :, 0, 0], [1.0, 3.0, 1.0], atol=1e-6)


def test_a_clip_is_a_window_that_moves_by_one_frame() -> None:
    prepare = Preprocessor(SMALL, CLIP)
    single = [Preprocessor(SMALL, IMAGE)(frame(SMALL, seed))[0].copy() for seed in range(6)]
    for seed in range(6):
        found = prepare(frame(SMALL, seed))
    np.testing.assert_array_equal(found[0], np.stack(single[2:]))


def test_a_decision_is_the_largest_class_of_the_last_five_answers() -> None:
    decide = Postprocessor(SMALL)
    drowsy, awake = np.array([[0.0, 5.0]]), np.array([[5.0, 0.0]])
    assert [decide(each) for each in (drowsy, drowsy, drowsy, awake, awake)] == [1, 1, 1, 1, 1]
    assert decide(awake) == 0
    assert Postprocessor(EndToEnd(decision="none"))(drowsy) is None


def test_the_datasets_samples_come_back_from_the_camera() -> None:
    """Enlarged to the camera's size and resized again, a smooth sample is what it was."""
    wanted = EndToEnd(width=80, height=64, mean=[0.4], std=[0.2])
    ramp = np.broadcast_to(np.linspace(0, 1, 10, dtype=np.float32), (1, 3, 8, 10))
    sample = (ramp - 0.4) / 0.2
    found = Preprocessor(wanted, IMAGE)(camera_frame(sample, wanted))
    assert np.abs(found - sample).max() < 0.3


def test_other_inputs_keep_the_datasets_values() -> None:
    seen: list[dict[str, np.ndarray]] = []

    class Session:
        def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            seen.append({name: value.copy() for name, value in inputs.items()})
            return {"logits": np.zeros((1, 2))}

    specs = (TensorSpec(name="speed", shape=[1, 1]), IMAGE)
    sample = {"speed": np.array([[42.0]]), "frames": np.zeros((1, 3, 8, 10), np.float32)}
    (query,) = camera_queries(SMALL, specs, [sample], Session(), np.zeros(2))  # type: ignore[arg-type]
    query()
    assert seen[0]["speed"] == 42.0 and seen[0]["frames"].shape == (1, 3, 8, 10)


def test_a_model_without_image_input_is_refused_in_the_users_words() -> None:
    with pytest.raises(InvalidSpec, match=r"needs a model input \[1, C, H, W\].*inputs are speed \[1, 1\]"):
        image_input(SMALL, (TensorSpec(name="speed", shape=[1, 1]),))


def test_as_many_means_as_channels_are_asked_for() -> None:
    wanted = EndToEnd(mean=[0.4, 0.4, 0.4], std=[0.2])
    with pytest.raises(InvalidSpec, match=r"endToEnd\.mean needs 1 value, or one for each of 1 channels"):
        image_input(wanted, (TensorSpec(name="frames", shape=[1, 1, 8, 10]),))
    assert image_input(wanted, (IMAGE,)) == IMAGE


def figure(provenance: str, p50: str, bound: str | None) -> LatencyFacts:
    return LatencyFacts.model_validate(
        {"provenance": provenance, "p50": p50, "p99": "9ms", "bound": bound, "source": provenance, "samples": 5}
    )


def test_a_cost_models_latency_and_this_cpus_processing_add_to_an_estimate() -> None:
    found = together(figure("simulated", "0.4ms", "0.5ms"), figure("host", "2ms", "3ms"))
    assert (found.provenance, found.p50, found.bound, found.p99) == ("estimated", "2.400ms", "3.500ms", None)
    assert found.source == "simulated + processing on the CPU (host)"


def test_an_estimate_has_no_bound_when_a_part_has_none() -> None:
    assert together(figure("simulated", "0.4ms", "0.5ms"), figure("host", "2ms", None)).bound is None
