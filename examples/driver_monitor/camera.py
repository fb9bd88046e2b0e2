"""What light and sensor make of a drawn clip."""

import numpy as np

from driver_monitor.behaviour import FRAMES, Random
from driver_monitor.canvas import IMAGE, IMAGE_X, IMAGE_Y, Array, per_frame
from driver_monitor.scene import Camera

_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_LEVELS = 255
_AIM = 0.4  # mean brightness that automatic exposure steers to, and reaches half of the way


def expose(clip: Array, camera: Camera, random: Random) -> Array:
    """Return a drawn clip [8, 3, 64, 64] as the camera sees it: lit, blurred, noisy, in steps of 1/255."""
    lit = clip * _light(camera, random)[:, None]
    if camera.infrared:
        grey = np.tensordot(lit, _LUMINANCE, axes=(1, 0))
        lit = np.repeat((grey * _lamp(random))[:, None], 3, axis=1)
    else:
        lit[:, 0] *= 1 + camera.warmth
        lit[:, 2] *= 1 - camera.warmth
    gain = np.float32(camera.exposure) * np.sqrt(np.float32(_AIM) / lit.mean())
    seen = _blurred(lit * gain, np.float32(camera.blur))
    seen += _noise(seen.shape, camera, random)
    levels: Array = np.rint(np.clip(seen, 0, 1) * _LEVELS) / np.float32(_LEVELS)
    return levels


def _light(camera: Camera, random: Random) -> Array:
    """Brightness [8, 64, 64]: a slope across the picture, and maybe a shadow that passes over it."""
    along = np.float32(np.cos(camera.light_angle)) * IMAGE_X + np.float32(np.sin(camera.light_angle)) * IMAGE_Y
    light = 1 + np.float32(camera.unevenness) * along
    if camera.shadow:
        travel = random.uniform(-1, 1) + random.uniform(-0.2, 0.2) * np.arange(FRAMES)
        band = IMAGE.box(per_frame(travel.astype(np.float32)), 0.0, float(random.uniform(0.2, 0.5)), 2.0, turn=0.3)
        light = light * (1 - np.float32(camera.shadow) * band)
    return np.clip(light, 0.15, 2)


def _lamp(random: Random) -> Array:
    """The infrared lamp's cone: bright in the middle, dark at the rim."""
    dx, dy = IMAGE_X - np.float32(random.uniform(-0.2, 0.2)), IMAGE_Y - np.float32(random.uniform(-0.2, 0.2))
    cone: Array = 0.3 + 1.2 * np.exp(-(dx * dx + dy * dy))
    return cone


def _blurred(clip: Array, strength: np.float32) -> Array:
    """Mix each pixel with its neighbours by the kernel (s, 2, s) / (2 + 2 s), first along rows, then along columns."""
    if not strength:
        return clip
    for axis in (2, 3):
        neighbours = np.roll(clip, 1, axis) + np.roll(clip, -1, axis)
        clip = (2 * clip + strength * neighbours) / (2 + 2 * strength)
    return clip


def _noise(shape: tuple[int, ...], camera: Camera, random: Random) -> Array:
    """Gaussian noise; an infrared picture has one value for all colours."""
    channels = 1 if camera.infrared else shape[1]
    noise = random.standard_normal((shape[0], channels, *shape[2:]), dtype=np.float32)
    return np.float32(camera.noise) * noise
