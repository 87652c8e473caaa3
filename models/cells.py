"""What was seen of a piece of ground, cell by cell: heights and mean colours, in a GeoTIFF."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rasterio.io import MemoryFile
from rasterio.transform import Affine
from rasterio.windows import Window as Pixels

from models.ground import Ground
from models.heights import HeightMap
from models.raster import Window

NOT_ANALYSED = 65535
"""Height, spread and vegetation where nothing was analysed: never mistaken for low."""

NO_COLOUR = 0
_MAX_CM = 60_000
BANDS = ("height above ground, cm", "standard deviation of the height, cm", "vegetation, %")
COLOURS = ("red", "green", "blue", "near infrared")


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Heights and colours on one grid.

    Attributes:
        heights: uint16 (3, H, W) `BANDS`; NOT_ANALYSED in all of them or in none.
        colours: uint8 (3 or 4, H, W) mean red, green, blue[, near infrared] of the redacted
            picture, 1 to 255; NO_COLOUR where there is none.
        ground: of the grid.
    """

    heights: NDArray[np.uint16]
    colours: NDArray[np.uint8]
    ground: Ground


def cells_of(
    heights: HeightMap,
    pixels: NDArray[np.uint8],
    infrared: NDArray[np.uint8] | None,
    known: NDArray[np.bool_],
    shown: NDArray[np.bool_],
) -> Cells:
    """Heights in whole centimetres beside the mean colours of the pixels below.

    Args:
        heights: (h, w) cells.
        pixels: uint8 (H, W, 3), redacted.
        infrared: uint8 (H, W) as it was taken, or None; it counts only where it is `shown`.
        known: bool (H, W), where there is data.
        shown: bool (H, W), where there is data that redaction did not cover.
    """
    size_hw = heights.valid.shape
    metres = np.stack([heights.metres * 100, heights.sigma * 100, heights.vegetation * 100])
    told = metres.round().clip(0, _MAX_CM).astype(np.uint16)
    told[:, ~heights.valid] = NOT_ANALYSED
    colours = [_mean(pixels, known, size_hw)]
    if infrared is not None:
        colours.append(_mean(infrared[..., None], shown, size_hw))
    return Cells(told, np.concatenate(colours), heights.ground)


def height_map(told: NDArray[np.uint16], ground: Ground) -> HeightMap:
    """The heights that uint16 (3, H, W) `BANDS` tell."""
    valid = told[0] != NOT_ANALYSED
    metres, sigma, vegetation = np.where(valid, told, 0).astype(np.float32) / np.float32(100)
    # Under half a centimetre of spread was rounded to none.
    sigma[valid] = np.maximum(sigma[valid], np.float32(0.005))
    return HeightMap(metres, sigma, vegetation, valid, ground)


def encode(cells: Cells) -> bytes:
    """A GeoTIFF of uint16 bands: heights, then colours."""
    bands = np.concatenate([cells.heights, cells.colours.astype(np.uint16)])
    count, height, width = bands.shape
    with MemoryFile() as file:
        with file.open(
            driver="GTiff",
            count=count,
            height=height,
            width=width,
            dtype="uint16",
            crs=cells.ground.crs,
            transform=Affine(*cells.ground.affine),
            compress="zstd",
            zstd_level=1,
            predictor=2,
            interleave="band",
        ) as data:
            data.write(bands)
            data.descriptions = (*BANDS, *COLOURS[: count - len(BANDS)])
        return bytes(file.read())


def decode(encoded: bytes) -> Cells:
    """What `encode` wrote."""
    with MemoryFile(encoded) as file, file.open(driver="GTiff") as data:
        bands = data.read()
        code = data.crs.to_epsg()
        crs = f"EPSG:{code}" if code else data.crs.to_wkt()
        ground = Ground(tuple(data.transform)[:6], crs)
    heights, colours = bands[: len(BANDS)], bands[len(BANDS) :].astype(np.uint8)
    return Cells(heights, colours, ground)


def part(data: Any, window: Window, beyond: int) -> NDArray[Any]:
    """The (C, H, W) values of an open dataset in a window of its own px; `beyond` outside it."""
    left, top = max(window.column, 0), max(window.row, 0)
    right = max(left, min(window.column + window.width, data.width))
    bottom = max(top, min(window.row + window.height, data.height))
    values = np.full((data.count, window.height, window.width), beyond, data.dtypes[0])
    if right > left and bottom > top:
        rows = slice(top - window.row, bottom - window.row)
        columns = slice(left - window.column, right - window.column)
        within = Pixels(left, top, right - left, bottom - top)
        values[:, rows, columns] = data.read(window=within)
    return values


def _mean(
    pixels: NDArray[np.uint8], known: NDArray[np.bool_], size_hw: tuple[int, ...]
) -> NDArray[np.uint8]:
    """uint8 (C, h, w) means of the known ones of uint8 (H, W, C) pixels."""
    size_wh = size_hw[1], size_hw[0]
    if not known.all():
        pixels = np.where(known[..., None], pixels, 0).astype(np.uint8)
    share = cv2.resize(known.astype(np.float32), size_wh, interpolation=cv2.INTER_AREA)
    sums = cv2.resize(pixels, size_wh, interpolation=cv2.INTER_AREA)
    mean = sums.reshape(*size_hw, -1).transpose(2, 0, 1) / np.maximum(share, 1e-6)
    return np.where(share > 0, mean.round().clip(NO_COLOUR + 1, 255), NO_COLOUR).astype(np.uint8)
