"""Areas on the ground, seen by a drawn camera of which everything is known."""

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError
from pyproj import Geod
from shapely import Polygon

from models.errors import BadSite
from services.camera_ground import GROUND_EXAMPLE, CameraGround, area_m2
from tests.counted import LOT, SITE, said
from tests.counted import site as site_of

GEOD = Geod(ellps="GRS80")
MAST = (-3.3, 47.7)  # where the camera stands
HEADING, PITCH, HEIGHT_M, FOCAL_PX = 30.0, 0.3, 8.0, 350.0
CENTRE = np.array([200.0, 150.0])


def px(right, ahead):
    """Where a point on the ground is in the picture, metres right of and ahead of the mast."""
    depth = ahead * np.cos(PITCH) + HEIGHT_M * np.sin(PITCH)
    down = HEIGHT_M * np.cos(PITCH) - ahead * np.sin(PITCH)
    return (CENTRE + FOCAL_PX * np.array([right, down]) / depth).round(2).tolist()


def degrees(right, ahead):
    turn = HEADING + np.degrees(np.arctan2(right, ahead))
    longitude, latitude, _ = GEOD.fwd(*MAST, turn, np.hypot(right, ahead))
    return [round(longitude, 7), round(latitude, 7)]


def pairs(*points):
    return [[px(*point), degrees(*point)] for point in points]


CORNERS = [(-6, 12), (6, 12), (9, 32), (-9, 30)]
READ = TypeAdapter(CameraGround)


def area(*points):
    return area_m2(Polygon([px(*point) for point in points]), READ.validate_python(pairs(*CORNERS)))


def test_areas_are_those_of_the_ground_near_and_far():
    assert area((-5, 13), (5, 13), (5, 18), (-5, 18)) == pytest.approx(50, rel=0.01)
    assert area((-5, 40), (5, 40), (5, 60), (-5, 60)) == pytest.approx(200, rel=0.02)


def test_more_points_than_four_even_out_what_is_read_off_a_map():
    rng = np.random.default_rng(0)
    rough = pairs(*CORNERS, (0, 20), (4, 26), (-4, 16), (0, 31))
    for _, place in rough:
        place[0] += rng.normal(0, 0.15) / 75_000
        place[1] += rng.normal(0, 0.15) / 111_000
    drawn = Polygon([px(*point) for point in [(-5, 14), (5, 14), (5, 28), (-5, 28)]])
    assert area_m2(drawn, READ.validate_python(rough)) == pytest.approx(140, rel=0.05)


def test_what_lies_beyond_the_horizon_has_no_area():
    sky = Polygon([[0, 299], [399, 299], [399, 0], [0, 0]])
    assert area_m2(sky, READ.validate_python(pairs(*CORNERS))) is None


def swapped(points):
    return [[place, degrees[::-1]] for place, degrees in points]


def with_two_exchanged(points):
    (one, first), (other, second) = points[2:]
    return [*points[:2], [one, second], [other, first]]


@pytest.mark.parametrize(
    ("points", "hint"),
    [
        (pairs(*CORNERS[:3]), "at least 4 items"),
        (pairs((-6, 12), (-2, 12), (2, 12), (6, 12)), "no three of them on one line"),
        (pairs((-6, 12), (0, 12), (6, 12), (0, 30)), "no three of them on one line"),
        (pairs((5, 20), (5, 20), (5, 20), (5, 20)), "no three of them on one line"),
        (swapped(pairs(*CORNERS)), "check the order, x, y then longitude, latitude"),
        (with_two_exchanged(pairs(*CORNERS)), "no camera sees the ground so"),
        ([*pairs(*CORNERS, (0, 20)), [px(4, 26), degrees(4, 34)]], "m off what all of them say"),
    ],
)
def test_points_that_no_ground_fits_are_refused(points, hint):
    with pytest.raises(ValidationError, match=hint):
        READ.validate_python(points)


def test_the_example_is_right():
    assert len(READ.validate_python(GROUND_EXAMPLE)) == 4


def on_ground(outline=LOT, limits="{}"):
    camera = SITE.replace(
        "    key_prefix: cam/\n", f"    ground: {pairs(*CORNERS)}\n    key_prefix: cam/\n"
    )
    return site_of(
        ("place", "square", outline, limits), edit=lambda text: text.replace(SITE, camera)
    )


def test_an_outline_above_the_horizon_is_refused_with_its_line():
    with pytest.raises(
        BadSite, match=r"views\.cam: reaches beyond the horizon of the ground of cam"
    ):
        on_ground([[100, 260], [300, 260], [300, 20], [100, 20]])


PLACE = [px(-4, 14), px(4, 14), px(4, 24), px(-4, 24)]  # 80 m²


def test_a_calibrated_camera_gives_a_density():
    middle = np.mean(PLACE, 0)
    crowd = [
        ("person", x - 2, middle[1] - 40, x + 2, middle[1]) for x in middle[0] + np.arange(-9, 9, 2)
    ]
    found = said(on_ground(PLACE), crowd)
    one, count = found["place", "occupancy.density"], found["place", "occupancy.count"]
    assert (count.value, one.unit) == (9, "{person}/m2")
    assert one.value == pytest.approx(9 / 80, rel=0.02)
    assert (one.low, one.high) == pytest.approx((8 / 80, 10 / 80), rel=0.02)
    few = said(on_ground(PLACE))["place", "occupancy.density"]
    assert (few.value, few.low, few.reason) == (None, 0, "below_min_count")


def test_a_density_in_a_large_place_is_not_zero():
    corners = [[2.7, 48.5], [2.704, 48.5], [2.704, 48.502], [2.7, 48.502], [2.7, 48.5]]
    large = site_of(
        ("lot", "car-park", LOT, "{}"),
        edit=lambda text: text.replace(
            "{type: Point, coordinates: [-3.3, 47.7]}",
            f"{{type: Polygon, coordinates: [{corners}]}}",
        ),
    )
    found = said(large, [("car", 150, 180, 170, 200)])
    one, count = found["lot", "occupancy.density"], found["lot", "occupancy.count"]
    area_m2 = count.high / one.high
    assert area_m2 == pytest.approx(295.5 * 222.4, rel=0.01)
    assert one.value == pytest.approx(count.value / area_m2, rel=1e-3)
