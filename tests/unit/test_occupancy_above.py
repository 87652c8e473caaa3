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
    """The site of a flight, with assets (id, kind, outline px, limits) on the ground."""
    text = OCCUPANCY_HEAD + "surveys: [{id: flight, key_prefix: flight/}]\nassets:\n"
    for name, kind, outline, limits in assets:
        ring = ground(gsd_m).lon_lat(np.array([*outline, outline[0]], np.float64)).tolist()
        ring[-1] = ring[0]
        text += (
            f"  - {{id: {name}, purpose: occupancy, kind: {kind}, limits: {limits},\n"
            f"     geometry: {{type: Polygon, coordinates: [{ring}]}}}}\n"
        )
    return parse_site(text, "site.yaml")


def said(gsd_m, *assets, cars=((130, 125, 145, 170),)):
    pixels = np.random.default_rng(0).integers(60, 200, (300, 400, 3), np.uint8)
    noon = datetime(2026, 6, 12, 12, tzinfo=UTC)
    here = {"ground": ground(gsd_m), "gsd_m": gsd_m}
    frame = redact(Frame("flight/a.tif", pixels, "flight", noon, "key", **here), [], redactor="n@0")
    found = Detections(
        np.array(cars, np.float32),
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
