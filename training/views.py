"""Views of a labelled picture: a square around a place, at some size, in some light."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from training.dataset import relight
from training.labelled import Boxes, Labelled

SCALES = (0.3, 2.6)
"""How much a picture may be reduced or enlarged."""

_MIN_SIDE_PX = 2.5  # of a labelled object in a view; smaller ones are neither object nor background


def crop(
    sample: Labelled, box: Boxes, scale: float, side_px: int, rng: np.random.Generator
) -> Labelled:
    """A square of `side_px` of `sample` that shows the middle of `box`, with all known of it.

    Args:
        sample: with its pixels.
        box: xyxy px of the picture.
        scale: px of the view by px of the picture, clipped to `SCALES`.
        side_px: of the view.
        rng: of where the place lies in the view, of its mirroring, light and wear.
    """
    assert sample.pixels is not None
    height, width = sample.pixels.shape[:2]
    scale = float(np.clip(scale, *SCALES))
    angle = np.deg2rad(rng.normal(0, 5))
    flip = -1.0 if rng.random() < 0.5 else 1.0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = scale * turn @ np.diag([flip, 1.0])
    centre = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
    at = side_px * rng.uniform(0.15, 0.85, 2)
    start = at - linear @ centre
    start += _shift(linear, start, (width, height), side_px)
    affine = np.concatenate([linear, start[:, None]], 1)
    # Reducing without area means would give aliases that no camera gives.
    pixels = sample.pixels
    if scale < 0.7:
        blur = 0.45 / scale
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), blur), np.uint8)
    seen = cv2.warpAffine(
        pixels, affine, (side_px, side_px), flags=cv2.INTER_LINEAR, borderValue=(127,) * 3
    )
    boxes, whole = _moved(sample.boxes, affine, side_px)
    ignored, there = _moved(sample.ignored, affine, side_px)
    sides = boxes[:, 2:] - boxes[:, :2]
    clear = (whole > 0.4) & (sides.min(1, initial=1e9) >= _MIN_SIDE_PX)
    cut = ~clear & (whole > 0)
    return replace(
        sample,
        pixels=worn(np.asarray(seen, np.uint8), rng),
        boxes=boxes[clear],
        labels=sample.labels[clear],
        ignored=np.concatenate([ignored[there > 0], boxes[cut]]),
        ignored_labels=np.concatenate([sample.ignored_labels[there > 0], sample.labels[cut]]),
    )


def _shift(
    linear: NDArray[np.float64],
    start: NDArray[np.float64],
    size_wh: tuple[int, int],
    side_px: int,
) -> NDArray[np.float64]:
    """How far (x, y) to move a picture for the view to be full of it, or it whole in the view."""
    width, height = size_wh
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ linear.T + start
    low, high = corners.min(0), corners.max(0)
    ends = np.sort([-low, side_px - high], axis=0)
    return np.asarray(np.clip(0.0, *ends))


def _moved(boxes: Boxes, affine: NDArray[np.float64], side_px: int) -> tuple[Boxes, Boxes]:
    """Boxes in the view, clipped to it, and which share (N,) of each lies in it."""
    x1, y1, x2, y2 = boxes.T
    corners = np.stack([x1, y1, x2, y1, x2, y2, x1, y2], 1).reshape(-1, 4, 2)
    corners = corners @ affine[:, :2].T + affine[:, 2]
    moved = np.concatenate([corners.min(1), corners.max(1)], 1)
    seen = np.clip(moved, 0, side_px)
    area = np.maximum((moved[:, 2:] - moved[:, :2]).prod(1), 1e-6)
    share = (seen[:, 2:] - seen[:, :2]).prod(1) / area
    return seen.astype(np.float32), share.astype(np.float32)


def worn(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Light, then sometimes night, a moving camera, and the camera's own JPEG."""
    pixels = relight(pixels, rng)
    if rng.random() < 0.12:
        dark = pixels.astype(np.float32) * rng.uniform(0.12, 0.45)
        dark += rng.normal(0, rng.uniform(2, 9), dark.shape)
        pixels = np.clip(dark, 0, 255).astype(np.uint8)
    if rng.random() < 0.15:
        reach = int(rng.integers(3, 8))
        kernel = np.zeros((reach, reach), np.float32)
        angle = rng.uniform(0, np.pi)
        half = (reach - 1) / 2
        for t in np.linspace(-half, half, 4 * reach):
            x, y = round(half + t * np.cos(angle)), round(half + t * np.sin(angle))
            kernel[y, x] = 1
        pixels = np.asarray(cv2.filter2D(pixels, -1, kernel / kernel.sum()), np.uint8)
    if rng.random() < 0.35:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 92))]
        pixels = np.asarray(cv2.imdecode(cv2.imencode(".jpg", pixels, quality)[1], 1), np.uint8)
    return pixels
