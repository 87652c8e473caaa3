"""Registered containers and whole pictures: what is told of them, and what is unknown."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from models.registration import Change, Sight
from services.purposes import waste
from tests.waste_views import AT_HOME, CLEAN, FULL, by_quantity, view


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


def test_a_bag_beside_a_container_that_looks_clean_is_side_waste():
    near = [82, 70, 100, 90]
    (one,) = by_quantity(
        waste.measure(view([AT_HOME, near], [0, 1], [[0.9, 0.06, 0.01, 0.03]] * 2))
    )["waste.overflow"]
    assert one.value == pytest.approx(1 - 0.96 * 0.2)
    assert one.detail["overflow"] == pytest.approx(0.03)
    assert one.detail["side_waste"] == pytest.approx(0.01 + 0.96 * 0.8)


def test_waste_beside_no_container_is_a_dump_at_its_place():
    (dump,) = by_quantity(
        waste.measure(view([AT_HOME, [150, 70, 170, 90]], [0, 1], [CLEAN, [1, 0, 0, 0]]))
    )["waste.dump"]
    assert dump.value == pytest.approx(0.8)
    assert ":unregistered:cam-01:" in dump.asset


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


@pytest.mark.parametrize("camera", [True, False])
@pytest.mark.parametrize(("level", "noise"), [(127, 0), (180, 3), (20, 0)])
def test_a_covered_lens_and_fog_are_neither_dirty_nor_clean(camera, level, noise):
    pixels = np.random.default_rng(0).normal(level, noise, (150, 200, 3)).round().astype(np.uint8)
    seen = view([AT_HOME, [120, 50, 150, 90]], [0, 0], [FULL, FULL], camera=camera, pixels=pixels)
    observations = waste.measure(seen)
    assert {(o.value, o.reason) for o in observations} == {(None, "blank")}
    assert {o.quantity for o in observations} == {"waste.dirty"} | (
        {"waste.overflow"} if camera else set()
    )


def test_a_picture_of_no_camera_tells_of_no_registered_container():
    table = by_quantity(waste.measure(view([AT_HOME], [0], [FULL], camera=False)))
    assert set(table) == {"waste.dirty"}
    assert ":picture:" in table["waste.dirty"][0].asset


def test_a_dark_picture_is_neither_dirty_nor_clean():
    (one,) = by_quantity(waste.measure(view(level=2, dirty=0.9)))["waste.dirty"]
    assert (one.value, one.reason) == (None, "dark")


def test_limits_are_checked():
    limits = waste.judgement({"enter": 0.9})["waste.overflow"]
    assert (limits.enter, limits.leave) == ((0.9,), (0.3,))
    with pytest.raises(ValidationError):
        waste.judgement({"entre": 0.9})


@pytest.mark.parametrize("limits", [{"enter": 0.2}, {"leave": 0.7}, {"enter": 0.5, "leave": 0.8}])
def test_an_overflow_cannot_end_above_where_it_starts(limits):
    with pytest.raises(ValidationError, match=r"leave \(0\.\d\) must not be above enter"):
        waste.judgement(limits)


class Unchanging:
    """A known view in which every place has changed by so much."""

    def __init__(self, change):
        self.edges = self.colour = change

    def change(self, pixels, sight, outline, covers):
        return Change(self.edges, self.colour)


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
    assert same.value < 0.3  # ends what was raised
    assert same.detail["change"] == same.detail["colour_change"] == pytest.approx(0.002)
    assert (hidden.value, hidden.reason) == (None, "occluded")


@pytest.mark.parametrize(
    ("states", "edges", "colour", "reason"),
    [
        (CLEAN, 0.4, 0.0, "occluded"),
        (CLEAN, 0.2, 0.0, None),
        (FULL, 0.4, 0.0, None),
        # Vans beside the middle of the container: their colours are no waste.
        (CLEAN, 0.17, 0.3, "occluded"),
        (CLEAN, 0.27, 0.5, "occluded"),
        (CLEAN, 0.4, 0.3, "occluded"),
        (FULL, 0.27, 0.5, None),
        (CLEAN, 0.06, 0.3, None),
    ],
)
def test_a_container_behind_something_is_occluded_unless_the_detector_sees_waste(
    states, edges, colour, reason
):
    seen = known(view([AT_HOME], [0], [states]), 0.0)
    seen.known.edges, seen.known.colour = edges, colour
    (one,) = by_quantity(waste.measure(seen))["waste.overflow"]
    assert one.reason == reason


def test_what_the_detector_takes_for_clean_is_not_where_its_colours_changed():
    def told(change):
        seen = known(view([AT_HOME], [0], [CLEAN]), change)
        seen.known.edges = 0.06
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
