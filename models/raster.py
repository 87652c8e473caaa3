"""Orthophotos of any size, by windows: a GeoTIFF whose pixels are never all in memory.

Places in a raster are told in cells of `GRID_M`, counted from its upper left corner along its own
rows and columns, whatever its pixels measure. Windows begin and end on cells, so what is measured
in two that overlap is measured for the same pieces of ground. Where pixels do not divide cells
evenly the window is resampled, to at least the detail that it has.
"""

import math
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj.exceptions import ProjError
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.windows import Window as Pixels

from models.bands import bands_of, white_of
from models.errors import BadImage
from models.ground import Ground
from models.heights import GRID_M, OVERLAP_CELLS
from models.ranged import OneFile, Ranges

STEP_CELLS = 48
"""Windows begin and end on its multiples: whole px at 5, 8, 15, 20 cm a px alike."""

PITCH_CELLS = 4 * STEP_CELLS
"""Windows of 3 cm a px and more begin on its multiples: in all of them squares lie alike."""

COARSEST_M = 1.0
MAX_WINDOW_CELLS = 1056
MAX_WINDOW_PX = 4800
FINEST_M = 0.01
"""Finer pixels are averaged to it: what is published, and looked at, has no more detail."""

MAX_WINDOWS = 100_000
_MAX_BLOCK_BYTES = 256 * 2**20  # what a compressed block takes as a whole when part of it is read
_EVEN_PX = 1e-3  # nearer to whole px than this is whole
_NO_DATA_LEVEL = 127
ENV = {
    "GDAL_CACHEMAX": 64 * 2**20,  # bytes; GDAL's own choice is a twentieth of the machine
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no file beside the raster has a say
    "GDAL_PAM_ENABLED": "NO",
    "GTIFF_IGNORE_READ_ERRORS": "NO",
}


class Window(NamedTuple):
    """Part of a raster, in cells of `GRID_M` from its upper left corner."""

    column: int
    row: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """The pixels of a window, personal data included.

    Attributes:
        pixels: uint8 (H, W, 3) RGB, `_NO_DATA_LEVEL` where there is no data; read-only.
        near_infrared: uint8 (H, W) of a raster that has it, else None.
        valid: bool (H, W), where there is data.
        ground: of these pixels.
        gsd_m: of these pixels, which are square; cells hold exactly GRID_M ÷ gsd_m of them in a
            row, but for a fraction of one over the whole window.
    """

    pixels: NDArray[np.uint8]
    near_infrared: NDArray[np.uint8] | None
    valid: NDArray[np.bool_]
    ground: Ground
    gsd_m: float


class Raster:
    """A GeoTIFF that is open for windows. For one thread at a time.

    Attributes:
        size_hw: px.
        ground: of its pixels.
        gsd_m: metres of ground that a px shows; those of the CRS, where they are true to 1 %.
        grid_hw: whole cells down and across; what is left at the lower and right border, less
            than a cell, is not analysed.
        grid: where the cells lie.
        infrared: whether it has a near infrared band.
        tags: TIFF and EXIF tags that GDAL knows, as text.
        close: lets go of the file.
    """

    def __init__(self, name: str, source: Path | Ranges) -> None:
        """Open a GeoTIFF; reads its directory, and samples of a band that may be transparency.

        Args:
            name: for messages.
            source: the file, or its bytes by ranges.

        Raises:
            BadImage: damaged, truncated; no_georeference; unsupported_samples (anything but one,
                three or four bands of 8 or 16 bits without sign, or more whose colours and near
                infrared are named; bands named as anything else); block_too_large, where it cannot
                be read by windows: rewrite it as a COG; too_many_pixels; too_coarse, where a px is
                larger than `COARSEST_M`.
            StorageError: from `source`.
        """
        self.name = name
        self._files = None if isinstance(source, Path) else OneFile("raster.tif", source)
        with self._read():
            options = {"opener": self._files} if self._files else {}
            path = source if isinstance(source, Path) else "raster.tif"
            self._data = rasterio.open(path, driver="GTiff", **options)
            # Before the interpreter ends, or GDAL would call into what is no more.
            self.close = weakref.finalize(self, self._data.close)
            self.size_hw: tuple[int, int] = (self._data.height, self._data.width)
            self.tags: dict[str, str] = self._data.tags() | self._data.tags(ns="EXIF")
            _check_layout(self._data)
            self._bands = bands_of(self._data)
            self.infrared = self._bands.infrared
            self.ground = _ground(self._data)
        across_m, down_m = _px_m(self.ground, self.size_hw, self._data.crs)
        self.gsd_m = math.sqrt(across_m * down_m)
        if self.gsd_m > COARSEST_M:
            raise BadImage("too_coarse", f"{self.gsd_m:.2f} m a px")
        # Pixels in a cell, across and down.
        self._px = _even(GRID_M / across_m), _even(GRID_M / down_m)
        self.grid_hw = (
            int(self.size_hw[0] / self._px[1] + _EVEN_PX),
            int(self.size_hw[1] / self._px[0] + _EVEN_PX),
        )
        self.grid = self.ground.part(0, 0, *self._px)
        if len(self._starts(0)) * len(self._starts(1)) > MAX_WINDOWS:
            raise BadImage("too_many_pixels", f"{self.size_hw[1]}×{self.size_hw[0]} px")

    def windows(self) -> list[Window]:
        """Windows that cover all cells and overlap by `OVERLAP_CELLS`, row by row.

        They are as large as `MAX_WINDOW_CELLS` and `MAX_WINDOW_PX` allow, the last ones of a row
        or column smaller.
        """
        side = self._side
        height, width = self.grid_hw
        return [
            Window(column, row, min(side, width - column), min(side, height - row))
            for row in self._starts(0)
            for column in self._starts(1)
        ]

    def read(self, window: Window) -> Tile:
        """The pixels of a window.

        Raises:
            BadImage: damaged, truncated.
            StorageError: from the source.
        """
        across, down = self._px
        finest = self._finest
        shape = max(1, round(window.height * finest)), max(1, round(window.width * finest))
        left, top = window.column * across, window.row * down
        width, height = window.width * across, window.height * down
        how = Resampling.average if finest < across else Resampling.bilinear
        options: dict[str, Any] = {"window": Pixels(left, top, width, height)}
        with self._read():
            bands = self._bands.read
            pixels = self._data.read(
                bands, out_shape=(len(bands), *shape), resampling=how, **options
            )
            options |= {"out_shape": shape, "resampling": Resampling.nearest}
            valid = self._data.dataset_mask(**options) > 0
            if self._bands.alpha:
                valid &= self._data.read(self._bands.alpha, **options) > 0
        levels = self._levels(pixels).transpose(1, 2, 0)  # (H, W, 1, 3 or 4)
        infrared = np.ascontiguousarray(levels[..., 3]) if self.infrared else None
        rgb = np.array(np.broadcast_to(levels[..., :3], (*shape, 3)), order="C")
        rgb[~valid] = _NO_DATA_LEVEL
        rgb.setflags(write=False)
        ground = self.ground.part(left, top, width / shape[1], height / shape[0])
        return Tile(rgb, infrared, valid, ground, GRID_M / finest)

    @property
    def _finest(self) -> float:
        """Pixels to a cell along one side: one at least, or windows would lose cells."""
        return max(1.0, min(max(self._px), GRID_M / FINEST_M))

    @property
    def _side(self) -> int:
        cells = min(MAX_WINDOW_CELLS, int(MAX_WINDOW_PX / self._finest))
        if (pitches := (cells - OVERLAP_CELLS) // PITCH_CELLS) > 0:
            return OVERLAP_CELLS + pitches * PITCH_CELLS
        return max(2 * OVERLAP_CELLS, cells // STEP_CELLS * STEP_CELLS)

    def _starts(self, axis: int) -> range:
        return range(0, max(1, self.grid_hw[axis] - OVERLAP_CELLS), self._side - OVERLAP_CELLS)

    def _levels(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """8 bits from 16, by the whole raster's white: by that of a window, they would jump.

        Black stays zero, or what is between two bands (NDVI) would depend on the darkest shadow.
        """
        if values.dtype == np.uint8:
            return values
        scaled = values.astype(np.float32) * (255 / self._white)
        return scaled.round().clip(0, 255).astype(np.uint8)

    @cached_property
    def _white(self) -> float:
        """The value that becomes 255."""
        with self._read():
            return white_of(self._data, self._bands)

    @contextmanager
    def _read(self) -> Iterator[None]:
        """GDAL under our settings; what it says, or our file, in our own errors."""
        try:
            with rasterio.Env(**ENV):
                yield
        except RasterioError as error:
            self._check()
            raise BadImage("damaged", type(error).__name__) from error
        self._check()

    def _check(self) -> None:
        if self._files is not None:
            self._files.file.check()


def _check_layout(data: Any) -> None:
    if data.dtypes[0] not in ("uint8", "uint16") or len(set(data.dtypes)) > 1:
        raise BadImage("unsupported_samples", f"{data.dtypes[0]}")
    height, width = data.block_shapes[0]
    if height * width * data.count * np.dtype(data.dtypes[0]).itemsize > _MAX_BLOCK_BYTES:
        raise BadImage("block_too_large", f"{width}×{height} px")


def _ground(data: Any) -> Ground:
    affine = data.transform
    if data.crs is None or affine.is_identity or affine.determinant == 0:
        raise BadImage("no_georeference")
    code = data.crs.to_epsg()
    return Ground(tuple(affine)[:6], f"EPSG:{code}" if code else data.crs.to_wkt())


def _px_m(ground: Ground, size_hw: tuple[int, int], crs: Any) -> tuple[float, float]:
    """Metres that a px spans along its row and column.

    Raises:
        BadImage: no_georeference, where it lies nowhere on Earth.
    """
    try:
        true = ground.px_m(size_hw)
        latitude = ground.lon_lat(np.array([[size_hw[1] / 2, size_hw[0] / 2]]))[0, 1]
    except ProjError as error:
        raise BadImage("no_georeference", "no such place") from error
    if not all(map(math.isfinite, true)) or min(true) <= 0 or abs(latitude) > 90:
        raise BadImage("no_georeference", "no such place")
    if crs.is_projected:
        a, b, _, d, e, _ = ground.affine
        unit_m = crs.linear_units_factor[1]
        told = math.hypot(a, d) * unit_m, math.hypot(b, e) * unit_m
        if all(abs(t / m - 1) < 0.01 for t, m in zip(told, true, strict=True)):
            return told
    return true


def _even(px: float) -> float:
    """The same number of px in a cell, but whole over `STEP_CELLS` where it is as good as that."""
    over = px * STEP_CELLS
    return round(over) / STEP_CELLS if abs(over - round(over)) < _EVEN_PX else px
