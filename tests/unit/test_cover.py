from typing import get_args

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.cover import cover
from models.plan import GRID_PX, Box, Plan, Region, Style, plan_of

KEY = b"key"
STYLES = get_args(Style)
DTYPES = ("uint8", "uint16")
Pixels = NDArray[np.uint8] | NDArray[np.uint16]


def noise(size_hw: tuple[int, int], dtype: str, seed: int = 0, channels: int = 3) -> Pixels:
    high = np.iinfo(dtype).max + 1
    return np.random.default_rng(seed).integers(0, high, (*size_hw, channels), dtype)


def plan(size_hw: tuple[int, int], *boxes: Box, style: Style = "mosaic", zones=()) -> Plan:
    return plan_of(size_hw, [Region(box, "face", 0.9) for box in boxes], zones, style)


def mask_of(what: Plan) -> NDArray[np.bool_]:
    """Bool (H, W): the covered pixels."""
    whole = what.covered.repeat(GRID_PX, axis=0).repeat(GRID_PX, axis=1)
    return whole[: what.size_hw[0], : what.size_hw[1]]


def flat(level: int, size_hw: tuple[int, int] = (160, 240)) -> NDArray[np.uint8]:
    return np.full((*size_hw, 3), level, np.uint8)


@st.composite
def scenes(draw: st.DrawFn, styles: tuple[str, ...] = STYLES) -> tuple[Pixels, Plan]:
    """A picture of any size, depth and number of channels, and what to cover in it."""
    height, width = draw(st.integers(1, 150)), draw(st.integers(1, 150))
    boxes = []
    for _ in range(draw(st.integers(0, 4))):
        x1, y1 = draw(st.integers(-9, width - 1)), draw(st.integers(-9, height - 1))
        x2 = draw(st.integers(max(x1, 0) + 1, width + 90))
        boxes.append((x1, y1, x2, draw(st.integers(max(y1, 0) + 1, height + 90))))
    x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    zones = draw(st.lists(st.just([(x, y), (x + 30, y), (x + 15, y + 40)]), max_size=1))
    pixels = noise((height, width), draw(st.sampled_from(DTYPES)), 0, draw(st.integers(1, 4)))
    pixels.setflags(write=False)
    style = draw(st.sampled_from(styles))
    return pixels, plan((height, width), *boxes, style=style, zones=zones)


@given(scenes(("mosaic", "solid")), st.integers(1, 1000), st.binary())
def test_what_is_covered_has_no_influence(
    scene: tuple[Pixels, Plan], seed: int, noise_key: bytes
) -> None:
    """Non-interference: whatever is under the covers, the result is the same."""
    pixels, what = scene
    height, width, channels = pixels.shape
    for other in (noise((height, width), pixels.dtype.name, seed, channels), pixels * 0):
        swapped = np.where(mask_of(what)[..., None], other, pixels)
        assert np.array_equal(cover(swapped, what, noise_key), cover(pixels, what, noise_key))


@given(scenes())
def test_what_is_not_covered_stays_but_for_the_colours_of_the_pixels_around(
    scene: tuple[Pixels, Plan],
) -> None:
    pixels, what = scene
    before = pixels.copy()
    result = cover(pixels, what, KEY)
    mask = mask_of(what)
    recoloured = what.style != "blur" and pixels.shape[2] == 3
    apart = ~(cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)
    outside = apart if recoloured else ~mask
    assert np.array_equal(result[outside], pixels[outside])
    assert np.array_equal(pixels, before)
    assert (result.shape, result.dtype) == (pixels.shape, pixels.dtype)
    unclipped = ((result > 0) & (result < np.iinfo(result.dtype).max)).all(axis=2)
    around = ~outside & ~mask & unclipped
    if around.any():
        luma = np.array([0.299, 0.587, 0.114])
        assert np.abs(result[around] @ luma - pixels[around] @ luma).max() <= 1


@given(scenes())
def test_covers_hold_the_box_and_its_margin_to_the_last_row_and_column(
    scene: tuple[Pixels, Plan],
) -> None:
    pixels, what = scene
    height, width = what.size_hw
    mask = mask_of(what)
    for region in what.regions:
        x1, y1, x2, y2 = region.box
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
        assert x1 % GRID_PX == y1 % GRID_PX == 0
        assert x2 % GRID_PX == 0 or x2 == width
        assert y2 % GRID_PX == 0 or y2 == height
        if region.label == "face":
            assert mask[y1:y2, x1:x2].all()
    assert cover(pixels, what, KEY).shape == pixels.shape


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("box", "cover_box"),
    [
        ((100, 60, 140, 110), (80, 32, 160, 128)),  # 12 and 15 px of margin, then to the grid
        ((100, 60, 106, 66), (96, 48, 112, 80)),  # 4 px at least
        ((190, 120, 201, 137), (176, 112, 201, 137)),
        ((-30, -30, 4, 4), (0, 0, 16, 16)),
    ],
)
def test_a_box_grows_and_ends_on_the_grid(dtype: str, box: Box, cover_box: Box) -> None:
    what = plan((137, 201), box, style="solid")
    assert what.regions[0].box == cover_box
    x1, y1, x2, y2 = cover_box
    grey = cover(noise((137, 201), dtype), what, KEY) == 127 * (np.iinfo(dtype).max // 255)
    assert grey[y1:y2, x1:x2].all()
    grey[max(y1 - 1, 0) : y2 + 1, max(x1 - 1, 0) : x2 + 1] = False
    assert not grey.all(axis=2).any()


def test_a_mosaic_takes_the_colours_around_it_and_noise_of_32_levels() -> None:
    picture = flat(60, (160, 480))
    picture[:, 240:] = 200
    left = cover(picture, plan((160, 480), (24, 44, 76, 96)), KEY).astype(int)
    right = cover(picture, plan((160, 480), (404, 44, 456, 96)), KEY).astype(int)
    for made in (left, right):
        difference = made - picture
        assert -32 <= difference.min() < -16
        assert 15 < difference.max() <= 31


def test_a_mosaic_at_16_bits_is_as_coarse_as_at_8() -> None:
    eight = flat(60)
    sixteen = eight.astype(np.uint16) * 257
    what = plan((160, 240), (30, 60, 60, 90))
    difference = cover(sixteen, what, KEY).astype(int) - sixteen
    assert -32 * 257 <= difference.min() < -16 * 257
    assert 15 * 257 < difference.max() <= 31 * 257


def test_a_wide_cover_blends_from_side_to_side() -> None:
    """The colours that a far apart left and right give meet in between."""
    picture = np.linspace(40, 215, 640).astype(np.uint8)[None, :, None].repeat(320, 0).repeat(3, 2)
    made = cover(picture, plan((320, 640), (200, 100, 420, 220)), KEY)
    means = made[96:224].mean(axis=(0, 2))
    thirds = [means[a:b].mean() for a, b in ((160, 260), (260, 370), (370, 460))]
    assert thirds == sorted(thirds)
    assert thirds[2] - thirds[0] > 40


def test_where_nothing_is_left_a_mosaic_starts_from_grey() -> None:
    made = cover(noise((40, 60), "uint8"), plan((40, 60), (0, 0, 60, 40)), KEY)
    assert np.abs(made.astype(int) - 127).max() <= 32


@pytest.mark.parametrize("side", [5, 20, 40, 80, 110, 200])
def test_what_was_found_keeps_at_most_five_cells_on_its_short_side(side: int) -> None:
    made = cover(noise((300, 300), "uint8"), plan((300, 300), (40, 40, 40 + side, 40 + side)), KEY)
    found = made[40 : 40 + side, 40 : 40 + side].astype(int)
    columns = 1 + np.abs(np.diff(found, axis=1)).any(axis=(0, 2)).sum()
    rows = 1 + np.abs(np.diff(found, axis=0)).any(axis=(1, 2)).sum()
    assert 1 <= columns <= 5
    assert 1 <= rows <= 5


def test_noise_is_one_a_cell_and_hangs_on_key_and_surroundings() -> None:
    what = plan((160, 240), (50, 50, 90, 90))
    made = cover(flat(128), what, KEY)
    assert np.array_equal(made, cover(flat(128), what, KEY))
    assert not np.array_equal(made, cover(flat(128), what, b"other"))
    darker = cover(flat(100), what, KEY).astype(int)
    assert not np.array_equal(darker - 100, made.astype(int) - 128)
    assert len(np.unique(made)) > 5
    for y in range(32, 112, 16):
        for x in range(32, 112, 16):
            cell = made[y : y + 16, x : x + 16]
            assert (cell == cell[0, 0]).all()


@pytest.mark.parametrize("style", STYLES)
def test_zones_are_grey_whatever_the_style_and_leave_no_trace_in_other_covers(
    style: Style,
) -> None:
    zone = [(60.0, 40.0), (120.0, 40.0), (90.0, 100.0)]
    what = plan((137, 201), (80, 60, 110, 90), style=style, zones=[zone])
    pixels = noise((137, 201), "uint8")
    made = cover(pixels, what, KEY)
    solid = what.solid.repeat(16, 0).repeat(16, 1)[:137, :201]
    assert (made[solid] == 127).all()
    other = np.where(solid[..., None], noise((137, 201), "uint8", 7), pixels)
    assert np.array_equal(cover(other, what, KEY), made)


def test_a_blur_is_what_it_says() -> None:
    """Weaker, and documented so: it is made of what it covers."""
    picture = flat(20)
    picture[64:96, 96:128] = 220
    made = cover(picture, plan((160, 240), (96, 64, 128, 96), style="blur"), KEY)
    assert 20 < made[80, 112].mean() < 220
    assert made[80, 112].mean() > made[50, 90].mean()


def test_the_share_of_a_box_in_covers_is_its_area() -> None:
    what = plan((137, 201), (100, 60, 140, 110))  # covers 80–160, 32–128
    for box, share in (
        ((90, 40, 100, 50), 1.0),
        ((70, 40, 90, 50), 0.5),
        ((0, 0, 16, 16), 0.0),
        ((120, 120, 140, 500), 8 / 17),  # the part outside the picture does not count
    ):
        assert what.share(Region(box, "face", 0.5), what.covered) == pytest.approx(share)
