"""From a drawn surface to a camera's picture: weather, night, lens and sensor."""

from dataclasses import dataclass

import cv2
import numpy as np

from training.scenes.camera import Floats, floats
from training.scenes.canvas import Canvas
from training.scenes.scene import Pixels
from training.scenes.solids import Light
from training.scenes.texture import noise


@dataclass(frozen=True, slots=True)
class Moment:
    """The light and weather of one picture.

    Attributes:
        elevation, azimuth: of the sun, radians; azimuth 0 is behind the camera.
        overcast: 0 to 1.
        night: lamps instead of the sun.
        dusk: 0 to 1, how far the light has gone warm and dim.
        rain: 0 to 1.
        lamp_tint: RGB of the street lamps.
    """

    elevation: float = 0.8
    azimuth: float = 0.4
    overcast: float = 0.3
    night: bool = False
    dusk: float = 0.0
    rain: float = 0.0
    lamp_tint: tuple[float, float, float] = (1.0, 0.78, 0.5)

    @classmethod
    def random(cls, rng: np.random.Generator, night: bool) -> "Moment":
        """Any weather of a year, by day or by night."""
        rain = float(rng.uniform(0.3, 1)) if rng.random() < 0.15 else 0.0
        overcast = 1.0 if rain else float(rng.choice([0.0, 0.0, 0.3, 0.6, 1.0]))
        sodium = (1.0, 0.66, 0.32) if rng.random() < 0.5 else (1.0, 0.86, 0.66)
        return cls(
            float(rng.uniform(0.35, 1.1)),
            float(rng.uniform(-1.5, 1.5)),
            overcast,
            night,
            float(rng.uniform(0.3, 0.9)) if rng.random() < 0.15 else 0.0,
            rain,
            sodium,
        )

    def light(self) -> Light:
        """The daylight to draw in; by night an even light, dimmed afterwards."""
        if self.night:
            return Light(
                floats([0, -0.6, 0.8]), np.zeros(3, np.float32), np.full(3, 1.0, np.float32)
            )
        flat, high = np.cos(self.elevation), np.sin(self.elevation)
        towards = floats([flat * np.sin(self.azimuth), -flat * np.cos(self.azimuth), high])
        sun = floats([1.0, 0.95, 0.86]) * 1.05 * (1 - self.overcast) ** 1.3
        sky = floats([0.90, 0.97, 1.06]) * (0.56 + 0.46 * self.overcast)
        warm = floats([1.0, 0.86, 0.70]) * (1 - 0.5 * self.dusk) if self.dusk else floats([1, 1, 1])
        return Light(towards, sun * warm, sky * (1 - 0.45 * self.dusk))


def develop(
    canvas: Canvas,
    moment: Moment,
    lamps: list[tuple[float, float, float]],
    facade_t: float,
    rng: np.random.Generator,
) -> Pixels:
    """The finished picture, uint8 (H, W, 3).

    Args:
        canvas: what was drawn.
        moment: light and weather.
        lamps: s, t and height of lamp heads in metres.
        facade_t: where the street ends, so that lamps light façades too.
        rng: of the camera's own variation.
    """
    height, width = canvas.camera.size_hw
    size = (width, height)
    picture = cv2.resize(canvas.pixels, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    glow = (
        cv2.resize(canvas.glow, size, interpolation=cv2.INTER_AREA).astype(np.float32)[..., None]
        / 255
    )
    if moment.rain:
        picture = _mirrored(canvas, picture, moment.rain, facade_t)
    if moment.night:
        lit = _lamplight(canvas, lamps, facade_t, moment, rng)
        own = picture * glow * 1.1
        halo = sum(
            cv2.GaussianBlur(own, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
            for sigma in (4, 22)
        )
        picture = picture * lit * (1 - glow) + own + 0.4 * halo
    if moment.rain:
        picture = _streaks(picture, moment.rain, rng)
    return _camera(picture, moment, rng)


def _mirrored(canvas: Canvas, picture: Floats, rain: float, facade_t: float) -> Floats:
    """Wet ground reflects what stands behind it, most in puddles."""
    height, width = canvas.camera.size_hw
    bare = canvas.owners() < 0
    horizon = height / 2 - canvas.camera.focal_px * np.tan(canvas.camera.pitch)
    first = int(np.clip(horizon + 0.12 * height, 1, height - 1))
    rows = np.clip(2 * first - np.arange(first, height), 0, height - 1)
    mirror = cv2.GaussianBlur(picture[rows], (0, 0), sigmaX=1.5, sigmaY=7)
    x, y = np.meshgrid(
        np.arange(width, dtype=np.float32), np.arange(first, height, dtype=np.float32)
    )
    s, t, _ = canvas.camera.ground(x, y)
    puddles = noise(np.random.default_rng(4), 512, 512, 1.5)
    depth = cv2.remap(
        puddles,
        np.mod(s * 40, 512),
        np.mod(t * 40, 512),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    share = rain * (0.12 + 0.45 * np.clip(depth - 0.4, 0, 1)) * (bare[first:] & (t < facade_t))
    result = picture.copy()
    result[first:] += (mirror - result[first:]) * share[..., None].astype(np.float32)
    return result


def _lamplight(
    canvas: Canvas,
    lamps: list[tuple[float, float, float]],
    facade_t: float,
    moment: Moment,
    rng: np.random.Generator,
) -> Floats:
    """RGB factors (H, W, 3): lamps fall on the ground, or on the façades behind it."""
    camera = canvas.camera
    height, width = camera.size_hw
    x, y = np.meshgrid(
        np.arange(0, width, 2, dtype=np.float32), np.arange(0, height, 2, dtype=np.float32)
    )
    rays = np.stack(
        [(x - width / 2) / camera.focal_px, (y - height / 2) / camera.focal_px, np.ones_like(x)], -1
    )
    rays = rays @ camera.axes
    to_ground = np.where(
        rays[..., 2] < -1e-3, -camera.height_m / np.minimum(rays[..., 2], -1e-3), 1e3
    )
    to_wall = np.where(rays[..., 1] > 1e-3, facade_t / np.maximum(rays[..., 1], 1e-3), 1e3)
    hit = rays * np.minimum(to_ground, to_wall)[..., None] + [0, 0, camera.height_m]
    strength = np.zeros(x.shape, np.float32)
    for lamp in lamps:
        away = np.square(hit - floats(lamp)).sum(-1)
        strength += 26.0 / (8 + away)
    tint = floats(moment.lamp_tint)
    ambient = floats([0.05, 0.06, 0.09]) * rng.uniform(0.7, 1.8)
    lit = np.clip(strength, 0, 1.0)[..., None] * tint * rng.uniform(0.35, 0.65) + ambient
    if rng.random() < 0.35:  # a torch or a headlamp next to the camera
        spot = np.exp(
            -(((x - width / 2) / (0.33 * width)) ** 2) - ((y - 0.6 * height) / (0.36 * height)) ** 2
        )
        lit = lit + (spot * rng.uniform(0.3, 0.6))[..., None] * floats([0.95, 1.0, 1.0])
    return np.asarray(cv2.resize(lit.astype(np.float32), (width, height)), np.float32)


def _streaks(picture: Floats, rain: float, rng: np.random.Generator) -> Floats:
    height, width = picture.shape[:2]
    drops = (rng.random((height, width), np.float32) > 1 - 0.004 * rain).astype(np.float32)
    length = int(rng.integers(9, 19))
    kernel = np.zeros((length, length), np.float32)
    cv2.line(kernel, (length // 2 - 1, 0), (length // 2 + 1, length - 1), 1.0, 1)
    lines = cv2.filter2D(drops, -1, kernel)[..., None]
    veil = picture + (picture.mean() * 1.1 - picture) * 0.18 * rain
    return np.asarray(veil + np.clip(lines, 0, 1) * 26, np.float32)


def _camera(picture: Floats, moment: Moment, rng: np.random.Generator) -> Pixels:
    """Lens and sensor: motion, blur, vignette, exposure, white balance, contrast, noise."""
    height, width = picture.shape[:2]
    if rng.random() < 0.08:
        length = int(rng.integers(3, 8))
        kernel = np.zeros((length, length), np.float32)
        cv2.line(
            kernel,
            (0, int(rng.integers(0, length))),
            (length - 1, int(rng.integers(0, length))),
            1.0,
        )
        picture = cv2.filter2D(picture, -1, kernel / kernel.sum())
    picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.35, 0.8)))
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    vignette = 1 - rng.uniform(0.02, 0.16) * (x**2 + y**2)
    # Automatic exposure aims at a middle grey, by night not all the way.
    mean = max(float(picture.mean()), 1.0)
    exposure = (rng.uniform(105, 145) / mean) ** (0.3 if moment.night else 0.9)
    balance = np.exp(rng.normal(0, 0.025, 3))
    picture = picture * (vignette[..., None] * (exposure * balance)).astype(np.float32)
    # Sensors lift the shadows and roll off the highlights.
    tone = np.clip(picture / 255, 0, 1.35)
    tone = tone / (1 + 0.12 * tone**4)
    haze = rng.uniform(0.0, 0.035)
    tone = haze + (1 - haze) * tone
    grain = 0.010 + 0.022 * moment.night + rng.uniform(0, 0.008)
    coarse = rng.standard_normal((height // 2 + 1, width // 2 + 1), np.float32)
    coarse = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
    tone = tone + grain * (
        0.6 * coarse + 0.8 * rng.standard_normal((height, width, 3), np.float32) * 0.7
    )
    return np.asarray(np.clip(tone * 255, 0, 255), np.uint8)
