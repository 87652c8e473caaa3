"""The bare ground on a grid: which cells show it, and what it is where none does."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product

import CSF
import cv2
import numpy as np
from numpy.typing import NDArray

CLOTH_M = 1.0
"""Side of the cloth's meshes; the lowest return of each is what the cloth may touch."""

GROUND_M = 0.3
"""Returns nearer to the cloth's ground are ground: rough lawn and the noise of a scanner."""

_SUNK_M = 8.0
"""Values this far below all the land around are echoes or mismatches: each would hold the cloth
down for a hundred metres around."""

_LAND_SHARE = 1  # %, of what lies around, that is land however deep it lies: gaps in a wood
_TILE, _AROUND = 25, 40  # meshes

_RELAXATIONS = 64  # on each level: a plane under a gap of 100 m is right to some 5 cm


def filled(values: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """A grid without gaps: in them, the surface that a membrane held at their border takes.

    Slopes go on straight beneath a building; nothing overshoots.

    Args:
        values: float32 (H, W).
        known: bool (H, W), true somewhere; the values there stay as they are.
    """
    height, width = values.shape
    if known.all() or max(height, width) == 1:
        return np.where(known, values, values[known].mean()) if known.any() else values
    # From coarse to fine: what is far away is told first, so that few relaxations are enough.
    odd = ((0, height % 2), (0, width % 2))
    sums = _in_fours(np.pad(np.where(known, values, 0), odd))
    counts = _in_fours(np.pad(known.astype(np.float32), odd))
    coarse = filled((sums / np.maximum(counts, 1)).astype(np.float32), counts > 0)
    size_wh = coarse.shape[1] * 2, coarse.shape[0] * 2
    fine = np.asarray(cv2.resize(coarse, size_wh, interpolation=cv2.INTER_LINEAR), np.float32)
    out = np.where(known, values, fine[:height, :width])
    for _ in range(_RELAXATIONS):
        around = cv2.blur(out, (3, 3), borderType=cv2.BORDER_REPLICATE)
        out = np.where(known, values, np.asarray(around, np.float32))
    return out


def _in_fours(values: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = values.shape
    return np.asarray(values.reshape(height // 2, 2, width // 2, 2).sum((1, 3)), np.float32)


def ground_cells(
    lowest: NDArray[np.float32], mean: NDArray[np.float32], cell_m: float
) -> NDArray[np.bool_]:
    """Which cells show bare ground, by a cloth that falls on the upturned relief.

    W. Zhang et al., An Easy-to-Use Airborne LiDAR Data Filtering Method Based on Cloth Simulation,
    Remote Sensing 8 (2016) 501.

    Args:
        lowest: float32 (H, W) lowest height in each cell, m; NaN where there is none.
        mean: float32 (H, W) mean height in each cell, m; NaN where there is none.
        cell_m: side of a cell.

    Returns:
        bool (H, W): cells whose mean lies on the ground.
    """
    touched = np.isfinite(lowest)
    if not touched.any():
        return touched
    step = max(1, round(CLOTH_M / cell_m))
    rows, columns = _lowest_in_each(lowest, step)
    heights = lowest[rows, columns]
    land = ~_sunk(heights, rows // step, columns // step)
    rows, columns, heights = rows[land], columns[land], heights[land]
    points = np.column_stack([columns * cell_m, rows * cell_m, heights - heights.min()])
    on = _under_cloth(points.astype(np.float64))
    held = np.zeros_like(touched)
    held[rows[on], columns[on]] = True
    if not held.any():
        return held
    # The lowest of several returns lies below the ground by the noise: the mean does not.
    relief = filled(np.where(held, lowest, 0), held)
    return touched & (np.abs(np.where(touched, mean, np.inf) - relief) < GROUND_M)


def _lowest_in_each(
    lowest: NDArray[np.float32], step: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the lowest cell in each block of step × step cells that has one."""
    height, width = lowest.shape
    pad = ((0, -height % step), (0, -width % step))
    blocks = np.pad(np.where(np.isfinite(lowest), lowest, np.inf), pad, constant_values=np.inf)
    down, across = blocks.shape[0] // step, blocks.shape[1] // step
    blocks = blocks.reshape(down, step, across, step).swapaxes(1, 2).reshape(down, across, -1)
    where = blocks.argmin(-1)
    row, column = np.nonzero(np.isfinite(blocks.min(-1)))
    inner = where[row, column]
    return row * step + inner // step, column * step + inner % step


def _sunk(
    heights: NDArray[np.float32], rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Which heights lie far below land, in holes that are less than three meshes wide."""
    level = np.full((rows.max() + 1, columns.max() + 1), np.inf, np.float32)
    level[rows, columns] = heights
    closed = cv2.morphologyEx(level, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    hole = level < np.asarray(closed) - _SUNK_M
    for top, left in product(*(range(0, side, _TILE) for side in level.shape)):
        tile = np.s_[top : top + _TILE, left : left + _TILE]
        if not hole[tile].any():
            continue
        wide = level[
            max(0, top - _AROUND) : top + _TILE + _AROUND,
            max(0, left - _AROUND) : left + _TILE + _AROUND,
        ]
        land_m = np.percentile(wide[np.isfinite(wide)], _LAND_SHARE, method="higher")
        hole[tile] &= level[tile] < land_m - _SUNK_M
    return np.asarray(hole[rows, columns], np.bool_)


def _under_cloth(points: NDArray[np.float64]) -> NDArray[np.intp]:
    """Which of points (N, 3), m, the cloth touches."""
    filter_ = CSF.CSF()
    filter_.params.bSloopSmooth = True  # without it, it hangs above the top of a hill
    filter_.params.cloth_resolution = CLOTH_M
    filter_.params.rigidness = 2  # of three: bends over hills, not into large roofs
    filter_.params.class_threshold = GROUND_M
    filter_.setPointCloud(points)
    ground, others = CSF.VecInt(), CSF.VecInt()
    with _talk_to_stderr():
        filter_.do_filtering(ground, others, False)
    return np.array(ground, np.intp)


@contextmanager
def _talk_to_stderr() -> Iterator[None]:
    """The library tells its progress on standard output, where a command's answer belongs."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
