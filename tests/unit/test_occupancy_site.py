"""What a site file says of occupancy that could not be counted, or would never be told."""

import pytest

from models.errors import BadSite
from services.sites import parse_site
from tests.counted import LOT, STALLS, lined, site
from tests.views import COUNTED, OCCUPANCY_HEAD

HEAD = """
min_count: 5
cameras:
  - {id: cam, name: M, size_wh: [400, 300], key_prefix: cam/}
  - {id: other, name: N, size_wh: [400, 300], key_prefix: other/}
assets:
"""
ROW = [(f"P-{i}", "stall", outline, "{}") for i, outline in enumerate(STALLS)]
LINE = [[200, 110, 0], [205, 180, 12], [210, 250, 20]]


def refused(*assets, head=HEAD, edit=lambda text: text):
    """The lines that say what is wrong."""
    rows = [
        COUNTED.format(id=name, kind=kind, outline=outline, limits=limits)
        for name, kind, outline, limits in assets
    ]
    with pytest.raises(BadSite) as caught:
        parse_site(edit(OCCUPANCY_HEAD + head + "".join(rows)), "s.yaml")
    return str(caught.value).splitlines()


def test_an_asset_in_the_views_of_two_cameras_is_refused():
    (told,) = refused(
        ("lot", "car-park", LOT, "{}"),
        edit=lambda text: text.replace("views: {cam: ", f"views: {{other: {LOT}, cam: "),
    )
    assert told.startswith("s.yaml:22: assets[0].views: one camera alone counts an asset;")


def test_an_outline_in_a_private_zone_is_refused():
    zone = "private_zones: [[[0, 0], [200, 0], [200, 300], [0, 300]]], key_prefix: cam/"
    head = HEAD.replace("key_prefix: cam/", zone)
    told = refused(*ROW, head=head)
    assert [line.partition(" lies")[0] for line in told] == [
        "s.yaml:22: assets[0].views.cam:",
        "s.yaml:29: assets[1].views.cam:",
    ]
    assert "nothing is counted" in told[0]


@pytest.mark.parametrize("kind", ["car-park", "street-parking"])
def test_a_car_park_that_could_never_be_full_is_refused(kind):
    (told,) = refused(("lot", kind, LOT, "{capacity: 4}"), *ROW)
    assert told.startswith("s.yaml:23: assets[0].limits.capacity: is never full with 3 stalls")
    site(("lot", kind, LOT, "{capacity: 4, full: 0.75, available: 0.5}"), *ROW)
    site(("lot", kind, LOT, "{capacity: 4}"))


def test_a_place_for_fewer_people_than_may_be_told_is_refused():
    (told,) = refused(("place", "square", LOT, "{capacity: 12}"))
    assert told.startswith("s.yaml:23: assets[0].limits.capacity: fewer than 5 people (min_count)")
    assert "may reach 11" in told
    site(("place", "square", LOT, "{capacity: 13}"))
    site(("lot", "car-park", LOT, "{capacity: 2}"))


def test_a_line_may_lie_a_little_beside_its_outline():
    site(("gate", "queue", LOT, "{}"), edit=lined([*LINE, [210, 264, 30]]))


@pytest.mark.parametrize(
    ("limits", "field"), [("{taken: 0.98}", "taken"), ("{freed: 0.08}", "freed")]
)
def test_a_pitch_that_would_always_be_in_use_or_never_is_refused(limits, field):
    (told,) = refused(("pitch", "pitch", LOT, limits))
    assert told.startswith(f"s.yaml:23: assets[0].limits.{field}: ")
    site(("pitch", "pitch", LOT, "{taken: 0.94, freed: 0.1}"), ("P-0", "stall", LOT, limits))


@pytest.mark.parametrize(
    ("kind", "limits", "field"),
    [
        ("queue", "{capacity: 2, available: 0}", "available"),
        ("stall", "{freed: 0}", "freed"),
        ("stall", "{taken: 1}", "taken"),
    ],
)
def test_a_limit_that_nothing_falls_under_or_reaches_is_refused(kind, limits, field):
    (told,) = refused(("it", kind, LOT, limits))
    assert told.startswith(f"s.yaml:23: assets[0].limits.{field}: ")
    site(("it", "stall", LOT, "{available: 0.01, freed: 0.01, taken: 0.99}"))


@pytest.mark.parametrize(("kind", "label"), [("pitch", "person"), ("queue", "vehicle")])
def test_what_is_covered_is_not_counted(kind, label):
    head = f"redaction: {{cover: [face, {label}]}}\n" + HEAD.lstrip()
    (told,) = refused(("it", kind, LOT, "{}"), head=head)
    assert told.startswith("s.yaml:11: redaction.cover: ")
    assert f"leave {label} out" in told


@pytest.mark.parametrize(
    ("line", "kind", "field", "hint"),
    [
        (LINE, "car-park", "line", "only a queue"),
        (LINE[:2], "queue", "line", "at least 3 items"),
        ([[200, 110, 1], *LINE[1:]], "queue", "line", "the first point is at 0 m"),
        ([LINE[0], LINE[2], LINE[1]], "queue", "line", "point [2] is no farther"),
        ([*LINE, [210, 301, 30]], "queue", "line[3]", "outside the picture of cam"),
        ([*LINE, [210, 266, 30]], "queue", "line[3]", "outside the outline"),
    ],
)
def test_a_line_that_measures_no_queue_is_refused(line, kind, field, hint):
    (told,) = refused(("gate", kind, LOT, "{}"), edit=lined(line))
    assert told.startswith("s.yaml:23: assets[0]." + field)
    assert hint in told
