"""What LiDAR measured is laid over as the picture shows it."""

import cv2
import numpy as np
import pytest
import rasterio

from training import leaning, registration, vegetation
from training.leaning import keep, kept, shadows, shown
from training.lidar import BUILDING, GROUND, VEGETATION, Measured
from training.registration import field_of
from training.vegetation import OTHER, TREE, find_leans, read_heights

COLOURS = {GROUND: (170, 150, 120), VEGETATION: (80, 120, 70), BUILDING: (210, 210, 215)}


def land(side, seed=0):
    """Trees and houses on a plain: heights and kinds."""
    rng = np.random.default_rng(seed)
    metres, kinds = np.zeros((side, side), np.float32), np.zeros((side, side), np.uint8)
    for x, y in rng.integers(0, side, (side * side // 1500, 2)).tolist():
        radius, height = int(rng.integers(4, 10)), float(rng.uniform(5, 25))
        cv2.circle(metres, (x, y), radius, height, cv2.FILLED)
        cv2.circle(kinds, (x, y), radius, VEGETATION, cv2.FILLED)
    for x, y in rng.integers(0, side, (3, 2)).tolist():
        for array, value in ((metres, 6.0), (kinds, BUILDING)):
            cv2.rectangle(array, (x, y), (x + 30, y + 20), value, cv2.FILLED)
    return metres, kinds


def photographed(metres, kinds, field, sun, seed=1):
    """A picture of it: painted cell by cell, the highest last."""
    side = len(metres)
    dark = shadows(metres, *sun)
    noise = np.random.default_rng(seed).normal(0, 8, (side, side, 3))
    picture = np.full((side, side, 3), COLOURS[GROUND], float)
    down, right, lean_down, lean_right = field
    for index in np.argsort(metres, axis=None, kind="stable"):
        row, column = divmod(int(index), side)
        height = float(metres[row, column]) / 0.5
        y, x = round(row + down + height * lean_down), round(column + right + height * lean_right)
        if 0 <= y < side and 0 <= x < side:
            light = 0.4 if dark[row, column] else 1.0
            picture[y : y + 2, x : x + 2] = light * np.array(COLOURS[int(kinds[row, column])])
    return np.clip(picture + noise, 1, 255).astype(np.uint8)


@pytest.mark.parametrize("truth", [(0, 0, 0, 0), (2, -3, -0.3, 0.4)])
def test_lean_and_offset_of_a_picture_are_found_by_its_colours(truth, monkeypatch):
    sun = 210, 32
    monkeypatch.setattr(registration, "_SUNS", [(30, 32), sun])
    monkeypatch.setattr(registration, "_NEAR", [(0, 0)])
    metres, kinds = land(256)
    pixels = photographed(metres, kinds, truth, sun)
    field = field_of(Measured(pixels, metres, kinds))
    assert field.shape == (4, 4, 4)
    assert np.abs(field[..., :2] - truth[:2]).max() <= 2
    assert np.abs(field[..., 2:] - truth[2:]).max() <= 0.1


def everywhere(*lean):
    return np.full((2, 2, 4), lean, np.float32)


def test_what_stands_is_shown_beside_where_it_stands_and_hides_what_is_there():
    standing = np.zeros((64, 64), np.float32)
    standing[30, 20] = 10
    seen = shown(standing, everywhere(0, 0, 0, 0.5))
    assert seen[30, 30] == 30 * 64 + 20
    own = np.arange(64 * 64).reshape(64, 64)
    assert standing.ravel()[seen[30, 20]] == 0  # its side, a gap, shows the ground beside
    seen[30, 30], seen[30, 20] = own[30, 30], own[30, 20]
    assert (seen == own).all()


def test_of_two_at_one_place_the_higher_is_shown():
    standing = np.zeros((64, 64), np.float32)
    standing[30, 20], standing[30, 26] = 10, 4
    assert shown(standing, everywhere(0, 0, 0, 0.5))[30, 30] == 30 * 64 + 20


def test_the_side_of_a_wide_roof_is_closed_by_at_most_two_cells():
    standing = np.zeros((64, 64), np.float32)
    standing[20:40, 20:40] = 10
    seen = shown(standing, everywhere(0, 0, 0, 0.5))
    assert (seen[22:38, 22:28] == -1).all()
    assert (seen[22:38, 20:22] >= 0).all()
    assert (seen[22:38, 28:30] >= 0).all()


def test_beyond_the_border_nothing_is_known():
    seen = shown(np.zeros((64, 64), np.float32), everywhere(0, 10, 0, 0))
    assert (seen[:, :7] == -1).all()
    assert (seen[:, 10:] == np.arange(64 * 64).reshape(64, 64)[:, :-10]).all()


@pytest.mark.parametrize(("azimuth", "down", "right"), [(0, 0, 1), (90, 1, 0), (180, 0, -1)])
def test_shadows_fall_away_from_the_sun_and_are_as_long_as_it_is_low(azimuth, down, right):
    standing = np.zeros((99, 99), np.float32)
    standing[50, 50] = 10
    dark = shadows(standing, azimuth, 45)
    cells = [50 + n * down for n in range(99)], [50 + n * right for n in range(99)]
    assert all(dark[cells[0][n], cells[1][n]] for n in range(1, 16))
    assert dark.sum() == 15
    assert not dark[50, 50]


def test_what_is_kept_is_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(leaning, "_KEPT", tmp_path / "leans.json")
    fields = {"a": everywhere(1, -2, 0.125, -0.25), "b": everywhere(0, 0, 0, 0)}
    keep(fields)
    assert {name: field.tolist() for name, field in kept().items()} == {
        name: field.tolist() for name, field in fields.items()
    }


def test_what_ships_is_no_more_than_what_is_looked_for():
    [field] = kept().values()
    assert field.shape == (43, 31, 4)
    assert np.abs(field[..., :2]).max() <= 8
    assert np.abs(field[..., 2:]).max() <= 0.8


@pytest.fixture
def two_tiles(tmp_path):
    """A tree of 20 m at the right border of the left of two tiles of a region."""
    folder = tmp_path / "vegetation"
    folder.mkdir()
    lines = ["rgb,height,cls,split,region,gsd_m"]
    for name, split, left in (("a", "train", 0), ("b", "val", 1)):
        metres, kinds = np.zeros((64, 64), np.uint16), np.zeros((64, 64), np.uint8)
        if name == "a":
            metres[30:34, 60:64], kinds[30:34, 60:64] = 2000, VEGETATION
        bands = {
            f"{name}_rgb.tif": np.full((3, 64, 64), 90, np.uint8),
            f"{name}_h.tif": metres[None],
        }
        for file, values in bands.items():
            with rasterio.open(
                folder / file, "w", driver="GTiff", height=64, width=64, count=len(values),
                dtype=values.dtype, crs="EPSG:2154",
                transform=rasterio.Affine(0.5, 0, 650_000 + 32 * left, 0, -0.5, 6_860_000),
            ) as raster:  # fmt: skip
                raster.write(values)
        cv2.imwrite(str(folder / f"{name}_cls.png"), kinds)
        lines.append(f"{name}_rgb.tif,{name}_h.tif,{name}_cls.png,{split},r,0.5")
    (folder / "height.csv").write_text("\n".join(lines))
    return tmp_path


def test_a_tree_that_leans_into_the_next_tile_is_learned_there(two_tiles, monkeypatch):
    monkeypatch.setattr(leaning, "kept", lambda: {"r": everywhere(0, 0, 0, 0.5)})
    [land] = read_heights(two_tiles, "val", raw=True)
    assert (land.metres == 20).sum() == 16
    assert (land.metres[30:34, 16:20] == 20).all()
    assert (land.covers[30:34, 16:20] == TREE).all()
    [delivered] = read_heights(two_tiles, "val", raw=True, registered=False)
    assert (delivered.metres == 0).all()
    assert not (delivered.covers & ~np.uint8(OTHER | 2)).any()


def test_leans_are_found_of_whole_regions(two_tiles, monkeypatch):
    found = []
    monkeypatch.setattr(vegetation, "field_of", lambda whole: found.append(whole) or "field")
    monkeypatch.setattr(leaning, "keep", found.append)
    find_leans(two_tiles)
    whole, fields = found
    assert whole.metres.shape == (64, 128)
    assert (whole.metres[30:34, 60:64] == 20).all()
    assert fields == {"r": "field"}
