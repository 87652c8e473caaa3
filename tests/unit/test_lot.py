"""Looks of stalls that mislead in one picture, put right by the picture's own stalls."""

from types import SimpleNamespace

import numpy as np
import pytest

from models.detections import Detections
from services.lot import shift, stalls

BOX = 2.5  # what a box on a stall adds


def lot(taken, free, *, off=0.0, boxed=0.9, seed=0):
    """Log odds by looks and by boxes, and the truth; looks are off by so much."""
    rng = np.random.default_rng(seed)
    truth = np.repeat([True, False], [taken, free])
    looks = rng.normal(np.where(truth, 3, -3), np.sqrt(6)) + off
    return looks, np.where(truth & (rng.random(len(truth)) < boxed), BOX, 0.0), truth


def wrong(*shape, moving, **options):
    """Stalls of twenty pictures that are judged wrongly, moved or not."""
    count = 0
    for seed in range(20):
        looks, boxes, truth = lot(*shape, seed=seed, **options)
        moved = shift(looks, boxes) if moving else 0.0
        count += int(((looks + boxes + moved >= 0) != truth).sum())
    return count


@pytest.mark.parametrize(("shape", "off"), [((30, 70), 2.5), ((60, 40), -3.0)])
def test_looks_that_mislead_are_moved_back(shape, off):
    assert np.sign(shift(*lot(*shape, off=off)[:2])) == -np.sign(off)
    assert wrong(*shape, off=off, moving=True) < wrong(*shape, off=off, moving=False) / 2


def test_looks_that_do_not_mislead_hardly_move():
    moved = [shift(*lot(50, 50, seed=seed)[:2]) for seed in range(20)]
    assert np.mean(np.abs(moved)) < 0.6


def test_an_empty_car_park_that_looks_doubtful_is_free():
    doubtful = np.full(40, 0.7)
    assert (doubtful + shift(doubtful, np.zeros(40)) < -0.5).all()
    assert (doubtful + BOX + shift(doubtful, np.full(40, BOX)) > 0.5).all()


def test_what_looks_taken_stays_so_though_the_detector_sees_no_vehicle():
    blind = {"boxed": 0.0}
    still = wrong(16, 24, **blind, moving=False)
    assert wrong(16, 24, **blind, moving=True) < 1.1 * still


def test_few_stalls_teach_little_and_none_nothing():
    assert shift(np.zeros(0), np.zeros(0)) == 0
    assert abs(shift(np.array([1.5]), np.zeros(1))) < 0.1


def test_it_settles(monkeypatch):
    for seed in range(10):
        looks, boxes, _ = lot(30, 70, off=2.5, seed=seed)
        once = shift(looks, boxes)
        monkeypatch.setattr("services.lot._ROUNDS", 200)
        assert shift(looks, boxes) == pytest.approx(once, abs=0.01)
        monkeypatch.undo()


DOUBTFUL = 0.08  # the look of a stall that is told taken by 0.675, without a box


def told(places, look=DOUBTFUL, lorries=(), *, camera="cam"):
    """Whether stalls of 10 px, whose left upper corners these are, are taken; None for unknown."""
    square = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], np.float32)
    view = SimpleNamespace(
        camera=camera,
        frame=SimpleNamespace(pixels=np.full((100, 400, 3), 120, np.uint8), regions=()),
        private_zones=lambda moved: [],
        valid=None,
        hidden=np.zeros((100, 400), bool),
        detectors={"occupancy": SimpleNamespace(taken=lambda _, o: np.full(len(o), look))},
        observe=lambda *_, value=None, **__: value,
    )
    row = [(SimpleNamespace(id=str(place)), square + np.float32(place)) for place in places]
    boxes = np.array(lorries, np.float32).reshape(-1, 4)
    certain, labels = np.ones(len(boxes), np.float32), np.zeros(len(boxes), np.int64)
    vehicles = Detections(boxes, certain, labels, ("truck",), (100, 400))
    return list(stalls(view, row, vehicles, None))


ROW = [(10 * i, 10) for i in range(30)]


def test_a_fixed_camera_is_judged_in_its_own_light_a_picture_from_above_is_not():
    assert max(told(ROW)) < 0.1
    assert told(ROW, camera=None) == [pytest.approx(0.675, abs=0.001)] * 30


def test_stalls_of_which_nothing_is_known_teach_nothing():
    alone = told([(350, 10)])
    beyond = [(10 * i, 98) for i in range(30)]
    assert told([(350, 10), *beyond]) == [*alone, *[None] * 30]
    assert told([(350, 10), *ROW], lorries=[(0, 0, 340, 90)]) == [*alone, *[None] * 30]
