"""Where the pixels of a picture from above lie on Earth, and how much ground one of them shows."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer
from pyproj.exceptions import ProjError

_LON_LAT = "EPSG:4326"
_SCALE, _TIEPOINT, _TRANSFORM, _KEYS = 33550, 33922, 34264, 34735  # TIFF tags (OGC 19-008r4)
_RASTER_TYPE, _GEOGRAPHIC, _PROJECTED = 1025, 2048, 3072  # GeoKeys
_PIXEL_IS_POINT = 2
GEO_TAGS = (_SCALE, _TIEPOINT, _TRANSFORM, _KEYS)
"""The tags that `read_ground` reads."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Affine px → CRS units (a, b, c, d, e, f: x = a·column + b·row + c, y = d·… + f), and its CRS.

    Pixels are areas: (0, 0) is the upper left corner of the first one.
    """

    affine: tuple[float, float, float, float, float, float]
    crs: str

    def lon_lat(self, px: NDArray[np.floating]) -> NDArray[np.float64]:
        """Points (N, 2) px → degrees, longitude first (WGS 84)."""
        a, b, c, d, e, f = self.affine
        x, y = (np.asarray(px, np.float64) @ [[a, d], [b, e]] + [c, f]).T
        return np.stack(_transformer(self.crs, _LON_LAT).transform(x, y), 1)

    def px(self, lon_lat: NDArray[np.floating]) -> NDArray[np.float64]:
        """Points (N, 2) in degrees, longitude first → px."""
        a, b, c, d, e, f = self.affine
        degrees = np.asarray(lon_lat, np.float64)
        points = np.stack(_transformer(_LON_LAT, self.crs).transform(*degrees.T), 1)
        inverse = np.linalg.inv(np.array([[a, d], [b, e]], np.float64))
        return np.asarray((points - [c, f]) @ inverse, np.float64)

    def px_m(self, size_hw: tuple[int, int]) -> tuple[float, float]:
        """Metres of ground that a px in the middle of a picture spans along its row and column."""
        x, y = size_hw[1] / 2, size_hw[0] / 2
        places = self.lon_lat(np.array([[x, y], [x + 1, y], [x, y + 1]]))
        # A degree on the sphere; 0.4 % off at worst, which a detector does not see.
        metres = np.array([math.cos(math.radians(places[0, 1])), 1.0]) * 111_320
        across, down = (places[1:] - places[0]) * metres
        return float(np.linalg.norm(across)), float(np.linalg.norm(down))

    def gsd_m(self, size_hw: tuple[int, int]) -> float:
        """Ground sampling distance in the middle of a picture: metres of ground that a px shows."""
        across, down = self.px_m(size_hw)
        return math.sqrt(across * down)

    def part(self, left: float, top: float, across: float, down: float) -> "Ground":
        """Where a part lies whose upper left corner is px (left, top).

        Its own px are `across` and `down` of these px wide and high.
        """
        a, b, c, d, e, f = self.affine
        x, y = a * left + b * top + c, d * left + e * top + f
        return Ground((a * across, b * down, x, d * across, e * down, y), self.crs)


@cache
def _transformer(source: str, target: str) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)


def read_ground(tags: Mapping[int, Any], size_hw: tuple[int, int]) -> Ground | None:
    """The georeference of a GeoTIFF's tags (OGC 19-008r4); None where there is none that holds.

    Args:
        tags: TIFF tag → its values.
        size_hw: of the picture.
    """
    keys = _keys(tags.get(_KEYS))
    code = keys.get(_PROJECTED) or keys.get(_GEOGRAPHIC)
    affine = _affine(tags)
    if code is None or affine is None or affine[0] * affine[4] == affine[1] * affine[3]:
        return None
    if keys.get(_RASTER_TYPE) == _PIXEL_IS_POINT:
        a, b, c, d, e, f = affine
        affine = (a, b, c - (a + b) / 2, d, e, f - (d + e) / 2)
    ground = Ground(affine, f"EPSG:{code}")
    try:
        corners = ground.lon_lat(np.array([[0, 0], [size_hw[1], size_hw[0]]], np.float64))
    except ProjError:  # no such CRS
        return None
    return ground if np.isfinite(corners).all() and math.isfinite(ground.gsd_m(size_hw)) else None


def _affine(tags: Mapping[int, Any]) -> tuple[float, float, float, float, float, float] | None:
    scale, tie = _numbers(tags.get(_SCALE), 3), _numbers(tags.get(_TIEPOINT), 6)
    if scale is not None and tie is not None:
        (i, j, _, x, y, _), (across, down, _) = tie, scale
        return across, 0.0, x - i * across, 0.0, -down, y + j * down
    matrix = _numbers(tags.get(_TRANSFORM), 16)
    if matrix is None:
        return None
    return matrix[0], matrix[1], matrix[3], matrix[4], matrix[5], matrix[7]


def _numbers(values: Any, count: int) -> list[float] | None:
    if not isinstance(values, tuple) or len(values) < count:
        return None
    numbers = [float(v) for v in values[:count] if isinstance(v, (int, float))]
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else None


def _keys(values: Any) -> dict[int, int]:
    """GeoKeys whose value stands in the directory itself."""
    if not isinstance(values, tuple) or not all(isinstance(v, int) for v in values):
        return {}
    rows = [values[i : i + 4] for i in range(4, len(values) - 3, 4)]
    return {key: value for key, location, _, value in rows if location == 0}
