"""How large on the ground is what a fixed camera shows: a homography from points on a map."""

from collections.abc import Sequence
from itertools import combinations
from typing import Annotated

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from pydantic import AfterValidator, Field
from pyproj import Proj
from shapely.geometry.base import BaseGeometry

from services.geometry import Point2, Position, wrong

Floats = NDArray[np.float64]
Pair = tuple[Point2, Position]

_OFF = 0.03  # of what the points span on the ground, by which one may lie off
_FLAT = 0.02  # of the square of that, which the triangles of four points must have


def area_m2(area: BaseGeometry, pairs: Sequence[Pair]) -> float | None:
    """Square metres on the ground; None for what reaches beyond the horizon.

    Args:
        area: px of the camera's own size.
        pairs: the camera's `CameraGround`.
    """
    matrix = _homography(*_points(pairs))
    if (_applied(shapely.get_coordinates(area), matrix)[:, 2] <= 0).any():
        return None
    return float(shapely.transform(area, lambda px: _metres(px, matrix)).area)


def _pairs(pairs: tuple[Pair, ...]) -> tuple[Pair, ...]:
    px, metres = _points(pairs)
    if not (_spread(px) and _spread(metres)):
        raise wrong("four points that bound an area are needed, no three of them on one line")
    matrix = _homography(px, metres)
    seen = _applied(px, matrix)
    if (seen[:, 2] <= 0).any() or np.linalg.det(matrix) >= 0:
        raise wrong(
            "no camera sees the ground so: check the order, x, y then longitude, latitude, and "
            "that each point of the picture has its own on the map"
        )
    off = np.linalg.norm(_metres(px, matrix) - metres, axis=1)
    worst = int(off.argmax())
    if off[worst] > _OFF * _span(metres):
        raise wrong(
            f"do not lie on one flat ground: [{worst}] is {off[worst]:.1f} m off what all of them "
            "say; check it"
        )
    return pairs


CameraGround = Annotated[
    tuple[Pair, ...], Field(min_length=4, max_length=20), AfterValidator(_pairs)
]
"""Points on the ground: x, y in px of the camera's own size, and longitude, latitude in degrees."""

GROUND_EXAMPLE = [
    [[410, 900], [-3.3561, 47.7288]],
    [[1500, 910], [-3.3559, 47.7288]],
    [[1200, 400], [-3.3559, 47.729]],
    [[700, 395], [-3.3561, 47.729]],
]


def _points(pairs: Sequence[Pair]) -> tuple[Floats, Floats]:
    """Px (N, 2), and metres (N, 2) east and north of the points' middle."""
    px, degrees = (np.array(side, np.float64) for side in zip(*pairs, strict=True))
    longitude, latitude = degrees.mean(0)
    local = Proj(proj="aeqd", lat_0=latitude, lon_0=longitude, ellps="GRS80")
    return px, np.stack(local(*degrees.T), 1)


def _homography(px: Floats, metres: Floats) -> Floats:
    """Px → metres (3, 3), by least squares; its third coordinate is positive where ground is seen.

    That of the first point is 1.
    """
    found = np.asarray(cv2.findHomography(px, metres)[0], np.float64)
    return np.asarray(found / (found[2] @ [*px[0], 1]), np.float64)


def _applied(px: Floats, matrix: Floats) -> Floats:
    return np.asarray(np.column_stack([px, np.ones(len(px))]) @ matrix.T, np.float64)


def _metres(px: Floats, matrix: Floats) -> Floats:
    moved = _applied(px, matrix)
    return np.asarray(moved[:, :2] / moved[:, 2:], np.float64)


def _span(points: Floats) -> float:
    return float(np.linalg.norm(np.ptp(points, axis=0)))


def _spread(points: Floats) -> bool:
    """Whether four of the points (N, 2) have no three on one line, or nearly so."""
    least = _FLAT * _span(points) ** 2

    def triangle(a: int, b: int, c: int) -> float:
        (ux, uy), (vx, vy) = points[b] - points[a], points[c] - points[a]
        return abs(float(ux * vy - uy * vx)) / 2

    return any(
        all(triangle(*three) > least for three in combinations(four, 3))
        for four in combinations(range(len(points)), 4)
    )
