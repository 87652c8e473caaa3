"""Rasters of heights, of any extent and resolution, read onto a grid window by window."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError
from rasterio import Affine, DatasetReader
from rasterio._err import CPLE_BaseError  # GDAL's own errors, which rasterio lets through
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT

from models.datum import Bounds, Located, horizontal, metres_per_unit, names_unit
from models.errors import BadSurface
from models.ground import Ground

LOWEST_M, HIGHEST_M = -500.0, 9000.0
"""No land lies beyond: such heights stand for no data that nobody declared, such as -9999."""

_FINER = 0.75  # of a cell: then some cells hold more than one of the raster's


@dataclass(frozen=True, slots=True)
class Heights:
    """One raster whose first band holds heights.

    Attributes:
        dataset: open for reading as long as this is used.
        name: of its file, for messages.
        crs: as the file says, with its vertical part.
        bounds: in units of the horizontal part of the CRS.
        unit_m: a unit of height, m, after the band's own scale and offset.
        unit_named: whether the file says so.
    """

    dataset: DatasetReader
    name: str
    crs: CRS
    bounds: Bounds
    unit_m: float
    unit_named: bool


def open_heights(dataset: DatasetReader) -> Heights:
    """What a raster says of itself.

    Its unit is the band's unit type or a tag `units`, else that of the CRS's vertical part.

    Raises:
        BadSurface: `no_crs` or `units`.
    """
    name = dataset.name.rpartition("/")[2]
    try:
        crs = CRS.from_wkt(dataset.crs.to_wkt()) if dataset.crs else None
    except (CRSError, RasterioError) as error:
        raise BadSurface("no_crs", f"{name}: {error}") from error
    horizontal(crs, name)
    assert crs is not None  # else it would have been refused
    tags = {key.lower(): value for key, value in dataset.tags().items()}
    unit = dataset.units[0] or tags.get("units", "")
    unit_m = metres_per_unit(crs, unit, name)
    bounds, named = tuple(dataset.bounds), names_unit(crs, unit)
    return Heights(dataset, name, crs, bounds, unit_m, named)


def on_grid(
    rasters: Sequence[Heights], ground: Ground, size_hw: tuple[int, int], *, smooth: bool = False
) -> NDArray[np.float32]:
    """Heights on a grid, m: the mean over each cell of a finer raster, else the nearest of its own.

    Nothing is interpolated across the edge of a roof or a hedge, where the height between is one
    that nothing has; between the cells of bare ground, it is. Where several know a place, the first
    is believed; none does below `LOWEST_M` or above `HIGHEST_M`.

    Args:
        rasters: any of them may lie elsewhere.
        ground: where the grid lies.
        size_hw: of the grid.
        smooth: whether they are of bare ground.

    Returns:
        float32 (H, W), NaN where none knows.

    Raises:
        BadSurface: `unreadable`, or `units`.
    """
    out = np.full(size_hw, np.nan, np.float32)
    for raster in rasters:
        missing = np.isnan(out)
        if missing.any() and part_of(raster, ground, size_hw):
            np.copyto(out, _warped(raster, ground, size_hw, smooth), where=missing)
    return out


def _warped(
    raster: Heights, ground: Ground, size_hw: tuple[int, int], smooth: bool
) -> NDArray[np.float32]:
    own = Ground(raster.dataset.transform[:6], horizontal(raster.crs, raster.name).to_wkt())
    in_cells = own.gsd_m(raster.dataset.shape) / ground.gsd_m(size_hw)
    edges = Resampling.average if in_cells < _FINER else Resampling.nearest
    height = _resampled(raster, ground, size_hw, Resampling.bilinear if smooth else edges)
    known = height[np.isfinite(height)]
    # A single value stands for no data; heights that differ are in a smaller unit.
    if not raster.unit_named and known.size and HIGHEST_M < known.min() < known.max() - 1:
        raise too_high(raster.name, float(known.min()))
    stray = _no_land(height)
    if raster.dataset.nodata is None and (smooth or in_cells < _FINER):
        # A mean of heights and an undeclared -9999 may be as high as land is.
        low, high = (
            _resampled(raster, ground, size_hw, one) for one in (Resampling.min, Resampling.max)
        )
        # What is interpolated has a part in the next cells too.
        side = 3 + 2 * int(in_cells / 2) if smooth else 1
        part = (_no_land(low) | _no_land(high)).astype(np.uint8)
        stray |= np.asarray(cv2.dilate(part, np.ones((side, side), np.uint8))) > 0
    return np.where(stray, np.float32(np.nan), height)


def _no_land(height: NDArray[np.float32]) -> NDArray[np.bool_]:
    return (height <= LOWEST_M) | (height >= HIGHEST_M)


def _resampled(
    raster: Heights, ground: Ground, size_hw: tuple[int, int], resampling: Resampling
) -> NDArray[np.float32]:
    """A raster on a grid, m; NaN where it says that nobody knows."""
    across = horizontal(raster.crs, raster.name).to_wkt()
    try:
        with WarpedVRT(
            raster.dataset,
            # Heights are not to be moved to another datum behind our back.
            src_crs=across,
            crs=ground.crs,
            transform=Affine(*ground.affine),
            height=size_hw[0],
            width=size_hw[1],
            resampling=resampling,
            tolerance=0.001,  # px; with more, what a cell holds depends on the window
            dtype="float32",
            nodata=np.nan,  # what lies outside of the raster too
            src_nodata=raster.dataset.nodata,
        ) as warped:
            band = warped.read(1)
    except (RasterioError, CPLE_BaseError, CRSError, OSError) as error:
        raise BadSurface("unreadable", f"{raster.name}: {error}") from error
    scale, offset = raster.dataset.scales[0], raster.dataset.offsets[0]
    return np.asarray((band * scale + offset) * raster.unit_m, np.float32)


def too_high(name: str, lowest_m: float) -> BadSurface:
    """Why a file is refused that names no unit, and whose heights are none in metres."""
    return BadSurface(
        "units",
        f"{name}: nothing is lower than {lowest_m:.0f} m, if heights are in metres: write their"
        " unit into the file (tag `units`, or the CRS's vertical part)",
    )


def part_of(file: Located, ground: Ground, size_hw: tuple[int, int]) -> tuple[slice, slice] | None:
    """Rows and columns of a grid that a file may know; None where it lies elsewhere.

    Args:
        file: of heights.
        ground: where the grid lies.
        size_hw: of the grid.
    """
    here = Transformer.from_crs(horizontal(file.crs, ""), ground.crs, always_xy=True)
    try:
        left, bottom, right, top = here.transform_bounds(*file.bounds)
    except ProjError:  # beyond where the grid's CRS is defined
        return None
    a, b, c, d, e, f = ground.affine
    corners = np.array([(x - c, y - f) for x in (left, right) for y in (bottom, top)])
    px = corners @ np.linalg.inv(np.array([[a, d], [b, e]], np.float64))
    if not np.isfinite(px).all():
        return None
    low = np.maximum(np.floor(px.min(0)), 0).astype(int)
    high = np.minimum(np.ceil(px.max(0)), size_hw[::-1]).astype(int)
    if (low >= high).any():
        return None
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))
