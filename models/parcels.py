"""What a map of heights says of a parcel, with 90 % intervals."""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rasterio.features import geometry_mask
from rasterio.transform import Affine

from models.heights import HeightMap

Z90 = 1.645
"""Standard deviations on either side of a normal distribution that hold nine tenths of it."""

ALIKE = 0.75
"""Share of the cells' sigma that stays in a mean over many: `training.canopy` measures it."""

_VEGETATION = 0.5  # probability from which a cell is vegetation
_DOUBT = 0.2  # probability from which a cell may be vegetation, and that it may be none
_SURE = 1 - _DOUBT
_GAIN = 1.1  # by which the bands of two flights may differ without a plant having changed
_REACHED_M2 = 4.0  # area that must be as high as what is said to stand near a line


class Estimate(NamedTuple):
    """A value and its 90 % interval."""

    value: float
    low: float
    high: float


_NOTHING = Estimate(math.nan, math.nan, math.nan)


class Parcel(NamedTuple):
    """What stands on a parcel.

    Attributes:
        analysed: share of its area that the map knows.
        cover: share of its area that is vegetation of any height; the interval takes what is not
            known for anything.
        mean: height in metres of the vegetation that is known; the median and the 95th percentile
            follow.
        median: as told.
        p95: as told.
    """

    analysed: float
    cover: Estimate
    mean: Estimate
    median: Estimate
    p95: Estimate


def inside(rings: Sequence[NDArray[np.floating]], size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """The cells (H, W) whose middles lie in a polygon.

    Args:
        rings: outlines (N, 2) in cells, x before y, (0, 0) the corner of the first cell; the outer
            one, then holes.
        size_hw: of the grid.
    """
    closed = [np.concatenate([ring, ring[:1]]).tolist() for ring in rings]
    polygon = {"type": "Polygon", "coordinates": closed}
    mask = geometry_mask([polygon], size_hw, Affine.identity(), invert=True)
    return np.asarray(mask, np.bool_)


def near(
    line: NDArray[np.floating], distance: float, size_hw: tuple[int, int]
) -> NDArray[np.bool_]:
    """The cells (H, W) whose middles lie within a distance (in cells) of a line (N, 2) in cells."""
    mask = np.zeros(size_hw, np.bool_)
    for (x1, y1), (x2, y2) in pairwise(line):
        # No cell beyond the segment's own box, grown by the distance, is near it.
        left, top = (max(0, math.floor(min(ends) - distance)) for ends in ((x1, x2), (y1, y2)))
        right, bottom = (math.ceil(max(ends) + distance) for ends in ((x1, x2), (y1, y2)))
        part = mask[top : max(bottom, 0), left : max(right, 0)]
        rows, columns = np.indices(part.shape, np.float32) + np.float32(0.5)
        columns, rows = columns + np.float32(left - x1), rows + np.float32(top - y1)
        across, down = float(x2 - x1), float(y2 - y1)
        along = (columns * across + rows * down) / max(across**2 + down**2, 1e-12)
        along = along.clip(0, 1)
        part |= np.hypot(columns - along * across, rows - along * down) <= distance
    return mask


class _Cells(NamedTuple):
    """What is known of cells, (N,) each.

    Errors of neighbouring cells are alike, so heights are taken to be off all together, by `ALIKE`
    of their sigma.
    """

    likely: NDArray[np.float32]
    metres: NDArray[np.float32]
    least: NDArray[np.float32]
    most: NDArray[np.float32]


def _cells(heights: HeightMap) -> _Cells:
    known = heights.valid
    metres, most = heights.metres[known], heights.sigma[known]
    most *= ALIKE * Z90  # in place, and what follows: of a large parcel there are many
    least = metres - most
    most += metres
    return _Cells(heights.vegetation[known], metres, np.maximum(least, 0, out=least), most)


def _share(sets: Iterable[NDArray[np.bool_]], analysed: float) -> Estimate:
    """Share of an area of which a part was analysed: what was not is all or none of it."""
    value, low, high = (float(chosen.mean()) for chosen in sets)
    return Estimate(value, low * analysed, high * analysed + (1 - analysed))


def parcel(heights: HeightMap) -> Parcel:
    """What stands on a parcel; where there may be no vegetation, its height may be 0.

    Args:
        heights: of the parcel's cells and no others.
    """
    if not heights.valid.any():
        return Parcel(0.0, *[_NOTHING] * 4)
    likely, metres, least, most = _cells(heights)
    # A cell that may be vegetation or not counts for both.
    sets = [likely >= sure for sure in (_VEGETATION, _SURE, _DOUBT)]

    def over_all(figure: Callable[[NDArray[np.float32]], Any]) -> Estimate:
        middle, low, high = (
            [float(figure(part[chosen])) if chosen.any() else 0.0 for chosen in sets]
            for part in (metres, least, most)
        )
        return Estimate(middle[0], min(low), max(high))

    analysed = float(heights.valid.mean())
    return Parcel(
        analysed,
        _share(sets, analysed),
        over_all(np.mean),
        over_all(np.median),
        over_all(lambda part: np.quantile(part, 0.95)),
    )


def share_over(heights: HeightMap, limit_m: float, up_to_m: float = math.inf) -> Estimate:
    """Share of the area where vegetation is higher than a limit, and not than another.

    The value takes what was not analysed to be as what was, the interval for anything.

    Args:
        heights: of the parcel's cells and no others.
        limit_m: what is higher counts.
        up_to_m: what is higher still does not.
    """
    if not heights.valid.any():
        return _NOTHING
    likely, metres, least, most = _cells(heights)
    value = (likely >= _VEGETATION) & (metres > limit_m) & (metres <= up_to_m)
    low = (likely >= _SURE) & (least > limit_m) & (most <= up_to_m)
    high = (likely >= _DOUBT) & (most > limit_m) & (least <= up_to_m)
    return _share((value, low, high), float(heights.valid.mean()))


def reached(heights: HeightMap, cell_m2: float) -> Estimate:
    """The height that at least four square metres of vegetation reach, in metres.

    The upper end takes what was not analysed to be as what was.

    Args:
        heights: of the cells that count and no others.
        cell_m2: area of a cell.
    """
    likely, metres, least, most = _cells(heights)
    rank = max(1, round(_REACHED_M2 / cell_m2))
    fewer = max(1, round(rank * len(likely) / max(heights.valid.size, 1)))

    def highest(part: NDArray[np.float32], sure: float, rank: int) -> float:
        plants = part[likely >= sure]
        return float(np.sort(plants)[-rank]) if len(plants) >= rank else 0.0

    return Estimate(
        highest(metres, _VEGETATION, rank),
        highest(least, _SURE, rank),
        highest(most, _DOUBT, fewer),
    )


def vigour(plants: Iterable[NDArray[np.uint8]]) -> Estimate | None:
    """How green plants are: NDVI (Rouse et al., 1974) with a near infrared band, else GLI.

    GLI, the green leaf index (Louhaichi et al., 2001), is (2 G − R − B) / (2 G + R + B). The
    interval is what a tenth more or less light in one band than in the others would change: more
    two flights rarely differ by, and what is between them is no news.

    Args:
        plants: uint8 (N, 3 or 4) red, green, blue[, near infrared] of their cells, part by part; 0
            where there is none.

    Returns:
        The mean over the plants; None where there are none, or all are grey, as in a picture
        without colours.
    """
    count, total, coloured = 0, np.zeros(3), False
    for cells in plants:
        shown = cells[(cells > 0).all(-1)]
        red, green, blue, *infrared = shown.T.astype(np.float64)
        coloured |= bool(infrared) or bool(((red != green) | (green != blue)).any())
        bright, dim = (infrared[0], red) if infrared else (2 * green, red + blue)
        total += [((g * bright - dim) / (g * bright + dim)).sum() for g in (1, 1 / _GAIN, _GAIN)]
        count += len(shown)
    return Estimate(*(total / count).tolist()) if count and coloured else None
