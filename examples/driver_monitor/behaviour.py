"""What the driver does over a clip, per state, with the distractors that make the states hard to tell apart."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LABELS = ("attentive", "eyes_closed", "yawning", "looking_left", "looking_right", "phone")
FRAMES = 8
_SHORTEST_EPISODE = 5  # frames; a blink or a glance lasts one or two

Timeline = NDArray[np.float32]
Random = np.random.Generator


@dataclass
class Behaviour:
    """Timelines of shape [8], one value per frame, and what the hands do.

    `eyes` and `mouth` are openness from 0 to 1; `yaw` and `pitch` are radians, positive to the image's right and down;
    `gaze` is from -1 (image left) to 1. `phone` and `hand` say where they are: "", "ear", "lap", or "mouth", "cheek".
    """

    eyes: Timeline
    mouth: Timeline
    yaw: Timeline
    pitch: Timeline
    gaze: Timeline
    phone: str = ""
    hand: str = ""


def sample_behaviour(state: str, random: Random) -> Behaviour:
    """Draw one way to be in `state`, which is one of `LABELS`.

    Left and right are the driver's own: who looks left turns to the right of the image.
    """
    behaviour = _at_rest(random)
    if state == "attentive":
        _glance(behaviour, random)
        behaviour.hand = _one_of(random, 0.2, "cheek", "mouth")
    elif state == "eyes_closed":
        _close_eyes(behaviour, random)
    elif state == "yawning":
        _yawn(behaviour, random)
    elif state == "looking_left":
        _look_aside(behaviour, random, 1.0)
    elif state == "looking_right":
        _look_aside(behaviour, random, -1.0)
    else:
        _use_phone(behaviour, random)
    return behaviour


def _at_rest(random: Random) -> Behaviour:
    """Eyes open but for a blink, mouth shut or talking, head roughly ahead."""
    eyes = random.uniform(0.6, 1.0) + random.normal(0, 0.04, FRAMES)
    mouth = random.uniform(0.0, 0.12) + random.normal(0, 0.02, FRAMES)
    if random.random() < 0.5:
        first = random.integers(0, FRAMES - 1)
        eyes[first : first + random.integers(1, 3)] = random.uniform(0.0, 0.15)
    if random.random() < 0.4:
        mouth += random.uniform(0.25, 0.55) * np.abs(np.sin(random.uniform(0, 3) + 1.9 * np.arange(FRAMES)))
    return Behaviour(
        eyes=eyes.astype(np.float32),
        mouth=mouth.astype(np.float32),
        yaw=_drift(random, 0.16),
        pitch=_drift(random, 0.12),
        gaze=_drift(random, 0.35),
    )


def _glance(behaviour: Behaviour, random: Random) -> None:
    if random.random() < 0.3:
        first = random.integers(0, FRAMES - 1)
        turn = random.choice([-1, 1]) * random.uniform(0.3, 0.8)
        behaviour.yaw[first : first + random.integers(1, 3)] += turn


def _close_eyes(behaviour: Behaviour, random: Random) -> None:
    episode = _episode(random)
    behaviour.eyes = behaviour.eyes * (1 - episode) + random.uniform(0.0, 0.13) * episode
    behaviour.pitch += random.uniform(0.0, 0.3) * episode


def _yawn(behaviour: Behaviour, random: Random) -> None:
    episode = _episode(random)
    swell = episode * np.sin(np.linspace(0.5, np.pi - 0.5, FRAMES, dtype=np.float32))
    behaviour.mouth = np.maximum(behaviour.mouth * 0.4, random.uniform(0.8, 1.1) * swell)
    behaviour.eyes = behaviour.eyes * (1 - random.uniform(0.0, 0.95) * episode)
    behaviour.pitch -= random.uniform(0.0, 0.15) * episode
    behaviour.hand = _one_of(random, 0.1, "mouth", "cheek")


def _look_aside(behaviour: Behaviour, random: Random, side: float) -> None:
    episode = _episode(random)
    behaviour.yaw += side * random.uniform(0.45, 1.0) * episode
    behaviour.gaze += side * random.uniform(-0.2, 0.8) * episode


def _use_phone(behaviour: Behaviour, random: Random) -> None:
    behaviour.phone = "ear" if random.random() < 0.6 else "lap"
    if behaviour.phone == "lap":
        behaviour.pitch += random.uniform(0.1, 0.4)
        behaviour.eyes *= random.uniform(0.5, 0.9)


def _episode(random: Random) -> Timeline:
    """Return 1 while the episode lasts and 0 outside, with one frame at half between."""
    length = int(random.integers(_SHORTEST_EPISODE, FRAMES + 1))
    first = int(random.integers(0, FRAMES - length + 1))
    episode = np.zeros(FRAMES, np.float32)
    episode[first : first + length] = 1.0
    if first:
        episode[first - 1] = 0.5
    return episode


def _drift(random: Random, spread: float) -> Timeline:
    """A slow random walk around a random offset."""
    walk = random.uniform(-spread, spread) + np.cumsum(random.normal(0, spread / 8, FRAMES))
    return walk.astype(np.float32)


def _one_of(random: Random, probability: float, *places: str) -> str:
    return str(random.choice(places)) if random.random() < probability else ""
