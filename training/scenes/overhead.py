"""Things as a surveyor sees them: height and colour from straight above."""

import numpy as np

from training.scenes.camera import Floats, floats
from training.scenes.survey import Shape
from training.scenes.texture import Colour, noise

_ROOFS: tuple[Colour, ...] = (
    (164, 94, 72),
    (146, 84, 66),
    (178, 116, 90),
    (92, 94, 100),
    (112, 106, 102),
    (176, 174, 168),
)
_PAINTS: tuple[Colour, ...] = (
    (226, 228, 230),
    (170, 174, 178),
    (98, 102, 108),
    (40, 42, 46),
    (34, 54, 96),
    (150, 36, 38),
)


def car(rng: np.random.Generator) -> Shape:
    """A car, its front to −x."""
    paint = floats(_PAINTS[rng.integers(len(_PAINTS))]) / 255
    long, wide = float(rng.uniform(3.8, 4.7)), float(rng.uniform(1.7, 1.9))
    roof = float(rng.uniform(1.42, 1.7))

    def shape(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        body = (np.abs(x) / (long / 2)) ** 6 + (np.abs(y) / (wide / 2)) ** 6 < 1
        cabin = (np.abs(x - 0.25) < long * 0.3) & (np.abs(y) < wide * 0.42)
        top = (np.abs(x - 0.25) < long * 0.18) & (np.abs(y) < wide * 0.38)
        tall = np.where(body, np.where(cabin, np.where(top, roof, roof - 0.2), 0.92), 0)
        glass = (cabin & ~top)[..., None]
        return tall.astype(np.float32), np.where(glass, floats([0.13, 0.15, 0.18]), paint)

    return shape


def house(rng: np.random.Generator, long: float, deep: float) -> Shape:
    """A house with a pitched or flat roof and a chimney."""
    colour = floats(_ROOFS[rng.integers(len(_ROOFS))]) / 255
    eaves, rise = float(rng.uniform(2.8, 7.5)), float(rng.choice([0.0, 1.8, 2.8, 3.6]))
    if rise == 0:
        colour = floats(_ROOFS[-1]) / 255
    chimney = float(rng.uniform(-0.3, 0.3)) * long
    seed = int(rng.integers(2**31))

    def shape(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        inside = (np.abs(x) < long / 2) & (np.abs(y) < deep / 2)
        tall = eaves + rise * (1 - np.abs(y) / (deep / 2))
        stack = (np.abs(x - chimney) < 0.4) & (np.abs(y - 0.6) < 0.4)
        tall = np.where(stack, eaves + rise + 0.9, tall)
        grain = np.random.default_rng(seed).normal(1, 0.05, (*x.shape, 1))
        rows = 1 - 0.12 * (np.mod(y, 0.45) < 0.14)[..., None]
        colours = np.where(stack[..., None], floats([0.5, 0.36, 0.3]), colour * grain * rows)
        return floats(np.where(inside, tall, 0)), floats(colours)

    return shape


def tree(rng: np.random.Generator, radius: float) -> Shape:
    """A tree with a lobed crown of about `radius` metres."""
    tall = float(radius * rng.uniform(1.9, 3.0) + 1.2)
    hue = floats([rng.uniform(0.17, 0.30), rng.uniform(0.27, 0.36), rng.uniform(0.10, 0.17)])
    phase = rng.uniform(0, 6.3, 3)
    seed = int(rng.integers(2**31))

    def shape(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        angle = np.arctan2(y, x)
        lobes = 1 + 0.10 * np.sin(3 * angle + phase[0]) + 0.07 * np.sin(5 * angle + phase[1])
        away = np.hypot(x, y) / (radius * lobes)
        lumps = noise(np.random.default_rng(seed), x.shape[0], x.shape[1], 0.9)
        crown = tall * (0.42 + 0.58 * np.sqrt(np.clip(1 - away**2, 0, 1))) * (1 + 0.05 * lumps)
        inside = away + 0.07 * lumps < 1
        fine = noise(np.random.default_rng(seed), x.shape[0], x.shape[1], 0.2)
        colours = hue * (1 + 0.16 * lumps + 0.10 * fine)[..., None]
        return floats(np.where(inside, np.maximum(crown, 1.0), 0)), floats(colours)

    return shape


def hedge(rng: np.random.Generator, long: float) -> Shape:
    """A clipped hedge along x."""
    tall, seed = float(rng.uniform(1.1, 2.2)), int(rng.integers(2**31))

    def shape(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        lumps = noise(np.random.default_rng(seed), x.shape[0], x.shape[1], 0.6)
        inside = (np.abs(x) < long / 2) & (np.abs(y) < 0.6 + 0.08 * lumps)
        colours = floats([0.20, 0.30, 0.13]) * (1 + 0.2 * lumps)[..., None]
        return np.where(inside, np.maximum(tall + 0.08 * lumps, 1.0), 0).astype(np.float32), colours

    return shape


def container() -> Shape:
    """A metal container with a pitched lid."""
    green = floats([0.16, 0.34, 0.20])

    def shape(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        inside = (np.abs(x) < 0.95) & (np.abs(y) < 0.7)
        tall = np.where(inside, 1.62 - 0.35 * np.abs(y), 0)
        return floats(tall), np.broadcast_to(green, (*x.shape, 3))

    return shape
