"""Point clouds: what returns of each class say, and files that say too little."""

import laspy
import numpy as np
import pytest
from pyproj import CRS, Transformer

from models.errors import BadSurface
from models.ground import Ground
from models.returns import gather, open_cloud
from models.surface import PointCloud
from tests.copc import write_copc
from training.scenes import terrain
from training.scenes.terrain import CRS_2154

X, Y = 221_000.0, 6_758_000.0
HW = (20, 20)
PICTURE = Ground((0.5, 0.0, X + 5, 0.0, -0.5, Y + 15), CRS_2154)


def layers(path, heights):
    """Returns every 0.2 m at some heights of some classes."""
    x, y = (v.ravel() for v in np.meshgrid(X + np.arange(0, 20, 0.2), Y + np.arange(0, 20, 0.2)))
    one = np.ones(len(x) * len(heights), np.uint8)
    z, kind = np.repeat(np.array(heights, np.float64), len(x), axis=0).T
    seen = terrain.Returns(
        np.tile(x, len(heights)), np.tile(y, len(heights)), z, kind.astype(np.uint8), one, one
    )
    terrain.write_cloud(path, seen, classified=True)
    return path


def test_a_plant_under_a_wire_is_as_high_as_the_plant(tmp_path):
    path = layers(tmp_path / "a.laz", [(0, 2), (3, 5), (3, 5), (9, 1), (12, 14), (60, 65)])
    told = PointCloud([path], [], PICTURE, HW).heights(PICTURE, HW)
    np.testing.assert_allclose(told.metres, 3, atol=0.02)


@pytest.mark.parametrize("stray_m", [-9999, 9999])
def test_a_return_from_where_no_land_is_as_high_is_none(stray_m, tmp_path):
    path = layers(tmp_path / "a.laz", [(0, 2), (3, 5), (stray_m, 5)])
    told = PointCloud([path], [], PICTURE, HW).heights(PICTURE, HW)
    np.testing.assert_allclose(told.metres, 3, atol=0.02)
    assert told.valid.all()


def test_returns_below_which_nobody_knows_the_ground_are_refused(tmp_path):
    path = layers(tmp_path / "a.laz", [(3, 5)])
    with pytest.raises(BadSurface, match="no bare ground is known") as refused:
        PointCloud([path], [], PICTURE, HW)
    assert refused.value.reason == "mismatch"


def test_heights_in_feet_are_converted(tmp_path):
    path = layers(tmp_path / "a.las", [(0, 2), (10, 5)])
    file = laspy.read(path)
    file.header.vlrs.clear()
    file.header.add_crs(CRS("EPSG:2154+8228"))
    file.write(path)
    told = PointCloud([path], [], PICTURE, HW).heights(PICTURE, HW)
    np.testing.assert_allclose(told.metres, 3.048, atol=0.02)


def test_a_copc_read_in_parts_holds_each_return_once(tmp_path):
    seen = terrain.random_land(np.random.default_rng(1), 140.0).scan(np.random.default_rng(2), 1.5)
    terrain.write_cloud(tmp_path / "a.laz", seen, classified=True)
    write_copc(tmp_path / "a.copc.laz", tmp_path / "a.laz")
    x, y = Transformer.from_crs(CRS_2154, "EPSG:32630", always_xy=True).transform(X + 70, Y + 70)
    ground = Ground((0.5, 0.0, x - 60, 0.0, -0.5, y + 60), "EPSG:32630")
    whole, parts = (
        gather([open_cloud(tmp_path / name)], [(ground, (240, 240))])[0]
        for name in ("a.laz", "a.copc.laz")
    )
    assert whole.counts.sum() > 20_000
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other)


def cloud(path, classified=True):
    seen = terrain.Returns(*(np.tile(v, 10) for v in (
        np.array([X, X + 20]), np.array([Y, Y + 20]), np.array([30.0, 31.0]),
        *(np.array([2, 2], np.uint8),) * 3)))  # fmt: skip
    terrain.write_cloud(path, seen, classified=classified)
    return path


def test_clouds_that_say_too_little_or_contradict_are_refused(tmp_path):
    good = cloud(tmp_path / "a.las")
    unsaid = cloud(tmp_path / "b.las", classified=False)
    nowhere, feet = tmp_path / "c.las", tmp_path / "d.las"
    for path, crs in ((nowhere, None), (feet, "EPSG:2225")):
        file = laspy.read(good)
        file.header.vlrs.clear()
        if crs:
            file.header.add_crs(CRS(crs))
        file.write(path)
    broken, short, empty = tmp_path / "e.laz", tmp_path / "f.las", tmp_path / "g.las"
    laspy.read(good).write(broken)
    broken.write_bytes(broken.read_bytes()[:-200])
    short.write_bytes(good.read_bytes()[: -5 * 30])  # five whole records
    none = laspy.read(good)
    none.points = none.points[:0]
    none.write(empty)
    far = Ground((0.5, 0.0, X + 5000, 0.0, -0.5, Y), CRS_2154)
    for paths, ground, reason in (
        ([good, unsaid], PICTURE, "mixed_classes"),
        ([nowhere], PICTURE, "no_crs"),
        ([feet], PICTURE, "units"),
        ([broken], PICTURE, "unreadable"),
        ([short], PICTURE, "unreadable"),
        ([empty], PICTURE, "unreadable"),
        ([tmp_path / "none.laz"], PICTURE, "unreadable"),
        ([good], far, "no_overlap"),
    ):
        with pytest.raises(BadSurface) as refused:
            PointCloud(paths, [], ground, HW).heights(ground, HW)
        assert refused.value.reason == reason
