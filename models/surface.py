"""Heights above ground from what a survey measured: surface models and point clouds.

Three sources, each checked once against the whole picture, then asked window by window:
`SurfaceModel` (surface minus terrain), `AboveGround` (heights themselves) and `PointCloud` (returns
of a laser). What nobody measured is not valid, never low.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio import DatasetReader

from models.above import (
    ACCURACY_M,
    REACH_M,
    Grid,
    Metres,
    around,
    bare,
    in_metres,
    inside,
    mean_of,
    plausible,
    samples,
    shared,
    shares,
    told,
    unsaid,
    wider,
    without_peaks,
)
from models.datum import same_zero
from models.elevation import on_grid, open_heights
from models.errors import BadSurface
from models.ground import Ground
from models.heights import LOW_M, HeightMap
from models.relief import ground_cells
from models.returns import GROUND, OTHER, PLANT, SOLID, Cells, gather, open_cloud


class SurfaceModel:
    """Heights as surface minus terrain.

    Without terrain, the ground is what a cloth below the surface touches, which a wood without gaps
    or a roof over 100 m wide may deceive.

    Args:
        surface: rasters of what is seen from above, in any CRS; the first that knows a place is
            believed.
        terrain: rasters of the bare ground; none to find it in the surface.
        ground: where the picture lies.
        size_hw: of the picture.
        accuracy_m: standard deviation of either's heights.

    Raises:
        BadSurface: `no_crs`, `units`, `vertical_datum`, `no_overlap`, `unreadable` or `mismatch`.
    """

    def __init__(
        self,
        surface: Sequence[DatasetReader],
        terrain: Sequence[DatasetReader],
        ground: Ground,
        size_hw: tuple[int, int],
        accuracy_m: float = ACCURACY_M,
    ) -> None:
        self._surface = [open_heights(raster) for raster in surface]
        self._terrain = [open_heights(raster) for raster in terrain]
        self._accuracy_m = accuracy_m
        same_zero([*self._surface, *self._terrain])
        both = shared(self._surface, "surface model", ground, size_hw)
        if terrain:
            both = shared(self._terrain, "terrain", *both)
        seen = [self._above(*sample)[:2] for sample in samples(both)]
        in_metres([top for _, top in seen], self._surface)
        _on_ground([top for _, top in seen], [height for height, _ in seen])
        plausible([height for height, _ in seen], accuracy_m)

    def heights(
        self, ground: Ground, size_hw: tuple[int, int], prior: Metres | None = None
    ) -> HeightMap:
        """Heights in one window.

        Args:
            ground: where its grid lies.
            size_hw: of the grid.
            prior: float32 (H, W) probability of vegetation from elsewhere; `PLANT_IF_UNSAID` if
                None.

        Raises:
            BadSurface: `unreadable`, or `units`.
        """
        height, _, unsure, margin = self._above(ground, size_hw)
        sigma = np.hypot(np.hypot(self._accuracy_m, self._accuracy_m), unsure)
        return told(without_peaks(height), sigma, unsaid(prior, size_hw), ground, margin)

    def _above(
        self, ground: Ground, size_hw: tuple[int, int]
    ) -> tuple[Metres, Metres, NDArray[np.float32], int]:
        """Height above ground, the surface, how unsure the ground is, and the margin of all."""
        cell_m = ground.gsd_m(size_hw)
        margin = 1 if self._terrain else round(REACH_M / cell_m)
        wide = wider(ground, size_hw, margin)
        top = on_grid(self._surface, *wide)
        if self._terrain:
            under = on_grid(self._terrain, *wide, smooth=True)
            return top - under, top, np.zeros_like(top), margin
        under, unsure = bare(top, ground_cells(top, top, cell_m), cell_m)
        return top - under, top, unsure, margin


class AboveGround:
    """Heights that somebody has already taken from the ground (a canopy or normalised model).

    Args:
        rasters: of heights above ground, in any CRS; the first that knows a place is believed.
        ground: where the picture lies.
        size_hw: of the picture.
        accuracy_m: standard deviation of the heights.

    Raises:
        BadSurface: `no_crs`, `units`, `no_overlap`, `unreadable` or `mismatch`.
    """

    def __init__(
        self,
        rasters: Sequence[DatasetReader],
        ground: Ground,
        size_hw: tuple[int, int],
        accuracy_m: float = ACCURACY_M,
    ) -> None:
        self._rasters = [open_heights(raster) for raster in rasters]
        self._accuracy_m = accuracy_m
        known = shared(self._rasters, "raster of heights", ground, size_hw)
        seen = [on_grid(self._rasters, *sample) for sample in samples(known)]
        plausible(seen, accuracy_m)
        in_metres(seen, self._rasters)

    def heights(
        self, ground: Ground, size_hw: tuple[int, int], prior: Metres | None = None
    ) -> HeightMap:
        """Heights in one window; as `SurfaceModel.heights`."""
        wide = wider(ground, size_hw, 1)
        sigma = np.full(wide[1], self._accuracy_m, np.float32)
        height = on_grid(self._rasters, *wide)
        return told(without_peaks(height), sigma, unsaid(prior, size_hw), ground, 1)


class PointCloud:
    """Heights of a laser's returns above the bare ground.

    The ground is the terrain where one is given, else what the cloud calls ground, else, where
    nobody classified the cloud, what a cloth below it touches; between, it is interpolated.

    Args:
        paths: LAS, LAZ or COPC files, in any CRS.
        terrain: rasters of the bare ground, or none.
        ground: where the picture lies.
        size_hw: of the picture.
        accuracy_m: standard deviation of a return's height.

    Raises:
        BadSurface: `no_crs`, `units`, `vertical_datum`, `no_overlap`, `unreadable`,
            `mixed_classes` or `mismatch`.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        terrain: Sequence[DatasetReader],
        ground: Ground,
        size_hw: tuple[int, int],
        accuracy_m: float = ACCURACY_M,
    ) -> None:
        self._clouds = [open_cloud(path) for path in paths]
        self._terrain = [open_heights(raster) for raster in terrain]
        self._accuracy_m = accuracy_m
        same_zero([*self._clouds, *self._terrain])
        both = shared(self._clouds, "point cloud", ground, size_hw)
        if len({cloud.classified for cloud in self._clouds}) > 1:
            raise BadSurface("mixed_classes", "some point clouds are classified and some are not")
        self._classified = self._clouds[0].classified
        if terrain:
            both = shared(self._terrain, "terrain", *both)
        self._check([self._wider(*sample) for sample in samples(both)])

    def _check(self, grids: Sequence[Grid]) -> None:
        surfaces, seen, heights = [], [], []
        for cells, wide in zip(gather(self._clouds, grids), grids, strict=True):
            lowest = np.where(np.isfinite(cells.lowest), cells.lowest, np.nan)
            bare_ground = mean_of(cells.total[GROUND], cells.counts[GROUND])
            surfaces.append(bare_ground if self._classified else lowest)
            seen.append(lowest)
            heights.append(lowest - self._under(cells, *wide)[0])
        in_metres(surfaces, self._clouds)
        _on_ground(seen, heights)
        plausible(heights, self._accuracy_m)

    def heights(
        self, ground: Ground, size_hw: tuple[int, int], prior: Metres | None = None
    ) -> HeightMap:
        """Heights in one window: a cell's is that of the highest of what most of it shows.

        That is plants, or all else above the ground. Heights up to `LOW_M` are the mean of all
        returns. A cell without returns tells what those around it do.

        Args:
            ground: where its grid lies.
            size_hw: of the grid.
            prior: float32 (H, W) probability of vegetation from elsewhere, for cells that no class
                tells of; `PLANT_IF_UNSAID` if None.

        Raises:
            BadSurface: `unreadable`, or `units`.
        """
        wide = self._wider(ground, size_hw)
        [cells] = gather(self._clouds, [wide])
        count, top, total, _ = cells
        mean = mean_of(total.sum(0), count.sum(0))
        under, unsure = self._under(cells, *wide)
        margin = (wide[1][0] - size_hw[0]) // 2
        plants, others = count[PLANT], count[SOLID] + count[OTHER]
        highest = np.where(plants >= others, top[PLANT], np.maximum(top[SOLID], top[OTHER]))
        height = np.where(highest - under > LOW_M, highest - under, mean - under)
        height = without_peaks(height)
        height = np.where(np.isnan(mean), around(height), height)
        inner = inside(margin)
        said = shares(count)[inner]
        vegetation = np.where(np.isnan(said), unsaid(prior, size_hw), said)
        sigma = np.full(wide[1], self._accuracy_m, np.float32)
        return told(height, np.hypot(sigma, unsure), vegetation, ground, margin)

    def _wider(self, ground: Ground, size_hw: tuple[int, int]) -> Grid:
        # Two cells: what is around a cell tells its height where it is empty, and how sure it is.
        margin = 2 if self._terrain else round(REACH_M / ground.gsd_m(size_hw))
        return wider(ground, size_hw, margin)

    def _under(
        self, cells: Cells, ground: Ground, size_hw: tuple[int, int]
    ) -> tuple[Metres, NDArray[np.float32]]:
        """The bare ground below returns, and how unsure it is."""
        if self._terrain:
            under = on_grid(self._terrain, ground, size_hw, smooth=True)
            return under, np.full(size_hw, self._accuracy_m, np.float32)
        count, _, total, lowest = cells
        if self._classified:
            level, known = mean_of(total[GROUND], count[GROUND]), count[GROUND] > 0
        else:
            level, met = mean_of(total.sum(0), count.sum(0)), np.isfinite(lowest)
            cell_m = ground.gsd_m(size_hw)
            known = ground_cells(np.where(met, lowest, np.nan), level, cell_m)
        return bare(level, known, ground.gsd_m(size_hw))


def _on_ground(seen: Sequence[Metres], heights: Sequence[Metres]) -> None:
    """Refuse what was measured above ground that nobody knows: all would be unknown, silently.

    Raises:
        BadSurface: `mismatch`.
    """
    measured, known = (any(np.isfinite(sample).any() for sample in of) for of in (seen, heights))
    if measured and not known:
        raise BadSurface(
            "mismatch", "no bare ground is known below what was measured: give another `terrain`"
        )
