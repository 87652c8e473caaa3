"""Counting in places: drawn boxes in a drawn view, no network."""

from datetime import timedelta

import numpy as np
import pytest

from models.errors import BadSite
from models.redaction import Region
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


ROW = [
    [[110 + 22 * i, 150], [130 + 22 * i, 150], [130 + 22 * i, 200], [110 + 22 * i, 200]]
    for i in range(10)
]
WIDE = site(
    ("lot", "car-park", LOT, "{capacity: 10}"),
    *[(f"P-{i}", "stall", outline, "{}") for i, outline in enumerate(ROW)],
)


def lorry_before(stalls):
    """One that hides the last so many of ten stalls."""
    return "truck", 330 - 22 * stalls, 120, 335, 290


def test_a_stall_behind_a_lorry_is_unknown_and_widens_the_count():
    found = said(WIDE, [car_in(0), lorry_before(1)])
    hidden = found["P-9", "occupancy.taken"]
    assert (hidden.value, hidden.reason) == (None, "occluded")
    lot, whole = (
        said(WIDE, [car_in(0), *more])["lot", "occupancy.count"] for more in ([lorry_before(1)], [])
    )
    assert (lot.value, lot.low, lot.high) == (whole.value, whole.low, whole.high + 1)


@pytest.mark.parametrize("stalls", [2, 9])
def test_a_car_park_most_of_whose_stalls_nobody_sees_is_unknown(stalls):
    found = said(WIDE, [lorry_before(stalls)])
    for quantity in ("occupancy.count", "occupancy.share"):
        one = found["lot", quantity]
        assert (one.value, one.low, one.high, one.reason) == (None, None, None, "occluded")


@pytest.mark.parametrize("kind", ["car-park", "queue", "cycle-park", "square", "pitch"])
def test_a_place_behind_a_lorry_or_a_cover_is_unknown(kind):
    where, lorry = site(("place", kind, LOT, "{capacity: 20}")), ("truck", 90, 80, 350, 299)
    cover = Region((90, 90, 345, 265), "plate", 0.9)
    for found in (said(where, [lorry]), said(where, covers=[cover])):
        assert {(one.value, one.high, one.reason) for one in found.values()} == {
            (None, None, "occluded")
        }


def test_a_lorry_that_stands_in_a_place_counts_and_hides_nothing_of_it():
    lot = site(("lot", "car-park", LOT, "{}"))
    assert said(lot, [("truck", 100, 90, 330, 250)])["lot", "occupancy.count"].value == 1


def test_covers_of_what_is_counted_hide_none_of_it():
    faces = [Region((100 + 24 * i, 104, 118 + 24 * i, 256), "face", 0.9) for i in range(10)]
    assert said(SQUARE, people(8), covers=faces)["place", "occupancy.count"].value == 8
    lot, car = site(("lot", "car-park", LOT, "{}")), ("car", 100, 90, 340, 255)
    plate = Region((105, 110, 335, 250), "plate", 0.9)
    assert said(lot, [car], covers=[plate])["lot", "occupancy.count"].value == 1


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
    assert (lot.value, lot.high, lot.reason) == (None, None, "out_of_view")
    found = said(WIDE, sight=moved(84))  # nine of ten are enough
    lot, whole = found["lot", "occupancy.count"], said(WIDE)["lot", "occupancy.count"]
    assert found["P-9", "occupancy.taken"].reason == "out_of_view"
    assert (lot.value, lot.low, lot.high) == (0, 0, whole.high + 1)


@pytest.mark.parametrize("px", [-3, -0.02, 0.02, 3])
def test_what_the_border_cuts_counts_wherever_a_jitter_moves_the_outline(px):
    queue = site(("queue", "queue", [[150, 300], [400, 300], [400, 100], [200, 100]], "{}"))
    cars = [("car", 180, 230, 280, 300), ("car", 195, 140, 255, 190)]
    jitter = Sight("seen", np.array([[1.0, 0, px], [0, 1, px]]), 99)
    found = said(queue, cars, sight=jitter)["queue", "occupancy.count"]
    assert found.value == 2
    right, lower = np.array(found.evidence.polygon).max(0)
    assert right >= 400
    assert lower >= 300


def test_private_zones_move_off_the_border_with_the_view():
    jitter = Sight("seen", np.array([[1.0, 0, 3], [0, 1, -3]]), 99)
    (zone,) = view(PARK, sight=jitter).private_zones(moved=True)
    assert zone.tolist() == [[3, -3], [63, -3], [63, 297], [3, 297]]


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


def test_a_lorry_before_a_full_lot_does_not_make_it_available():
    full = [("car", x1, 130, x2, 200) for (x1, _), (x2, _), *_ in ROW]
    history = [(10 * i, full, {}) for i in range(4)]
    history += [(40 + 10 * i, [lorry_before(9)], {}) for i in range(4)]
    assert judged(WIDE, "lot", "occupancy.full", history)[1] == ["vigie.occupancy.full.v1"]
    history += [(80 + 10 * i, [], {}) for i in range(3)]
    assert judged(WIDE, "lot", "occupancy.full", history)[0] == "clear"


def test_few_people_are_the_lowest_band():
    history = [(10 * i, people(8), {}) for i in range(3)]
    history += [(30 + 10 * i, people(i), {}) for i in range(3)]
    both = ["vigie.occupancy.changed.v1"] * 2
    assert judged(SQUARE, "place", "occupancy.band", history) == ("clear", both)
    assert judged(SQUARE, "place", "occupancy.band", history[3:]) == ("clear", [])


def test_a_picture_of_another_shape_than_its_cameras_is_unknown():
    turned = view(SQUARE, people(8), size_hw=(400, 300))
    assert {one.reason for one in occupancy.measure(turned)} == {"view_lost"}
    larger = view(SQUARE, people(8), size_hw=(600, 800))
    assert not {one.reason for one in occupancy.measure(larger)} & {"view_lost"}


def test_a_square_with_few_people_is_available_again():
    crowd = [("person", 104 + 11 * i, 150, 112 + 11 * i, 200) for i in range(20)]
    history = [(10 * i, crowd, {}) for i in range(3)] + [(30 + 10 * i, [], {}) for i in range(3)]
    assert judged(SQUARE, "place", "occupancy.full", history)[1] == [
        "vigie.occupancy.full.v1",
        "vigie.occupancy.available.v1",
    ]


POLYGON = (
    "{type: Polygon, coordinates: [[[-3.3, 47.7], [-3.29994, 47.7], [-3.29994, 47.70004], "
    "[-3.3, 47.70004], [-3.3, 47.7]]]}"
)


def test_ground_in_private_zones_is_not_in_the_density():
    def density(zone):
        where = site(
            ("place", "square", LOT, "{}"),
            edit=lambda text: text.replace("{type: Point, coordinates: [-3.3, 47.7]}", POLYGON)
            .replace("[[0, 0], [60, 0], [60, 300], [0, 300]]", zone),
        )  # fmt: skip
        return said(where, people(6))["place", "occupancy.density"].value

    whole, half = (
        density("[[0, 0], [60, 0], [60, 300]]"),
        density("[[220, 0], [400, 0], [400, 300], [220, 300]]"),
    )
    assert whole == pytest.approx(6 / 20, rel=0.02)
    assert half == pytest.approx(2 * whole, rel=0.01)


def test_a_kind_that_cannot_be_counted_is_refused_with_its_line():
    with pytest.raises(BadSite, match=r"kind: the purpose occupancy knows no such kind"):
        site(("x", "fountain", LOT, "{}"))


def test_limits_that_contradict_each_other_are_refused():
    with pytest.raises(BadSite, match="available must not be above full"):
        site(("x", "car-park", LOT, "{full: 0.5, available: 0.8}"))
