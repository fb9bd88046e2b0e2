"""Who sits in the cabin, how they sit, and how the camera sees it: everything about a clip but the behaviour."""

from dataclasses import dataclass

import numpy as np

from driver_monitor.behaviour import FRAMES, LABELS, Behaviour, Random, Timeline, sample_behaviour

Colour = tuple[float, float, float]

_SKINS: tuple[Colour, ...] = (
    (0.94, 0.78, 0.67),
    (0.87, 0.67, 0.53),
    (0.74, 0.53, 0.39),
    (0.55, 0.37, 0.26),
    (0.36, 0.24, 0.17),
)
_HAIRS: tuple[Colour, ...] = (
    (0.07, 0.06, 0.06),
    (0.25, 0.16, 0.10),
    (0.48, 0.33, 0.18),
    (0.75, 0.62, 0.40),
    (0.62, 0.61, 0.60),
)


@dataclass(frozen=True)
class Person:
    """Looks. Widths are relative to the head's half height; `glasses` is the tint of the lenses, or None."""

    skin: Colour
    hair: Colour
    clothes: Colour
    face_width: float
    eye_size: float
    long_hair: bool
    beard: float
    glasses: float | None


@dataclass(frozen=True)
class Pose:
    """Timelines [8] of the head's centre in the image (-1 to 1), its half height `scale`, and its `roll` in radians."""

    x: Timeline
    y: Timeline
    scale: float
    roll: Timeline


@dataclass(frozen=True)
class Camera:
    """Light and sensor. `infrared` is night vision, angles are radians, `noise` is a deviation on the scale [0, 1]."""

    infrared: bool
    exposure: float
    light_angle: float
    unevenness: float
    warmth: float
    shadow: float
    blur: float
    noise: float


@dataclass(frozen=True)
class Scene:
    """One clip, ready to be rendered. `wheel` is how far the steering wheel's rim reaches into the picture."""

    behaviour: Behaviour
    person: Person
    pose: Pose
    camera: Camera
    cabin: Colour
    window: float
    wheel: float


def sample_scene(label: int, random: Random) -> Scene:
    """Draw a scene whose driver is in the state `LABELS[label]`."""
    return Scene(
        behaviour=sample_behaviour(LABELS[label], random),
        person=_sample_person(random),
        pose=_sample_pose(random),
        camera=_sample_camera(random),
        cabin=_colour(random, 0.1, 0.5),
        window=float(random.uniform(0.3, 1.0)),
        wheel=float(random.uniform(0.05, 0.3)) if random.random() < 0.3 else 0.0,
    )


def _sample_person(random: Random) -> Person:
    glasses = None
    if random.random() < 0.35:
        glasses = float(random.choice([random.uniform(0.0, 0.2), random.uniform(0.35, 0.7)]))
    tint = random.uniform(0.9, 1.1)
    red, green, blue = _SKINS[random.integers(len(_SKINS))]
    return Person(
        skin=(red * tint, green * tint, blue * tint),
        hair=_HAIRS[random.integers(len(_HAIRS))],
        clothes=_colour(random, 0.1, 0.9),
        face_width=float(random.uniform(0.68, 0.82)),
        eye_size=float(random.uniform(0.85, 1.15)),
        long_hair=bool(random.random() < 0.4),
        beard=float(random.uniform(0.2, 0.7)) if random.random() < 0.25 else 0.0,
        glasses=glasses,
    )


def _sample_pose(random: Random) -> Pose:
    shake = random.uniform(0.003, 0.02)
    return Pose(
        x=(random.uniform(-0.2, 0.2) + random.normal(0, shake, FRAMES)).astype(np.float32),
        y=(random.uniform(-0.15, 0.15) + random.normal(0, shake, FRAMES)).astype(np.float32),
        scale=float(random.uniform(0.55, 0.78)),
        roll=(random.uniform(-0.2, 0.2) + random.normal(0, 0.02, FRAMES)).astype(np.float32),
    )


def _sample_camera(random: Random) -> Camera:
    infrared = bool(random.random() < 0.3)
    return Camera(
        infrared=infrared,
        exposure=float(random.uniform(0.65, 1.2)),
        light_angle=float(random.uniform(0, 2 * np.pi)),
        unevenness=float(random.uniform(0, 0.7)),
        warmth=float(random.uniform(-0.12, 0.12)),
        shadow=float(random.uniform(0.25, 0.5)) if random.random() < 0.3 else 0.0,
        blur=float(random.uniform(0.3, 1.0)) if random.random() < 0.4 else 0.0,
        noise=float(random.uniform(0.01, 0.05) * (1.3 if infrared else 1.0)),
    )


def _colour(random: Random, low: float, high: float) -> Colour:
    red, green, blue = random.uniform(low, high, 3)
    return float(red), float(green), float(blue)
