from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.detections import Detections
from models.frame import Frame
from models.redaction import redact
from models.registration import Change, Sight
from services.places import around
from services.purposes import waste
from services.sites import parse_site
from services.view import View
from tests.views import SITE_HEAD

SITE = parse_site(
    SITE_HEAD
    + """
cameras:
  - {id: cam-01, name: Quai, size_wh: [400, 300], key_prefix: cam-01/}
assets:
  - id: C-1
    purpose: waste
    kind: container
    geometry: {type: Point, coordinates: [-3.3, 47.7]}
    views:
      cam-01: [[100, 100], [160, 100], [160, 180], [100, 180]]
""",
    "site.yaml",
)


def view(
    boxes=(),
    labels=(),
    states=(),
    *,
    level=120,
    camera=True,
    size_hw=(150, 200),
    dirty=0.2,
    position=None,
):
    height, width = size_hw
    frame = Frame(
        "cam-01/a.jpg",
        np.full((height, width, 3), level, np.uint8),
        "cam-01",
        datetime(2026, 6, 12, tzinfo=UTC),
        "key",
        position=position,
    )
    found = Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(len(boxes), 0.8, np.float32),
        np.array(labels, np.int64),
        ("container", "waste"),
        size_hw,
        np.array(states, np.float32).reshape(-1, 4),
        ("clean", "minor_litter", "side_waste", "overflow"),
        {"dirty": dirty},
    )
    return View(
        SITE,
        SITE.cameras[0] if camera else None,
        redact(frame, [], redactor="none@0"),
        {"waste": found},
        {"waste": "waste@0"},
        "w" * 32,
        "cam-01/a.w.jpg",
    )


AT_HOME = [50, 50, 80, 90]  # the outline, in a picture half the size it was drawn in
CLEAN, FULL = [0.7, 0.2, 0.05, 0.05], [0.05, 0.05, 0.1, 0.8]


def by_quantity(observations):
    table = {}
    for one in observations:
        table.setdefault(one.quantity, []).append(one)
    return table


def test_a_container_at_its_place_is_matched_by_id():
    (one,) = by_quantity(waste.measure(view([AT_HOME], [0], [FULL])))["waste.overflow"]
    assert one.asset == "urn:vigie:t:s:C-1"
    assert one.value == pytest.approx(0.9)
    assert one.detail["overflow"] == pytest.approx(0.8)
    assert one.evidence.polygon == ((50, 50), (80, 50), (80, 90), (50, 90))


def test_states_agree_with_the_probability_and_litter_needs_nobody():
    near = [82, 70, 100, 90]
    seen = view([AT_HOME, near], [0, 1], [[0.1, 0.8, 0.06, 0.04], [1, 0, 0, 0]])
    (one,) = by_quantity(waste.measure(seen))["waste.overflow"]
    told = {name: one.detail[name] for name in waste._SEVERITY}
    assert sum(told.values()) == pytest.approx(1)
    assert told["side_waste"] + told["overflow"] == pytest.approx(one.value)
    assert told["minor_litter"] / told["clean"] == pytest.approx(8)
    assert one.detail["severity"] == pytest.approx(
        told["minor_litter"] + 2 * told["side_waste"] + 3 * told["overflow"]
    )
    (alone,) = by_quantity(waste.measure(view([AT_HOME], [0], [[0.1, 0.8, 0.06, 0.04]])))[
        "waste.overflow"
    ]
    assert alone.value == pytest.approx(0.1)


def test_waste_beside_it_raises_the_probability_and_waste_elsewhere_does_not():
    near = [82, 70, 100, 90]
    far = [150, 70, 170, 90]
    states = [CLEAN, [1, 0, 0, 0]]
    (beside,) = by_quantity(waste.measure(view([AT_HOME, near], [0, 1], states)))["waste.overflow"]
    (apart,) = by_quantity(waste.measure(view([AT_HOME, far], [0, 1], states)))["waste.overflow"]
    assert beside.value == pytest.approx(1 - 0.9 * 0.2)
    assert apart.value == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (view(), "not_seen"),
        (view([[120, 50, 150, 90]], [0], [CLEAN]), "not_seen"),
        (view([AT_HOME], [0], [CLEAN], level=3), "dark"),
    ],
)
def test_what_cannot_be_seen_is_unknown_never_clean(seen, reason):
    (one,) = by_quantity(waste.measure(seen))["waste.overflow"]
    assert one.value is None
    assert one.reason == reason


def test_a_container_that_nobody_registered_is_reported():
    table = by_quantity(waste.measure(view([AT_HOME, [120, 50, 150, 90]], [0, 0], [CLEAN, FULL])))
    (stranger,) = table["waste.container"]
    assert ":unregistered:cam-01:" in stranger.asset
    assert len(table["waste.overflow"]) == 1


@settings(max_examples=30)
@given(st.floats(0.9, 1.1), st.floats(-0.1, 0.1), st.floats(-20, 20), st.floats(-20, 20))
def test_a_place_stays_the_same_when_the_camera_was_nudged(scale, turn, x, y):
    still, box = view(), np.array([120, 50, 150, 90], np.float32)
    affine = np.array([[scale, -turn, x], [turn, scale, y]])
    # Foot (135, 90) of a picture half the size that outlines were drawn in.
    foot = affine[:, :2] @ [270, 180] + affine[:, 2]
    there = np.array([foot[0] / 2 - 15, 0, foot[0] / 2 + 15, foot[1] / 2], np.float32)
    nudged = replace(still, sight=Sight("seen", affine, 99))
    assert nudged.place(there)[0] in around(still.place(box)[0])


def test_pictures_of_no_camera_are_located_by_exif_where_the_site_wants_it():
    box = np.array([120, 50, 150, 90], np.float32)
    here = view(camera=False, position=(-3.35625, 47.72875))
    place, position = here.place(box)
    assert ":unregistered:earth:" not in place
    assert position is None
    wanted = replace(here, site=SITE.model_copy(update={"locate": "exif"}))
    place, position = wanted.place(box)
    assert place == "urn:vigie:t:s:unregistered:earth:-6713.95457"
    assert position == (-3.35625, 47.72875)
    (stranger,) = by_quantity(
        waste.measure(
            replace(
                view([AT_HOME], [0], [FULL], camera=False, position=(-3.35625, 47.72875)),
                site=wanted.site,
            )
        )
    )["waste.container"]
    assert stranger.position == (-3.35625, 47.72875)
    nowhere = replace(view(camera=False), site=wanted.site)
    assert ":unregistered:earth:" not in nowhere.place(box)[0]


def test_a_picture_of_no_camera_has_no_registered_containers():
    table = by_quantity(waste.measure(view([AT_HOME], [0], [FULL], camera=False)))
    assert "waste.overflow" not in table
    assert len(table["waste.container"]) == 1
    assert ":picture:" in table["waste.dirty"][0].asset


def test_a_dark_picture_is_neither_dirty_nor_clean():
    (one,) = by_quantity(waste.measure(view(level=2, dirty=0.9)))["waste.dirty"]
    assert (one.value, one.reason) == (None, "dark")


def test_limits_are_checked():
    limits = waste.judgement({"enter": 0.9})["waste.overflow"]
    assert (limits.enter, limits.leave) == ((0.9,), (0.3,))
    with pytest.raises(ValidationError):
        waste.judgement({"entre": 0.9})


class Unchanging:
    """A known view in which every place has changed by so much."""

    def __init__(self, change):
        self.by = change

    def change(self, pixels, sight, outline, covers):
        return Change(self.by, self.by)


def known(seen, change, state="seen", shift=(0, 0)):
    affine = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], float)
    sight = Sight(state, affine if state == "seen" else None, 50)
    models = {"waste": "waste@0", "registration": "registration@0"}
    return replace(seen, known=Unchanging(change), sight=sight, models=models)


@pytest.mark.parametrize(("state", "reason"), [("lost", "view_lost"), ("dark", "dark")])
def test_where_the_view_is_lost_nothing_is_said_of_what_stands_there(state, reason):
    table = by_quantity(waste.measure(known(view([AT_HOME], [0], [FULL]), 0.1, state)))
    assert set(table) == {"waste.overflow", "waste.dirty"}
    assert {(o.value, o.reason) for one in table.values() for o in one} == {(None, reason)}


def test_outlines_move_with_the_view():
    """The outline is drawn in a picture of twice the size."""
    moved = [60, 45, 90, 85]
    (one,) = by_quantity(waste.measure(known(view([moved], [0], [FULL]), 0.1, shift=(20, -10))))[
        "waste.overflow"
    ]
    assert one.evidence.polygon == ((60, 45), (90, 45), (90, 85), (60, 85))
    assert one.value > 0.6


def test_a_place_as_it_should_be_is_clean_and_another_thing_there_hides_it():
    same, hidden = (
        by_quantity(waste.measure(known(view(), change)))["waste.overflow"][0]
        for change in (0.002, 0.6)
    )
    assert same.value < 0.2
    assert same.detail["change"] == same.detail["colour_change"] == pytest.approx(0.002)
    assert (hidden.value, hidden.reason) == (None, "occluded")


@given(
    clean=st.none() | st.floats(0, 1),
    beside=st.floats(0, 1),
    change=st.none() | st.floats(0, 1),
    more=st.floats(0, 1),
)
def test_what_speaks_for_waste_never_speaks_against_it(clean, beside, change, more):
    if clean is None and change is None:
        return
    value = waste.need(clean, beside, change)
    assert 0 <= value <= 1
    assert waste.need(clean, max(beside, more), change) >= value - 1e-12
    if clean is not None:
        assert waste.need(min(clean, more), beside, change) >= value - 1e-12
    if change is not None:
        assert waste.need(clean, beside, max(change, more)) >= value - 1e-12


def test_what_the_detector_takes_for_clean_is_not_where_its_colours_changed():
    def told(change):
        seen = known(view([AT_HOME], [0], [CLEAN]), change)
        (one,) = by_quantity(waste.measure(seen))["waste.overflow"]
        bad = one.detail["side_waste"] + one.detail["overflow"]
        assert bad == pytest.approx(one.value, abs=2e-4)
        return one.value

    without = by_quantity(waste.measure(view([AT_HOME], [0], [CLEAN])))["waste.overflow"][0].value
    assert told(0.0) < without < told(0.06) < told(0.2)
    assert told(0.2) > 0.9


def test_an_outline_that_reaches_over_the_border_is_no_dark_one():
    affine = np.array([[1.0, 0.0, -110.0], [0.0, 1.0, 0.0]])
    seen = replace(view([[0, 50, 25, 90]], [0], [CLEAN]), sight=Sight("seen", affine, 99))
    (one,) = by_quantity(waste.measure(seen))["waste.overflow"]
    assert one.reason is None
