"""A fixed camera's known view: found again, lost, changed."""

from datetime import UTC, datetime

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.redaction import Region
from models.registration import KnownView
from services.outcome import Outcome
from services.references import propose
from services.sites import parse_site
from tests.views import SITE_HEAD, SIZE_WH, moved, street

PLACE = np.array([[300, 200], [380, 200], [380, 300], [300, 300]], np.float32)


@pytest.fixture(scope="module")
def known():
    return KnownView([street()], SIZE_WH)


@given(
    scale=st.floats(0.97, 1.03),
    degrees=st.floats(-2, 2),
    x=st.integers(-20, 20),
    y=st.integers(-20, 20),
)
@settings(max_examples=12)
def test_a_nudged_camera_gets_its_outlines_moved(known, scale, degrees, x, y):
    pixels, affine = moved(street(), scale=scale, degrees=degrees, shift=(x, y))
    sight = known.find(pixels)
    assert sight.state == "seen"
    corners = np.array([[0, 0, 1], [639, 0, 1], [0, 479, 1], [639, 479, 1]], float)
    assert np.abs(corners @ sight.affine.T - corners @ affine.T).max() < 2.5
    assert known.change(pixels, sight, PLACE).edges < 0.1


def test_the_grey_of_a_cover_is_no_light_by_night(known):
    night = np.random.default_rng(0).integers(0, 9, street().shape, np.uint8)
    night[:, :160] = 127
    cover = Region((0, 0, 160, 480), "private_zone", 1.0)
    assert known.find(night).state == "lost"
    assert known.find(night, [cover]).state == "dark"
    everything = Region((0, 0, 640, 480), "private_zone", 1.0)
    assert known.find(street(), [everything]).state == "dark"


@pytest.mark.parametrize("gain", [0.3, 0.6, 1.4])
def test_light_is_no_change(known, gain):
    pixels = np.clip(street() * gain, 0, 255).astype(np.uint8)
    sight = known.find(pixels)
    assert sight.state == "seen"
    assert known.change(pixels, sight, PLACE).edges < 0.1


def test_pictures_of_another_size_are_the_same_view(known):
    large = cv2.resize(street(), (1280, 960), interpolation=cv2.INTER_CUBIC)
    sight = known.find(large)
    assert np.abs(sight.affine - np.eye(2, 3)).max() < 1.5
    assert known.change(large, sight, PLACE).edges < 0.1


def test_what_stands_there_instead_is_a_change_and_the_nearest_reference_counts(known):
    pixels = street()
    pixels[190:310, 290:390] = street(5)[190:310, 290:390]
    sight = known.find(pixels)
    assert sight.state == "seen"
    changed = known.change(pixels, sight, PLACE)
    assert changed.edges > 0.2
    both = KnownView([street(), pixels], SIZE_WH)
    assert max(both.change(pixels, both.find(pixels), PLACE)) < 0.01


def test_what_a_cover_hides_is_no_change(known):
    """A mosaic over a sign on the container has edges of its own."""
    pixels, (left, top) = street(), PLACE.min(0).astype(int).tolist()
    box = left + 20, top + 20, left + 60, top + 60
    mosaic = np.random.default_rng(0).integers(0, 255, (5, 5, 3), np.uint8)
    pixels[box[1] : box[3], box[0] : box[2]] = np.kron(mosaic, np.ones((8, 8, 1), np.uint8))
    sight = known.find(pixels, [cover := Region(box, "plate", 0.9)])
    assert known.change(pixels, sight, PLACE).edges > 0.15
    assert known.change(pixels, sight, PLACE, [cover]).edges < 0.02


def on_top(level):
    """The street with something on top of the place, which a function of its colours gives."""
    pixels = street().astype(float)
    (left, top), (_, bottom) = PLACE.min(0).astype(int), PLACE.max(0).astype(int)
    part = np.s_[top : top + (bottom - top) // 4, left : left + 16]
    pixels[part] = level(pixels[part])
    return np.clip(pixels, 0, 255).astype(np.uint8)


def test_another_colour_on_top_is_a_change_and_a_shadow_or_a_lamp_is_none(known):
    def change(pixels):
        return known.change(pixels, known.find(pixels), PLACE).colour

    assert change(on_top(lambda _: (30, 110, 200))) > 0.05
    pixels, (left, top) = on_top(lambda _: (30, 110, 200)), PLACE.min(0).astype(int).tolist()
    cover = Region((left - 8, top - 8, left + 24, top + 60), "plate", 0.9)
    assert known.change(pixels, known.find(pixels), PLACE, [cover]).colour == 0
    wide = Region((left - 20, top - 20, left + 300, top + 60), "plate", 0.9)
    assert known.change(pixels, known.find(pixels), PLACE, [wide]).colour is None
    assert change(on_top(lambda level: 0.4 * level)) < 0.01  # in the shade of something
    assert change(np.clip(street() * [1.2, 0.9, 0.5], 0, 255).astype(np.uint8)) < 0.01


def test_a_camera_that_was_turned_away_or_covered_lost_its_view(known):
    grey = np.full((480, 640, 3), 90, np.uint8)
    for pixels in (street(1), moved(street(), shift=(200, 0))[0], moved(street(), degrees=30)[0]):
        assert known.find(pixels).state == "lost"
    assert known.find(grey).state == "lost"
    assert known.find(np.zeros_like(grey)).state == "dark"


def test_corners_of_covers_do_not_count(known):
    """A mosaic is full of corners; alone they must not make a view."""
    pixels = street(1)
    pixels[100:400, 100:500] = street()[100:400, 100:500]
    assert known.find(pixels).state == "seen"
    assert known.find(pixels, [Region((100, 100, 500, 400), "face", 0.9)]).state == "lost"


def test_proposed_references_are_the_cleanest_of_each_third_of_the_day():
    site = parse_site(
        SITE_HEAD
        + """
cameras:
  - {id: cam-01, name: Quai, size_wh: [400, 300], key_prefix: cam-01/}
""",
        "site.yaml",
    )

    def outcome(hour, dirty, faces=0, key="cam-01/a.jpg", redacted=True):
        name = f"cam-01/{hour}-{dirty}-{faces}.jpg"
        return Outcome(
            key=key,
            work="w",
            status="redacted" if redacted else "quarantined",
            captured_at=datetime(2026, 1, 12, hour, tzinfo=UTC),
            redacted_key=name if redacted else None,
            covered={"face": {"6-11": faces}},
            facts={"dirty": dirty},
        )

    outcomes = [
        outcome(9, 0.3),
        outcome(10, 0.1),
        outcome(10, 0.1, faces=3),
        outcome(22, 0.4),
        outcome(9, 0.0, redacted=False),
        outcome(9, 0.0, key="elsewhere/a.jpg"),
    ]
    assert propose(site, outcomes) == {"cam-01": ["cam-01/10-0.1-0.jpg", "cam-01/22-0.4-0.jpg"]}
