"""Things as a surveyor sees them: height and colour from straight above."""

import numpy as np

from training.scenes.camera import Floats, floats
from training.scenes.containers import KINDS
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


CONTAINERS = {kind: KINDS[kind][0] for kind in ("metal", "bin4", "bin2", "igloo", "skip")}
"""Kinds of containers: wide, deep and tall in metres."""

_BODIES: tuple[Colour, ...] = (
    (41, 87, 51),
    (88, 128, 72),
    (62, 68, 72),
    (34, 92, 168),
    (226, 190, 50),
    (150, 58, 44),
)


_WASTE: tuple[Colour, ...] = (
    (30, 30, 34),
    (226, 226, 222),
    (52, 88, 176),
    (184, 142, 98),
    (196, 202, 204),
    (150, 108, 70),
    (190, 44, 52),
)


def container(rng: np.random.Generator, kind: str) -> Shape:
    """A container: pitched lid, dome of a bottle bank, or a skip open to what lies in it."""
    wide, deep, high = CONTAINERS[kind]
    green = (41, 87, 51), (88, 128, 72)
    colours = green if kind == "metal" else _BODIES
    paint = floats(colours[rng.integers(len(colours))]) / 255
    level, seed = float(rng.uniform(0.3, 1.2)), int(rng.integers(2**31))

    def shape(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        inside = (np.abs(x) < wide / 2) & (np.abs(y) < deep / 2)
        colour = np.broadcast_to(paint, (*x.shape, 3))
        tall = high - 0.35 * np.abs(y)
        if kind == "igloo":
            away = np.hypot(x, y) / (wide / 2)
            inside, tall = away < 1, high * (0.6 + 0.4 * np.sqrt(np.clip(1 - away**2, 0, 1)))
        elif kind == "skip":
            open_top = (np.abs(x) < wide / 2 - 0.12) & (np.abs(y) < deep / 2 - 0.12)
            lumps = noise(np.random.default_rng(seed), x.shape[0], x.shape[1], 0.8)
            tall = np.where(open_top, high - level + 0.1 * lumps, high)
            fill = floats([0.46, 0.42, 0.36]) * (1 + 0.3 * lumps)[..., None]
            colour = np.where(open_top[..., None], fill, colour)
        return floats(np.where(inside, np.maximum(tall, 0.1), 0)), floats(colour)

    return shape


def heap(rng: np.random.Generator, spread_m: float, base_m: float = 0.0) -> Shape:
    """Bags, cartons and scraps, one or many, on the ground or on what is `base_m` high."""
    pieces = []
    for _ in range(int(rng.integers(3, 16))):
        at = rng.normal(0, spread_m, 2)
        round_one = rng.random() < 0.6
        size = rng.uniform(0.18, 0.4) if round_one else rng.uniform(0.12, 0.45)
        tone = _WASTE[int(rng.integers(len(_WASTE)))]
        pieces.append((at, round_one, float(size), float(rng.uniform(0, 3.14)), floats(tone) / 255))
    seed = int(rng.integers(2**31))

    def shape(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        tall, colours = np.zeros(x.shape, np.float32), np.zeros((*x.shape, 3), np.float32)
        creases = noise(np.random.default_rng(seed), x.shape[0], x.shape[1], 0.7)
        for (left, top), round_one, size, turn, tone in pieces:
            dx, dy = x - left, y - top
            u, v = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
            away = (
                np.hypot(u, v * 1.2) / size
                if round_one
                else np.maximum(abs(u), 1.4 * abs(v)) / size
            )
            dome = np.sqrt(np.clip(1 - away**2, 0, 1)) if round_one else 1.0
            own = np.where(away < 1, base_m + 0.03 + size * (0.9 * dome + 0.08 * creases), 0)
            above = own > tall
            tall[above] = own[above]
            colours[above] = (tone * (1 + 0.2 * creases)[..., None])[above]
        return floats(np.maximum(tall, 0)), colours

    return shape
