"""Surfaces drawn by code: noise, ground tiles, metal panels, relief."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from training.scenes.camera import Floats, floats
from training.scenes.scene import Pixels

Colour = tuple[float, float, float]
GROUND_PX_PER_M = 128
_TILE = 512


@cache
def _tile(slope: float, variant: int) -> Floats:
    """Periodic noise (512, 512) with amplitude 1/frequency^slope, zero mean, unit deviation."""
    rng = np.random.default_rng((int(slope * 100), variant))
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(_TILE), np.fft.fftfreq(_TILE)))
    frequency[0, 0] = np.inf
    spectrum = np.fft.fft2(rng.standard_normal((_TILE, _TILE))) / frequency**slope
    field = np.fft.ifft2(spectrum).real
    return np.asarray((field - field.mean()) / field.std(), np.float32)


def noise(rng: np.random.Generator, height: int, width: int, slope: float = 1.2) -> Floats:
    """Fractal noise (h, w), about unit deviation; a steeper slope gives larger blotches."""
    tile = _tile(slope, int(rng.integers(4)))
    y, x = rng.integers(0, _TILE, 2)
    rows = (np.arange(height) + y) % _TILE
    columns = (np.arange(width) + x) % _TILE
    return floats(tile[rows[:, None], columns])


def to_pixels(values: Floats) -> Pixels:
    """Colours in [0, 1] → uint8."""
    return np.clip(values * 255, 0, 255).astype(np.uint8)


def plain(colour: Colour, height: int, width: int) -> Floats:
    """One colour as float32 (h, w, 3) in [0, 1]."""
    return np.full((height, width, 3), np.asarray(colour, np.float32) / 255, np.float32)


def darker(colour: Colour, factor: float) -> Colour:
    """A colour times a factor, 255 at most."""
    red, green, blue = (min(value * factor, 255.0) for value in colour)
    return (red, green, blue)


def any_colour(rng: np.random.Generator) -> Colour:
    """Some colour, neither black nor white."""
    red, green, blue = rng.uniform(25, 225, 3).tolist()
    return (red, green, blue)


def relief(height: Floats, light: Colour = (-0.4, -0.6, 0.7)) -> Floats:
    """Lambert shading (h, w) in [0, 1] of a height field in px, light from x, y (down), z (out)."""
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3) / 8
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3) / 8
    towards = np.asarray(light, np.float32) / np.linalg.norm(light)
    length = np.sqrt(slope_x**2 + slope_y**2 + 1)
    lit = (-slope_x * towards[0] - slope_y * towards[1] + towards[2]) / length
    return np.asarray(np.clip(lit, 0, 1), np.float32)


def dome(mask: Pixels, radius_px: float) -> Floats:
    """Height in px of a pillow over `mask`, round within `radius_px` of its edge."""
    inside = cv2.distanceTransform(cv2.copyMakeBorder(mask, 1, 1, 1, 1, 0), cv2.DIST_L2, 5)
    inside = np.minimum(inside[1:-1, 1:-1], radius_px)
    return np.asarray(np.sqrt(np.maximum(radius_px**2 - (radius_px - inside) ** 2, 0)), np.float32)


def with_opacity(pixels: Pixels, opacity: NDArray[np.uint8]) -> Pixels:
    """RGB and opacity → RGBA."""
    return np.dstack([pixels, opacity])


def panel(
    rng: np.random.Generator,
    height: int,
    width: int,
    colour: Colour,
    *,
    ribs: int = 0,
    dirt: float = 0.5,
    rust: float = 0.0,
) -> Pixels:
    """A painted metal or plastic panel: ribs across, streaks, stains, dirt towards the ground."""
    surface = plain(colour, height, width)
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    light = 1.04 - 0.12 * down + 0.03 * noise(rng, height, width, 1.5)
    if ribs:
        phase = down * ribs % 1
        light = light * (1 + 0.14 * (phase < 0.15) - 0.28 * (phase > 0.86))
    streaks = noise(rng, 1, width, 0.8) * np.clip(noise(rng, height, width, 1.6) + 0.4, 0, 2)
    light = light - 0.04 * dirt * np.clip(streaks, 0, 3)
    surface *= light[..., None]
    grime = np.clip((down - 0.72) * 3 + 0.35 * noise(rng, height, width, 1.2), 0, 1)[..., None]
    surface += (floats([0.27, 0.24, 0.2]) - surface) * grime * 0.6 * dirt
    if rust:
        spots = np.clip(noise(rng, height, width, 1.1) - 2.1 + 0.5 * rust, 0, 1)[..., None]
        surface += (floats([0.36, 0.2, 0.1]) - surface) * np.minimum(spots * 2, 0.8) * rust
    return to_pixels(surface)


def scribble(rng: np.random.Generator, pixels: Pixels, colour: Colour, strokes: int) -> None:
    """Spray a tag of `strokes` looping lines over `pixels`, in place."""
    height, width = pixels.shape[:2]
    x, y = rng.uniform(0.15, 0.4) * width, rng.uniform(0.35, 0.6) * height
    size = rng.uniform(0.08, 0.16) * min(width, height * 2)
    for _ in range(strokes):
        turns = np.linspace(0, rng.uniform(3, 8), 24)
        stroke = np.stack(
            [
                x + size * (np.cos(turns * rng.uniform(0.7, 1.3)) * 0.6 + turns * 0.12),
                y + size * np.sin(turns * rng.uniform(0.7, 1.3)) * rng.uniform(0.7, 1.6),
            ],
            1,
        )
        cv2.polylines(
            pixels, [stroke.astype(np.int32)], False, colour, max(1, round(size / 7)), cv2.LINE_AA
        )
        x += size * rng.uniform(0.8, 1.4)
        if x > width * 0.9:
            return


def print_lines(rng: np.random.Generator, pixels: Pixels, colour: Colour) -> None:
    """Something like a few lines of print on a label, in place."""
    height, width = pixels.shape[:2]
    y = 0.15 * height
    while y < 0.85 * height:
        tall = rng.uniform(0.06, 0.16) * height
        end = rng.uniform(0.5, 0.9) * width
        x = 0.1 * width
        while x < end:
            step = rng.uniform(0.04, 0.12) * width
            cv2.rectangle(
                pixels, (int(x), int(y)), (int(x + step * 0.75), int(y + tall * 0.6)), colour, -1
            )
            x += step
        y += tall * 1.4


# A stone's length and width in px, how far the next row is moved, and its colour.
_PAVINGS: dict[str, tuple[int, int, int, tuple[float, float, float]]] = {
    "slabs": (64, 64, 0, (0.55, 0.53, 0.50)),
    "flags": (128, 64, 64, (0.60, 0.57, 0.52)),
    "bricks": (32, 16, 16, (0.47, 0.35, 0.30)),
    "setts": (16, 16, 8, (0.44, 0.42, 0.40)),
}
_PLAIN: dict[str, tuple[float, float, float]] = {
    "earth": (0.47, 0.40, 0.31),
    "paint": (0.80, 0.80, 0.78),
    "kerb": (0.64, 0.62, 0.60),
    "gutter": (0.30, 0.30, 0.30),
}


@cache
def ground_tile(kind: str) -> Floats:
    """Periodic float32 (512, 512, 3) in [0, 1], 4 m wide.

    Kinds: asphalt, grass, earth, paint, kerb, gutter, slabs, flags, bricks, setts.
    """
    rng = np.random.default_rng(sum(kind.encode()))
    grain, middle, coarse = (noise(rng, _TILE, _TILE, slope) for slope in (0.2, 0.9, 1.6))
    light = 1 + 0.10 * grain + 0.06 * middle + 0.05 * coarse
    if kind == "asphalt":
        cracks = floats((np.abs(_tile(1.7, 1)) < 0.012) & (_tile(1.5, 2) > 0.6))
        light = light * (1 - 0.45 * cv2.GaussianBlur(cracks, (0, 0), 0.8))
        light = light + 0.5 * np.clip(grain - 2.2, 0, 1)  # light stones
        return floats(light[..., None] * floats([0.41, 0.41, 0.42]))
    if kind == "grass":
        blades = cv2.GaussianBlur(noise(rng, _TILE, _TILE, 0.0), (1, 9), 0) * 1.5
        light = 1 + 0.22 * blades + 0.10 * grain + 0.12 * coarse
        hue = np.clip(0.5 + 0.3 * middle, 0, 1)[..., None]
        blend = floats([0.25, 0.32, 0.15]) * (1 - hue) + floats([0.37, 0.39, 0.20]) * hue
        return floats(blend * light[..., None])
    if kind in _PLAIN:
        light = light + 0.06 * middle
        if kind == "kerb":
            light[:, ::128] *= 0.6  # its joints
        return floats(light[..., None] * floats(_PLAIN[kind]))
    long, wide, stagger, base = _PAVINGS[kind]
    y, x = np.mgrid[:_TILE, :_TILE]
    row = y // wide
    along = x + stagger * (row % 2)
    tones = np.random.default_rng(7).normal(1, 0.07, (_TILE // wide, _TILE // long))
    tone = tones[row, along // long % (_TILE // long)]
    joint_x, joint_y = (
        np.minimum(v % side, side - v % side) for v, side in ((along, long), (y, wide))
    )
    edge = np.clip(np.minimum(joint_x, joint_y) / (1.0 + wide / 40), 0, 1) * 0.45 + 0.55
    return floats((light * tone * edge)[..., None] * floats(base))


@cache
def ground_stains() -> Floats:
    """Periodic float32 (512, 512) of slow changes of tone, about unit deviation."""
    return _tile(1.5, 3)
