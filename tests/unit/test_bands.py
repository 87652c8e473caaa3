"""Bands of rasters: as the file names them, in their usual order if it does not, else refused."""

import numpy as np
import pytest

from models.errors import BadImage
from models.raster import Raster, Window
from tests.orthophotos import drawn, encoded

_RGB = "red", "green", "blue"
FIVE = np.stack([np.full((600, 600), level, np.uint8) for level in (40, 80, 50, 120, 200)])


@pytest.fixture
def opened(tmp_path):
    def open_(data):
        (tmp_path / "r.tif").write_bytes(data)
        return Raster("r.tif", tmp_path / "r.tif")

    return open_


def test_a_fourth_band_that_is_no_transparency_is_near_infrared(opened):
    pixels = drawn((600, 600)).transpose(2, 0, 1)
    infrared = np.full((1, 600, 600), 201, np.uint8)
    four = np.concatenate([pixels, infrared])
    raster = opened(encoded(four, photometric="rgb", alpha="unspecified"))
    tile = raster.read(raster.windows()[0])
    assert raster.infrared
    assert (tile.near_infrared == 201).all()
    assert np.array_equal(tile.pixels, pixels.transpose(1, 2, 0))


@pytest.mark.parametrize(("dtype", "most"), [(np.uint8, 255), (np.uint16, 65535)])
def test_a_fourth_band_that_is_all_or_nothing_is_transparency(opened, dtype, most):
    four = np.full((4, 600, 600), 90, dtype)
    four[3] = most
    four[3, :, :100] = 0
    raster = opened(encoded(four, photometric="rgb", alpha="unspecified"))
    tile = raster.read(Window(0, 0, 192, 192))
    assert not raster.infrared
    assert tile.near_infrared is None
    assert not tile.valid[:, :100].any()
    assert tile.valid[:, 100:].all()


@pytest.mark.parametrize("kind", ["nir", "undefined"])
def test_of_more_bands_those_that_are_named_are_read(opened, kind):
    names = {} if kind == "nir" else {"names": ["", "", "", "Red edge", "NIR"]}
    kinds = ["blue", "green", "red", "undefined", kind]
    tile = opened(encoded(FIVE, kinds=kinds, **names)).read(Window(0, 0, 192, 192))
    assert tile.pixels[0, 0].tolist() == [50, 80, 40]
    assert (tile.near_infrared == 200).all()


@pytest.mark.parametrize("how", ["kinds", "names"])
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [2, 1, 0, 3], [3, 0, 1, 2]])
def test_bands_are_read_as_the_file_names_them_not_in_their_order(opened, how, order):
    levels = np.array([50, 80, 40, 200], np.uint8)[order]
    told = [[*_RGB, "nir"][band] for band in order]
    if how == "names":
        told = [{"nir": "Near-Infrared", "red": "Rouge"}.get(name, name.title()) for name in told]
    bands = np.broadcast_to(levels[:, None, None], (len(order), 600, 600))
    raster = opened(encoded(bands, **{how: told}, photometric="minisblack"))
    tile = raster.read(Window(0, 0, 192, 192))
    assert tile.pixels[0, 0].tolist() == [50, 80, 40]
    assert tile.valid.all()
    assert raster.infrared == (3 in order)
    assert not raster.infrared or (tile.near_infrared == 200).all()


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"kinds": [*_RGB, "undefined", "undefined"]},
        {"kinds": [*_RGB, "nir", "nir"]},
        {"names": ["Green", "Red", "Red edge", "NIR"], "photometric": "minisblack"},
        {"kinds": ["green", "red", "rededge", "nir"]},
        {"kinds": [*_RGB, "rededge"]},
        {"names": ["NIR", "Red", "Green"], "photometric": "minisblack"},
        {"names": ["NIR", "Red", "Green"], "photometric": "rgb"},  # described, but called RGB
        {"names": ["", "", "", "NIR"], "photometric": "rgb", "alpha": "yes"},
    ],
)
def test_bands_named_as_something_else_are_refused_and_told_what_to_submit(opened, told):
    count = len(told.get("kinds") or told.get("names") or FIVE)
    with pytest.raises(BadImage, match=r"unsupported_samples: .*; submit red, green, blue"):
        opened(encoded(FIVE[:count], **told))


@pytest.mark.parametrize(
    "told",
    [
        {"names": ["Band 1", "Band 2", "Band 3", "Band 4"], "photometric": "minisblack"},
        {"names": ["", "", "", "NIR"], "photometric": "minisblack"},
        {"photometric": "rgb", "alpha": "unspecified"},
    ],
)
def test_bands_without_names_are_red_green_blue_and_near_infrared(opened, told):
    tile = opened(encoded(FIVE[1:], **told)).read(Window(0, 0, 192, 192))
    assert tile.pixels[0, 0].tolist() == [80, 50, 120]
    assert (tile.near_infrared == 200).all()


def test_a_band_described_as_transparency_is_no_infrared(opened):
    four = np.full((4, 600, 600), 90, np.uint8)
    four[3, :, :100] = 0
    raster = opened(encoded(four, names=["", "", "", "Alpha"], photometric="minisblack"))
    tile = raster.read(Window(0, 0, 192, 192))
    assert not raster.infrared
    assert tile.valid.sum() == tile.valid[:, 100:].size


def test_a_picture_packed_as_jpeg_is_red_green_and_blue(opened):
    pixels = np.full((3, 600, 600), 90, np.uint8)
    pixels[0] = 180
    data = encoded(pixels, compress="jpeg", photometric="ycbcr", interleave="pixel")
    tile = opened(data).read(Window(0, 0, 192, 192))
    assert np.abs(tile.pixels[0, 0].astype(int) - [180, 90, 90]).max() < 4


def test_one_band_is_grey(opened):
    grey = drawn((600, 600))[..., :1].transpose(2, 0, 1)
    tile = opened(encoded(grey)).read(Window(0, 0, 192, 192))
    assert np.array_equal(tile.pixels[..., 0], grey[0, :480, :480])
    assert np.array_equal(tile.pixels[..., 0], tile.pixels[..., 2])
