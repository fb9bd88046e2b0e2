"""The renderer: the same clips for a seed, others for another, all labels, in a camera's range."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driver_monitor.behaviour import FRAMES, LABELS, sample_behaviour
from driver_monitor.dataset import make_clip, make_dataset, write_dataset

seeds = st.integers(0, 2**32)


def test_a_seed_always_renders_the_same_clips() -> None:
    first, second = make_dataset(6, seed=7), make_dataset(6, seed=7)
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


def test_another_seed_renders_other_clips() -> None:
    assert not np.array_equal(make_dataset(6, seed=7)[0], make_dataset(6, seed=8)[0])


def test_a_clip_does_not_depend_on_how_many_are_made() -> None:
    frames, labels = make_dataset(9, seed=3)
    clip, label = make_clip(8, seed=3)
    assert np.array_equal(frames[8], clip)
    assert labels[8] == label


def test_every_six_clips_have_all_labels() -> None:
    labels = make_dataset(12, seed=5)[1]
    assert sorted(labels[:6]) == sorted(labels[6:]) == list(range(len(LABELS)))


def test_pixels_are_camera_levels_between_0_and_1() -> None:
    frames = make_dataset(12, seed=1)[0]
    assert frames.dtype == np.float32
    assert frames.min() >= 0
    assert frames.max() <= 1
    assert np.allclose(frames * 255, np.rint(frames * 255), atol=1e-4)
    assert frames.std(axis=(1, 2, 3, 4)).min() > 0.02, "a clip without contrast shows no driver"


def test_the_dataset_file_has_the_input_and_its_labels(tmp_path: Path) -> None:
    path = write_dataset(tmp_path / "dms.npz", samples=6, seed=7)
    frames, labels = make_dataset(6, seed=7)
    with np.load(path) as arrays:
        assert sorted(arrays) == ["frames", "labels"]
        assert np.array_equal(arrays["frames"], frames)
        assert np.array_equal(arrays["labels"], labels)
        assert arrays["labels"].dtype == np.int64


@given(seeds)
def test_closed_eyes_last_longer_than_a_blink(seed: int) -> None:
    closed = sample_behaviour("eyes_closed", np.random.default_rng(seed)).eyes < 0.2
    blink = sample_behaviour("attentive", np.random.default_rng(seed)).eyes < 0.2
    assert closed.sum() >= 5
    assert blink.sum() <= 2


@given(seeds)
def test_a_yawn_opens_the_mouth_wider_than_talk(seed: int) -> None:
    yawn = sample_behaviour("yawning", np.random.default_rng(seed)).mouth
    talk = sample_behaviour("attentive", np.random.default_rng(seed)).mouth
    assert yawn.max() > 0.5
    assert np.sort(talk)[FRAMES // 2] < np.sort(yawn)[-3]


@given(seeds)
def test_the_drivers_left_is_the_right_of_the_image(seed: int) -> None:
    left = sample_behaviour("looking_left", np.random.default_rng(seed)).yaw
    right = sample_behaviour("looking_right", np.random.default_rng(seed)).yaw
    assert np.median(left) > 0 > np.median(right)
