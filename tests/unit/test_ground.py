"""Pictures from above: where they lie, how finely they show it, what is matched there."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.detections import Detections
from models.detectors.waste import MAX_GSD_M, WasteDetector
from models.errors import BadSite
from models.frame import Frame, decode
from models.ground import Ground, read_ground
from models.redaction import redact
from services.judgement import found
from services.purposes import waste
from services.sites import parse_site
from services.view import View
from tests.views import SITE_HEAD, geotiff

NOW = datetime(2026, 6, 12, tzinfo=UTC)
LAMBERT = Ground((0.02, 0.0, 221_000.0, 0.0, -0.02, 6_758_000.0), "EPSG:2154")
STATES = ("clean", "minor_litter", "side_waste", "overflow")


def read(data: bytes, **options: object) -> Frame:
    return decode("a.tif", data, source="s", stored_at=NOW, **options)


def test_a_geotiff_in_lambert_93_knows_its_place_and_resolution():
    frame = read(geotiff())
    assert frame.ground == LAMBERT
    assert frame.gsd_m == pytest.approx(0.02, rel=0.01)
    ((longitude, latitude),) = frame.ground.lon_lat(np.array([[0.0, 0.0]])).tolist()
    assert longitude == pytest.approx(-3.40, abs=0.01)  # a port in Brittany
    assert latitude == pytest.approx(47.75, abs=0.01)


def test_pixels_that_are_points_lie_half_a_pixel_further():
    ground = read(geotiff(raster=2)).ground
    assert ground.affine[2] == pytest.approx(221_000 - 0.01)
    assert ground.affine[5] == pytest.approx(6_758_000 + 0.01)


@pytest.mark.parametrize(
    "data", [geotiff(code=1), geotiff(gsd=0.0), geotiff(gsd=float("nan")), geotiff(orientation=6)]
)
def test_a_georeference_that_does_not_hold_is_none(data):
    frame = read(data)
    assert frame.ground is None
    assert frame.gsd_m is None


def test_a_flight_s_frames_have_the_resolution_that_the_site_says():
    assert read(geotiff(code=1), gsd_m=0.013).gsd_m == 0.013


@given(st.floats(-180, 180), st.floats(-80, 80))
def test_degrees_and_pixels_there_and_back(longitude, latitude):
    ground = Ground((1e-7, 2e-8, longitude, 1e-8, -1e-7, latitude), "EPSG:4326")
    px = np.array([[0.0, 0.0], [300.0, 50.0]])
    np.testing.assert_allclose(ground.px(ground.lon_lat(px)), px, atol=1e-3)


@given(
    st.dictionaries(st.sampled_from([33550, 33922, 34264, 34735]), st.tuples(*[st.integers()] * 16))
)
def test_any_tags_give_a_ground_or_none(tags):
    read_ground(tags, (40, 60))


def at(x, y):
    return LAMBERT.lon_lat(np.array([[x, y]]))[0].tolist()


SITE = parse_site(
    SITE_HEAD
    + f"""
surveys:
  - {{id: vol, key_prefix: vol/, gsd_m: 0.02}}
assets:
  - id: C-1
    purpose: waste
    kind: container
    geometry: {{type: Point, coordinates: {at(100.0, 100.0)}}}
  - id: C-2
    purpose: waste
    kind: container
    geometry: {{type: Point, coordinates: {at(200.0, 100.0)}}}
  - id: C-far
    purpose: waste
    kind: container
    geometry: {{type: Point, coordinates: [2.3, 48.8]}}
""",
    "site.yaml",
)


def test_two_surveys_cannot_share_a_prefix_and_cameras_go_first():
    both = """
cameras:
  - {id: cam, name: C, size_wh: [400, 300], key_prefix: vol/cam/}
surveys:
  - {id: a, key_prefix: vol/}
  - {id: b, key_prefix: %s}
"""
    with pytest.raises(BadSite, match=r"surveys\[1\].key_prefix: also the prefix of another"):
        parse_site(SITE_HEAD + both % "vol/", "site.yaml")
    site = parse_site(SITE_HEAD + both % "vol/b/", "site.yaml")
    keys = ("vol/1.tif", "vol/b/1.tif", "vol/cam/1.jpg", "other/1.jpg")
    found = [site.survey_of(key) for key in keys]
    assert [survey and survey.id for survey in found] == ["a", "b", None, None]


RIM = 200
"""Pixels around the places that these tests speak of: nothing is told of assets at a border."""


def view(boxes=(), labels=(), *, gsd_m=0.02, ground=LAMBERT, size_hw=(300, 400)):
    frame = Frame(
        "vol/a.tif",
        np.full((size_hw[0] + 2 * RIM, size_hw[1] + 2 * RIM, 3), 120, np.uint8),
        "vol",
        NOW,
        "object",
        ground and ground.part(-RIM, -RIM, 1, 1),
        None,
        gsd_m,
    )
    states = np.tile(np.array([0.8, 0.1, 0.05, 0.05], np.float32), (len(boxes), 1))
    finds = Detections(
        np.array(boxes, np.float32).reshape(-1, 4) + RIM,
        np.full(len(boxes), 0.8, np.float32),
        np.array(labels, np.int64),
        ("container", "waste"),
        frame.pixels.shape[:2],
        states.reshape(-1, 4),
        STATES,
        {"dirty": 0.2},
    )
    redacted = redact(frame, [], redactor="none@0")
    return View(SITE, None, redacted, {"waste": finds}, {"waste": "waste@0"}, "w" * 32, "a.jpg")


def measured(seen):
    table = {}
    for one in waste.measure(seen):
        table.setdefault(one.quantity, []).append(one)
    return table


def test_containers_on_an_orthophoto_are_matched_by_position_each_once():
    # Both registered ones are nearest to the left box; each gets its own.
    table = measured(
        view([[90, 60, 170, 130], [210, 70, 280, 140], [320, 200, 390, 270]], [0, 0, 0])
    )
    values = {o.asset.rpartition(":")[2]: o.value for o in table["waste.overflow"]}
    assert values == {"C-1": pytest.approx(0.1), "C-2": pytest.approx(0.1)}
    (stranger,) = table["waste.container"]
    assert stranger.position == pytest.approx((-3.40, 47.75), abs=0.01)
    assert ":unregistered:ground:" in stranger.asset


def test_of_ten_things_on_twenty_metres_none_is_lost_and_none_told_twice():
    containers = [
        [60 + 220 * i, 60 + 400 * j, 140 + 220 * i, 160 + 400 * j] for i in range(4) for j in (0, 1)
    ]
    dumps = [[100, 800, 140, 840], [700, 800, 740, 840]]
    seen = view(containers + dumps, [0] * 8 + [1] * 2, size_hw=(1000, 1000))
    observations = waste.measure(replace(seen, site=SITE.model_copy(update={"assets": ()})))
    assert len({one.id for one in observations}) == len(observations) == 10
    strangers = [one for one in observations if one.quantity == "waste.container"]
    events = list(found(strangers, lambda _: False, "/"))
    assert len({event.subject for event in events}) == 8
    later = [o.model_copy(update={"work": "v" * 32}) for o in strangers]
    assert list(found(later, {e.subject for e in events}.__contains__, "/")) == []


def test_things_within_one_cell_are_told_together():
    seen = view([[300, 200, 330, 230], [335, 200, 365, 230]], [1, 1])
    (dump,) = measured(seen)["waste.dump"]
    assert dump.detail["count"] == 2


def test_a_registered_container_cut_by_the_border_is_no_stranger():
    table = measured(view([[90, 60, 170, 130]], [0], ground=LAMBERT.part(150, 0, 1, 1)))
    assert "waste.container" not in table


def test_an_orthophoto_of_nominal_three_centimetres_is_fine_enough():
    """Lambert-93 is a little larger than the ground in Brittany."""
    frame = read(geotiff(0.03))
    assert frame.gsd_m > 0.03
    assert "too_coarse" not in {o.reason for o in waste.measure(view(gsd_m=frame.gsd_m))}


def test_of_what_a_border_cuts_or_may_cut_nothing_is_told():
    def told(moved_px):
        seen = waste.measure(view(ground=LAMBERT.part(moved_px, 0, 1, 1)))
        return [one.asset.rpartition(":")[2] for one in seen]

    # 2 m are 100 px, a point is a square of as many: C-1 begins RIM + 50 px from the border.
    assert told(RIM - 51) == told(0) == ["C-1", "C-2"]
    assert told(RIM - 49) == ["C-2"]


def test_a_registered_container_that_is_not_there_is_unknown():
    table = measured(view([[90, 60, 170, 130]], [0]))
    reasons = {o.asset.rpartition(":")[2]: o.reason for o in table["waste.overflow"]}
    assert reasons == {"C-1": None, "C-2": "not_seen"}


def test_waste_from_above_is_a_dump_only_where_no_container_stands():
    beside, alone = [170, 100, 190, 120], [300, 220, 340, 260]
    table = measured(view([[90, 60, 170, 130], beside, alone], [0, 1, 1]))
    (dump,) = table["waste.dump"]
    assert dump.evidence.polygon[0] == (RIM + 300, RIM + 220)
    assert "waste.dirty" not in table


def test_from_above_waste_lies_as_near_to_the_long_side_of_a_container_as_to_the_short():
    skip, beside = [300, 20, 340, 180], [365, 90, 385, 110]
    assert len(measured(view([skip, beside], [0, 1]))["waste.dump"]) == 1


def test_too_coarse_a_picture_says_unknown_of_everything_and_finds_nothing():
    seen = view(gsd_m=MAX_GSD_M * 1.1)
    assert {o.reason for o in waste.measure(seen)} == {"too_coarse"}

    class Runtime:
        card = type("Card", (), {"architecture": type("A", (), {"names": ("container", "waste")})})

    assert len(WasteDetector(Runtime())(seen.frame)) == 0


def test_frames_without_georeference_have_places_of_their_own():
    seen = view([[90, 60, 170, 130]], [0], ground=None)
    assert "waste.container" not in measured(seen)  # it may be one that is registered
    nobodys = replace(seen, site=SITE.model_copy(update={"assets": ()}))
    (stranger,) = measured(nobodys)["waste.container"]
    assert stranger.position is None
    assert ":unregistered:earth:" not in stranger.asset


def test_a_container_where_an_orthophoto_has_no_data_is_unknown():
    seen = view([[90, 60, 170, 130]], [0])
    valid = np.ones(seen.frame.pixels.shape[:2], bool)
    assert measured(replace(seen, valid=valid))["waste.overflow"][0].value is not None
    told = measured(replace(seen, valid=~valid))["waste.overflow"]
    assert {(one.value, one.reason) for one in told} == {(None, "out_of_view")}
