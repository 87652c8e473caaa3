from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.card import Architecture, Card
from models.counting import (
    GROUPS,
    count,
    count_found,
    hidden,
    kind_of,
    kinds,
    not_found,
    standing_for,
)
from models.detections import Detections
from models.runtime import DenseArrays, Runtime, points
from training.counts import figures, stand_for
from training.dataset import Sample
from training.evaluate import Scored

NAMES = ("person", "bicycle", "car", "motorcycle", "bus", "truck")


@given(st.lists(st.tuples(st.floats(0, 5, width=32), st.floats(0, 9, width=32)), max_size=40))
def test_the_interval_holds_the_number_and_grows_with_doubt(rows):
    counted = np.array(rows, np.float32).reshape(-1, 2)
    said = count(counted)
    assert 0 <= said.low <= said.value <= said.high
    doubtful = count(counted + np.array([0, 1], np.float32))
    assert doubtful.high - doubtful.low >= said.high - said.low


def test_finds_are_told_apart_by_height_and_crowding():
    boxes = np.array(
        [[0, 0, 5, 10], [50, 0, 60, 20], [100, 0, 120, 100], [105, 0, 125, 100]], np.float32
    )
    named = [kinds("person")[kind] for kind in kind_of(boxes)]
    assert named == ["person < 16 px", "person ≥ 16 px", *["person ≥ 64 px, crowded"] * 2]
    assert hidden(boxes).tolist() == pytest.approx([0, 0, 0.75, 0.75])
    assert len(kind_of(boxes[:0])) == 0


def picture(truth, found, seed):
    """A picture with people at the places `truth`, found at those of `found`; 40 px tall."""
    boxes = np.array([[x, 50, x + 15, 90] for x in truth], np.float32).reshape(-1, 4)
    seen = np.array([[x, 50, x + 15, 90] for x in found], np.float32).reshape(-1, 4)
    sample = Sample(
        None,
        boxes,
        np.zeros(len(boxes), np.int64),
        np.full(len(boxes), -1, np.int64),
        np.array([name == "person" for name in NAMES]),
        np.zeros(0, np.float32),
        "drawn",
    )
    labels = np.zeros(len(seen), np.int64)
    detections = Detections(seen, np.full(len(seen), 0.8, np.float32), labels, NAMES, (200, 4000))
    return Scored(sample, detections, None)


def pictures(share, count_, seed=0):
    """A detector that sees each of 10 to 40 people with probability `share`."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count_):
        truth = 20 * np.arange(rng.integers(10, 40))
        made.append(picture(truth, truth[rng.random(len(truth)) < share], number))
    return made


def counted(image, measured):
    return replace(image, found=standing_for(image.found, measured))


def test_a_detector_that_misses_a_third_is_corrected_and_says_how_sure_it_is():
    measured = stand_for(pictures(0.67, 200), NAMES)
    worth, variance = measured["person ≥ 32 px"]
    assert worth == pytest.approx(1.5, rel=0.05)
    # Of n people n · p are seen ± √(n · p · (1 − p)), and each of these stands for 1 / p.
    assert variance == pytest.approx(0.33 / 0.67**2, rel=0.3)
    assert set(measured) == {*kinds("person"), not_found("person")}
    again = [counted(image, measured) for image in pictures(0.67, 200, seed=1)]
    (row,) = [row for name, row in figures(again, NAMES).items() if "15 to …" in name]
    assert abs(row["bias"][0]) < 0.5
    assert 0.85 <= row["within 90 %"][0] <= 0.97


@pytest.mark.parametrize("height", [10, 24, 40, 90])
def test_crowding_never_lowers_a_number_nor_narrows_its_interval(height):
    """Though crowded finds are often two of one, and nobody this small was ever crowded."""
    seen = pictures(0.67, 60)
    twice = [picture([0], [0, 6], 0)] * 10
    measured = stand_for([*seen, *twice], NAMES)
    across = np.arange(12)[:, None] * np.array([1, 0, 1, 0])
    box = np.array([0, 0, 0.4 * height, height])
    apart, crowded = (
        count_found(standing_for(found_at(box + step * height * across), measured), "person")
        for step in (1, 0.2)
    )
    assert crowded.value >= apart.value
    assert crowded.high - crowded.low > apart.high - apart.low
    assert crowded.low <= 12 * 1.5 <= crowded.high


def found_at(boxes):
    """People of these boxes (N, 4)."""
    many = len(boxes)
    scores, labels = np.full(many, 0.8, np.float32), np.zeros(many, np.int64)
    return Detections(boxes.astype(np.float32), scores, labels, NAMES, (200, 4000))


def test_kinds_of_which_none_was_found_borrow_from_those_of_about_their_size():
    measured = stand_for(pictures(0.5, 100), NAMES)
    known, _ = measured["person ≥ 32 px"]
    assert known == pytest.approx(2, rel=0.1)
    for kind in kinds("person"):
        assert measured[kind][0] == pytest.approx(known, rel=0.1)


def test_who_is_overlooked_where_nobody_is_found_widens_every_interval():
    some, none = pictures(0.9, 100), [picture([0, 30], [], 0), picture([], [], 0)] * 50
    missed = [stand_for(seen, NAMES)[not_found("person")] for seen in (some, some + none)]
    (_, little), (number, much) = missed
    assert number == 0
    assert much > max(little, 1)
    empty = Detections.empty(NAMES, (200, 4000))
    assert count_found(empty, "person").high < 1
    measured = {not_found("person"): (0.0, much)}
    assert count_found(standing_for(empty, measured), "person").high > 1.6
    assert count_found(standing_for(empty, measured), "vehicle").high < 1


def test_counts_are_told_by_source_and_night_apart():
    images = [
        replace(image, night=number % 2 == 0, sample=replace(image.sample, source=f"S{number % 3}"))
        for number, image in enumerate(pictures(0.67, 12))
    ]
    told = figures(images, NAMES)
    assert told["person, S1"]["MAE"][3] == 4
    assert told["person, S1, night"]["MAE"][3] == 2
    both = [told[f"person, S1, {light}"]["bias"][0] for light in ("day", "night")]
    assert told["person, S1"]["bias"][0] == pytest.approx(sum(both) / 2)
    assert "person, all" not in told


def test_a_class_that_nobody_labelled_is_not_measured():
    blind = [
        replace(i, sample=replace(i.sample, exhaustive=np.zeros(6, bool))) for i in pictures(1, 3)
    ]
    assert stand_for(blind, NAMES) == {}
    assert figures(blind, NAMES) == {}


def test_every_class_is_counted_with_one_group():
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(NAMES)


class Crowd(Runtime):
    """Stands for a network that sees somebody at each finest point, the first `sure` surely."""

    def __init__(self, sure):
        architecture = Architecture(NAMES, input_px=256)
        self.card = Card("crowd", architecture, "", dict.fromkeys(NAMES, 0.5), {}, "", "")
        self._sure = sure

    def _both_ways(self, pixels):
        at = points(*pixels.shape[:2])
        logits = np.full((len(at), len(NAMES)), -12, np.float32)
        logits[at[:, 7] == 8, 0] = -4
        logits[: self._sure, 0] = 4
        some = np.zeros((len(at), 0), np.float32)
        return DenseArrays(logits, np.full((len(at), 4), 0.4, np.float32), some, some[0])


def test_a_count_stops_at_no_number_that_a_picture_shows():
    pixels = np.zeros((256, 512, 3), np.uint8)
    assert len(Crowd(900).detect(pixels[:, :256])) == 900
    assert len(Crowd(2000).detect_at_full_size(pixels)) == 2000


def test_an_evaluation_sees_all_that_is_sure_and_the_best_of_the_rest():
    pixels = np.zeros((256, 256, 3), np.uint8)
    assert [len(Crowd(sure).detect(pixels, 0.01)) for sure in (900, 100)] == [900, 300]
