"""Rasters by windows: any CRS, any resolution, and none of the rest."""

import numpy as np
import pytest
from rasterio.transform import Affine

from models import raster as rasters
from models.errors import BadImage, StoreUnavailable
from models.heights import GRID_M, OVERLAP_CELLS
from models.raster import Raster, Window
from tests.orthophotos import EAST, NORTH, drawn, encoded, ortho

_BEYOND_THE_POLE = Affine(2.7e-6, 0, -3.35, 0, -1.8e-6, 97.73)


class Held:
    """Bytes by ranges; counts what is read, and fails when told to."""

    def __init__(self, data, claimed=None):
        self.data, self.read_bytes, self.error = data, 0, None
        self.size_bytes = len(data) if claimed is None else claimed

    def read(self, start, end):
        if self.error:
            raise self.error
        self.read_bytes += end - start
        return self.data[start:end]


def opened(data):
    return Raster("r.tif", Held(data))


@pytest.fixture(autouse=True)
def small_windows(monkeypatch):
    monkeypatch.setattr(rasters, "PITCH_CELLS", OVERLAP_CELLS)
    monkeypatch.setattr(rasters, "MAX_WINDOW_CELLS", 2 * OVERLAP_CELLS)


@pytest.mark.parametrize("gsd_m", [0.05, 0.15, 0.2, 0.5])
def test_windows_of_usual_resolutions_are_whole_pixels_as_they_stand(gsd_m):
    pixels = drawn((900, 1100))
    raster = opened(encoded(pixels.transpose(2, 0, 1), gsd_m))
    for window in raster.windows():
        tile = raster.read(window)
        assert tile.gsd_m == pytest.approx(gsd_m)
        left, top = round(window.column * GRID_M / gsd_m), round(window.row * GRID_M / gsd_m)
        height, width = tile.valid.shape
        expected = pixels[top : top + height, left : left + width]
        assert np.array_equal(tile.pixels, expected)
        assert tile.ground.affine == pytest.approx(
            (gsd_m, 0, EAST + left * gsd_m, 0, -gsd_m, NORTH - top * gsd_m)
        )


@pytest.mark.parametrize("gsd_m", [0.07, 0.197, 0.2, 0.6])
def test_windows_cover_every_cell_and_hold_a_whole_number_of_them(gsd_m):
    raster = opened(ortho((600, 800), gsd_m=gsd_m))
    seen = np.zeros(raster.grid_hw, int)
    for window in raster.windows():
        column, row, width, height = window
        seen[row : row + height, column : column + width] += 1
        tile = raster.read(window)
        for side, cells in zip(tile.valid.shape, (height, width), strict=True):
            assert side * tile.gsd_m / GRID_M == pytest.approx(cells, abs=0.5 * tile.gsd_m / GRID_M)
        assert tile.valid.all()
    assert seen.min() >= 1
    assert raster.grid_hw == tuple(int(side * gsd_m / GRID_M + 1e-6) for side in (600, 800))


def test_the_same_ground_has_the_same_pixels_in_two_windows_whatever_the_resolution():
    for gsd_m in (0.197, 0.2):
        raster = opened(ortho((1400, 1400), gsd_m=gsd_m))
        first, second = raster.windows()[:2]
        shift = second.column
        finest = GRID_M / raster.read(first).gsd_m
        left = raster.read(first).pixels[:, round(shift * finest) :].astype(int)
        right = raster.read(second).pixels[:, : left.shape[1]].astype(int)
        assert np.abs(left - right).mean() < 1.5 if gsd_m == 0.197 else np.array_equal(left, right)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:2154", Affine(0.2, 0, EAST, 0, -0.2, NORTH)),
        ("EPSG:32630", Affine(0.2, 0, 473_000, 0, -0.2, 5_286_000)),
        ("EPSG:3857", Affine(0.3, 0, -373_000, 0, -0.3, 6_060_000)),
        ("EPSG:4326", Affine(2.7e-6, 0, -3.35, 0, -1.8e-6, 47.73)),
        ("EPSG:2154", Affine(0.14, 0.14, EAST, 0.14, -0.14, NORTH)),  # turned by 45°
    ],
)
def test_cells_measure_half_a_metre_of_ground_in_any_crs(crs, transform):
    raster = opened(ortho((900, 900), crs=crs, transform=transform))
    assert raster.gsd_m == pytest.approx(0.2, rel=0.02)
    corners = raster.grid.lon_lat(np.array([[0, 0], [100, 0], [0, 100]], float))
    metres = (corners[1:] - corners[0]) * [np.cos(np.radians(corners[0, 1])), 1] * 111_320
    assert np.hypot(*metres.T) == pytest.approx([50, 50], rel=0.01)
    tile = raster.read(raster.windows()[-1])
    place = tile.ground.lon_lat(np.array([[0, 0]], float))
    window = raster.windows()[-1]
    there = raster.grid.lon_lat(np.array([[window.column, window.row]], float))
    assert place == pytest.approx(there, abs=1e-9)


def test_a_window_reads_its_part_of_the_file_alone():
    held = Held(ortho((2000, 2000)))
    raster = Raster("r.tif", held)
    assert held.read_bytes < 0.1 * len(held.data)
    raster.read(raster.windows()[0])
    assert held.read_bytes < 0.3 * len(held.data)


def test_a_block_is_read_once_for_pixels_and_mask():
    held = Held(encoded(drawn((1000, 1000)).transpose(2, 0, 1), gsd_m=0.03, nodata=0))
    opened_raster = Raster("r.tif", held)
    (window,) = opened_raster.windows()
    opened_raster.read(window)
    assert held.read_bytes < 1.2 * len(held.data)


@pytest.mark.parametrize("width", [83, 97, 250])
@pytest.mark.parametrize("gsd_m", [0.55, 0.6, 0.9])
def test_windows_of_coarse_pixels_lose_no_cell(gsd_m, width):
    raster = opened(encoded(drawn((240, width)).transpose(2, 0, 1), gsd_m=gsd_m))
    for window in raster.windows():
        tile = raster.read(window)
        assert tile.valid.shape == (window.height, window.width)
        assert tile.gsd_m == GRID_M


def test_no_data_is_not_valid_by_value_by_alpha_and_by_mask():
    pixels = drawn((600, 600)).transpose(2, 0, 1).clip(1, 254)
    pixels[:, 100:200, 50:300] = 255
    alpha = np.where((pixels == 255).all(0), 0, 255).astype(np.uint8)
    by_value = encoded(pixels, nodata=255)
    by_alpha = encoded(
        np.concatenate([pixels, alpha[None]]), kinds=["red", "green", "blue", "alpha"]
    )
    for data in (by_value, by_alpha):
        raster = opened(data)
        assert not raster.infrared
        tile = raster.read(Window(0, 0, 192, 192))
        expected = np.ones(tile.valid.shape, bool)
        expected[100:200, 50:300] = False
        assert np.array_equal(tile.valid, expected)
        assert (tile.pixels[~tile.valid] == 127).all()


def test_sixteen_bits_are_scaled_by_the_range_of_the_whole_raster():
    eight = drawn((1200, 1200))
    sixteen = eight.astype(np.uint16) * 40 + 300
    sixteen[:, :600] //= 2  # one half is darker: each window by its own range would hide it
    raster = opened(encoded(sixteen.transpose(2, 0, 1)))
    tiles = {window: raster.read(window) for window in raster.windows()}
    whole = np.zeros((1200, 1200, 3), np.uint8)
    for (column, row, _, _), tile in tiles.items():
        height, width = tile.valid.shape
        top, left = round(row * 2.5), round(column * 2.5)
        whole[top : top + height, left : left + width] = tile.pixels
    dark, bright = whole[:, :600].mean(), whole[:, 600:].mean()
    assert bright > 1.5 * dark
    steps = np.abs(np.diff(whole.astype(int), axis=1)).mean((0, 2))
    assert steps[599] > 3 * np.median(steps)
    assert all(steps[round(w.column * 2.5) - 1] < 3 * np.median(steps) for w in tiles if w.column)


def test_what_lies_between_two_bands_does_not_depend_on_the_darkest_shadow():
    ratios = []
    for shadow in (100, 900):
        values = np.full((4, 600, 600), shadow, np.uint16)
        values[:, :, 300:] = np.array([600, 900, 500, 3000])[:, None, None]
        raster = opened(encoded(values, photometric="rgb", alpha="unspecified"))
        tile = raster.read(Window(160, 0, 100, 100))
        red, infrared = tile.pixels[..., 0].mean(), tile.near_infrared.mean()
        ratios.append((infrared - red) / (infrared + red))
    assert ratios == [pytest.approx(2400 / 3600, abs=0.01)] * 2


@pytest.mark.parametrize(("side_px", "gsd_m"), [(1, 0.5), (2, 0.2), (3, 0.2)])
def test_a_raster_of_a_few_pixels_is_read(side_px, gsd_m):
    for bands in (1, 3):
        raster = opened(encoded(np.full((bands, side_px, side_px), 90, np.uint8), gsd_m=gsd_m))
        for window in raster.windows():
            assert (raster.read(window).pixels == 90).all()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no tiff", "damaged"),
        (ortho((600, 600), crs=None), "no_georeference"),
        (encoded(np.zeros((3, 64, 64), np.float32)), "unsupported_samples"),
        (encoded(np.zeros((2, 64, 64), np.uint8)), "unsupported_samples"),
        (encoded(np.zeros((3, 64, 64), np.int16)), "unsupported_samples"),
        (ortho((64, 64), gsd_m=2.0), "too_coarse"),
        (ortho((64, 64), crs="EPSG:4326", transform=_BEYOND_THE_POLE), "no_georeference"),
    ],
)
def test_what_cannot_be_told_is_refused_with_its_reason(data, reason):
    with pytest.raises(BadImage) as caught:
        opened(data)
    assert caught.value.reason == reason


def test_a_block_that_would_fill_memory_is_refused(monkeypatch):
    monkeypatch.setattr(rasters, "_MAX_BLOCK_BYTES", 100_000)
    with pytest.raises(BadImage, match="block_too_large"):
        opened(ortho((600, 600)))


def test_a_raster_of_too_many_windows_is_refused(monkeypatch):
    monkeypatch.setattr(rasters, "MAX_WINDOWS", 3)
    with pytest.raises(BadImage, match="too_many_pixels"):
        opened(ortho((1200, 1200)))


def test_a_file_that_was_cut_short_is_truncated_where_it_is_and_nowhere_else():
    data = ortho((1200, 1200), compress="none")
    raster = Raster("r.tif", Held(data[: len(data) // 2]))
    assert raster.read(raster.windows()[0]).valid.all()
    with pytest.raises(BadImage, match="truncated"):
        raster.read(raster.windows()[-1])


def test_damage_is_told():
    data = bytearray(ortho((1200, 1200)))
    data[len(data) // 3 : -len(data) // 3] = bytes(len(data[len(data) // 3 : -len(data) // 3]))
    raster = opened(bytes(data))
    with pytest.raises(BadImage, match="damaged"):
        for window in raster.windows():
            raster.read(window)


def test_an_error_of_the_source_comes_out_as_itself():
    held = Held(ortho((1200, 1200)))
    raster = Raster("r.tif", held)
    held.error = StoreUnavailable("away")
    with pytest.raises(StoreUnavailable, match="away"):
        raster.read(raster.windows()[-1])
    with pytest.raises(StoreUnavailable):
        Raster("r.tif", held)


def test_nothing_but_a_geotiff_is_opened(tmp_path):
    inside = tmp_path / "secret.tif"
    inside.write_bytes(ortho((600, 600)))
    vrt = (
        '<VRTDataset rasterXSize="600" rasterYSize="600"><VRTRasterBand dataType="Byte" band="1">'
        f"<SimpleSource><SourceFilename>{inside}</SourceFilename></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )
    with pytest.raises(BadImage, match="damaged"):
        opened(vrt.encode())
