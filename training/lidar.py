"""Pieces of land with LiDAR heights, as they were delivered, and joined."""

import csv
import warnings
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

from models.errors import BadConfiguration

GROUND, VEGETATION, BUILDING, NOTHING = 0, 1, 2, 255
"""Kinds of cells. Others, such as wires, hide nothing and cast no shadow."""

_NO_HEIGHT = 65535

Row = dict[str, str]
"""A line of `height.csv`."""


class Measured(NamedTuple):
    """A picture and what was measured there, on one grid of `GRID_M`.

    Attributes:
        pixels: uint8 (H, W, 3) RGB; black where there is no picture.
        metres: float32 (H, W) above ground; NaN where unknown.
        kinds: uint8 (H, W).
    """

    pixels: NDArray[np.uint8]
    metres: NDArray[np.float32]
    kinds: NDArray[np.uint8]

    def standing(self) -> NDArray[np.float32]:
        """Heights (H, W) of what hides and casts shadows."""
        heights = np.nan_to_num(self.metres)
        return np.where(self.kinds <= BUILDING, heights, 0).astype(np.float32)


def rows_of(folder: Path) -> list[Row]:
    """What `height.csv` says of each piece.

    Raises:
        BadConfiguration: it is not there.
    """
    try:
        with (folder / "height.csv").open(encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise BadConfiguration(
            f"no height.csv in {folder}: name the folder that holds it"
        ) from error


def read_piece(folder: Path, row: Row) -> Measured:
    """A piece as it was delivered, in its own cells; of unknown kinds everything is `NOTHING`."""
    with rasterio.open(folder / row["height"]) as raster:
        centimetres = raster.read(1)  # uint16
    metres = np.where(centimetres != _NO_HEIGHT, centimetres / 100, np.nan).astype(np.float32)
    kinds = np.full(metres.shape, NOTHING, np.uint8)
    return Measured(
        read_picture(folder / row["rgb"]),
        metres,
        read_labels(folder / row["cls"]) if row["cls"] else kinds,
    )


def mosaic(folder: Path, rows: list[Row]) -> tuple[Measured, dict[str, tuple[slice, slice]]]:
    """All pieces of a region on one grid, and where each lies, by its picture."""
    pieces = {row["rgb"]: read_piece(folder, row) for row in rows}
    corners = {}
    for row in rows:
        with rasterio.open(folder / row["height"]) as raster:
            at = raster.transform
            corners[row["rgb"]] = round(at.f / at.e), round(at.c / at.a)
    first = [min(corner[i] for corner in corners.values()) for i in (0, 1)]
    places = {}
    for name, piece in pieces.items():
        (top, left), (height, width) = np.subtract(corners[name], first), piece.metres.shape
        places[name] = slice(top, top + height), slice(left, left + width)
    size = tuple(max(place[i].stop for place in places.values()) for i in (0, 1))
    whole = Measured(
        np.zeros((*size, 3), np.uint8),
        np.full(size, np.nan, np.float32),
        np.full(size, NOTHING, np.uint8),
    )
    for name, here in places.items():
        whole.pixels[here], whole.metres[here], whole.kinds[here] = pieces[name]
    return whole, places


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Its first three bands, (H, W, 3)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # plain pictures are welcome
        with rasterio.open(path) as raster:
            return np.ascontiguousarray(raster.read((1, 2, 3)).transpose(1, 2, 0))


def read_labels(path: Path) -> NDArray[np.uint8]:
    """A picture of one band, (H, W)."""
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), np.uint8)
