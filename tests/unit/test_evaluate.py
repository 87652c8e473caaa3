import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.detections import Detections
from training.dataset import Sample
from training.evaluate import (
    Scored,
    average_precision,
    calibration_error,
    hits,
    states_of,
)
from training.fitted import balanced_threshold, platt, temperature


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


def test_the_balanced_threshold_gives_both_truths_the_same_weight():
    rng = np.random.default_rng(0)
    said = np.concatenate([rng.beta(2, 8, 900), rng.beta(8, 8, 100)])
    cut = balanced_threshold(said, np.arange(1000) >= 900)
    assert 0.25 < cut < 0.45  # between the means 0.2 and 0.5, whatever their numbers
    assert balanced_threshold(np.array([0.2, 0.2]), np.array([True, False])) == 0.5


def test_calibration_error_is_how_far_the_said_is_from_what_happens():
    truth = np.arange(1000) % 4 == 0
    assert calibration_error(truth, np.full(1000, 0.25)) == pytest.approx(0, abs=1e-9)
    assert calibration_error(truth, np.full(1000, 0.65)) == pytest.approx(0.4)
    halves = np.where(np.arange(1000) < 600, 0.05, 0.95)
    assert calibration_error(halves > 0.5, halves) == pytest.approx(0.05)


@given(st.floats(0.2, 3))
def test_temperature_finds_how_sure_states_should_be(slope):
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 2, (4000, 3))
    likely = np.exp(slope * logits)
    likely /= likely.sum(1, keepdims=True)
    truth = (rng.random((4000, 1)) > likely.cumsum(1)).sum(1).clip(0, 2)
    said = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert temperature(said, truth) == pytest.approx(slope, rel=0.15)
    assert temperature(np.zeros((0, 3)), np.zeros(0, np.int64)) == 1


def test_states_are_scored_where_the_object_is_found_and_its_state_known():
    sample = Sample(
        None,
        f32([0, 0, 10, 10], [50, 0, 60, 10], [90, 0, 99, 10]),
        np.zeros(3, np.int64),
        np.array([1, -1, 0]),
        np.array([True, True]),
        f32(1),
        "here",
    )
    found = Detections(
        f32([0, 0, 10, 9], [0, 1, 10, 10], [50, 0, 60, 10]),
        f32(0.9, 0.4, 0.9),
        np.zeros(3, np.int64),
        ("container", "waste"),
        (100, 100),
        f32([0.3, 0.7], [0.9, 0.1], [0.5, 0.5]),
        ("clean", "side_waste"),
    )
    said, truth = states_of([Scored(sample, found, None)])
    assert truth.tolist() == [1]
    assert said[0].tolist() == pytest.approx([0.3, 0.7])


def test_of_no_pictures_there_are_no_states():
    said, truth = states_of([])
    assert said.size == truth.size == 0
    assert temperature(said, truth) == 1
