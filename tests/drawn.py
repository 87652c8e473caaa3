"""A small drawn street for tests, and what they measure on drawn pictures."""

from functools import cache

import numpy as np

from training.scenes import Scene, street
from training.scenes.camera import Camera, floats
from training.scenes.canvas import OVERSAMPLE, Canvas
from training.scenes.solids import Light

SMALL = (300, 400)
LIGHT = Light(floats([0.4, -0.6, 0.69]), floats([0.6, 0.6, 0.6]), floats([0.6, 0.6, 0.6]))
CAMERA = Camera(SMALL, focal_px=420, height_m=1.7, pitch=0.12)


@cache
def scene(seed: int, state: str | None = None, night: bool = False) -> Scene:
    rng = np.random.default_rng(seed)
    return street(rng, SMALL, state=state, night=night, people=2, cars=2)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    return float(np.prod(np.maximum(sides, 0)))


def area(box: np.ndarray) -> float:
    return float(np.prod(box[2:] - box[:2]))


def bounds(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(mask)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def finished(canvas: Canvas) -> Scene:
    return canvas.truth(canvas.pixels[::OVERSAMPLE, ::OVERSAMPLE], {}, night=False)


def changed(canvas: Canvas, before: int) -> tuple[int, int, int, int]:
    x1, y1, x2, y2 = bounds((canvas.pixels != before).any(2))
    return x1 // OVERSAMPLE, y1 // OVERSAMPLE, -(-x2 // OVERSAMPLE), -(-y2 // OVERSAMPLE)
