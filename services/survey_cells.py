"""The cells of a map that belong to an asset, read a little at a time.

The box around a parcel, or around a line through a town, may be far larger than they are.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.heights import GRID_M, HeightMap
from models.parcels import inside, near
from models.raster import Window
from services.survey_map import SurveyMap

_STEP_CELLS = 512

Part = tuple[Window, NDArray[np.bool_]]
"""A window of the map and which of its cells (H, W) belong to an asset; parts share none."""


def strips(window: Window, rings: Sequence[NDArray[np.float64]]) -> Iterator[Part]:
    """A polygon's cells, some rows at a time: its box may be far larger than itself."""
    for top in range(window.row, window.row + window.height, _STEP_CELLS):
        height = min(_STEP_CELLS, window.row + window.height - top)
        strip = Window(window.column, top, window.width, height)
        mask = inside([ring - (window.column, top) for ring in rings], (height, window.width))
        yield strip, mask


def pieces(of: SurveyMap, line: NDArray[np.float64], distance_m: float) -> Iterator[Part]:
    """The cells near a line, piece by piece, each once."""
    found = list(_near(of, line, distance_m))
    places = []
    for window, mask in found:
        rows, columns = np.nonzero(mask)
        places.append(((rows + window.row) << 32) + columns + window.column)
    ends = np.cumsum([len(part) for part in places])
    first = np.zeros(ends[-1], np.bool_)
    first[np.unique(np.concatenate(places), return_index=True)[1]] = True
    for (window, mask), own in zip(found, np.split(first, ends[:-1]), strict=True):
        mask[mask] = own
        yield window, mask


def _near(of: SurveyMap, line: NDArray[np.float64], distance_m: float) -> Iterator[Part]:
    """As `pieces`, but what is near two of them comes twice."""
    for one, other in pairwise(line):
        count = max(1, math.ceil(float(np.hypot(*(other - one))) / _STEP_CELLS))
        for ends in pairwise(np.linspace(one, other, count + 1)):
            piece = np.array(ends)
            window = of.window([piece], distance_m)
            corner, size_hw = (window.column, window.row), (window.height, window.width)
            yield window, near(piece - corner, distance_m / GRID_M, size_hw)


def gathered(of: SurveyMap, parts: Iterable[Part]) -> HeightMap:
    """The heights (1, N) of all cells of an asset, part by part."""
    layers = []
    for window, mask in parts:
        told = of.heights(window)
        layers.append([p[mask] for p in (told.metres, told.sigma, told.vegetation, told.valid)])
    metres, sigma, vegetation, valid = (np.concatenate(p)[None] for p in zip(*layers, strict=True))
    return HeightMap(metres, sigma, vegetation, valid, told.ground)


def colours(
    of: SurveyMap, parts: Iterable[Part], chosen: NDArray[np.bool_]
) -> Iterator[NDArray[np.uint8]]:
    """The colours (n, 3 or 4) of those of an asset's cells that `chosen` (N,) marks, part by part.

    They are never in memory all together.
    """
    start = 0
    for window, mask in parts:
        end = start + int(np.count_nonzero(mask))
        yield of.colours(window)[mask][chosen[start:end]]
        start = end
