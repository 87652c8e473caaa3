import cv2
import numpy as np
import pytest

from models.growth import growth_index
from models.redaction import Region
from training.scenes.gauge import Meadow, lawn


def drawn(height_cm, light, night=False):
    camera = {"distance_m": 3.0, "camera_m": 2.3, "focal_px": 850, "size_hw": (540, 960)}
    return lawn(Meadow(height_cm, night=night, seed=3, **camera), light)


@pytest.fixture(scope="module")
def mown():
    return drawn(4, 1)


@pytest.fixture(scope="module")
def grown():
    return drawn(28, 2)[0]


def test_a_lawn_just_mown_is_zero(mown):
    assert growth_index([mown[0]], mown[0], mown[1]).index == 0


def test_other_light_grows_nothing(mown):
    assert abs(growth_index([mown[0]], drawn(4, 2)[0], mown[1]).index) < 0.15


def test_the_higher_the_grass_the_higher_the_index(mown, grown):
    some, much = (
        growth_index([mown[0]], pixels, mown[1]).index for pixels in (drawn(10, 3)[0], grown)
    )
    assert 0.15 < some < much - 0.2
    assert 0.5 < much < 1.5


def test_dim_light_and_its_tint_count_for_little(mown, grown):
    dim = (grown * np.array([0.42, 0.55, 0.42])).astype(np.uint8)
    full, less = (growth_index([mown[0]], pixels, mown[1]).index for pixels in (grown, dim))
    assert abs(full - less) < 0.12


def test_a_camera_that_moved_a_little_sees_the_same(mown, grown):
    affine = np.array([[1.0, 0.01, -12], [-0.01, 1.0, 9]])
    moved = cv2.warpAffine(grown, affine, grown.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    still, shifted = (
        growth_index([mown[0]], grown, mown[1]).index,
        growth_index([mown[0]], moved, mown[1], affine).index,
    )
    assert abs(still - shifted) < 0.15


def test_pictures_by_night_are_compared_with_a_mown_night(mown):
    by_night = drawn(4, 4, night=True)[0]
    again = drawn(4, 5, night=True)[0]
    both = growth_index([mown[0], by_night], again, mown[1])
    assert both == growth_index([by_night], again, mown[1])
    assert abs(both.index) < 0.3


def test_what_redaction_covered_does_not_count(mown, grown):
    pixels, outline = mown
    (x1, y1), (x2, y2) = outline.min(0).astype(int), outline.max(0).astype(int)
    region = Region((x1, y1, (x1 + x2) // 2, y2), "person", 0.9)
    covered = grown.copy()
    covered[y1:y2, x1 : (x1 + x2) // 2] = np.random.default_rng(0).integers(0, 255, 3)
    covered[y1:y2:6, x1 : (x1 + x2) // 2] = 20
    free = growth_index([pixels], covered, outline, covers=[region]).index
    assert abs(free - growth_index([pixels], grown, outline).index) < 0.3
    everything = Region((0, 0, 960, 540), "person", 0.9)
    assert growth_index([pixels], grown, outline, covers=[everything]).reason == "out_of_view"


def test_where_nothing_is_seen_nothing_is_told(mown):
    pixels, outline = mown
    assert growth_index([pixels], pixels // 20, outline).reason == "dark"
    assert growth_index([pixels], np.full_like(pixels, 190), outline).reason == "blank"
    outside = outline + np.float32([5000, 0])
    assert growth_index([pixels], pixels, outside).reason == "out_of_view"
