import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.evaluate import average_precision, hits, platt


def f32(*values):
    return np.array(values, np.float32)


def test_each_truth_is_hit_once_by_the_best_score():
    truth = f32([0, 0, 10, 10])
    boxes = f32([0, 0, 10, 9], [0, 0, 10, 10], [50, 50, 60, 60])
    assert hits(boxes, f32(0.5, 0.9, 0.8), truth, 0.5).tolist() == [False, True, False]


def test_overlap_under_the_limit_is_no_hit():
    assert not hits(f32([0, 0, 10, 4.9]), f32(0.9), f32([0, 0, 10, 10]), 0.5).any()
    assert hits(f32([0, 0, 10, 5.1]), f32(0.9), f32([0, 0, 10, 10]), 0.5).all()


def test_average_precision_by_hand():
    # Ranked: hit, miss, hit; three true boxes. Envelope 1 at recall 1/3, 2/3 at recall 2/3.
    value = average_precision(f32(0.9, 0.8, 0.7), np.array([True, False, True]), 3)
    assert value == pytest.approx((1 + 2 / 3) / 3)


def test_average_precision_of_nothing_found_is_zero_and_of_nothing_there_is_unknown():
    nothing = average_precision(f32(), np.zeros(0, bool), 4)
    assert nothing == 0
    assert np.isnan(average_precision(f32(0.9), np.array([False]), 0))


@given(st.floats(0.2, 5), st.floats(-3, 3))
def test_platt_finds_the_slope_and_offset_that_made_the_labels(slope, offset):
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, 40000)
    truth = rng.random(40000) < 1 / (1 + np.exp(-(slope * logits + offset)))
    found_slope, _ = platt(logits, truth)
    assert found_slope == pytest.approx(slope, rel=0.15, abs=0.05)


def test_platt_puts_the_balanced_decision_at_one_half():
    logits = np.concatenate([np.full(900, -1.0), np.full(100, 3.0)])
    logits += np.random.default_rng(0).normal(0, 1, 1000)
    slope, offset = platt(logits, np.arange(1000) >= 900)
    assert -offset / slope == pytest.approx(1.0, abs=0.25)
