"""Heights are moved to where the picture shows them."""

import cv2
import numpy as np
import pytest

from training.registration import STEP, field_between, kept, moved


def trees(seed=0, side=512):
    rng = np.random.default_rng(seed)
    heights = np.zeros((side, side), np.float32)
    for x, y in rng.integers(20, side - 20, (90, 2)).tolist():
        cv2.circle(heights, (x, y), int(rng.integers(4, 12)), float(rng.uniform(3, 25)), -1)
    return heights


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (7, -3), (-12, 20)])
def test_a_picture_that_is_off_as_a_whole_is_found_and_heights_are_moved_back(rows, columns):
    seen = trees()
    measured = np.roll(seen, (rows, columns), (0, 1))
    field = field_between(cv2.GaussianBlur(seen, (0, 0), 3), measured)
    assert field.shape == (512 // STEP, 512 // STEP, 2)
    assert np.abs(np.median(field, (0, 1)) - (rows, columns)).max() <= 1
    inner = np.s_[60:-60, 60:-60]
    wrong = np.nanmean(moved(measured, field)[inner] != seen[inner])
    assert wrong < 0.08


def test_what_is_moved_in_from_beyond_the_border_is_unknown():
    field = np.full((4, 4, 2), (0, 10), np.float32)
    there = moved(np.ones((64, 64), np.float32), field)
    assert np.isnan(there[:, -10:]).all()
    assert (there[:, :-10] == 1).all()


def test_where_nothing_stands_out_the_rest_of_the_picture_decides():
    seen = trees()
    seen[:256, :256] = 0
    measured = np.roll(seen, 9, 1)
    field = field_between(seen, measured)
    assert np.abs(field[0, 0] - (0, 9)).max() <= 2


def test_the_kept_fields_are_no_larger_than_looked_for():
    assert len(kept()) == 24
    for name, field in kept().items():
        assert name.endswith("_h.tif")
        assert field.shape == (4, 4, 2)
        assert np.abs(field).max() <= 44
