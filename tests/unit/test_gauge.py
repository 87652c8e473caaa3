import json
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from models.gauge import Reading, look, read_gauge, told
from models.markers import CELLS, HEIGHT_CM, WIDTH_CM, sheet
from models.redaction import Region
from serving.cli import app
from serving.gauge_sheets import _strips
from training.scenes.gauge import Meadow, meadow, outline

FOCAL_PX, SIZE_WH = 1000, (1050, 800)
PX_PER_CM = 10


def hung(board, *, yaw=0.0, roll=0.0, down=0.3, away_cm=200):
    """A board uint8 (h, w) of 10 px a cm, as a camera sees it that looks at its middle."""
    turn = cv2.Rodrigues(np.array([0, 0, roll]))[0] @ cv2.Rodrigues(np.array([down, 0, 0]))[0]
    turn = turn @ cv2.Rodrigues(np.array([0, yaw, 0.0]))[0]
    height, width = board.shape
    to_cm = np.array(
        [[0.1, 0, -width / 20], [0, 0.1, -height / 20], [0, 0, 1]]
    )  # the board's px → cm about its middle
    camera = np.array([[FOCAL_PX, 0, SIZE_WH[0] / 2], [0, FOCAL_PX, SIZE_WH[1] / 2], [0, 0, 1]])
    pose = np.column_stack([turn[:, 0], turn[:, 1], [0, 0, away_cm]])
    small = cv2.GaussianBlur(board, (0, 0), 1.5)
    grey = np.full(SIZE_WH[::-1], 120, np.uint8)
    where = camera @ pose @ to_cm
    cv2.warpPerspective(small, where, SIZE_WH, grey, borderMode=cv2.BORDER_TRANSPARENT)
    return np.repeat(grey[..., None], 3, 2)


def cut(height_cm, level=110):
    """The gauge with everything under a height hidden by something like grass."""
    board = np.where(sheet(PX_PER_CM) > 0, 220, 30).astype(np.uint8)
    hidden = round(height_cm * PX_PER_CM)
    if hidden:
        rng = np.random.default_rng(hidden)
        blades = rng.normal(level, 25, (hidden // 8 + 1, board.shape[1] // 4))
        grass = cv2.resize(blades.clip(0, 255).astype(np.uint8), (board.shape[1], hidden))
        board[-hidden:] = grass
    return board


def step_of(pixels, where=None):
    seen = look(pixels, where)
    assert not isinstance(seen, Reading), seen.reason
    return seen[0]


@settings(max_examples=15, deadline=None)
@given(
    st.floats(6, 75),
    st.floats(-0.75, 0.75),
    st.floats(-0.2, 0.2),
    st.floats(0, 0.6),
    st.sampled_from([80, 110, 180]),
)
def test_the_step_is_where_the_print_ends_however_the_gauge_is_turned(
    height_cm, yaw, roll, down, level
):
    step = step_of(hung(cut(height_cm, level), yaw=yaw, roll=roll, down=down))
    assert abs(step.height_cm - height_cm) < 2.2
    assert step.spread_cm < 2


@given(st.floats(-0.7, 0.7), st.floats(0.05, 0.9))
@settings(max_examples=10, deadline=None)
def test_how_steeply_the_camera_looks_is_read_from_the_gauge(yaw, down):
    pixels = hung(cut(0), yaw=yaw, down=down)
    at_foot = step_of(pixels).down
    # Seen from 2 m, the foot lies lower than the middle that the camera looks at.
    foot = np.array([0, 54 * np.cos(down), 200 + 54 * np.sin(down)])
    up = np.array([0, -np.cos(down), -np.sin(down)])
    sine = -foot @ up / np.linalg.norm(foot)
    assert at_foot == pytest.approx(np.tan(np.arcsin(sine)), abs=0.12)


@pytest.mark.parametrize("away_cm", [150, 400])
def test_how_much_a_px_shows_and_how_steeply_it_looks_make_the_interval(away_cm):
    step = step_of(hung(cut(30), down=0.0, away_cm=away_cm))
    assert step.px_cm == pytest.approx(away_cm / FOCAL_PX, rel=0.05)

    def width(**other):
        reading = told(replace(step, **other), look(hung(cut(30)))[1], np.zeros(2))
        return reading.high_cm - reading.low_cm

    assert width() < width(px_cm=2 * step.px_cm)
    assert width() < width(down=1.0)


def test_shade_hides_nothing():
    board = cut(30)
    board[: 70 * PX_PER_CM] = board[: 70 * PX_PER_CM] // 2 + 8
    assert abs(step_of(hung(board)).height_cm - 30) < 1.5


def test_dirt_above_the_grass_is_not_grass_but_makes_the_reading_less_sure():
    board = cut(30)
    clean = read_gauge(hung(board))
    board[45 * PX_PER_CM : 55 * PX_PER_CM, : 7 * PX_PER_CM] = 90
    dirty = read_gauge(hung(board))
    assert abs(clean.height_cm - dirty.height_cm) < 1.0
    assert dirty.high_cm - dirty.low_cm > clean.high_cm - clean.low_cm


def test_mud_all_across_is_not_grass_where_the_print_shows_below_it():
    board = cut(30)
    board[64 * PX_PER_CM : 73 * PX_PER_CM] = 90  # 35 to 44 cm above the ground
    assert abs(step_of(hung(board)).height_cm - 30) < 1.5


def test_print_below_what_hides_the_gauge_says_that_it_is_no_grass():
    board = cut(10)
    board[-50 * PX_PER_CM : -20 * PX_PER_CM] = 100
    seen = read_gauge(hung(board))
    assert (seen.height_cm, seen.reason) == (None, "obstructed")


@pytest.mark.parametrize("turned", ["board", "picture"])
def test_a_gauge_that_stands_on_its_head_is_refused(turned):
    pixels = hung(np.ascontiguousarray(cut(0)[::-1, ::-1])) if turned == "board" else hung(cut(25))
    seen = read_gauge(pixels if turned == "board" else np.ascontiguousarray(pixels[::-1, ::-1]))
    assert (seen.height_cm, seen.reason) == (None, "upside_down")


@pytest.mark.parametrize(
    ("turn", "reason"),
    [
        ({"roll": np.radians(20)}, None),
        ({"roll": np.radians(40)}, "not_upright"),
        ({"roll": np.radians(-85)}, "not_upright"),
        ({"down": -0.5}, "not_upright"),  # as a camera sees it that looks down at one on its back
        ({"down": -0.9, "yaw": 0.6}, "not_upright"),
    ],
)
def test_a_gauge_that_has_fallen_over_is_refused(turn, reason):
    seen = read_gauge(hung(cut(0), **turn))
    assert (seen.height_cm is None, seen.reason) == (reason is not None, reason)


def test_a_gauge_is_read_from_below_the_tips_of_the_grass():
    low = Meadow(60, distance_m=3, camera_m=0.4, yaw=np.radians(45), seed=1)
    assert read_gauge(meadow(low)[0], outline(low)).reason is None


def test_of_two_gauges_none_is_read():
    both = np.concatenate([hung(cut(25))[:, 250:800], hung(cut(50))[:, 250:800]], 1)
    seen = read_gauge(both)
    assert (seen.height_cm, seen.reason) == (None, "two_gauges")
    assert read_gauge(both, np.float32([[200, 100], [350, 700]])).reason is None


def test_two_markers_are_enough_to_lay_a_scratched_gauge_onto_its_print():
    board = cut(20)
    board[18 * PX_PER_CM :, 18:24] = 230  # no marker below the upper two can be read
    assert abs(step_of(hung(board, yaw=0.6)).height_cm - 20) < 1.5


def test_fewer_than_three_cells_are_refused():
    assert read_gauge(hung(cut(71))).height_cm is not None
    few = read_gauge(hung(cut(91)))
    assert few.reason == "too_few_cells"
    assert few.height_cm is few.low_cm is few.high_cm is None
    assert few.cells == 2


def test_no_gauge_darkness_and_edges_are_refused():
    pixels = hung(cut(20))
    assert read_gauge(np.full_like(pixels, 120)).reason == "no_gauge"
    assert read_gauge(pixels // 20).reason == "dark"
    elsewhere = np.float32([[3000, 0], [3100, 0], [3100, 90]])
    assert read_gauge(pixels, elsewhere).reason == "out_of_view"
    assert read_gauge(pixels[:480]).reason == "out_of_view"


def test_what_redaction_covered_is_not_grass():
    pixels = hung(cut(30), roll=0.0, down=0.0)
    rows = [round(400 - (cm - 54) * 5) for cm in (60, 45, 35, 20)]  # 5 px a cm from 2 m away
    apart, there = (Region((450, y1, 600, y2), "plate", 0.9) for y1, y2 in (rows[:2], rows[2:]))
    for region in (apart, there):
        x1, y1, x2, y2 = region.box
        covered = pixels.copy()
        covered[y1:y2, x1:x2] = 128
        reading = read_gauge(covered, covers=[region])
        if region is apart:
            assert abs(reading.height_cm - read_gauge(pixels).height_cm) < 0.5
        else:
            assert reading.reason == "out_of_view"
    board = cut(0)
    board[-20 * PX_PER_CM :] = 128
    low = Region((450, 570, 600, 800), "person", 0.9)
    assert read_gauge(hung(board, down=0.0), covers=[low]).reason == "out_of_view"


def test_only_the_outline_is_searched_and_places_are_told_in_the_whole_picture():
    pixels = hung(cut(20))
    whole = read_gauge(pixels)
    near = read_gauge(pixels, whole.outline)
    assert np.abs(near.outline - whole.outline).max() < 1.5
    assert abs(near.height_cm - whole.height_cm) < 0.3
    beside = whole.outline - np.float32([400, 0])
    assert read_gauge(pixels, beside).reason == "no_gauge"


@pytest.mark.parametrize(
    "scene",
    [
        Meadow(18, 2.5, 1.4, 0.6, 1300, seed=1),
        Meadow(35, 4.0, 1.8, -0.5, 1700, dirt=0.15, seed=2),
        Meadow(25, 3.0, 1.5, 0.2, 1300, night=True, blur_px=0.8, seed=3),
    ],
    ids=["turned", "dirty", "infrared"],
)
def test_drawn_grass_is_read(scene):
    pixels, truth_cm = meadow(scene)
    reading = read_gauge(pixels, outline(scene))
    assert reading.reason is None
    assert abs(reading.height_cm - truth_cm) < 4
    assert 0 <= reading.low_cm <= reading.height_cm <= reading.high_cm
    assert reading.high_cm - reading.low_cm < 15
    assert np.abs(reading.outline[:2] - outline(scene)[:2]).max() < 6


def test_the_printed_strips_make_the_gauge(tmp_path):
    strips = []
    for first in (0, 2):
        page = _strips(first)
        strips += [page[135:2835, left : left + 1000] for left in (50, 1050)]
    stacked = cv2.resize(np.concatenate(strips[::-1]), (100, 1080), interpolation=cv2.INTER_AREA)
    assert stacked.shape == (HEIGHT_CM * PX_PER_CM, WIDTH_CM * PX_PER_CM)
    assert read_gauge(hung(stacked)).cells == CELLS
    step = step_of(hung(stacked))
    assert step.height_cm < 1


def test_pages_have_their_true_size(tmp_path):
    target = tmp_path / "gauge.pdf"
    told = CliRunner().invoke(app, ["gauge", "print", str(target), "--json"])
    assert json.loads(told.output) == {"pdf": str(target)}
    boxes = re.findall(rb"MediaBox \[ 0 0 ([\d.]+) ([\d.]+)", target.read_bytes())
    assert len(boxes) == 3
    for width, height in boxes:
        assert float(width) / 72 * 25.4 == pytest.approx(210, abs=0.1)
        assert float(height) / 72 * 25.4 == pytest.approx(297, abs=0.1)


def test_a_picture_that_cannot_be_opened_is_told(tmp_path):
    (tmp_path / "no.jpg").write_bytes(b"no picture")
    told = CliRunner().invoke(app, ["gauge", "read", str(tmp_path), "--json"])
    row = json.loads(told.stdout.splitlines()[0])
    assert (row["status"], row["reason"], row["height_cm"]) == ("quarantined", "not_an_image", None)
    assert told.exit_code == 1
