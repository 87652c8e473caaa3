"""How true heights from surface models and point clouds are, on drawn land whose heights we know.

`python -m benchmarks.drawn_surface [SIDE_M]` prints, for each form of input and CRS of the picture,
bias and mean absolute error on flat ground, slopes, trees and buildings, the share of cells whose
truth lies in the 90 % interval, what is not valid, seconds of CPU, and the peak of memory beyond
what the interpreter holds (of the process, so GDAL's and the decompressor's too).
"""

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import rasterio
from pyproj import Transformer
from rasterio import Affine

from models.ground import Ground
from models.heights import GRID_M
from models.surface import AboveGround, PointCloud, SurfaceModel
from training.scenes import terrain
from training.scenes.terrain import BUILDING, CRS_2154, FLAT, HEDGE, SLOPE, TREE, Land

SEED, PULSES_M2 = 7, 12.0
WINDOW = 512  # cells along each side of what is asked for at once
FORMS = ("dsm+dtm", "dsm alone", "ndsm", "las classes", "laz classes", "laz cloth", "laz+dtm")
SHOWN = {"flat": FLAT, "slope": SLOPE, "tree": TREE, "hedge": HEDGE, "roof": BUILDING}


def land_of(side_m: float) -> Land:
    return terrain.random_land(np.random.default_rng(SEED), side_m)


def write_all(land: Land, folder: Path) -> None:
    rng = np.random.default_rng(SEED)
    seen = land.scan(rng, PULSES_M2)
    terrain.write_cloud(folder / "classes.laz", seen, classified=True)
    terrain.write_cloud(folder / "classes.las", seen, classified=True)
    terrain.write_cloud(folder / "cloth.laz", seen, classified=False)
    left, bottom = land.origin_xy
    for name, gsd_m in (("dsm", 0.5), ("dtm", 1.0), ("ndsm", 0.5)):
        side = round(land.side_m / gsd_m)
        affine = Affine(gsd_m, 0, left, 0, -gsd_m, bottom + land.side_m)
        grid = Ground(tuple(affine)[:6], CRS_2154)
        heights, _ = land.truth(grid, (side, side))
        middle = np.arange(side) + 0.5
        ground = land.ground_m(*np.meshgrid(left + middle * gsd_m, affine.f - middle * gsd_m))
        noise = rng.normal(0, 0.05, heights.shape)
        values = {"dsm": ground + heights, "dtm": ground, "ndsm": heights}[name] + noise
        values = np.maximum(values, 0) if name == "ndsm" else values
        terrain.write_raster(folder / f"{name}.tif", values, affine, centimetres=name == "ndsm")


def picture(land: Land, crs: str) -> tuple[Ground, tuple[int, int]]:
    """A grid within the land, in the CRS of a picture."""
    middle = [at + land.side_m / 2 for at in land.origin_xy]
    x, y = Transformer.from_crs(CRS_2154, crs, always_xy=True).transform(middle[0], middle[1])
    side = round(land.side_m * 0.85 / GRID_M)
    half = side * GRID_M / 2
    return Ground((GRID_M, 0.0, x - half, 0.0, -GRID_M, y + half), crs), (side, side)


def one(form: str, crs: str, side_m: float, folder: Path) -> str:
    """In a process of its own, whose peak of memory is this form's."""
    land = land_of(side_m)
    ground, size_hw = picture(land, crs)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    metres, sigma = np.zeros(size_hw, np.float32), np.zeros(size_hw, np.float32)
    with ExitStack() as stack:
        dsm, dtm, ndsm = (
            stack.enter_context(rasterio.open(folder / f"{n}.tif")) for n in ("dsm", "dtm", "ndsm")
        )
        sources: dict[str, Callable[[], SurfaceModel | AboveGround | PointCloud]] = {
            "dsm+dtm": lambda: SurfaceModel([dsm], [dtm], ground, size_hw),
            "dsm alone": lambda: SurfaceModel([dsm], [], ground, size_hw),
            "ndsm": lambda: AboveGround([ndsm], ground, size_hw),
            "las classes": lambda: PointCloud([folder / "classes.las"], [], ground, size_hw),
            "laz classes": lambda: PointCloud([folder / "classes.laz"], [], ground, size_hw),
            "laz cloth": lambda: PointCloud([folder / "cloth.laz"], [], ground, size_hw),
            "laz+dtm": lambda: PointCloud([folder / "cloth.laz"], [dtm], ground, size_hw),
        }
        source = sources[form]()
        a, b, c, d, e, f = ground.affine
        for row in range(0, size_hw[0], WINDOW):
            for column in range(0, size_hw[1], WINDOW):
                part_hw = min(WINDOW, size_hw[0] - row), min(WINDOW, size_hw[1] - column)
                corner = c + a * column + b * row, f + d * column + e * row
                part = Ground((a, b, corner[0], d, e, corner[1]), crs)
                heights = source.heights(part, part_hw)
                where = slice(row, row + part_hw[0]), slice(column, column + part_hw[1])
                metres[where], sigma[where] = heights.metres, heights.sigma
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    truth, kinds = land.truth(ground, size_hw)
    error, valid = metres - truth, sigma > 0
    cells = []
    for kind in SHOWN.values():
        where = valid & (kinds == kind)
        cells.append(f"{error[where].mean():+6.2f} {np.abs(error[where]).mean():5.2f}")
    inside = (np.abs(error) <= 1.645 * sigma)[valid].mean()
    plants = valid & np.isin(kinds, (TREE, HEDGE))
    within = (np.abs(error) <= 1.645 * sigma)[plants].mean()
    return (
        f"{form:12} {crs:10} " + " | ".join(cells) + f" | {inside:5.1%} {within:5.1%}"
        f" | {1 - valid.mean():5.2%} | {seconds:5.1f} s {peak / 1024:5.0f} MiB"
    )


def main() -> None:
    side_m = float(sys.argv[1]) if len(sys.argv) > 1 else 300.0
    land = land_of(side_m)
    print(f"{side_m:.0f} m x {side_m:.0f} m, {PULSES_M2:.0f} pulses/m2, seed {SEED}")
    print(f"{'':24}" + " | ".join(f"{name:>6} {'MAE':>5}" for name in SHOWN), end=" | ")
    print("in 90 % (plants) | not valid | time and memory")
    with tempfile.TemporaryDirectory() as name:
        with ProcessPoolExecutor(1, get_context("fork")) as alone:  # ours stays small
            alone.submit(write_all, land, Path(name)).result()
        for crs in (CRS_2154, "EPSG:32630"):
            for form in FORMS:
                with ProcessPoolExecutor(1, get_context("fork")) as alone:
                    print(alone.submit(one, form, crs, side_m, Path(name)).result(), flush=True)


if __name__ == "__main__":
    main()
