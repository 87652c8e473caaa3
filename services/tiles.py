"""A window of a raster as a picture of the line, and what it says of the ground, cell by cell."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from models.capture import Tags, TimeSource, time_of
from models.cells import cells_of, encode
from models.errors import BadImage, VigieError
from models.frame import Frame, Limits
from models.heights import GRID_M, HeightMap
from models.obscured import obscured
from models.raster import STEP_CELLS, Raster, Tile, Window
from models.redaction import Polygon, RedactedFrame
from services.items import Item
from services.ranges import StoredRanges
from services.sites import Site
from services.storage import Store
from services.survey_map import surveying
from services.view import RIM_M, Purpose, rings_from_above

LIMITS = Limits()
LEGIBLE_M = 0.2
"""Ground sampling distance under which a person may be more than a speck."""

_EXIF = {0x9003: "EXIF_DateTimeOriginal", 0x9011: "EXIF_OffsetTimeOriginal"}


@runtime_checkable
class HeightSource(Protocol):
    """Tells heights for the ground that a redacted frame shows, from it or from elsewhere."""

    def heights(self, frame: RedactedFrame, valid: NDArray[np.bool_] | None = None) -> HeightMap:
        """Heights on the grid of `GRID_M` that begins at the frame's upper left corner.

        Args:
            frame: has `ground` and `gsd_m`; covers a whole number of cells.
            valid: bool (H, W) px that may be analysed; all where None.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """What is known of a window of a raster beside its pixels.

    Attributes:
        valid: bool (H, W) px, where there is data.
        near_infrared: uint8 (H, W) px as it was taken, or None.
        gsd_m: of the px.
        rim: outlines in px along the borders where the raster goes on. Who is cut by one of these
            may be missed here, and is seen whole in the next window.
        digest: sha256 of the pixels: what stands for the bytes of an original.
    """

    valid: NDArray[np.bool_]
    near_infrared: NDArray[np.uint8] | None
    gsd_m: float
    rim: tuple[Polygon, ...]
    digest: bytes

    def cells(self, frame: RedactedFrame, source: HeightSource) -> bytes:
        """Heights and colours (`models.cells.encode`); what redaction covered is not analysed."""
        shown = self.valid.copy()
        for x1, y1, x2, y2 in (region.box for region in frame.regions):
            shown[y1:y2, x1:x2] = False
        clear = shown & ~obscured(frame.pixels, self.gsd_m)
        heights = source.heights(frame, clear)
        return encode(cells_of(heights, frame.pixels, self.near_infrared, self.valid, shown))


def open_raster(store: Store, key: str, etag: str) -> Raster:
    """A raster of the inbox, the one opened last at once.

    Raises:
        BadImage: as `Raster`; changed_since_submission.
        StorageError: the store fails.
    """
    return _opened(store, key, etag)[0]


def take(
    store: Store, site: Site, name: str, key: str, etag: str, window: Window
) -> tuple[Frame, Taken]:
    """Read a window: its pixels, personal data included, and what else is known of it.

    Args:
        store: where the raster is.
        site: whose it is.
        name: of the window.
        key: of the raster.
        etag: of the raster when it was submitted.
        window: what to read.

    Raises:
        BadImage: damaged, truncated, changed_since_submission.
        StorageError: the store fails.
    """
    try:
        raster = open_raster(store, key, etag)
        tile = raster.read(window)
    except VigieError:
        _opened.cache_clear()  # what GDAL keeps of a read that failed is not to be trusted
        raise
    survey = site.survey_of(key)
    captured_at, time_source = captured(store, site, key, etag)
    frame = Frame(
        name,
        tile.pixels,
        survey.id if survey else "picture",
        captured_at,
        time_source,
        tile.ground,
        gsd_m=tile.gsd_m,
    )
    digest = hashlib.sha256(tile.pixels.data).digest()
    rim = _rim(raster, window, tile)
    return frame, Taken(tile.valid, tile.near_infrared, tile.gsd_m, rim, digest)


def captured(store: Store, site: Site, key: str, etag: str) -> tuple[datetime, TimeSource]:
    """When a raster was taken, as far as it, its key or the store tells (`models.capture`)."""
    raster, stored_at = _opened(store, key, etag)
    tags: Tags = {number: raster.tags.get(tag, "") for number, tag in _EXIF.items()}
    return time_of(tags, site.captured_at(key), site.time_zone, stored_at)


def is_raster(site: Site, key: str) -> bool:
    """Whether a picture is a survey's raster, by its key."""
    return site.survey_of(key) is not None and key.lower().endswith((".tif", ".tiff"))


def split(
    store: Store, site: Site, item: Item, size_bytes: int, purposes: Mapping[str, Purpose]
) -> list[Item]:
    """What a picture is done by: itself; a raster of a survey by windows.

    An asset that is measured in pictures, and that all of these cut, gets a window of its own.
    After the windows comes the raster itself, where a map is made of them.

    Args:
        store: where it is.
        site: whose it is.
        item: the picture.
        size_bytes: of its object.
        purposes: name → what is asked of it. Where none makes maps, only what is too large is done
            by windows.

    Raises:
        StorageError: the store fails.
    """
    if not is_raster(site, item.key):
        return [item]
    try:
        raster = open_raster(store, item.key, item.etag)
    except BadImage:
        return [item]  # the line says what is wrong with it
    small = math.prod(raster.size_hw) <= LIMITS.max_pixels and size_bytes <= LIMITS.max_bytes
    mapped = bool(surveying(purposes.values()))
    if small and not mapped:
        return [item]
    windows = raster.windows()
    listed = np.array(windows)
    own = {
        _window_around(rings_from_above(asset, raster.grid, GRID_M)[0], listed)
        for asset in site.assets
        if asset.purpose in purposes and not surveying([purposes[asset.purpose]])
    }
    windows += sorted(window for window in own if window is not None)
    parts = [item.model_copy(update={"window": window}) for window in windows]
    return [*parts, item] if mapped else parts


def _window_around(outline: NDArray[np.float64], windows: NDArray[np.int_]) -> Window | None:
    """The window that an asset's outline (N, 2), in cells, needs for itself.

    None where one of a raster's `windows` (M, 4) holds it, where it reaches beyond all of them, or
    where it is larger than any of them.
    """
    low, high = outline.min(0) - RIM_M / GRID_M, outline.max(0) + RIM_M / GRID_M
    corners, sizes = windows[:, :2], windows[:, 2:]
    ends = (corners + sizes).max(0)
    if ((low >= corners) & (high <= corners + sizes)).all(1).any():
        return None
    first = np.floor(low / STEP_CELLS).astype(int) * STEP_CELLS
    size = np.minimum(np.ceil(high / STEP_CELLS).astype(int) * STEP_CELLS, ends) - first
    if (first < 0).any() or (high > ends).any() or size.max() > sizes.max():
        return None
    return Window(*first.tolist(), *size.tolist())


@lru_cache(maxsize=1)
def _opened(store: Store, key: str, etag: str) -> tuple[Raster, datetime]:
    source = StoredRanges(store, "inbox", key, etag)
    return Raster(key, source), source.modified_at


def _rim(raster: Raster, window: Window, tile: Tile) -> tuple[Polygon, ...]:
    if tile.gsd_m >= LEGIBLE_M:
        return ()
    height, width = tile.valid.shape
    rim = RIM_M / tile.gsd_m
    strips = (
        (window.column > 0, (0, 0, rim, height)),
        (window.row > 0, (0, 0, width, rim)),
        (window.column + window.width < raster.grid_hw[1], (width - rim, 0, width, height)),
        (window.row + window.height < raster.grid_hw[0], (0, height - rim, width, height)),
    )
    return tuple(
        [(x1, y1), (x2, y1), (x2, y2), (x1, y2)] for goes_on, (x1, y1, x2, y2) in strips if goes_on
    )
