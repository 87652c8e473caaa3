"""Heights above ground from surface models and point clouds, against land drawn by formulas."""

from contextlib import ExitStack

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio import Affine

from models.errors import BadSurface
from models.ground import Ground
from models.relief import filled
from models.surface import AboveGround, PointCloud, SurfaceModel
from tests.copc import write_copc
from training.scenes import terrain
from training.scenes.terrain import BUILDING, CRS_2154, CRS_IGN69, FLAT, HEDGE, SLOPE, TREE

SIDE_M = 60.0
X, Y = 221_000.0, 6_758_000.0
HW = (100, 100)
PICTURE = Ground((0.5, 0.0, X + 5, 0.0, -0.5, Y + 55), CRS_2154)
FLAT_HW = (40, 40)


@pytest.fixture(scope="module")
def land():
    return terrain.random_land(np.random.default_rng(3), SIDE_M)


@pytest.fixture(scope="module")
def folder(land, tmp_path_factory):
    """The land as each form of input, without noise in the rasters."""
    folder = tmp_path_factory.mktemp("survey")
    seen = land.scan(np.random.default_rng(4), 10.0)
    terrain.write_cloud(folder / "classes.laz", seen, classified=True)
    terrain.write_cloud(folder / "cloth.las", seen, classified=False)
    write_copc(folder / "classes.copc.laz", folder / "classes.laz")
    for name, gsd_m in (("dsm", 0.25), ("dtm", 1.0), ("ndsm", 0.5)):
        side = round(SIDE_M / gsd_m)
        affine = Affine(gsd_m, 0, X, 0, -gsd_m, Y + SIDE_M)
        heights, _ = land.truth(Ground(tuple(affine)[:6], CRS_2154), (side, side))
        at = (np.arange(side) + 0.5) * gsd_m
        ground = land.ground_m(*np.meshgrid(X + at, affine.f - at))
        values = {"dsm": ground + heights, "dtm": ground, "ndsm": heights}[name]
        terrain.write_raster(folder / f"{name}.tif", values, affine, centimetres=name == "ndsm")
    return folder


def source(form, folder, stack, ground=PICTURE, size_hw=HW):
    def opened(name):
        return stack.enter_context(rasterio.open(folder / f"{name}.tif"))

    match form:
        case "dsm+dtm":
            return SurfaceModel([opened("dsm")], [opened("dtm")], ground, size_hw)
        case "dsm":
            return SurfaceModel([opened("dsm")], [], ground, size_hw)
        case "ndsm":
            return AboveGround([opened("ndsm")], ground, size_hw)
        case "cloud+dtm":
            return PointCloud([folder / "cloth.las"], [opened("dtm")], ground, size_hw)
        case name:
            return PointCloud([folder / name], [], ground, size_hw)


few = settings(
    deadline=None, max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
FORMS = ["dsm+dtm", "dsm", "ndsm", "classes.laz", "classes.copc.laz", "cloth.las", "cloud+dtm"]


def picture(crs):
    x, y = Transformer.from_crs(CRS_2154, crs, always_xy=True).transform(X + 30, Y + 30)
    return Ground((0.5, 0.0, x - 25, 0.0, -0.5, y + 25), crs)


@pytest.mark.parametrize(
    ("form", "crs"),
    [
        *((form, CRS_2154) for form in FORMS),
        *((form, "EPSG:32630") for form in ("dsm+dtm", "classes.copc.laz", "cloth.las")),
    ],
)
def test_heights_are_those_of_the_land(form, crs, land, folder, capfd):
    ground = picture(crs)
    truth, kinds = land.truth(ground, HW)
    with ExitStack() as stack:
        told = source(form, folder, stack, ground).heights(ground, HW)
    assert capfd.readouterr().out == ""  # a command's answer stands there
    assert told.ground == ground
    assert told.valid.mean() > 0.99
    error = told.metres - truth
    limits = {FLAT: 0.05, SLOPE: 0.1, BUILDING: 0.1, HEDGE: 0.3, TREE: 0.5}
    for kind, limit_m in limits.items():
        where = told.valid & (kinds == kind)
        assert where.sum() > 20
        assert abs(error[where].mean()) < limit_m, kind
    assert (np.abs(error) < 1.645 * told.sigma)[told.valid].mean() > 0.9
    assert np.median(told.sigma[kinds == FLAT]) < 0.2


def test_classes_say_what_is_a_plant_and_a_prior_what_they_do_not_say(land, folder):
    _, kinds = land.truth(PICTURE, HW)
    cloud = PointCloud([folder / "classes.laz"], [], PICTURE, HW)
    plain = cloud.heights(PICTURE, HW).vegetation
    assert np.median(plain[kinds == TREE]) > 0.9
    assert np.median(plain[kinds == BUILDING]) < 0.1
    assert np.median(plain[kinds == FLAT]) == 0.5
    said = cloud.heights(PICTURE, HW, np.full(HW, 0.8, np.float32)).vegetation
    assert np.median(said[kinds == FLAT]) == np.float32(0.8)
    assert np.median(said[kinds == BUILDING]) < 0.1
    with pytest.raises(ValueError, match="prior"):
        cloud.heights(PICTURE, HW, np.zeros((1, 1), np.float32))


@pytest.mark.parametrize("form", ["dsm+dtm", "ndsm", "classes.laz", "cloud+dtm"])
def test_windows_tell_what_the_whole_tells(form, folder):
    with ExitStack() as stack:
        survey = source(form, folder, stack)
        whole = survey.heights(PICTURE, HW)
        part = Ground((0.5, 0.0, X + 5 + 15, 0.0, -0.5, Y + 55 - 10), CRS_2154)
        window = survey.heights(part, (50, 40))
    np.testing.assert_allclose(window.metres, whole.metres[20:70, 30:70], atol=0.02)
    np.testing.assert_allclose(window.sigma, whole.sigma[20:70, 30:70], atol=0.02)
    np.testing.assert_array_equal(window.valid, whole.valid[20:70, 30:70])


def raster(path, values, crs=CRS_2154, x=X, gsd_m=0.5, **tags):
    terrain.write_raster(path, values, Affine(gsd_m, 0, x, 0, -gsd_m, Y + 20), crs)
    with rasterio.open(path, "r+") as file:
        file.update_tags(**tags)
    return rasterio.open(path)


FLAT_GRID = Ground((0.5, 0.0, X, 0.0, -0.5, Y + 20), CRS_2154)
GROUND = np.full(FLAT_HW, 30.0)


def plateau(height_m):
    return np.where(np.arange(40) < 20, GROUND, GROUND + height_m)


@pytest.mark.parametrize(
    ("surface", "terrain_", "reason"),
    [
        ({"values": GROUND + 4, "crs": None}, {}, "no_crs"),
        ({"values": GROUND + 4, "units": "dB"}, {}, "units"),
        ({"values": GROUND + 4, "crs": "EPSG:2225"}, {}, "units"),
        ({"values": GROUND + 4, "crs": CRS_IGN69}, {"crs": "EPSG:2154+5773"}, "vertical_datum"),
        ({"values": GROUND + 4, "x": X + 1000}, {}, "no_overlap"),
        ({"values": GROUND + 4}, {"x": X + 1000}, "no_overlap"),
        ({"values": plateau(-5)}, {}, "mismatch"),
        ({"values": GROUND - 0.7}, {}, "mismatch"),
        ({"values": GROUND + 45}, {}, "mismatch"),
        ({"values": plateau(900)}, {}, "mismatch"),
    ],
)  # fmt: skip
def test_surface_and_terrain_that_do_not_go_together_are_refused(
    surface, terrain_, reason, tmp_path
):
    with (
        raster(tmp_path / "dsm.tif", **surface) as dsm,
        raster(tmp_path / "dtm.tif", **({"values": GROUND} | terrain_)) as dtm,
        pytest.raises(BadSurface) as refused,
    ):
        SurfaceModel([dsm], [dtm], FLAT_GRID, FLAT_HW)
    assert refused.value.reason == reason
    assert refused.value.detail


@pytest.mark.parametrize(("unit", "metres"), [("m", 1.0), ("cm", 0.01), ("US survey foot", 0.3048)])
def test_units_that_a_raster_names_are_converted(unit, metres, tmp_path):
    with raster(tmp_path / "h.tif", (plateau(4) - 30) / metres, units=unit) as file:
        told = AboveGround([file], FLAT_GRID, FLAT_HW).heights(FLAT_GRID, FLAT_HW)
    assert told.metres[20, 35] == pytest.approx(4, rel=1e-4)


def test_a_vertical_crs_in_feet_is_converted(tmp_path):
    feet = "EPSG:2154+8228"
    with (
        raster(tmp_path / "h.tif", plateau(4) / 0.3048, feet) as surface,
        raster(tmp_path / "g.tif", GROUND / 0.3048, feet) as ground,
    ):
        told = SurfaceModel([surface], [ground], FLAT_GRID, FLAT_HW)
        assert told.heights(FLAT_GRID, FLAT_HW).metres[20, 35] == pytest.approx(4, abs=1e-3)


def test_what_nobody_measured_is_not_valid_and_never_low(tmp_path):
    values = plateau(4) - 30
    values[:10], values[20, 30], values[30, 30] = np.nan, -40.0, 60.0
    with raster(tmp_path / "h.tif", values[:, :36]) as file:
        told = AboveGround([file], FLAT_GRID, FLAT_HW).heights(FLAT_GRID, FLAT_HW)
    assert not told.valid[:9].any()
    assert not told.valid[:, 37:].any()  # beyond the raster
    assert not told.valid[20, 30]  # far below the ground: no nodata value was declared
    assert not told.valid[30, 30]  # a bird
    assert told.valid[11:, :29].all()


@pytest.mark.parametrize("undeclared", [-32768, -9990, 9999, 3.4e38])
def test_what_no_land_is_as_high_as_is_no_data_though_nobody_says_so(undeclared, tmp_path):
    top, under = plateau(4), GROUND.copy()
    top[10:20], under[10:20] = undeclared, undeclared
    with raster(tmp_path / "dsm.tif", top) as dsm, raster(tmp_path / "dtm.tif", under) as dtm:
        told = SurfaceModel([dsm], [dtm], FLAT_GRID, FLAT_HW).heights(FLAT_GRID, FLAT_HW)
    known = np.ones(FLAT_HW, bool)
    known[10:20] = False
    np.testing.assert_array_equal(told.valid, known)


def test_the_first_raster_that_knows_a_place_is_believed(tmp_path):
    left, right = plateau(4) - 30, np.full(FLAT_HW, 2.0)
    left[:, 30:] = np.nan
    with raster(tmp_path / "a.tif", left) as first, raster(tmp_path / "b.tif", right) as second:
        told = AboveGround([first, second], FLAT_GRID, FLAT_HW).heights(FLAT_GRID, FLAT_HW)
    assert told.metres[20, [5, 25, 35]] == pytest.approx([0, 4, 2])


@few
@given(st.floats(-400, 4000))
def test_a_shift_of_surface_and_terrain_changes_nothing(tmp_path, shift_m):
    with (
        raster(tmp_path / "dsm.tif", plateau(4) + shift_m) as dsm,
        raster(tmp_path / "dtm.tif", GROUND[::2, ::2] + shift_m, gsd_m=1.0) as dtm,
    ):
        told = SurfaceModel([dsm], [dtm], FLAT_GRID, FLAT_HW).heights(FLAT_GRID, FLAT_HW)
    assert told.valid.all()
    np.testing.assert_allclose(told.metres[:, :19], 0, atol=2e-3)
    np.testing.assert_allclose(told.metres[:, 21:], 4, atol=2e-3)


@few
@given(st.sampled_from(["EPSG:32630", "EPSG:3857", "EPSG:4326", CRS_2154]), st.floats(0, 9))
def test_reprojection_keeps_flat_heights(tmp_path, crs, height_m):
    x, y = Transformer.from_crs(CRS_2154, crs, always_xy=True).transform(X + 10, Y + 10)
    cell = 5e-6 if crs == "EPSG:4326" else 0.5
    ground = Ground((cell, 0.0, x - 5 * cell, 0.0, -cell, y + 5 * cell), crs)
    with raster(tmp_path / "dsm.tif", np.full(FLAT_HW, height_m)) as file:
        told = AboveGround([file], FLAT_GRID, FLAT_HW).heights(ground, (10, 10))
    assert told.valid.all()
    np.testing.assert_allclose(told.metres, height_m, atol=1e-4)


@few
@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_slopes_go_on_straight_beneath_what_hides_the_ground(across, down):
    y, x = np.mgrid[:64, :70].astype(np.float32)
    plane = (across * x + down * y).astype(np.float32)
    known = np.ones(plane.shape, bool)
    known[20:44, 20:50] = False
    got = filled(np.where(known, plane, 0), known)
    np.testing.assert_allclose(got, plane, atol=0.05)
    np.testing.assert_array_equal(got[known], plane[known])


def test_a_cloud_above_a_terrain_of_another_datum_is_refused(folder, tmp_path):
    values = np.full((120, 120), -12.0)  # the ellipsoid is some 47 m off here
    with raster(tmp_path / "dtm.tif", values) as dtm, pytest.raises(BadSurface, match="mismatch"):
        PointCloud([folder / "cloth.las"], [dtm], PICTURE, HW)
