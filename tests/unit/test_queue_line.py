"""Queues seen by a drawn camera: vehicles at known distances from a gate, some of them missed."""

import numpy as np
import pytest

from models.registration import Sight
from services.queue_line import length_m, metres_along
from tests.counted import lined, said, site

FOCAL_PX, HEIGHT_M, BEHIND_M = 900, 5, 6  # a level camera on the gate's axis, behind it
MIDDLE = np.array([640, 250])


def seen(metres, above_m=0.0):
    """Where a point of the lane, or above it, is in the picture, px."""
    depth = np.asarray(metres, float) + BEHIND_M
    across = np.stack([-0.4 * np.ones_like(depth), HEIGHT_M - above_m + 0 * depth], -1)
    return MIDDLE + FOCAL_PX * across / depth[..., None]


MARKS = (0, 20, 100)
LINE = seen(MARKS).astype(np.float32)


def boxes(metres, off=0.0):
    """Boxes (N, 4) around cars at these distances, their feet off by a share of their height."""
    feet, tops = seen(metres).reshape(-1, 2), seen(metres, 1.5).reshape(-1, 2)
    heights = feet[:, 1] - tops[:, 1]
    low = feet[:, 1] + off * heights
    left, right = feet[:, 0] - heights, feet[:, 0] + heights
    return np.stack([left, tops[:, 1], right, low], 1).astype(np.float32)


def length(*metres):
    return length_m(LINE, MARKS, boxes(np.array(metres, float)))


def test_three_marks_tell_metres_all_along_a_straight_line():
    at = np.linspace(0, 95, 40)
    beside = seen(at) + np.array([12, 0])
    assert metres_along(LINE, MARKS, seen(at).astype(np.float32)) == pytest.approx(at, abs=0.01)
    assert metres_along(LINE, MARKS, beside.astype(np.float32)) == pytest.approx(at, abs=3)


def test_before_the_gate_and_beyond_the_line_its_ends_count():
    ends = np.array([[580, 1100], [640, 251]], np.float32)
    assert metres_along(LINE, MARKS, ends).tolist() == pytest.approx([0, 100])


def test_a_line_that_bends_is_followed():
    corner = np.array([[100, 400], [100, 200], [300, 200]], np.float32)
    feet = np.array([[90, 300], [200, 210], [300, 190]], np.float32)
    assert metres_along(corner, (0, 20, 40), feet) == pytest.approx([10, 30, 40])


def test_an_unbroken_queue_reaches_its_last_vehicle():
    one = length(3, 10, 17, 24)
    assert one.value == pytest.approx(24, abs=0.1)
    assert 23 < one.low <= 24 <= one.high < 42


def test_nobody_waits():
    assert length() == (0, 0, 15)
    far = length(60, 67)  # vehicles on the road
    assert (far.value, far.low) == (0, 0)
    assert far.high == 15


def test_a_gap_ends_a_queue_but_not_where_the_detector_may_have_missed_two():
    assert length(3, 10, 17, 60, 67).value == pytest.approx(17, abs=0.1)
    assert length(3, 10, 31).value == pytest.approx(31, abs=0.1)
    doubtful = length(3, 10, 31)
    assert doubtful.low < 11 < doubtful.high


@pytest.mark.parametrize("found", [0.75, 0.85, 0.95])
def test_the_interval_holds_the_length_of_nine_queues_in_ten(found):
    held, off = [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        gaps = np.where(rng.random(13) < 0.85, rng.uniform(6, 9, 13), rng.uniform(10, 14, 13))
        gaps[0] = rng.uniform(2, 5)
        waiting = gaps[: rng.integers(0, 13)].cumsum()
        truth = waiting.max(initial=0)
        road = [truth + rng.uniform(30, 60)] if rng.random() < 0.3 else []
        there = np.array([*waiting, *road])
        there = there[rng.random(len(there)) < found]
        invented = rng.uniform(0, 100, rng.poisson(0.1))
        rough = [boxes(np.array([m]), rng.normal(0, 0.03)) for m in (*there, *invented)]
        one = length_m(LINE, MARKS, np.concatenate([np.zeros((0, 4), np.float32), *rough]))
        held.append(one.low - 0.01 <= truth <= one.high)
        off.append(one.value - truth)
    assert np.mean(held) > 0.9
    assert abs(np.mean(off)) < 10


LANE = [[150, 100], [250, 100], [250, 299], [150, 299]]
GATE = [[200, 120, 0], [200, 180, 8], [200, 240, 16], [200, 295, 24]]


def queue(*feet, **options):
    """What is said of a queue of cars with their feet at these heights in the picture."""
    where = site(("gate", "queue", LANE, "{capacity: 3}"), edit=lined(GATE))
    cars = [("car", 185, y - 20, 215, y) for y in feet]
    return said(where, cars, **options)


def test_a_queue_along_its_line_is_told_in_metres():
    found = queue(125, 180, 240)
    one = found["gate", "occupancy.length"]
    assert (one.value, one.unit) == (pytest.approx(16), "m")
    assert one.low < 16 < one.high
    assert found["gate", "occupancy.count"].value == 3
    assert found["gate", "occupancy.share"].value == 1
    assert queue()["gate", "occupancy.length"].value == 0
    beside = said(
        site(("gate", "queue", LANE, "{}"), edit=lined(GATE)), [("car", 300, 220, 330, 240)]
    )
    assert beside["gate", "occupancy.length"].value == 0


def test_the_line_moves_with_the_view_and_is_unknown_where_nothing_is_seen():
    up = Sight("seen", np.array([[1.0, 0, 0], [0, 1, -15]]), 99)
    assert queue(110, 165, 225, sight=up)["gate", "occupancy.length"].value == pytest.approx(16)
    for options, reason in (({"level": 3}, "dark"), ({"level": 180}, "blank")):
        one = queue(**options)["gate", "occupancy.length"]
        assert (one.value, one.high, one.reason) == (None, None, reason)
