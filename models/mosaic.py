"""Windows of cells, blended where they overlap, as two Cloud Optimized GeoTIFFs.

Block by block: memory holds a few windows, however large the raster is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.shutil import copy
from rasterio.transform import Affine
from rasterio.windows import Window as Pixels

from models.cells import BANDS, COLOURS, NO_COLOUR, NOT_ANALYSED, Cells
from models.ground import Ground
from models.heights import ramp
from models.raster import ENV, Window

_HARDLY = 1e-4
_HELD = 6  # decoded windows: the four that meet, and those of the next block


@dataclass(frozen=True, slots=True)
class Mosaic:
    """Two COGs on one grid.

    Attributes:
        heights: uint16 `models.cells.BANDS`, NOT_ANALYSED where there are none.
        colours: uint8 `models.cells.COLOURS`, NO_COLOUR where there are none.
        seen: number of cells that have a colour.
        analysed: number of cells that have a height.
        sigma_m: mean of their standard deviations, metres.
    """

    heights: Path
    colours: Path
    seen: int
    analysed: int
    sigma_m: float


def blend(
    folder: Path,
    grid: Ground,
    grid_hw: tuple[int, int],
    windows: Sequence[Window],
    cells: Callable[[Window], Cells | None],
    infrared: bool,
) -> Mosaic:
    """Write the mosaic of all windows into a folder, which needs room for it twice.

    Args:
        folder: where to.
        grid: where its cells lie.
        grid_hw: cells down and across.
        windows: what it is made of; neighbours overlap by `OVERLAP_CELLS`.
        cells: what was seen in a window, on the grid; None where nothing was.
        infrared: whether colours have a fourth band.
    """
    rows = {window.row: window.height for window in windows}
    columns = {window.column: window.width for window in windows}
    held = lru_cache(_HELD)(cells)
    counts = {"heights": len(BANDS), "colours": 4 if infrared else 3}
    raw = {name: folder / f"{name}.raw.tif" for name in counts}
    profile = {
        "driver": "GTiff",
        "height": grid_hw[0],
        "width": grid_hw[1],
        "crs": grid.crs,
        "transform": Affine(*grid.affine),
        "tiled": True,
        # One block is what one window begins, so none is written twice.
        "blockysize": _pitch(rows),
        "blockxsize": _pitch(columns),
        "compress": "zstd",  # read once, here: speed counts
        "zstd_level": 1,
        "predictor": 2,
        "bigtiff": "if_safer",
        "sparse_ok": True,
    }
    seen = analysed = sigma_cm = 0
    with (
        rasterio.Env(**ENV),
        rasterio.open(
            raw["heights"],
            "w",
            count=counts["heights"],
            dtype="uint16",
            nodata=NOT_ANALYSED,
            **profile,
        ) as heights,
        rasterio.open(
            raw["colours"],
            "w",
            count=counts["colours"],
            dtype="uint8",
            nodata=NO_COLOUR,
            **profile,
        ) as colours,
    ):
        heights.descriptions, colours.descriptions = BANDS, COLOURS[: counts["colours"]]
        for block in _blocks(rows, columns, grid_hw):
            near = [
                Window(left, top, columns[left], rows[top])
                for top in _reaching(rows, block.row, block.height)
                for left in _reaching(columns, block.column, block.width)
            ]
            parts = [(window, one) for window in near if (one := held(window)) is not None]
            if not parts:
                continue
            told, shown = _blended(block, parts, counts)
            known = told[0] != NOT_ANALYSED
            analysed += int(known.sum())
            sigma_cm += int(told[1][known].sum())
            seen += int((shown[0] != NO_COLOUR).sum())
            heights.write(told, window=Pixels(*block))
            colours.write(shown, window=Pixels(*block))
    made = {name: _optimized(path, folder / f"{name}.tif") for name, path in raw.items()}
    sigma_m = sigma_cm / max(analysed, 1) / 100
    return Mosaic(made["heights"], made["colours"], seen, analysed, sigma_m)


def _blended(
    block: Window, parts: Sequence[tuple[Window, Cells]], counts: Mapping[str, int]
) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Heights and colours of a block, where each window counts by how far inside it a cell lies."""
    size_hw = block.height, block.width
    sums = {name: np.zeros((count, *size_hw), np.float32) for name, count in counts.items()}
    weights = {name: np.zeros((count, *size_hw), np.float32) for name, count in counts.items()}
    for window, cells in parts:
        rows = _shared(block.row, block.height, window.row, window.height)
        columns = _shared(block.column, block.width, window.column, window.width)
        here, there = ((slice(None), rows[i], columns[i]) for i in (0, 1))
        down, across = (ramp(side).clip(_HARDLY) for side in (window.height, window.width))
        weight = np.outer(down, across).astype(np.float32)[there[1:]]
        for name, values, none in (
            ("heights", cells.heights, NOT_ANALYSED),
            ("colours", cells.colours, NO_COLOUR),
        ):
            part = values[there]
            known = weight * (part != none)
            sums[name][here] += part * known
            weights[name][here] += known
    mean = {n: (sums[n] / np.maximum(weights[n], np.float32(1e-12))).round() for n in counts}
    told = np.where(weights["heights"] > 0, mean["heights"], NOT_ANALYSED).astype(np.uint16)
    shown = np.where(weights["colours"] > 0, mean["colours"], NO_COLOUR).astype(np.uint8)
    return told, shown


def _shared(start: int, length: int, other: int, other_length: int) -> tuple[slice, slice]:
    """Where two spans meet, counted from the start of either."""
    low, high = max(start, other), min(start + length, other + other_length)
    return slice(low - start, high - start), slice(low - other, high - other)


def _blocks(
    rows: Mapping[int, int], columns: Mapping[int, int], grid_hw: tuple[int, int]
) -> Iterator[Window]:
    """The grid cut where windows begin."""
    for top, bottom in pairwise([*sorted(rows), grid_hw[0]]):
        for left, right in pairwise([*sorted(columns), grid_hw[1]]):
            yield Window(left, top, right - left, bottom - top)


def _reaching(starts: Mapping[int, int], low: int, length: int) -> list[int]:
    return [start for start in starts if start < low + length and start + starts[start] > low]


def _pitch(starts: Mapping[int, int]) -> int:
    first, *others = sorted(starts)
    return others[0] - first if others else -(-starts[first] // 16) * 16


def _optimized(raw: Path, target: Path) -> Path:
    """The same as a COG with overviews."""
    options: dict[str, Any] = {
        "compress": "deflate",  # which every GIS reads
        "predictor": "yes",
        "num_threads": "all_cpus",
        "blocksize": 512,
        "overview_resampling": "average",
        "bigtiff": "if_safer",
    }
    with rasterio.Env(**ENV):
        copy(raw, target, driver="COG", **options)
    raw.unlink()
    return target
