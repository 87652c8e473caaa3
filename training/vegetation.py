"""What heights are learned from: pictures from straight above with LiDAR heights, or with cover."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import BadConfiguration
from models.heights import GRID_M
from training import leaning
from training.dataset import relight
from training.leaning import Field
from training.lidar import (
    BUILDING,
    GROUND,
    NOTHING,
    VEGETATION,
    Measured,
    Row,
    mosaic,
    read_labels,
    read_picture,
    read_piece,
    rows_of,
)
from training.registration import field_of

COVERS = ("other", "grass", "tree")
OTHER, GRASS, TREE = 1, 2, 4
"""Bits of what a cell may be."""

_ANY = OTHER | GRASS | TREE
_NO_KIND = 255
_TREE_M = 2.5  # what is lower may be a shrub or tall grass
_COVER_GSD_M = 0.6
_MARK_M = 1.0  # around a tree's mark, its crown is
_COVER_SPLITS = {"eureka": "val", "palm": "test"}  # cities; all others are for training
_ZOOM = 0.15  # logarithm of the widest zoom: what is larger is higher too


@dataclass(frozen=True, slots=True, eq=False)
class Land:
    """A piece of land on a grid of `GRID_M`.

    Attributes:
        pixels: uint8 (H, W, 3) RGB.
        metres: float32 (H, W); NaN where unknown, or no vegetation stands there.
        covers: uint8 (H, W), bits of what it may be; 0 beyond the picture's border.
        region: where it lies.
    """

    pixels: NDArray[np.uint8]
    metres: NDArray[np.float32]
    covers: NDArray[np.uint8]
    region: str


def read_heights(
    data: Path, split: str, *, registered: bool = True, raw: bool = False
) -> list[Land]:
    """Land with LiDAR heights.

    Args:
        data: the folder of all data.
        split: train, val, test_inregion or test_crossregion.
        registered: heights are laid over as the picture shows them, where that is known.
        raw: heights are those of each cell alone, else of the highest of it and the eight around
            it, as LiDAR leaves holes and blocks of a picture are laid over a little wrong.

    Raises:
        BadConfiguration: it is not there.
    """
    folder = data / "vegetation"
    rows = rows_of(folder)
    fields = leaning.kept() if registered else {}
    laid_over: dict[str, Measured] = {}
    for region, field in fields.items():
        own = [row for row in rows if row["region"] == region]
        if any(row["split"] == split for row in own):
            laid_over |= _laid_over(folder, own, field)
    chosen = [row for row in rows if row["split"] == split]
    pieces = (laid_over.get(row["rgb"]) or read_piece(folder, row) for row in chosen)
    return [_land(piece, row, raw) for piece, row in zip(pieces, chosen, strict=True)]


def find_leans(data: Path) -> None:
    """Find anew how heights lie over pictures, where kinds are known, for trainings to come."""
    folder = data / "vegetation"
    of_region: dict[str, list[Row]] = {}
    for row in rows_of(folder):
        if row["cls"]:
            of_region.setdefault(row["region"], []).append(row)
    wholes = {region: mosaic(folder, rows)[0] for region, rows in of_region.items()}
    leaning.keep({name: field_of(whole) for name, whole in wholes.items()})


def _laid_over(folder: Path, rows: list[Row], field: Field) -> dict[str, Measured]:
    """The pieces of a region with what each picture shows, also of what stands beyond it."""
    whole, places = mosaic(folder, rows)
    seen = leaning.shown(whole.standing(), field)
    metres = np.where(seen >= 0, whole.metres.ravel()[seen], np.nan).astype(np.float32)
    kinds = np.where(seen >= 0, whole.kinds.ravel()[seen], NOTHING).astype(np.uint8)
    return {
        name: Measured(np.ascontiguousarray(whole.pixels[here]), metres[here], kinds[here])
        for name, here in places.items()
    }


def _land(piece: Measured, row: Row, raw: bool) -> Land:
    """The piece on a grid of `GRID_M`, with what each cell may be."""
    pixels, metres, kinds = piece
    if row["cls"]:
        covers = np.full(kinds.shape, _ANY, np.uint8)
        covers[kinds == GROUND] = OTHER | GRASS
        high = kinds == VEGETATION
        covers[high] = GRASS | TREE
        covers[high & (metres >= _TREE_M)] = TREE
        covers[kinds == BUILDING] = OTHER
        metres = np.where(kinds <= VEGETATION, metres, np.nan).astype(np.float32)
    else:
        covers = np.where(metres >= _TREE_M, TREE, _ANY).astype(np.uint8)
    covers[(pixels == 0).all(2)] = _ANY  # water has no returns, and so no colour
    step = round(GRID_M / float(row["gsd_m"]))
    if step > 1:
        rows, columns = (side // step * step for side in metres.shape)
        size = columns // step, rows // step
        pixels = np.asarray(cv2.resize(pixels[:rows, :columns], size, interpolation=cv2.INTER_AREA))
        blocks = metres[:rows, :columns].reshape(rows // step, step, columns // step, step)
        metres = np.where(np.isnan(blocks), -1, blocks).max((1, 3)).astype(np.float32)
        metres[metres < 0] = np.nan
        covers = covers[step // 2 : rows : step, step // 2 : columns : step]
    return Land(pixels, metres if raw else _highest_near(metres), covers, row["region"])


def _highest_near(metres: NDArray[np.float32]) -> NDArray[np.float32]:
    """The maximum over 3 × 3 cells, where the middle one is known."""
    known = np.where(np.isnan(metres), -1, metres).astype(np.float32)
    highest = cv2.dilate(known, np.ones((3, 3), np.uint8))
    return np.where(np.isnan(metres), np.nan, highest).astype(np.float32)


def read_covers(data: Path, split: str) -> list[Land]:
    """Land of which is known, in parts, whether it is grass, trees or neither; see `with_trees`."""
    return [land for land, _ in with_trees(data, split)]


def with_trees(data: Path, split: str) -> list[tuple[Land, NDArray[np.float32]]]:
    """Land of which is known, in parts, what covers it, and the trees that people marked there.

    Grass is low. What nobody labelled is tree within `_MARK_M` of a mark.

    Args:
        data: the folder of all data.
        split: train, val or test.

    Returns:
        Land, and the marks (N, 2) in cells, x before y.

    Raises:
        BadConfiguration: it is not there.
    """
    folder = data / "vegetation" / "cover"
    found = []
    for path in sorted((folder / "images").glob("*.jpg")):
        if _COVER_SPLITS.get(city := path.stem.split("_")[0], "train") != split:
            continue
        pixels = read_picture(path)
        labels = read_labels(folder / "labels" / f"{path.stem}.png")
        scale = _COVER_GSD_M / GRID_M
        size = tuple(round(side * scale) for side in labels.shape[::-1])
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        labels = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
        covers = np.full(labels.shape, _ANY, np.uint8)
        for value, bits in ((0, OTHER), (1, GRASS), (2, TREE)):
            covers[labels == value] = bits
        trees = _marks(folder / "trees" / f"{path.stem}.csv") * np.float32(scale)
        covers[(labels == _NO_KIND) & _around(trees, labels.shape)] = TREE
        metres = np.where(labels == 1, 0, np.nan).astype(np.float32)
        found.append((Land(pixels, metres, covers, city), trees))
    if not found:
        raise BadConfiguration(f"no pictures of the {split} split in {folder}")
    return found


def _marks(path: Path) -> NDArray[np.float32]:
    """The trees of a picture, (N, 2) px; none where nobody looked for any."""
    if not path.exists():
        return np.zeros((0, 2), np.float32)
    with path.open(encoding="utf-8") as file:
        marks = [(float(row["x"]), float(row["y"])) for row in csv.DictReader(file)]
    return np.array(marks, np.float32).reshape(-1, 2)


def _around(marks: NDArray[np.float32], size_hw: tuple[int, ...]) -> NDArray[np.bool_]:
    """Cells (H, W) within `_MARK_M` of marks (N, 2)."""
    near = np.zeros(size_hw, np.uint8)
    for x, y in np.floor(marks).astype(int).tolist():
        cv2.circle(near, (x, y), round(_MARK_M / GRID_M), 1, cv2.FILLED)
    return near > 0


def views(
    lands: list[Land], batch: int, side: int, rng: np.random.Generator
) -> Iterator[list[Land]]:
    """One pass over all land in shuffled batches of views of `side` cells."""
    order = rng.permutation(len(lands))
    for start in range(0, len(order) - batch + 1, batch):
        yield [view(lands[i], side, rng) for i in order[start : start + batch]]


def view(land: Land, side: int, rng: np.random.Generator) -> Land:
    """A part of it, larger or smaller, turned, in another light and season, coarser."""
    zoom = float(np.exp(rng.uniform(-_ZOOM, _ZOOM)))
    wide = round(side / zoom)
    height, width = land.metres.shape
    top, left = (int(rng.integers(min(0, n - wide), max(0, n - wide) + 1)) for n in (height, width))
    shift = np.array([[zoom, 0, -left * zoom], [0, zoom, -top * zoom]], np.float64)

    def cut(array: NDArray[np.generic], beyond: float, how: int) -> NDArray[np.generic]:
        return np.asarray(
            cv2.warpAffine(array, shift, (side, side), flags=how, borderValue=[beyond] * 3)
        )

    turns, mirrored = int(rng.integers(4)), rng.random() < 0.5

    def turn(array: NDArray[np.generic]) -> NDArray[np.generic]:
        turned = np.rot90(array, turns)
        return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)

    pixels = cut(land.pixels, 127, cv2.INTER_LINEAR).astype(np.uint8)
    metres = cut(land.metres, np.nan, cv2.INTER_NEAREST).astype(np.float32) * zoom
    covers = cut(land.covers, 0, cv2.INTER_NEAREST).astype(np.uint8)
    return replace(
        land,
        pixels=_weathered(turn(pixels).astype(np.uint8), rng),
        metres=turn(metres).astype(np.float32),
        covers=turn(covers).astype(np.uint8),
    )


def _weathered(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Another season, haze, and a camera that sees less."""
    side = pixels.shape[0]
    if rng.random() < 0.6:
        return pixels
    if rng.random() < 0.5:  # greens turn yellow, brown or blue, and colours fade
        mix = np.eye(3) + rng.normal(0, 0.12, (3, 3))
        mix /= mix.sum(1, keepdims=True)
        pixels = np.clip(pixels @ mix.T, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        haze = rng.uniform(0, 0.35)
        pixels = (pixels * (1 - haze) + 235 * haze).astype(np.uint8)
    if rng.random() < 0.4:
        coarse = round(side / rng.uniform(1, 1.6))
        small = cv2.resize(pixels, (coarse, coarse), interpolation=cv2.INTER_AREA)
        pixels = np.asarray(cv2.resize(small, (side, side)), np.uint8)
    return relight(pixels, rng)
