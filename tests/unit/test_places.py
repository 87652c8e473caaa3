"""Containers that nobody registered: where they stand, told once, and never a registered one."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.registration import Sight
from services.places import around
from services.purposes import waste
from tests.waste_views import AT_HOME, CLEAN, FULL, SITE, by_quantity, view


def test_a_container_that_nobody_registered_is_reported():
    table = by_quantity(waste.measure(view([AT_HOME, [120, 50, 150, 90]], [0, 0], [CLEAN, FULL])))
    (stranger,) = table["waste.container"]
    assert ":unregistered:cam-01:" in stranger.asset
    assert len(table["waste.overflow"]) == 1


def test_what_overlaps_the_outline_of_a_registered_container_that_was_missed_may_be_that():
    a_little, beside = [70, 50, 100, 90], [82, 50, 112, 90]
    assert "waste.container" not in by_quantity(waste.measure(view([a_little], [0], [CLEAN])))
    for boxes in ([beside], [AT_HOME, a_little]):
        found = view(boxes, [0] * len(boxes), [CLEAN] * len(boxes))
        assert len(by_quantity(waste.measure(found))["waste.container"]) == 1


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


def exif(longitude, latitude):
    """A picture of no camera, taken there, at a site that locates such."""
    pictures = view([AT_HOME], [0], [FULL], camera=False, position=(longitude, latitude))
    return replace(pictures, site=SITE.model_copy(update={"locate": "exif"}))


def test_a_registered_container_is_no_stranger_where_a_picture_was_taken():
    for longitude, latitude in ((-3.30025, 47.69975), (-3.30075, 47.70025)):
        assert "waste.container" not in by_quantity(waste.measure(exif(longitude, latitude)))
    assert "waste.container" in by_quantity(waste.measure(exif(-3.30125, 47.70025)))


def test_strangers_of_one_place_are_told_together():
    there = exif(-3.35625, 47.72875)
    three = view([AT_HOME, [120, 50, 150, 90], [0, 0, 30, 40]], [0] * 3, [FULL, CLEAN, CLEAN])
    found = replace(three.detections["waste"], scores=np.array([0.6, 0.9, 0.5], np.float32))
    (stranger,) = by_quantity(waste.measure(replace(there, detections={"waste": found})))[
        "waste.container"
    ]
    assert stranger.value == pytest.approx(0.9)
    assert stranger.detail["count"] == 3
    assert stranger.detail["clean"] == pytest.approx(CLEAN[0])
