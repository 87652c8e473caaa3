"""Heights as an aerial picture shows them: laid over, away from the camera.

An orthophoto lays the ground where it belongs, to a metre or two. What stands on it leans away from
the camera: a tree of h metres is shown `lean` · h metres beside where it stands, and hides what is
there (relief displacement). By how much is found once (`training.registration`) and kept beside
the code.
"""

import json
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.heights import GRID_M

CLEAR_M = 2.0
"""From this height vegetation is told apart from ground, and its shadow from its light."""

_KEPT = Path(__file__).with_name("leans.json")
_TALLEST_M = 45.0  # whose shadow is followed to its end

Field = NDArray[np.float32]
"""float32 (h, w, 4), block by block: rows and columns by which the ground is off, cells; rows and
columns by which what stands on it leans, metres a metre of height."""


def shown(standing: NDArray[np.float32], field: Field) -> NDArray[np.intp]:
    """Which cell the picture shows at each cell, the highest of those laid over it.

    Args:
        standing: float32 (H, W), heights of what hides.
        field: by how much it is laid over.

    Returns:
        Flat indices (H, W); −1 where none is laid over it. Gaps of up to four cells, the sides of
        what stands, show the highest beside them.
    """
    height, width = standing.shape
    by_cell = cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR).reshape(-1, 4)
    order = np.argsort(standing, axis=None, kind="stable")
    leaning = standing.ravel()[order, None] / GRID_M * by_cell[order, 2:] + by_cell[order, :2]
    rows, columns = np.divmod(order, width) + np.rint(leaning).astype(np.intp).T
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    seen = np.full((height, width), -1)
    seen[rows[inside], columns[inside]] = order[inside]  # the last one is the highest
    for _ in range(2):
        seen = _closed(seen, standing)
    return seen


def _closed(seen: NDArray[np.intp], standing: NDArray[np.float32]) -> NDArray[np.intp]:
    """The same with gaps that are a cell narrower from each side."""
    heights = np.where(seen >= 0, standing.ravel()[seen], -1).astype(np.float32)
    around = np.pad(heights, 1, constant_values=-1)
    indices = np.pad(seen, 1, constant_values=-1)
    height, width = seen.shape
    best, highest = seen.copy(), heights
    for row, column in product(range(3), repeat=2):
        there = np.s_[row : row + height, column : column + width]
        higher = (seen < 0) & (around[there] > highest)
        best = np.where(higher, indices[there], best)
        highest = np.where(higher, around[there], highest)
    return best


def shadows(
    standing: NDArray[np.float32], azimuth: float, elevation: float, cell_m: float = GRID_M
) -> NDArray[np.bool_]:
    """Which cells (H, W) lie in the shadow of others.

    Args:
        standing: float32 (H, W), metres.
        azimuth: degrees from rows to columns, towards which shadows fall.
        elevation: degrees, of the sun.
        cell_m: side of a cell, m.
    """
    height, width = standing.shape
    slope = float(np.tan(np.radians(elevation))) * cell_m
    down, right = np.sin(np.radians(azimuth)), np.cos(np.radians(azimuth))
    dark = np.zeros(standing.shape, bool)
    for cells in range(1, int(_TALLEST_M / slope) + 1):
        move = np.array([[1, 0, right * cells], [0, 1, down * cells]], np.float64)
        there = cv2.warpAffine(standing, move, (width, height), flags=cv2.INTER_NEAREST)
        dark |= there > standing + slope * cells + CLEAR_M
    return dark


def kept() -> Mapping[str, Field]:
    """The fields that were found, by region."""
    found = json.loads(_KEPT.read_text(encoding="utf-8"))
    return {name: np.array(field, np.float32) for name, field in found.items()}


def keep(fields: Mapping[str, Field]) -> None:
    """Write fields for all trainings to come, a line each row of blocks."""
    regions = []
    for name, field in sorted(fields.items()):
        rows = (f"    {json.dumps(np.round(row, 3).tolist())}" for row in field.astype(float))
        regions.append(f"  {json.dumps(name)}: [\n" + ",\n".join(rows) + "\n  ]")
    _KEPT.write_text("{\n" + ",\n".join(regions) + "\n}\n", encoding="utf-8")
