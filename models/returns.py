"""Point clouds (LAS, LAZ, COPC), read piece by piece into the cells of a grid."""

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import laspy
import numpy as np
from laspy.copc import CopcInfoVlr
from lazrs import LazrsError  # type: ignore[import-untyped]  # it ships no types
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from models.datum import Bounds, horizontal, metres_per_unit, names_unit
from models.elevation import HIGHEST_M, LOWEST_M, too_high
from models.errors import BadSurface
from models.ground import Ground

CHUNK_POINTS = 500_000  # some 60 MB with all that is made of them
PROBE_POINTS = 100_000  # enough to see whether anyone has classified them
BLOCK_CELLS = 200  # side of what is asked of a COPC at once: 200 000 points at 20 a square metre

GROUND, PLANT, SOLID, OTHER = KINDS = range(4)
"""What a return hit; `OTHER` where nobody says."""

_DROPPED = len(KINDS)
_KIND_OF_CLASS = np.full(256, OTHER, np.uint8)
# Water and roads are what things stand on; 8 was ground too, before LAS 1.4.
_KIND_OF_CLASS[[2, 8, 9, 10, 11]] = GROUND
_KIND_OF_CLASS[[3, 4, 5]] = PLANT
# Buildings, towers, bridge decks; the French LiDAR HD's lasting objects and other buildings.
_KIND_OF_CLASS[[6, 15, 17, 64, 67]] = SOLID
# Noise; wires, since a plant below one is as high as the plant; LiDAR HD's artefacts and points
# that no laser saw.
_KIND_OF_CLASS[[7, 13, 14, 16, 18, 65, 66]] = _DROPPED

_FIELDS = (
    laspy.DecompressionSelection.base()
    | laspy.DecompressionSelection.Z
    | laspy.DecompressionSelection.CLASSIFICATION
    | laspy.DecompressionSelection.FLAGS
)


class Cells(NamedTuple):
    """What returns say of each cell of a grid (H, W); heights in m above the cloud's zero.

    Attributes:
        counts: int32 (kinds, H, W) returns of each kind.
        top: float32 (kinds, H, W) highest of each kind; -inf where there is none.
        total: float64 (kinds, H, W) sum of the heights of each kind.
        lowest: float32 (H, W) of all kinds; inf where there is none.
    """

    counts: NDArray[np.int32]
    top: NDArray[np.float32]
    total: NDArray[np.float64]
    lowest: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Cloud:
    """One file of points.

    Attributes:
        path: of the file.
        crs: as the file says, with its vertical part.
        bounds: of its points, in units of the horizontal part of the CRS.
        unit_m: a unit of height, m.
        unit_named: whether the file says so.
        classified: whether somebody said what its returns hit.
        indexed: whether a part of it can be read without the rest (COPC).
    """

    path: Path
    crs: CRS
    bounds: Bounds
    unit_m: float
    unit_named: bool
    classified: bool
    indexed: bool


def open_cloud(path: Path) -> Cloud:
    """Look at a cloud's header and its first points.

    Raises:
        BadSurface: `unreadable`, `no_crs` or `units`.
    """
    with _reading(path), laspy.open(path) as file:
        header = file.header
        crs = header.parse_crs()
        corners = np.array([*header.mins[:2], *header.maxs[:2]], np.float64)
        indexed = any(isinstance(record, CopcInfoVlr) for record in header.vlrs[:1])
        classes = np.asarray(file.read_points(PROBE_POINTS).classification, np.uint8)
    horizontal(crs, path.name)
    if not len(classes) or not np.isfinite(corners).all():
        raise BadSurface("unreadable", f"{path.name} holds no points")
    classified = bool((_KIND_OF_CLASS[classes] < OTHER).any())
    left, bottom, right, top = corners.tolist()
    unit_m = metres_per_unit(crs, "", path.name)
    bounds, named = (left, bottom, right, top), names_unit(crs, "")
    if not named and (lowest_m := float(header.mins[2]) * unit_m) > HIGHEST_M:
        raise too_high(path.name, lowest_m)
    return Cloud(path, crs, bounds, unit_m, named, classified, indexed)


def gather(clouds: Sequence[Cloud], grids: Sequence[tuple[Ground, tuple[int, int]]]) -> list[Cells]:
    """Count the returns of clouds between `LOWEST_M` and `HIGHEST_M` into the cells of grids.

    Memory holds the grids and one piece of a cloud, however many points there are. Of a COPC only
    the pieces that meet a grid are read; other files are read through, once for all grids.

    Args:
        clouds: any of them may lie elsewhere.
        grids: where each lies, and its height and width in cells.

    Raises:
        BadSurface: `unreadable`.
    """
    told = [
        Cells(
            np.zeros((len(KINDS), *size_hw), np.int32),
            np.full((len(KINDS), *size_hw), -np.inf, np.float32),
            np.zeros((len(KINDS), *size_hw), np.float64),
            np.full(size_hw, np.inf, np.float32),
        )
        for _, size_hw in grids
    ]
    for cloud in clouds:
        across = horizontal(cloud.crs, cloud.path.name)
        parts: list[tuple[_Part, Bounds]] = []
        with _reading(cloud.path):
            for (ground, size_hw), cells in zip(grids, told, strict=True):
                here = Transformer.from_crs(across, ground.crs, always_xy=True)
                side = BLOCK_CELLS if cloud.indexed else max(size_hw)
                for rows, columns in _blocks(size_hw, side):
                    window = _window(ground, rows, columns, here, cloud.bounds)
                    if window is not None:
                        parts.append((_Part(cells, ground, rows, columns, here), window))
            for part, points in _pieces(cloud, parts):
                _count(part, points, cloud.unit_m)
    return told


class _Part(NamedTuple):
    """A block of a grid's cells, and the way there from a cloud's CRS."""

    cells: Cells
    ground: Ground
    rows: range
    columns: range
    here: Transformer


def _blocks(size_hw: tuple[int, int], side: int) -> Iterator[tuple[range, range]]:
    height, width = size_hw
    for top, left in product(range(0, height, side), range(0, width, side)):
        yield range(top, min(top + side, height)), range(left, min(left + side, width))


def _window(
    ground: Ground, rows: range, columns: range, here: Transformer, bounds: Bounds
) -> Bounds | None:
    """The part of a cloud that a block of cells may hold, in the cloud's CRS."""
    a, b, c, d, e, f = ground.affine
    corners = [(x, y) for x in (columns[0], columns[-1] + 1) for y in (rows[0], rows[-1] + 1)]
    x, y = np.array([(a * x + b * y + c, d * x + e * y + f) for x, y in corners]).T
    box = here.transform_bounds(x.min(), y.min(), x.max(), y.max(), direction="INVERSE")
    left, bottom = np.maximum(box[:2], bounds[:2]).tolist()
    right, top = np.minimum(box[2:], bounds[2:]).tolist()
    return (left, bottom, right, top) if left <= right and bottom <= top else None


def _pieces(cloud: Cloud, parts: Sequence[tuple[_Part, Bounds]]) -> Iterator[tuple[_Part, Any]]:
    """Points of a cloud for each part, all that lie in its window among them."""
    if not parts:
        return
    if cloud.indexed:
        with cloud.path.open("rb") as stream:
            reader = laspy.CopcReader(stream, decompression_selection=_FIELDS)
            for part, window in parts:
                limits = laspy.copc.Bounds(np.array(window[:2]), np.array(window[2:]))
                yield part, reader.query(limits)
        return
    with laspy.open(cloud.path, decompression_selection=_FIELDS) as file:
        missing = file.header.point_count
        for points in file.chunk_iterator(CHUNK_POINTS):
            missing -= len(points)
            x, y = np.asarray(points.x), np.asarray(points.y)
            for part, (left, bottom, right, top) in parts:
                yield part, points[(x >= left) & (x <= right) & (y >= bottom) & (y <= top)]
    if missing:  # the library only logs it
        raise BadSurface("unreadable", f"{cloud.path.name} ends {missing} points too early")


def _count(part: _Part, points: Any, unit_m: float) -> None:
    """Add the points that lie in a block of cells."""
    cells, ground, rows, columns, here = part
    kind = _KIND_OF_CLASS[np.asarray(points.classification, np.uint8)]
    a, b, c, d, e, f = ground.affine
    x, y = here.transform(np.asarray(points.x), np.asarray(points.y))
    inverse = np.linalg.inv(np.array([[a, b], [d, e]], np.float64))
    column, row = np.floor(inverse @ np.stack([x - c, y - f]))
    keep = (kind < _DROPPED) & ~np.asarray(points.withheld, np.bool_)
    z = np.asarray(points.z) * unit_m
    keep &= (z > LOWEST_M) & (z < HIGHEST_M)
    keep &= (row >= rows[0]) & (row <= rows[-1]) & (column >= columns[0]) & (column <= columns[-1])
    at = row[keep].astype(np.intp), column[keep].astype(np.intp)
    z = z[keep]
    np.add.at(cells.counts, (kind[keep], *at), 1)
    np.add.at(cells.total, (kind[keep], *at), z)
    np.maximum.at(cells.top, (kind[keep], *at), z.astype(np.float32))
    np.minimum.at(cells.lowest, at, z.astype(np.float32))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """What the libraries say of a damaged file, as our own error."""
    try:
        yield
    except (
        laspy.LaspyException, LazrsError, ProjError, OSError, ValueError, struct.error, EOFError,
    ) as error:  # fmt: skip
        raise BadSurface("unreadable", f"{path.name}: {error}") from error
