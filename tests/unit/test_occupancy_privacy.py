"""Counting in places: whom a private zone, a cover or a small number protects."""

from dataclasses import replace

import numpy as np
import pytest

from models.card import read_card
from models.counting import standing_for
from models.frame import Frame
from models.redaction import Region, redact
from models.registration import Sight
from services.occupancy_site import few_reach
from services.outcome import described
from services.purposes import occupancy
from tests.counted import LOT, PARK, SQUARE, STALLS, car_in, people, said, site, view

ALL = [[0, 100], [340, 100], [340, 260], [0, 260]]
# As a card has it: up to 1.9 real people a find, and half more than that for its variance.
CALIBRATION = {"person ≥ 64 px": (1.3, 1.95), "person ≥ 32 px": (1.9, 2.85)}


def standing_at(*xs):
    return [("person", x - 3, 150, x + 3, 200) for x in xs]


def moved(px):
    return Sight("seen", np.array([[1.0, 0, px], [0, 1, 0]]), 99)


def test_private_zones_count_nothing():
    wide = site(("place", "square", ALL, "{}"))
    boxes = [*people(6), *standing_at(*range(10, 58, 8))]
    assert said(wide, boxes)["place", "occupancy.count"].value == 6


def test_a_private_zone_holds_where_it_was_covered_and_where_the_view_has_it_now():
    wide = site(("place", "square", ALL, "{}"))
    protected = standing_at(*range(42, 78, 6))  # the zone, of 60 px, was covered at 0 to 60
    shown = standing_at(*range(84, 140, 8))
    still = said(wide, [*protected, *shown])["place", "occupancy.count"]
    assert still.value == 9  # two of the six, and all seven
    after = said(wide, [*protected, *shown], sight=moved(20))["place", "occupancy.count"]
    assert after.value == 7
    hidden = said(wide, shown, sight=moved(28))["place", "occupancy.count"]
    assert hidden.value == 6  # one of the seven now stands in it


def test_an_area_that_moved_beneath_a_covered_zone_is_unknown():
    beside = site(("place", "square", [[60, 100], [360, 100], [360, 260], [60, 260]], "{}"))
    assert said(beside, people(8), sight=moved(-20))["place", "occupancy.count"].value == 8
    cut = said(beside, people(8), sight=moved(-39))["place", "occupancy.count"]
    assert (cut.value, cut.reason) == (None, "occluded")


ZONE = "[[0, 0], [60, 0], [60, 300], [0, 300]]"  # of `tests.counted.SITE`


def by_night(zone, *, lit=0):
    """What is said of a car park by night, behind a zone, with so many lit px at the top."""
    where = site(
        ("lot", "car-park", LOT, "{capacity: 20}"), edit=lambda text: text.replace(ZONE, zone)
    )
    seen = view(where)
    pixels = np.random.default_rng(0).integers(0, 9, (300, 400, 3), np.uint8)
    pixels[:lit] = np.random.default_rng(0).integers(60, 200, (lit, 400, 3), np.uint8)
    zones = where.cameras[0].private_zones
    original = Frame("cam/a.jpg", pixels, "cam", seen.frame.captured_at, "key")
    frame = redact(original, (), redactor="none@0", zones=zones)
    return {one.reason for one in occupancy.measure(replace(seen, frame=frame))}


def test_the_grey_of_a_private_zone_is_no_light_by_night():
    assert by_night("[[0, 0], [95, 0], [95, 300], [0, 300]]") == {"dark"}
    assert by_night("[[100, 100], [180, 100], [100, 200]]", lit=90) == {"dark"}


def test_an_area_that_lies_in_the_box_around_a_zone_and_not_in_the_zone_is_seen():
    around = "[[0, 0], [400, 0], [400, 300], [380, 300], [380, 20], [0, 20]]"
    assert by_night(around, lit=300) == {None}


def covering(stall, label="plate"):
    """A region that covers a stall; redaction grows it."""
    (left, top), _, (right, bottom), _ = STALLS[stall]
    return Region((left + 4, top + 4, right - 4, bottom - 4), label, 0.9)


def test_a_stall_under_a_cover_is_unknown_unless_a_vehicle_is_seen_on_it():
    hidden = said(PARK, [car_in(0)], covers=[covering(1)])["P-1", "occupancy.taken"]
    assert (hidden.value, hidden.reason) == (None, "occluded")
    seen = said(PARK, [car_in(1)], covers=[covering(1)])["P-1", "occupancy.taken"]
    assert seen.value > 0.9
    small = Region((175, 170, 190, 180), "face", 0.9)
    assert said(PARK, covers=[small])["P-1", "occupancy.taken"].value is not None


def test_a_stall_that_moved_beneath_a_covered_zone_is_unknown():
    edge = [[64, 150], [114, 150], [114, 200], [64, 200]]
    lot = site(("P-0", "stall", edge, "{}"))
    assert said(lot)["P-0", "occupancy.taken"].value is not None
    found = said(lot, sight=moved(-50))["P-0", "occupancy.taken"]
    assert (found.value, found.reason) == (None, "occluded")


@pytest.mark.parametrize("counted", [None, (1.3, 1.95), (1.9, 2.85)])
def test_few_people_are_told_as_a_range_that_is_the_same_for_none(counted):
    own = {} if counted is None else {"counted": counted, "calibration": CALIBRATION}
    told = {
        (one.value, one.reason, one.low, one.high, share.value, share.low, share.high)
        for number in range(5 if counted is None else 3)
        for found in [said(SQUARE, people(number), **own)]
        for one, share in [(found["place", "occupancy.count"], found["place", "occupancy.share"])]
    }
    high = 5 if counted is None else 9
    assert told == {(None, "below_min_count", 0, high, None, 0, high / 20)}


def test_the_range_of_few_people_holds_as_many_as_there_may_be():
    card = {"person ≥ 32 px": (1.4, 2.6)}
    one = said(SQUARE, people(3), counted=(1.4, 2.6), calibration=card)["place", "occupancy.count"]
    assert (one.value, one.low, one.reason) == (None, 0, "below_min_count")
    assert one.high >= 8.8  # 4.2 + 1.645 · √(3 · 2.6 + 0.1)


@pytest.mark.parametrize("least", [1, 2, 5, 10, 50])
def test_the_range_of_few_people_ends_where_capacities_are_checked_for_it(least):
    where = site(
        ("place", "square", LOT, f"{{capacity: {4 * least}}}"),
        edit=lambda text: text.replace("min_count: 5", f"min_count: {least}"),
    )
    measured = read_card("occupancy").calibration
    empty = view(where, calibration=measured)
    found = {"occupancy": standing_for(empty.detections["occupancy"], measured)}
    one, share = occupancy.measure(replace(empty, detections=found))
    assert least <= one.high <= few_reach(least)
    assert share.high < occupancy.judgement({})["occupancy.full"].leave[0]


def test_a_pitch_is_in_use_and_never_says_by_how_many():
    pitch = site(("pitch", "pitch", LOT, "{}"))
    used = [said(pitch, people(n))["pitch", "occupancy.use"] for n in range(9)]
    assert {one.value for one in used[1:]} == {0.97}
    # Where nobody is found somebody may be missed.
    assert (used[0].value, used[0].confidence) == (0.08, 0.92)
    limits = occupancy.judgement({})["occupancy.use"]
    assert limits.level(0.97, 0) == 1
    assert limits.level(0.08, 1) == 0
    assert said(pitch, level=180)["pitch", "occupancy.use"].reason == "blank"


def test_nothing_of_a_person_is_kept_but_numbers():
    covers = [
        Region((112 + 20 * i, 162, 118 + 20 * i, 168), label, 0.4 + 0.01 * i)
        for i, label in enumerate(["face", "head", "face", "face"])
    ]
    pitch = site(("place", "square", LOT, "{}"), ("pitch", "pitch", LOT, "{}"))
    cycles = [("motorcycle", 112, 170, 130, 202), ("bicycle", 140, 170, 152, 202)]
    seen = view(pitch, [*people(8), *cycles, car_in(0)], covers=[*covers, covering(1)])
    kept = described(seen.frame, seen.detections)
    assert set(kept) == {"width", "height", "covered", "detections", "facts"}
    assert [found.label for found in kept["detections"]] == ["car"]
    assert kept["covered"] == {
        "face": {"6-11": 3},
        "head": {"6-11": 1},
        "plate": {"24-47": 1},
    }
    for one in occupancy.measure(seen):
        assert not one.detail
        assert len(one.evidence.polygon) == len(LOT)
