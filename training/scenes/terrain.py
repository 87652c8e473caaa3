"""Land with known heights, as a laser scanner and surface models see it.

Left of the middle it is flat, right of it a slope and a hill. On it stand houses, a large hall,
trees, hedges and cars, all as formulas: their height is known at any point, in any CRS.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import laspy
import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from rasterio import Affine

from models.ground import Ground

Floats = NDArray[np.float64]

CRS_2154 = "EPSG:2154"
CRS_IGN69 = "EPSG:2154+5720"
"""With heights, as France's LiDAR HD."""

FLAT, SLOPE, BUILDING, TREE, HEDGE, CAR = range(6)
_CLASSES = {FLAT: 2, SLOPE: 2, BUILDING: 6, TREE: 5, HEDGE: 4, CAR: 1}
_LOST = 65  # the LiDAR HD's class of artefacts: birds here
_NOISE_M = 0.03  # of one return's height
_BIRDS = 20_000  # pulses for each


class Returns(NamedTuple):
    """What a scanner saw: x, y, z in m (EPSG:2154, IGN69), class, number of return and how many."""

    x: Floats
    y: Floats
    z: Floats
    kind: NDArray[np.uint8]
    number: NDArray[np.uint8]
    of: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Land:
    """A square of land.

    Attributes:
        side_m: of the square.
        origin_xy: its lower left corner in EPSG:2154.
        blocks: (N, 7) buildings, hedges and cars: x, y of the middle from the corner, half width,
            half depth, height, all in m, turn in radians, and what it is.
        trees: (N, 5) x, y, radius, height of the crown's foot and of its top, m; every second one
            a cone.
    """

    side_m: float
    origin_xy: tuple[float, float]
    blocks: Floats
    trees: Floats

    def ground_m(self, x: Floats, y: Floats) -> Floats:
        """Height of the bare ground above IGN69 at points of EPSG:2154."""
        x, y = x - self.origin_xy[0], y - self.origin_xy[1]
        up = np.clip(x - 0.55 * self.side_m, 0, 0.3 * self.side_m)
        away = np.hypot(x - 0.8 * self.side_m, y - 0.3 * self.side_m)
        hill = 0.03 * self.side_m * np.exp(-((away / (0.08 * self.side_m)) ** 2))
        return np.asarray(35 + 0.25 * up + hill)

    def height_m(self, x: Floats, y: Floats) -> tuple[Floats, NDArray[np.uint8]]:
        """Height above the ground of what is seen from above at points of EPSG:2154, and what."""
        x, y = x - self.origin_xy[0], y - self.origin_xy[1]
        height = np.zeros_like(x)
        kind = np.where(x < 0.5 * self.side_m, FLAT, SLOPE).astype(np.uint8)
        for i, j, across, deep, tall, turn, what in self.blocks:
            u = (x - i) * np.cos(turn) + (y - j) * np.sin(turn)
            v = (y - j) * np.cos(turn) - (x - i) * np.sin(turn)
            inside = (abs(u) <= across) & (abs(v) <= deep)
            height[inside], kind[inside] = tall, what
        for n, (i, j, radius, foot, top) in enumerate(self.trees):
            away = np.hypot(x - i, y - j) / radius
            share = 1 - away if n % 2 else np.sqrt(np.maximum(1 - away**2, 0))
            crown = np.where(away < 1, foot + (top - foot) * share, 0)
            higher = crown > height
            height[higher], kind[higher] = crown[higher], TREE
        return height, kind

    def scan(self, rng: np.random.Generator, pulses_m2: float) -> Returns:
        """Returns of a scanner from straight above.

        Of a tree, the first return comes from somewhat below its outline, others from further down,
        and three in ten pulses reach the ground; of a hedge one in ten.
        """
        count = round(pulses_m2 * self.side_m**2)
        x, y = (rng.uniform(0, self.side_m, count) + at for at in self.origin_xy)
        height, kind = self.height_m(x, y)
        soft = np.select([kind == TREE, kind == HEDGE], [0.25, 0.05], 0.0)
        first = np.maximum(height - rng.exponential(1, count) * soft, 0)
        reach = rng.random(count) < np.select([kind == TREE, kind == HEDGE], [0.3, 0.1], 0.0)
        second = (kind == TREE) & (rng.random(count) < 0.5)
        bird = rng.random(count) < 1 / _BIRDS
        classes = np.array([_CLASSES[k] for k in range(len(_CLASSES))], np.uint8)[kind]
        number = np.ones(count, np.uint8)
        of = (number + second + reach).astype(np.uint8)
        parts = [
            (np.full(count, True), first, classes, number),
            (second, first * rng.uniform(0.3, 0.9, count), classes, number + 1),
            (reach, np.zeros(count), np.full(count, 2, np.uint8), of),
            (bird, np.full(count, 60.0), np.full(count, _LOST, np.uint8), number),
        ]
        z = self.ground_m(x, y)
        seen = [
            Returns(x[w], y[w], z[w] + h[w] + rng.normal(0, _NOISE_M, w.sum()), k[w], n[w], of[w])
            for w, h, k, n in parts
        ]
        return Returns(*(np.concatenate(each) for each in zip(*seen, strict=True)))

    def truth(self, ground: Ground, size_hw: tuple[int, int]) -> tuple[Floats, NDArray[np.uint8]]:
        """Mean height of each cell of a grid in any CRS, m, and what all of it is, else 255."""
        step = (np.arange(4) + 0.5) / 4
        rows, columns = (np.add.outer(np.arange(side), step).ravel() for side in size_hw)
        height, kind = self.height_m(*_places(ground, rows, columns))
        blocks = (size_hw[0], 4, size_hw[1], 4)
        kinds = kind.reshape(blocks)
        same = kinds.min((1, 3)) == kinds.max((1, 3))
        mean = height.reshape(blocks).mean((1, 3))
        return mean, np.where(same, kinds.min((1, 3)), 255).astype(np.uint8)


def _places(ground: Ground, rows: Floats, columns: Floats) -> tuple[Floats, Floats]:
    """Points of EPSG:2154 of every row and column, (rows, columns) each."""
    a, b, c, d, e, f = ground.affine
    column, row = np.meshgrid(columns, rows)
    back = Transformer.from_crs(ground.crs, CRS_2154, always_xy=True)
    x, y = back.transform(a * column + b * row + c, d * column + e * row + f)
    return np.asarray(x), np.asarray(y)


def random_land(rng: np.random.Generator, side_m: float) -> Land:
    """Land in Brittany: one hall; houses, trees, hedges and cars as many as fit its size."""
    each = max(1, round(side_m**2 / 2500))
    hall = (0.2 * side_m, 0.75 * side_m, 0.1 * side_m, 0.15 * side_m, 9.0, 0.2, BUILDING)
    sizes = {BUILDING: (4, 8, 4, 12), HEDGE: (3, 10, 1.2, 2.2), CAR: (2, 2.3, 1.4, 1.7)}
    blocks = [hall]
    for what, (short, long, low, high) in sizes.items():
        for _ in range(each):
            x, y = rng.uniform(0.05 * side_m, 0.95 * side_m, 2)
            across, tall = rng.uniform(short, long), rng.uniform(low, high)
            deep = {BUILDING: 0.7 * across, HEDGE: 0.6, CAR: 0.9}[what]
            blocks.append((x, y, across, deep, tall, rng.uniform(0, np.pi), what))
    top = rng.uniform(3, 20, 4 * each)
    at = rng.uniform(0.05 * side_m, 0.95 * side_m, (4 * each, 2))
    trees = np.column_stack([at, rng.uniform(0.2, 0.35, len(top)) * top, top * 0.35, top])
    return Land(side_m, (221_000.0, 6_758_000.0), np.array(blocks), trees)


def write_cloud(path: Path, seen: Returns, *, classified: bool) -> None:
    """A LAS or LAZ file as the LiDAR HD's, by the path's ending."""
    header = laspy.LasHeader(point_format=6, version="1.4")
    header.scales, header.offsets = np.full(3, 0.01), np.array([seen.x.min(), seen.y.min(), 0.0])
    header.add_crs(CRS(CRS_IGN69))
    file = laspy.LasData(header)
    file.x, file.y, file.z = seen.x, seen.y, seen.z
    file.classification = seen.kind if classified else np.ones_like(seen.kind)
    file.return_number, file.number_of_returns = seen.number, seen.of
    file.write(path)


def write_raster(
    path: Path, values: Floats, affine: Affine, crs: str = CRS_IGN69, *, centimetres: bool = False
) -> None:
    """A GeoTIFF of heights (H, W), m: float32, or uint16 in cm with their scale; NaN is no data."""
    height, width = values.shape
    nodata = 65535 if centimetres else -9999
    scaled = np.round(values * 100) if centimetres else values
    band = np.where(np.isnan(values), nodata, scaled)
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=1, crs=crs, transform=affine,
        dtype="uint16" if centimetres else "float32", nodata=nodata, tiled=True, compress="deflate",
    ) as file:  # fmt: skip
        if centimetres:
            file.scales = (0.01,)
        file.write(band.astype(file.dtypes[0]), 1)
