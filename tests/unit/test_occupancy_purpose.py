"""Counting in places: drawn boxes in a drawn view, no network."""

from datetime import timedelta

import numpy as np
import pytest

from models.errors import BadSite
from models.registration import Sight
from services.judgement import CONDITIONS
from services.purposes import occupancy
from services.record import judge_all
from tests.counted import (
    LOT,
    NOON,
    PARK,
    SQUARE,
    STALLS,
    car_in,
    people,
    said,
    site,
    view,
)


def test_what_stands_in_the_outline_counts():
    inside = people(8)
    outside = [("person", 110, 40, 120, 90), ("person", 110, 250, 120, 262)]  # feet above, below
    found = said(SQUARE, [*inside, *outside, ("car", 120, 120, 220, 200)])
    one = found["place", "occupancy.count"]
    assert (one.value, one.low, one.high, one.unit) == (8, 7, 9, "{person}")
    assert found["place", "occupancy.share"].value == pytest.approx(0.4)


def test_vehicles_are_no_people_and_are_told_exactly():
    lot = site(("lot", "car-park", LOT, "{}"))
    assert said(lot, [("car", 120, 150, 160, 180)])["lot", "occupancy.count"].value == 1


def test_what_the_detector_misses_is_in_the_number_and_its_interval():
    one = said(SQUARE, people(10), counted=(1.4, 0.8))["place", "occupancy.count"]
    assert one.value == 14
    assert (one.low, one.high) == (9, 19)  # 14 ± 1.645 · √(10 · 0.8 + what may be missed)


def test_a_stall_is_taken_by_what_stands_in_it():
    found = said(PARK, [car_in(0), ("person", 175, 150, 185, 195)])
    values = [found[f"P-{i}", "occupancy.taken"].value for i in range(3)]
    assert values[0] > 0.9
    assert max(values[1:]) < 0.12


def test_a_stall_behind_a_lorry_is_unknown_and_widens_the_count():
    lorry = ("truck", 165, 100, 225, 290)
    found = said(PARK, [car_in(0), lorry])
    hidden = found["P-1", "occupancy.taken"]
    assert (hidden.value, hidden.reason) == (None, "occluded")
    lot = found["lot", "occupancy.count"]
    assert lot.value == 1
    assert lot.high >= 2


@pytest.mark.parametrize("kind", ["car-park", "street-parking"])
def test_a_car_park_is_the_sum_of_its_stalls_and_a_street_too(kind):
    stalls = [(f"P-{i}", "stall", outline, "{}") for i, outline in enumerate(STALLS)]
    park = site(("lot", kind, LOT, "{capacity: 3}"), *stalls)
    found = said(park, [car_in(0), car_in(2), ("car", 110, 230, 150, 255)])  # one drives about
    assert found["lot", "occupancy.count"].value == 2
    assert found["lot", "occupancy.share"].value == pytest.approx(2 / 3, abs=1e-3)


@pytest.mark.parametrize(("level", "reason"), [(3, "dark"), (180, "blank")])
def test_dark_and_fog_are_unknown_never_free(level, reason):
    for one in said(PARK, level=level).values():
        assert (one.value, one.high, one.reason) == (None, None, reason)
    assert {o.reason for o in said(SQUARE, level=level).values()} == {reason}


def test_thick_fog_hides_what_there_is():
    assert said(PARK, fog=0.5)["lot", "occupancy.count"].value == 0
    assert said(PARK, fog=0.95)["lot", "occupancy.count"].reason == "blank"


def test_a_lost_view_is_unknown():
    lost = Sight("lost", None, 3)
    assert {o.reason for o in said(PARK, [car_in(0)], sight=lost).values()} == {"view_lost"}


def test_an_area_that_a_moved_view_cuts_is_unknown_but_stalls_that_are_seen_count():
    def moved(px):
        return Sight("seen", np.array([[1.0, 0, px], [0, 1, 0]]), 99)

    whole = said(SQUARE, people(14), sight=moved(80))["place", "occupancy.count"]
    assert whole.value is not None
    for quantity in ("occupancy.count", "occupancy.share"):
        cut = said(SQUARE, people(14), sight=moved(90))["place", quantity]
        assert (cut.value, cut.high, cut.reason) == (None, None, "out_of_view")
    found = said(PARK, sight=moved(150))  # the last stall lies beyond the border
    assert found["P-2", "occupancy.taken"].reason == "out_of_view"
    assert found["P-1", "occupancy.taken"].value is not None
    lot = found["lot", "occupancy.count"]
    whole = said(PARK)["lot", "occupancy.count"]
    assert (lot.value, lot.low, lot.high) == (0, 0, whole.high + 1)


def judged(where, asset, condition, history):
    """Statuses and event types of a history of (minutes, boxes, options)."""
    found, quantity = [], CONDITIONS[condition].quantity
    for minutes, boxes, options in history:
        at = NOON + timedelta(minutes=minutes)
        found += [
            o
            for o in occupancy.measure(view(where, boxes, at=at, **options))
            if (o.asset.rpartition(":")[2], o.quantity) == (asset, quantity)
        ]
    (limits,) = [
        occupancy.judgement(a.limits)[condition] for a in where.assets if a.id.endswith(f":{asset}")
    ]
    state, events = judge_all(found, condition, limits, "/t/s")
    return state.status, [event.type for event in events]


def test_a_lot_that_wavers_at_its_limit_raises_one_event():
    lot = site(("lot", "car-park", LOT, "{capacity: 10, full: 0.95, available: 0.75}"))

    def cars(count):
        return [("car", 105 + 23 * i, 150, 125 + 23 * i, 180) for i in range(count)]

    history = [(10 * i, cars(10 if i % 3 else 9), {}) for i in range(24)]
    assert judged(lot, "lot", "occupancy.full", history) == ("raised", ["vigie.occupancy.full.v1"])
    history += [(240 + 10 * i, cars(4), {}) for i in range(3)]
    assert judged(lot, "lot", "occupancy.full", history) == (
        "clear",
        ["vigie.occupancy.full.v1", "vigie.occupancy.available.v1"],
    )


def test_a_count_without_capacity_tells_when_nobody_saw_it_for_long():
    queue = site(("gate", "queue", LOT, "{stale_hours: 2}"))
    history = [(0, [car_in(0)], {}), (10, [], {}), (190, [car_in(1)], {})]
    assert judged(queue, "gate", "occupancy.counted", history) == (
        "clear",
        ["vigie.observation.recorded.v1"],
    )


def test_fog_makes_a_full_lot_unknown_not_free():
    full = [car_in(i) for i in range(3)]
    history = [(10 * i, full, {}) for i in range(4)]
    history += [(40 + 10 * i, [], {"level": 180}) for i in range(30)]
    found = judged(PARK, "lot", "occupancy.full", history)
    assert found == ("unknown", ["vigie.occupancy.full.v1"])


def test_a_square_with_few_people_is_available_again():
    crowd = [("person", 104 + 11 * i, 150, 112 + 11 * i, 200) for i in range(20)]
    history = [(10 * i, crowd, {}) for i in range(3)] + [(30 + 10 * i, [], {}) for i in range(3)]
    assert judged(SQUARE, "place", "occupancy.full", history)[1] == [
        "vigie.occupancy.full.v1",
        "vigie.occupancy.available.v1",
    ]


def test_a_kind_that_cannot_be_counted_is_refused_with_its_line():
    with pytest.raises(BadSite, match=r"kind: the purpose occupancy knows no such kind"):
        site(("x", "fountain", LOT, "{}"))


def test_limits_that_contradict_each_other_are_refused():
    with pytest.raises(BadSite, match="available must not be above full"):
        site(("x", "car-park", LOT, "{full: 0.5, available: 0.8}"))
