from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ground import Ground
from models.heights import HeightMap
from models.parcels import ALIKE, Z90, inside, near, parcel, reached, share_over, vigour

GROUND = Ground((0.5, 0, 0, 0, -0.5, 0), "EPSG:2154")


def heights(metres, sigma=1.0, vegetation=1.0, valid=True):
    metres = np.asarray(metres, np.float32)
    known = np.broadcast_to(valid, metres.shape).copy()
    full = [np.where(known, part, 0).astype(np.float32) for part in (metres, sigma, vegetation)]
    return HeightMap(*full, known, GROUND)


def test_a_polygon_holds_the_cells_whose_middles_it_holds_without_its_holes():
    ring = np.array([[1, 1], [7, 1], [7, 5], [1, 5]], float)
    hole = np.array([[3, 2], [5, 2], [5, 4], [3, 4]], float)
    mask = inside([ring, hole], (8, 10))
    expected = np.zeros((8, 10), bool)
    expected[1:5, 1:7] = True
    expected[2:4, 3:5] = False
    np.testing.assert_array_equal(mask, expected)


def test_near_a_line_is_within_a_distance_of_its_segments_not_of_what_prolongs_them():
    mask = near(np.array([[4.5, 4.5], [10.5, 4.5]]), 2.0, (10, 20))
    assert mask[4, 3] and mask[6, 7] and mask[4, 12]
    assert not mask[4, 1] and not mask[7, 7] and not mask[4, 13]


@given(
    st.lists(st.tuples(st.floats(-30, 60), st.floats(-30, 60)), min_size=2, max_size=6),
    st.floats(0.5, 12),
)
def test_near_is_what_no_segment_is_farther_from(points, distance):
    mask = near(np.array(points), distance, (30, 40))
    rows, columns = np.indices((30, 40)) + 0.5
    least = np.full((30, 40), np.inf)
    for one, other in pairwise(np.array(points)):
        for x, y in np.linspace(one, other, 400):  # as a row of points
            least = np.minimum(least, np.hypot(columns - x, rows - y))
    assert not (mask & (least > distance + 0.2)).any()
    assert not (~mask & (least < distance - 1e-3)).any()


def test_a_parcel_of_one_height_has_it_with_the_interval_of_errors_that_are_alike():
    six = heights(np.full((20, 20), 6.0), sigma=2.0)
    found = parcel(six)
    assert found.mean.value == found.median.value == found.p95.value == 6
    assert found.mean.high - found.mean.value == pytest.approx(ALIKE * Z90 * 2, abs=1e-4)
    assert share_over(six, 5.0) == (1, 0, 1)
    assert found.cover == (1, 1, 1)
    assert found.analysed == 1


def test_what_was_not_analysed_is_neither_low_nor_bare():
    valid = np.zeros((10, 10), bool)
    valid[:3] = True
    four = heights(np.full((10, 10), 4.0), valid=valid)
    found = parcel(four)
    assert found.analysed == pytest.approx(0.3)
    assert found.mean.value == 4
    assert found.cover == share_over(four, 2.0) == (1, pytest.approx(0.3), 1)
    assert share_over(four, 6.0) == (0, 0, pytest.approx(0.7))
    unknown = heights(np.full((4, 4), 4.0), valid=False)
    assert parcel(unknown).analysed == 0
    assert np.isnan(parcel(unknown).mean).all()
    assert np.isnan(share_over(unknown, 2.0)).all()


def test_buildings_are_no_vegetation_however_high():
    metres, plants = np.full((10, 10), 30.0), np.zeros((10, 10))
    metres[:5], plants[:5] = 3.0, 1.0
    told = heights(metres, 0.5, plants)
    found = parcel(told)
    assert (found.cover.value, found.mean.value, share_over(told, 2.0).value) == (0.5, 3, 0.5)
    assert reached(told, 0.25).value == 3


@pytest.mark.parametrize(("likely", "said"), [(0.45, 0), (0.6, 1)])
def test_where_there_may_be_no_vegetation_all_intervals_hold_both(likely, said):
    six = heights(np.full((10, 10), 6.0), 0.5, likely)
    found = parcel(six)
    assert found.cover == share_over(six, 2.0) == (said, 0, 1)
    for height in (found.mean, found.median, found.p95, reached(six, 0.25)):
        assert (height.value, height.low) == (6 * said, 0)
        assert height.high == pytest.approx(6 + ALIKE * Z90 * 0.5, abs=1e-3)


def test_a_mean_may_fall_with_cells_that_may_be_vegetation_too():
    metres, likely = np.full((10, 10), 6.0), np.ones((10, 10))
    metres[:5], likely[:5] = 1.0, 0.3
    mean = parcel(heights(metres, 0.1, likely)).mean
    assert mean.value == 6
    assert mean.low == pytest.approx(3.5 - ALIKE * Z90 * 0.1, abs=1e-3)


def test_a_share_up_to_another_limit_leaves_out_what_is_higher():
    metres = np.full((10, 10), 0.2)
    metres[:4], metres[4:6] = 0.9, 9.0
    assert share_over(heights(metres, 0.05), 0.6, 2.0) == (0.4, 0.4, 0.4)
    assert share_over(heights(metres, 0.3), 0.6, 2.0) == (0.4, 0, 0.4)


@given(st.floats(0.1, 5), st.integers(0, 2**32 - 1))
def test_intervals_hold_their_values_and_grow_with_sigma(sigma, seed):
    metres = np.random.default_rng(seed).uniform(0, 20, (12, 12))
    narrow, wide = (
        (*parcel(told)[1:], share_over(told, 5.0), reached(told, 0.25))
        for told in (heights(metres, sigma), heights(metres, 2 * sigma))
    )
    for one, other in zip(narrow, wide, strict=True):
        assert one.low <= one.value <= one.high
        assert other.low <= one.low + 1e-5
        assert other.high >= one.high - 1e-5


def test_four_square_metres_must_reach_a_height_that_is_said_to_stand_near():
    metres = np.zeros((20, 20))
    metres[:4, :4] = 7.0  # 16 cells of a quarter of a square metre
    assert reached(heights(metres), 0.25).value == 7
    metres[0, 0] = 0
    assert reached(heights(metres), 0.25).value == 0


def test_what_was_not_analysed_may_be_as_high_as_what_was():
    metres = np.zeros((20, 20))
    metres[:3, :4] = 7.0  # three square metres
    assert reached(heights(metres), 0.25) == (0, 0, pytest.approx(ALIKE * Z90, abs=1e-3))
    half = heights(metres, valid=np.arange(20) < 10)
    assert (reached(half, 0.25).value, reached(half, 0.25).low) == (0, 0)
    assert reached(half, 0.25).high == pytest.approx(7 + ALIKE * Z90, abs=1e-3)


def test_vigour_is_ndvi_where_there_is_near_infrared_else_the_green_leaf_index():
    colours = np.full((16, 4), (50, 100, 50, 150), np.uint8)
    assert vigour([colours]).value == pytest.approx(0.5)
    assert vigour([colours[:, :3]]).value == pytest.approx(100 / 300)
    dim = (colours * 0.5).astype(np.uint8)
    assert vigour([dim]).value == pytest.approx(0.5, abs=0.01)


def test_vigour_leaves_out_what_has_no_colour_and_tells_nothing_of_nothing():
    colours = np.full((16, 3), (50, 100, 50), np.uint8)
    colours[:8] = 0
    assert vigour([colours]).value == pytest.approx(1 / 3)
    assert vigour([colours[:8]]) is None
    assert vigour([]) is None


def test_vigour_is_the_same_however_the_plants_are_parted():
    colours = np.random.default_rng(0).integers(1, 255, (90, 3), np.uint8)
    parted = vigour([colours[:7], colours[7:7], colours[7:]])
    assert parted == pytest.approx(vigour([colours]))


@pytest.mark.parametrize(("infrared", "told"), [((), None), ((120,), 1 / 7)])
def test_a_grey_picture_has_no_vigour_but_by_near_infrared(infrared, told):
    grey = np.full((16, 3 + len(infrared)), (90, 90, 90, *infrared), np.uint8)
    found = vigour([grey])
    assert (found and found.value) == (told and pytest.approx(told))
