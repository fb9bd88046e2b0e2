"""Draw a scene: cabin, head, face, hands. Light and sensor come after, in `camera`."""

import numpy as np

from driver_monitor.behaviour import FRAMES, Random
from driver_monitor.camera import expose
from driver_monitor.canvas import IMAGE, SIZE, Array, Plane, head_plane, paint, per_frame
from driver_monitor.scene import Colour, Scene

_EYE_ANGLE = 0.46  # radians from the middle of the face, on a head seen as an upright cylinder
_DARK: Colour = (0.06, 0.05, 0.05)
_WHITE: Colour = (0.93, 0.92, 0.90)
_BEZEL: Colour = (0.5, 0.5, 0.52)
_MOUTH: Colour = (0.25, 0.06, 0.07)


def render(scene: Scene, random: Random) -> Array:
    """Return the clip of a scene: [8, 3, 64, 64] float32 in [0, 1], in steps of 1/255 as a camera delivers it."""
    clip = np.empty((FRAMES, 3, SIZE, SIZE), np.float32)
    pose = scene.pose
    head = head_plane(pose.x, pose.y, pose.scale, pose.roll)
    _draw_cabin(clip, scene)
    _draw_head(clip, head, scene)
    _draw_eyes(clip, head, scene)
    _draw_mouth(clip, head, scene)
    _draw_glasses(clip, head, scene)
    _draw_hands(clip, head, scene)
    _draw_wheel(clip, scene)
    return expose(clip, scene.camera, random)


def _shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = colour
    return red * factor, green * factor, blue * factor


def _draw_cabin(clip: Array, scene: Scene) -> None:
    clip[:] = np.asarray(scene.cabin, np.float32)[None, :, None, None]
    light = scene.window
    paint(clip, IMAGE.box(-0.95, -0.55, 0.4, 0.5), (light * 0.9, light, light))
    paint(clip, IMAGE.box(0.95, -0.6, 0.3, 0.4), (light * 0.8, light * 0.9, light))
    paint(clip, IMAGE.box(per_frame(scene.pose.x) * 0.5, -0.1, 0.45, 0.9), _shade(scene.cabin, 0.6))


def _draw_head(clip: Array, head: Plane, scene: Scene) -> None:
    person, yaw = scene.person, np.sin(per_frame(scene.behaviour.yaw))
    width = person.face_width
    paint(clip, head.ellipse(0.0, 2.1, 1.7, 1.1), person.clothes)
    paint(clip, head.box(0.0, 1.0, 0.3, 0.4), _shade(person.skin, 0.8))
    if person.long_hair:
        paint(clip, head.ellipse(-0.1 * yaw, 0.15, width * 1.25, 1.2), person.hair)
    paint(clip, head.ellipse(-0.08 * yaw, -0.15, width * 1.1, 1.05), person.hair)
    for side in (-1, 1):
        paint(clip, head.ellipse(width * (side - 0.35 * yaw), 0.05, 0.1, 0.2), _shade(person.skin, 0.85))
    paint(clip, head.ellipse(0.08 * yaw, 0.08, width * (0.96 - 0.05 * np.abs(yaw)), 0.92), person.skin)
    paint(clip, head.ellipse(0.2 * yaw, 0.72, width * 0.75, 0.32), person.hair, person.beard)


def _draw_eyes(clip: Array, head: Plane, scene: Scene) -> None:
    behaviour, person = scene.behaviour, scene.person
    height = -0.14 + per_frame(np.sin(behaviour.pitch)) * 0.6
    openness = np.clip(per_frame(behaviour.eyes), 0, 1)
    gaze = per_frame(behaviour.gaze)
    for side in (-1, 1):
        angle = side * _EYE_ANGLE + per_frame(behaviour.yaw)
        x = person.face_width * np.sin(angle)
        width = np.maximum(np.cos(angle), 0.12) * 0.19 * person.eye_size
        white = head.ellipse(x, height, width, 0.02 + 0.11 * openness * person.eye_size)
        iris = head.ellipse(x + gaze * width * 0.5, height, 0.075, 0.085)
        paint(clip, head.ellipse(x, height - 0.02, width * 1.15, 0.16), _shade(person.skin, 0.85), 0.7)
        paint(clip, white, _WHITE, np.minimum(openness * 3, 1))
        paint(clip, white * iris, _DARK, np.minimum(openness * 3, 1))
        lid = head.ellipse(x, height - 0.1 * openness + 0.03 * (1 - openness), width * 1.1, 0.035)
        paint(clip, lid, _shade(person.hair, 0.5), 0.85)
        paint(clip, head.box(x, height - 0.27, width * 1.1, 0.035), person.hair, 0.8)


def _draw_mouth(clip: Array, head: Plane, scene: Scene) -> None:
    behaviour, person = scene.behaviour, scene.person
    yaw, sink = per_frame(behaviour.yaw), per_frame(np.sin(behaviour.pitch)) * 0.6
    openness = np.clip(per_frame(behaviour.mouth), 0, 1.1)
    turned = np.sin(yaw)
    paint(clip, head.ellipse(0.85 * turned, 0.18 + sink, 0.1, 0.2), _shade(person.skin, 0.82), 0.8)
    x, y = person.face_width * 0.95 * turned, 0.5 + sink + 0.06 * openness
    width = np.maximum(np.cos(yaw), 0.25) * (0.27 - 0.07 * openness)
    gap = 0.01 + 0.24 * openness
    paint(clip, head.ellipse(x, y, width + 0.05, gap + 0.05), (0.68, 0.32, 0.32), 0.8)
    paint(clip, head.ellipse(x, y, width, gap), _MOUTH)


def _draw_glasses(clip: Array, head: Plane, scene: Scene) -> None:
    tint = scene.person.glasses
    if tint is None:
        return
    height = -0.12 + per_frame(np.sin(scene.behaviour.pitch)) * 0.6
    for side in (-1, 1):
        angle = side * _EYE_ANGLE + per_frame(scene.behaviour.yaw)
        x, squeeze = scene.person.face_width * np.sin(angle), np.maximum(np.cos(angle), 0.15)
        lens = head.ellipse(x, height, 0.29 * squeeze, 0.22)
        rim = lens - head.ellipse(x, height, 0.25 * squeeze, 0.18)
        paint(clip, lens, _DARK, tint)
        paint(clip, np.maximum(rim, 0), _DARK, 0.9)


def _draw_hands(clip: Array, head: Plane, scene: Scene) -> None:
    behaviour, skin = scene.behaviour, _shade(scene.person.skin, 0.92)
    side = 1.0 if scene.pose.roll[0] > 0 else -1.0
    if behaviour.phone == "ear":
        paint(clip, head.ellipse(side * 0.98, 0.45, 0.24, 0.34), skin)
        paint(clip, head.box(side * 0.86, 0.3, 0.13, 0.44, turn=side * 0.2), _BEZEL)
        paint(clip, head.box(side * 0.86, 0.3, 0.09, 0.40, turn=side * 0.2), _DARK)
    elif behaviour.phone == "lap":
        paint(clip, head.ellipse(side * 0.5, 1.12, 0.3, 0.22), skin)
        paint(clip, head.box(side * 0.3, 0.98, 0.2, 0.3, turn=side * 0.3), _DARK)
        paint(clip, head.box(side * 0.3, 0.98, 0.15, 0.24, turn=side * 0.3), (0.45, 0.55, 0.7))
    elif behaviour.hand == "cheek":
        paint(clip, head.ellipse(side * 0.85, 0.4, 0.24, 0.36), skin)
    elif behaviour.hand == "mouth":
        paint(clip, head.ellipse(side * 0.4, 0.85, 0.42, 0.26), skin)


def _draw_wheel(clip: Array, scene: Scene) -> None:
    if scene.wheel:
        rim = IMAGE.ellipse(0.0, 2.0, 1.25, 1.0 + scene.wheel) - IMAGE.ellipse(0.0, 2.0, 1.1, 0.85 + scene.wheel)
        paint(clip, np.maximum(rim, 0), (0.1, 0.1, 0.11))
