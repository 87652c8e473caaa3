"""Surveys in centimetres that nobody calls so: lawns, roads and roofs are smooth in metres."""

import laspy
import numpy as np
import pytest
import rasterio
from pyproj import CRS
from rasterio import Affine

from models.errors import BadSurface
from models.ground import Ground
from models.surface import AboveGround, PointCloud, SurfaceModel
from training.scenes import terrain
from training.scenes.terrain import CRS_2154

X, TOP = 221_000.0, 6_758_020.0


def raster(path, values, **tags):
    terrain.write_raster(path, values, Affine(0.5, 0, X, 0, -0.5, TOP), CRS_2154)
    with rasterio.open(path, "r+") as file:
        file.update_tags(**tags)
    return rasterio.open(path)


def lawn(rng, size_hw=(120, 120)):
    """A lawn with a hedge of 60 cm, as a survey sees it, m."""
    heights = rng.normal(0, 0.03, size_hw)
    heights[:, 60] += 0.6
    return heights


def as_points(path, heights, classified, unit_m):
    """Six returns in each cell of 0.5 m."""
    rng = np.random.default_rng(1)
    rows, columns = (at.ravel().repeat(6) for at in np.indices(heights.shape))
    x, y = X + (columns + rng.random(len(rows))) / 2, TOP - (rows + rng.random(len(rows))) / 2
    z = heights.ravel().repeat(6) + rng.normal(0, 0.03, len(rows))
    kind = np.where(heights.ravel().repeat(6) > 50.3, 3, 2).astype(np.uint8)
    one = np.ones(len(rows), np.uint8)
    seen = terrain.Returns(x, y, z / unit_m, kind, one, one)
    terrain.write_cloud(path, seen, classified=classified)
    file = laspy.read(path)
    file.header.vlrs.clear()
    file.header.add_crs(CRS(CRS_2154))  # no vertical part, so no unit of heights
    file.write(path)
    return path


@pytest.mark.parametrize("unit_m", [1.0, 0.01])
@pytest.mark.parametrize("form", ["surface", "above_ground", "classes", "cloth"])
def test_heights_in_centimetres_that_nobody_calls_so_are_refused(form, unit_m, tmp_path):
    heights = lawn(np.random.default_rng(0))
    place = Ground((0.5, 0.0, X, 0.0, -0.5, TOP), CRS_2154), heights.shape

    def opened():
        if form in ("classes", "cloth"):
            path = as_points(tmp_path / "a.laz", heights + 50, form == "classes", unit_m)
            return PointCloud([path], [], *place)
        level = 50 if form == "surface" else 0
        values = np.maximum(heights, 0) if form == "above_ground" else heights + level
        file = raster(tmp_path / "h.tif", values / unit_m)
        return AboveGround([file], *place) if level == 0 else SurfaceModel([file], [], *place)

    if unit_m == 1:
        told = opened().heights(*place)
        assert told.metres[40:80, 60].max() < 0.9
        return
    with pytest.raises(BadSurface, match="heights are in metres: write their unit") as refused:
        opened()
    assert refused.value.reason == "units"


@pytest.mark.parametrize("form", ["surface", "cloth"])
def test_centimetres_that_in_metres_no_land_is_as_high_as_are_refused(form, tmp_path):
    heights = lawn(np.random.default_rng(0), (80, 80)) + 120
    place = Ground((0.5, 0.0, X, 0.0, -0.5, TOP), CRS_2154), heights.shape
    with pytest.raises(BadSurface, match="write their unit") as refused:
        if form == "cloth":
            PointCloud([as_points(tmp_path / "a.laz", heights, False, 0.01)], [], *place)
        else:
            SurfaceModel([raster(tmp_path / "h.tif", heights * 100)], [], *place)
    assert refused.value.reason == "units"


def test_rough_heights_whose_unit_the_file_names_are_believed(tmp_path):
    heights = lawn(np.random.default_rng(0), (80, 80)) * 100 + 50
    place = Ground((0.5, 0.0, X, 0.0, -0.5, TOP), CRS_2154), heights.shape
    with raster(tmp_path / "h.tif", heights, units="m") as file:
        SurfaceModel([file], [], *place)
