"""What fixed cameras say of grass: at a gauge in centimetres, of a lawn since it was mown."""

import cv2
import numpy as np
import pytest

from models.frame import Frame
from models.redaction import Region, redact
from models.registration import KnownView
from services.purposes import vegetation
from services.sites import parse_site
from services.view import View
from tests.surveyed import AT, SITE
from tests.views import street
from training.scenes.gauge import Meadow, meadow

CAMERA = """
cameras:
  - {id: cam, name: Mât, size_wh: [960, 540], key_prefix: cam/}
assets:
  - id: jauge
    purpose: vegetation
    kind: gauge
    geometry: {type: Point, coordinates: [2.4, 48.8]}
    views: {cam: [[10, 10], [500, 10], [500, 500], [10, 500]]}
  - id: pelouse
    purpose: vegetation
    kind: lawn
    geometry: {type: Point, coordinates: [2.4, 48.8]}
    views: {cam: [[10, 10], [900, 10], [900, 500], [10, 500]]}
"""
FIXED = parse_site(SITE[: SITE.index("surveys:")] + CAMERA, "s.yaml")


def seen_by_camera(pixels, known=None, covers=()):
    original = Frame("cam/a.jpg", pixels, "cam", AT, "object")
    frame = redact(original, list(covers), redactor="none@0")
    sight = known.find(frame.pixels, frame.regions) if known else None
    models = dict(vegetation.MODELS)
    view = View(FIXED, FIXED.cameras[0], frame, {}, models, "w" * 32, "a.jpg", known, sight)
    return {o.quantity: o for o in vegetation.measure(view)}


def test_a_camera_tells_grass_at_its_gauge_and_growth_of_its_lawn():
    scene = Meadow(25.0, distance_m=2.5, focal_px=1800, seed=5)
    told = seen_by_camera(meadow(scene)[0])
    grass = told["vegetation.grass"]
    assert grass.model.startswith("gauge@")
    assert (grass.value is None) == (grass.reason is not None)
    assert grass.unit == "cm"
    growth = told["vegetation.growth"]
    assert (growth.value, growth.reason) == (None, "no_references")


def test_who_stands_before_a_gauge_is_no_grass():
    scene = Meadow(12.0, distance_m=2.0, focal_px=900, seed=3)
    pixels, true_cm = meadow(scene)
    free = seen_by_camera(pixels)["vegetation.grass"]
    assert free.value == pytest.approx(true_cm, abs=5)
    foot = Region((900, 500, 1000, 720), "person", 0.9)
    hidden = seen_by_camera(pixels, covers=[foot])["vegetation.grass"]
    assert (hidden.value, hidden.reason) == (None, "too_few_cells")


def test_what_redaction_covered_of_a_lawn_has_not_grown():
    blades = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 60, (540, 960)), (0, 0), 2)
    mown = np.clip(street(size_wh=(960, 540)) + 4 * blades[..., None], 0, 255).astype(np.uint8)
    cover = Region((300, 200, 700, 480), "person", 0.9)
    known = KnownView([mown], (960, 540))
    growth = seen_by_camera(mown, known, [cover])["vegetation.growth"]
    assert growth.value == pytest.approx(0, abs=0.1)


def test_a_lawn_is_compared_with_itself_just_mown_and_a_lost_view_tells_nothing():
    blades = np.random.default_rng(0).normal(0, 60, (540, 960, 1))
    rough = cv2.GaussianBlur(blades, (0, 0), 2)[..., None] * 4
    mown = np.clip(street(size_wh=(960, 540)) + rough, 0, 255).astype(np.uint8)
    same = seen_by_camera(mown, KnownView([mown], (960, 540)))["vegetation.growth"]
    assert same.value == pytest.approx(0, abs=0.1)
    assert same.model.startswith("growth@")
    lost = seen_by_camera(street(9, (960, 540)), KnownView([mown], (960, 540)))
    assert {o.reason for o in lost.values()} == {"view_lost"}


def test_pictures_from_above_are_measured_as_maps_alone():
    original = Frame("ortho/a.tif", np.full((64, 64, 3), 90, np.uint8), "ortho", AT, "object")
    frame = redact(original, [], redactor="none@0")
    view = View(parse_site(SITE, "s.yaml"), None, frame, {}, {}, "w" * 32, "a.jpg")
    assert vegetation.measure(view) == []
