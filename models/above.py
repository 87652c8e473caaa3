"""From heights on a grid to a `HeightMap`: what of them holds, and how sure they are."""

from collections.abc import Iterable, Sequence
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from models.datum import Located
from models.elevation import part_of
from models.errors import BadSurface
from models.ground import Ground
from models.heights import HeightMap
from models.relief import filled
from models.returns import PLANT, SOLID

ACCURACY_M = 0.1
"""One standard deviation of a survey's heights that does not state its own."""

TALLEST_M = 100.0
"""No plant is taller: what is, is a crane, a cloud or a bird, and not valid."""

SUNK_M = 0.5
"""Where half of all lies further below the ground, and further than the survey errs, the ground is
another one."""

BELOW_M = 1.0
"""What lies further below the ground is no measurement, and not valid."""

PEAK_M = 5.0
"""What rises this far above all eight cells around it is a bird or a mast, and not valid."""

ALOFT_M = 10.0
"""Where not even the lowest twentieth is nearer to the ground, the ground is another one."""

REACH_M = 50.0
"""Further from any bare ground, nothing is known of the ground."""

PLANT_IF_SAID, PLANT_IF_UNSAID = 0.95, 0.5
"""Probability of vegetation where all returns of a cell are said to be plants (the complement where
none is), and where nobody says what they are."""

_DRIFT = 0.03  # standard deviation of the ground between what is known, per metre from it
_EDGE = 0.5  # of the spread among neighbours: where within a cell does the edge lie?
_SAMPLES, _SAMPLE_CELLS = 3, 64  # windows along each side of a picture, and cells along each
_ROUGH_M = 1.0  # 25 cm in woods, of the smoothest quarter; lawn told in centimetres has 2 and more

Metres = NDArray[np.float32]
"""(H, W); NaN where nothing is known."""

Grid = tuple[Ground, tuple[int, int]]
"""Where a grid lies, and its height and width in cells."""


def wider(ground: Ground, size_hw: tuple[int, int], margin: int) -> Grid:
    """A grid with a margin of some cells on every side."""
    height, width = size_hw
    return _part(ground, -margin, -margin), (height + 2 * margin, width + 2 * margin)


def _part(ground: Ground, row: int, column: int) -> Ground:
    a, b, c, d, e, f = ground.affine
    return Ground((a, b, c + a * column + b * row, d, e, f + d * column + e * row), ground.crs)


def inside(margin: int) -> tuple[slice, slice]:
    """A grid without its margin of some cells."""
    return slice(margin, -margin), slice(margin, -margin)


def shared(files: Iterable[Located], what: str, ground: Ground, size_hw: tuple[int, int]) -> Grid:
    """The part of a grid that files know.

    Args:
        files: of heights.
        what: they hold, for the message.
        ground: where the grid lies.
        size_hw: of the grid.

    Raises:
        BadSurface: `no_overlap`.
    """
    parts = [part_of(file, ground, size_hw) for file in files]
    found = [part for part in parts if part]
    if not found:
        raise BadSurface("no_overlap", f"no {what} lies where the picture does: check its CRS")
    (top, left), (bottom, right) = (
        [choose(getattr(part[axis], side) for part in found) for axis in (0, 1)]
        for choose, side in ((min, "start"), (max, "stop"))
    )
    return _part(ground, top, left), (bottom - top, right - left)


def samples(grid: Grid) -> list[Grid]:
    """Nine windows that are spread over a grid: what a survey is checked in."""
    ground, (height, width) = grid
    size_hw = min(height, _SAMPLE_CELLS), min(width, _SAMPLE_CELLS)
    shares = [(i + 0.5) / _SAMPLES for i in range(_SAMPLES)]
    return [
        (_part(ground, round(down * (height - size_hw[0])), round(right * (width - size_hw[1]))),
         size_hw)
        for down, right in product(shares, shares)
    ]  # fmt: skip


def plausible(heights: Sequence[Metres], accuracy_m: float) -> None:
    """Refuse heights above ground that cannot be such.

    Args:
        heights: samples, m.
        accuracy_m: standard deviation of the heights.

    Raises:
        BadSurface: `mismatch`.
    """
    values = _known(heights)
    if not values.size:
        return
    below, tall = (values < -BELOW_M).mean(), (values > TALLEST_M).mean()
    lowest, middle = np.percentile(values, (5, 50))
    if below > 0.2 or middle < -max(SUNK_M, 3 * accuracy_m):
        why = f"{below:.0%} lies over 1 m below the ground, the middle at {middle:.1f} m"
    elif lowest > ALOFT_M:
        why = f"nothing comes nearer to the ground than {lowest:.1f} m"
    elif tall > 0.01:
        why = f"{tall:.0%} is taller than {TALLEST_M:.0f} m: are heights in metres?"
    else:
        return
    raise BadSurface("mismatch", f"{why}; check dates, vertical datum and units of the files")


def in_metres(surfaces: Sequence[Metres], files: Iterable[Located]) -> None:
    """Refuse heights that are hardly metres, where a file does not say what they are.

    Land has lawns, roads and roofs: in metres the smoothest quarter of it is smooth, in centimetres
    the noise of what measured it is higher than a house.

    Args:
        surfaces: samples, taken for m.
        files: that they are from.

    Raises:
        BadSurface: `units`.
    """
    rough = _known([_spread(surface) for surface in surfaces])
    if all(file.unit_named for file in files) or not rough.size:
        return
    if (least := np.percentile(rough, 25)) > _ROUGH_M:
        raise BadSurface(
            "units",
            f"even the smoothest quarter varies by {least:.1f} m within three cells, if heights are"
            " in metres: write their unit into the file (tag `units`, or the CRS's vertical part)",
        )


def _known(samples: Sequence[Metres]) -> Metres:
    values = np.concatenate([sample.ravel() for sample in samples])
    return np.asarray(values[np.isfinite(values)], np.float32)


def mean_of(total: NDArray[np.float64], count: NDArray[np.integer]) -> Metres:
    """Mean of each cell, NaN where nothing was counted."""
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def without_peaks(height: Metres) -> Metres:
    """Heights without those of single cells far above all around them: birds and masts."""
    known = np.where(np.isfinite(height), height, -BELOW_M).astype(np.float32)
    ring = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)
    return np.where(known - np.asarray(cv2.dilate(known, ring)) > PEAK_M, np.nan, height)


def around(values: Metres) -> Metres:
    """Mean of what is known of a cell and the eight around it."""
    known = np.isfinite(values)
    share = _mean_3x3(known)
    mean = _mean_3x3(np.where(known, values, 0)) / np.maximum(share, 0.01)
    return np.where(share > 0.01, mean, np.nan).astype(np.float32)


def _spread(values: Metres) -> Metres:
    """Standard deviation of what is known of a cell and the eight around it."""
    known = values[np.isfinite(values)]
    # Squares of heights above the sea are too large to be told apart.
    level = values - (np.median(known) if known.size else 0)
    mean, square = around(level), around(np.square(level))
    return np.sqrt(np.maximum(square - np.square(mean), 0))


def _mean_3x3(values: NDArray[np.generic]) -> NDArray[np.float64]:
    blurred = cv2.blur(values.astype(np.float64), (3, 3), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.float64)


def bare(
    level: Metres, known: NDArray[np.bool_], cell_m: float
) -> tuple[Metres, NDArray[np.float32]]:
    """The ground from where it is bare, and how unsure it is, one standard deviation in m.

    Args:
        level: float32 (H, W) height of the cells that are known, m.
        known: bool (H, W).
        cell_m: side of a cell.
    """
    if not known.any():
        return np.full(level.shape, np.nan, np.float32), np.zeros(level.shape, np.float32)
    away_m = cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, 5) * cell_m
    under = filled(np.where(known, level, 0), known)
    return np.where(away_m <= REACH_M, under, np.nan), np.asarray(_DRIFT * away_m, np.float32)


def shares(count: NDArray[np.integer]) -> Metres:
    """Probability of vegetation by the classes of returns, NaN where they do not tell.

    Args:
        count: (kinds, H, W) returns of each kind; in cells without any, those around them count.
    """
    empty = count.sum(0) == 0
    plants, solids = (
        np.where(empty, _mean_3x3(count[kind]), count[kind]) for kind in (PLANT, SOLID)
    )
    known = plants + solids
    share = np.where(known > 0, plants / np.where(known > 0, known, 1), np.nan)
    return (1 - PLANT_IF_SAID + (2 * PLANT_IF_SAID - 1) * share).astype(np.float32)


def unsaid(prior: Metres | None, size_hw: tuple[int, int]) -> Metres:
    """Probability of vegetation where the survey does not tell.

    Raises:
        ValueError: when the prior has another shape than the grid.
    """
    if prior is None:
        return np.full(size_hw, PLANT_IF_UNSAID, np.float32)
    if prior.shape != size_hw:
        raise ValueError(f"prior of vegetation: {prior.shape}, expected {size_hw}")
    return prior


def told(
    height: Metres, sigma: NDArray[np.floating], vegetation: Metres, ground: Ground, margin: int
) -> HeightMap:
    """The map of heights, without a margin that only helped to see what is around each cell.

    Args:
        height: float32 (H + 2 margins, W + 2 margins) above ground, m.
        sigma: of the same shape, one standard deviation of what was measured, m.
        vegetation: float32 (H, W) probability.
        ground: where the grid of (H, W) lies.
        margin: in cells.
    """
    sigma = np.hypot(sigma, _EDGE * _spread(height))[inside(margin)]
    height = height[inside(margin)]
    valid = (height >= -BELOW_M) & (height <= TALLEST_M)  # NaN is neither
    return HeightMap(
        np.where(valid, np.maximum(height, 0), 0).astype(np.float32),
        np.where(valid, sigma, 0).astype(np.float32),
        np.where(valid, vegetation, 0).astype(np.float32),
        valid,
        ground,
    )
