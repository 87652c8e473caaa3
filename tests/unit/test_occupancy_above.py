"""Counting from straight above: vehicles where a px shows little enough ground, and nobody else."""

from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest

from models.detections import Detections
from models.errors import BadSite
from models.frame import Frame
from models.ground import Ground
from models.redaction import redact
from services.purposes import occupancy
from services.sites import parse_site
from services.view import View
from tests.counted import NAMES
from tests.views import OCCUPANCY_HEAD

PLACE = [[100, 100], [300, 100], [300, 200], [100, 200]]
STALL = [[120, 120], [150, 120], [150, 180], [120, 180]]


def ground(gsd_m):
    return Ground((gsd_m, 0.0, 221_000.0, 0.0, -gsd_m, 6_758_000.0), "EPSG:2154")


def survey(gsd_m, *assets):
    """The site of a flight, with assets (id, kind, outline px, limits, holes px) on the ground."""
    text = OCCUPANCY_HEAD + "surveys: [{id: flight, key_prefix: flight/}]\nassets:\n"
    for name, kind, outline, limits, *holes in assets:
        rings = [ground(gsd_m).lon_lat(np.array(one, float)).tolist() for one in (outline, *holes)]
        rings = [[*ring, ring[0]] for ring in rings]
        text += (
            f"  - {{id: {name}, purpose: occupancy, kind: {kind}, limits: {limits},\n"
            f"     geometry: {{type: Polygon, coordinates: {rings}}}}}\n"
        )
    return parse_site(text, "site.yaml")


def said(gsd_m, *assets, cars=((130, 125, 145, 170),), valid=None):
    pixels = np.random.default_rng(0).integers(60, 200, (300, 400, 3), np.uint8)
    noon = datetime(2026, 6, 12, 12, tzinfo=UTC)
    here = {"ground": ground(gsd_m), "gsd_m": gsd_m}
    frame = redact(Frame("flight/a.tif", pixels, "flight", noon, "key", **here), [], redactor="n@0")
    found = Detections(
        np.array(cars, np.float32).reshape(-1, 4),
        np.full(len(cars), 0.9, np.float32),
        np.full(len(cars), NAMES.index("car"), np.int64),
        NAMES,
        (300, 400),
    )
    looks = SimpleNamespace(
        taken=lambda _, outlines: np.full(len(outlines), 0.1, np.float32),
        card=SimpleNamespace(calibration={}),
    )
    view = View(
        survey(gsd_m, *assets),
        None,
        frame,
        {"occupancy": found},
        {"occupancy": "occupancy@0"},
        "work",
        "flight/a.jpg",
        detectors={"occupancy": looks},
        valid=valid,
    )
    observed = occupancy.measure(view)
    return {(o.asset.rpartition(":")[2], o.quantity): o for o in observed}


LOT, MARKED = ("lot", "car-park", PLACE, "{capacity: 4}"), ("P", "stall", STALL, "{}")


def test_vehicles_are_counted_where_a_px_shows_a_tenth_of_a_metre():
    found = said(0.1, LOT)
    assert found["lot", "occupancy.count"].value == 1
    assert found["lot", "occupancy.density"].value == pytest.approx(1 / 200, rel=0.05)


@pytest.mark.parametrize("gsd_m", [0.16, 1.0])
def test_a_coarse_picture_is_unknown_never_free(gsd_m):
    for one in [*said(gsd_m, LOT).values(), *said(gsd_m, MARKED).values()]:
        assert (one.value, one.high, one.reason) == (None, None, "too_coarse")


def test_nobody_is_counted_from_straight_above():
    places = ("place", "square", PLACE, "{}"), ("bikes", "cycle-park", STALL, "{}")
    for one in said(0.02, *places).values():
        assert (one.value, one.high, one.reason) == (None, None, "from_above")


def test_a_car_park_with_too_few_stalls_on_the_ground_is_refused():
    assert said(0.1, ("lot", "car-park", PLACE, "{capacity: 1}"), MARKED)
    with pytest.raises(BadSite, match="is never full with 1 stalls drawn in it"):
        survey(0.1, LOT, MARKED)


@pytest.mark.parametrize("turn", [1, -1])
def test_a_hole_is_no_part_of_the_area_whichever_way_it_turns(turn):
    hole = [[150, 120], [250, 120], [250, 180], [150, 180]][::turn]
    cars = (105, 130, 120, 170), (180, 130, 195, 170), (205, 130, 220, 170)
    found = said(0.1, (*LOT, hole), cars=cars)
    assert found["lot", "occupancy.count"].value == 1
    assert found["lot", "occupancy.density"].value == pytest.approx(1 / 140, rel=0.05)


def test_stalls_in_a_hole_are_not_those_of_the_car_park():
    hole = [[110, 110], [160, 110], [160, 190], [110, 190]]
    found = said(0.1, (*LOT, hole), MARKED, cars=((200, 125, 215, 170), (230, 125, 245, 170)))
    assert found["lot", "occupancy.count"].value == 2


@pytest.mark.parametrize(("first", "reason"), [(115, None), (125, "out_of_view")])
def test_an_area_without_data_is_unknown_never_empty(first, reason):
    valid = np.ones((300, 400), bool)
    valid[:, :first] = False
    for quantity in ("occupancy.count", "occupancy.share", "occupancy.density"):
        one = said(0.1, LOT, cars=(), valid=valid)["lot", quantity]
        assert (one.reason, one.value is None, one.high is None) == (reason, *[bool(reason)] * 2)


@pytest.mark.parametrize(("first", "reason"), [(130, None), (140, "out_of_view")])
def test_a_stall_without_data_is_unknown_never_free(first, reason):
    valid = np.ones((300, 400), bool)
    valid[:, :first] = False
    found = said(0.1, MARKED, cars=(), valid=valid)["P", "occupancy.taken"]
    assert (found.reason, found.value is None) == (reason, bool(reason))
