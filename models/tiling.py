"""Look at pictures of any size: levels of detail, tiles, and windows around what changed.

A network that is fully convolutional says of a place what the pixels around it make it say, so a
picture may be looked at in tiles that overlap, and again only where it changed, with enough around.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from models.redaction import Box

MAX_ENLARGEMENT = 2
COARSE_PX = 480  # no further level once the long side is no longer than this
TILE_PX = 1920
OVERLAP_PX = 256  # what no tile holds whole is found on the next level
CONTEXT_PX = 64  # around an area that is looked at again
GRID_PX = 32  # windows begin on the grid of the networks' coarsest cells
WINDOW_PX = 128  # their sides are multiples of it: runtimes are slow on a shape they have not seen
LIMITS = (MAX_ENLARGEMENT, COARSE_PX, TILE_PX, OVERLAP_PX, CONTEXT_PX, WINDOW_PX)
"""All that decides what a network is shown, beside the finest level and the step."""


class Tile(NamedTuple):
    """Part of a level: uint8 (h, w, 3), its left and top in px of the level, the level's scale."""

    pixels: NDArray[np.uint8]
    left: int
    top: int
    scale: float


def tiles(
    pixels: NDArray[np.uint8], areas: Sequence[Box] | None, *, fine_px: int, step: int
) -> Iterator[Tile]:
    """All that has to be looked at in uint8 (H, W, 3) pixels, the finest level first.

    Args:
        pixels: the picture.
        areas: boxes in px of the picture, outside which nothing is asked for; None for all of it.
        fine_px: pictures are enlarged up to this long side, at most twice, and never reduced.
        step: between one level and the next.
    """
    for level, scale in _levels(pixels, fine_px, step):
        height, width = level.shape[:2]
        whole = [(0, 0, width, height)]
        windows = whole if areas is None else _windows(areas, scale, (width, height))
        for left, top, right, bottom in windows:
            for rows, columns in product(spans(bottom - top), spans(right - left)):
                part = level[top:bottom, left:right][rows, columns]
                yield Tile(part, left + columns.start, top + rows.start, scale)


def _levels(
    pixels: NDArray[np.uint8], fine_px: int, step: int
) -> Iterator[tuple[NDArray[np.uint8], float]]:
    height, width = pixels.shape[:2]
    scale = min(MAX_ENLARGEMENT, max(1.0, fine_px / max(height, width)))
    while True:
        size_wh = max(1, round(width * scale)), max(1, round(height * scale))
        how = cv2.INTER_LINEAR if scale > 1 else cv2.INTER_AREA
        level = pixels if scale == 1 else np.asarray(cv2.resize(pixels, size_wh, interpolation=how))
        yield level, scale
        if max(size_wh) <= COARSE_PX:
            return
        scale /= step


def spans(side_px: int) -> list[slice]:
    """Equal tiles along one side, as few and as small as overlap allows, the last at the border."""
    count = max(1, math.ceil((side_px - OVERLAP_PX) / (TILE_PX - OVERLAP_PX)))
    tile_px = math.ceil((side_px + (count - 1) * OVERLAP_PX) / count)
    starts = (round(i * (side_px - tile_px) / max(1, count - 1)) for i in range(count))
    return [slice(start, start + tile_px) for start in starts]


def _windows(areas: Sequence[Box], scale: float, size_wh: tuple[int, int]) -> list[Box]:
    """Areas of the picture in px of a level, with context, those that meet as one."""
    todo = []
    for area in areas:
        x1, y1, x2, y2 = (side * scale for side in area)
        spans_px = ((x1, x2, size_wh[0]), (y1, y2, size_wh[1]))
        if all(low < side and high > 0 for low, high, side in spans_px):
            todo.append(_box(*(_near(*span) for span in spans_px)))
    done: list[Box] = []
    while todo:
        x1, y1, x2, y2 = todo.pop()
        touching = [b for b in done if b[0] < x2 and x1 < b[2] and b[1] < y2 and y1 < b[3]]
        if not touching:
            done.append((x1, y1, x2, y2))
            continue
        done = [b for b in done if b not in touching]
        left, top, right, bottom = zip((x1, y1, x2, y2), *touching, strict=True)
        todo.append((min(left), min(top), max(right), max(bottom)))
    return [_box(_even(x1, x2, size_wh[0]), _even(y1, y2, size_wh[1])) for x1, y1, x2, y2 in done]


def _near(low: float, high: float, side_px: int) -> tuple[int, int]:
    """From low to high with context, within the level."""
    return max(math.floor(low - CONTEXT_PX), 0), min(math.ceil(high + CONTEXT_PX), side_px)


def _even(low: int, high: int, side_px: int) -> tuple[int, int]:
    """At least from low to high, and a multiple of `WINDOW_PX` long where the level allows.

    It begins on the grid, so that a network sees it as it sees the whole.
    """
    start = low // GRID_PX * GRID_PX
    length = -(-(high - start) // WINDOW_PX) * WINDOW_PX
    start = max(min(start, side_px - length), 0) // GRID_PX * GRID_PX
    return start, min(start + length, side_px) if start + length >= high else side_px


def _box(columns: tuple[int, int], rows: tuple[int, int]) -> Box:
    return columns[0], rows[0], columns[1], rows[1]
