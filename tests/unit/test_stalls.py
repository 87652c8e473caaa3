import json

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.card import Architecture, Card
from models.checkpoint import save
from models.detections import Detections
from models.errors import BadAnswer
from models.patch import PatchNetwork
from models.redaction import Redactor
from models.stalls import PATCH_PX, Stalls, rectified
from services.settings import Settings
from serving import evaluation
from training.stalls import _bare, draw_lots, figures, say_of_lot

SQUARE = np.array([[100, 100], [180, 100], [180, 180], [100, 180]], np.float32)


def network():
    torch.manual_seed(0)
    return PatchNetwork(
        Architecture(("occupied",), input_px=PATCH_PX, backbone="", channels=8, kind="patch")
    ).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights")
    card = Card("stalls", network().architecture, "", {"occupied": 0.5}, {}, "none", "none")
    save(network(), card, path)
    return path


def quartered():
    """A square whose quarters are red, green, blue and white, clockwise from the upper left."""
    pixels = np.zeros((300, 300, 3), np.uint8)
    colours = (255, 0, 0), (0, 255, 0), (255, 255, 255), (0, 0, 255)
    for colour, (y, x) in zip(
        colours, ((100, 100), (100, 140), (140, 140), (140, 100)), strict=True
    ):
        pixels[y : y + 40, x : x + 40] = colour
    return pixels


@given(st.permutations(range(4)))
def test_the_order_of_corners_means_nothing(order):
    seen = rectified(quartered(), SQUARE[list(order)], 0.0)
    assert seen[10, 10].tolist() == [255, 0, 0]
    assert seen[10, 54].tolist() == [0, 255, 0]
    assert seen[54, 54].tolist() == [255, 255, 255]
    assert seen[54, 10].tolist() == [0, 0, 255]


def test_a_stall_seen_from_the_side_becomes_a_square():
    slant = np.array([[60, 120], [230, 90], [290, 200], [20, 250]], np.float32)
    matrix = cv2.getPerspectiveTransform(SQUARE, slant)
    tilted = cv2.warpPerspective(quartered(), matrix, (300, 300))
    apart = np.abs(rectified(tilted, slant, 0.0).astype(int) - rectified(quartered(), SQUARE, 0.0))
    assert np.median(apart) == 0
    assert apart.mean() < 8


def test_the_margin_shows_what_stands_around():
    assert rectified(quartered(), SQUARE, 0.25)[:8].max() == 0
    assert rectified(quartered(), SQUARE, 0.0)[:8].max() == 255


def test_an_outline_of_many_corners_is_taken_by_its_rectangle():
    many = np.array(
        [[100, 100], [140, 100], [180, 100], [180, 140], [180, 180], [100, 180]], np.float32
    )
    seen, known = rectified(quartered(), many, 0.0), rectified(quartered(), SQUARE, 0.0)
    assert np.abs(seen.astype(int) - known).mean() < 3


def test_a_stall_in_the_shade_looks_like_one_in_the_sun():
    patch = np.random.default_rng(0).integers(100, 200, (1, PATCH_PX, PATCH_PX, 3), np.uint8)
    bright, dark = (network()(torch.from_numpy(p)) for p in (patch, (patch * 0.6).astype(np.uint8)))
    assert abs(bright - dark).item() < 0.05


def test_probabilities_come_in_the_order_of_the_outlines(folder, networks):
    look, pixels = Stalls(folder=folder, cache=networks, precision="f32"), quartered()
    other = SQUARE + np.float32(60)
    both = look(pixels, [SQUARE, other])
    assert both.dtype == np.float32
    assert both.tolist() == [*look(pixels, [SQUARE]).tolist(), *look(pixels, [other]).tolist()]
    assert look(pixels, []).shape == (0,)


def test_an_answer_that_is_no_number_is_refused(folder, networks, monkeypatch):
    look = Stalls(folder=folder, cache=networks, precision="f32")
    monkeypatch.setattr(look, "_run", lambda patch: [np.full((1, 1), np.nan, np.float32)])
    with pytest.raises(BadAnswer, match="not_finite"):
        look(quartered(), [SQUARE])


def test_bare_ground_is_ground_on_which_nothing_stands():
    feet = np.array([[200, 200, 260, 240], [300, 220, 380, 260]], np.float32)
    places = list(_bare(feet, feet, np.random.default_rng(0)))
    assert places
    for place in places:
        for foot in feet:
            assert (place[:2] >= foot[2:]).any() or (place[2:] <= foot[:2]).any()


def test_drawn_car_parks_have_both():
    states = [stall.taken for _, stalls in draw_lots(9, 1) for stall in stalls]
    assert 0 < sum(states) < len(states)


class Nobody:
    """A locator that finds nobody."""

    model = "nobody@0"
    thresholds = {"face": 0.5}  # noqa: RUF012 - read only

    def __call__(self, pixels, areas=None):
        return []


class Eyes:
    """Bright stalls look taken, but for one of eight; a box lies on every bright one."""

    def __init__(self, **_):
        self.asked = 0

    def __call__(self, frame):
        box = np.array([[20, 20, 60, 60]], np.float32)
        names = ("person", "bicycle", "car")
        return Detections(box, np.ones(1, np.float32), np.array([2]), names, (200, 200))

    def taken(self, frame, outlines):
        self.asked += 1
        bright = [rectified(frame.pixels, outline).mean() > 100 for outline in outlines]
        if self.asked == 2:
            bright[1] = True
        return np.where(bright, 0.999, 0.001).astype(np.float32)


@pytest.fixture
def lot(tmp_path):
    """Four pictures of two stalls each, of which the taken one is bright."""
    images, annotations = [], []
    for number in range(4):
        pixels = np.full((200, 200, 3), 40, np.uint8)
        pixels[20:60, 20:60] = 230
        cv2.imwrite(str(tmp_path / f"{number}.png"), pixels)
        images.append({"id": number, "file_name": f"../{number}.png", "captured": f"{number}"})
        for kind, at in ((1, 20), (2, 120)):
            ring = [at, at, at + 40, at, at + 40, at + 40, at, at + 40]
            box = [at, at, 40, 40]
            annotations.append(
                {"image_id": number, "category_id": kind, "bbox": box, "segmentation": [ring]}
            )
    kinds = [{"id": 1, "name": "occupied"}, {"id": 2, "name": "free"}]
    (tmp_path / "parking").mkdir()
    (tmp_path / "parking" / "val.json").write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": kinds})
    )
    return tmp_path


def test_stalls_are_scored_by_picture_on_what_redaction_leaves(lot):
    said = say_of_lot(lot, "val", Redactor([Nobody()], cover=["face"]), Eyes())
    table = figures(said)
    value, low, high, count = table["stalls, look alone"]["balanced accuracy"]
    assert (value, count) == (pytest.approx(7 / 8), 8)
    assert low < value < high
    assert table["stalls, look alone"]["AUC"][0] == pytest.approx(7 / 8)
    assert table["stalls"]["balanced accuracy"][0] >= value
    assert table["stalls"]["AUC"][0] == 1  # the box on it tells which of two bright looks is right


def test_the_page_of_stalls_draws_what_their_probabilities_are_worth(lot, monkeypatch):
    monkeypatch.setattr(evaluation, "OccupancyDetector", Eyes)
    monkeypatch.setattr(evaluation, "open_redactor", lambda _: Redactor([Nobody()], cover=["face"]))
    made = evaluation.evaluate_detector("stalls", lot, "val", Settings())
    assert [what for what, _ in made.curves] == ["stalls", "stalls, look alone"]
    for _, points in made.curves:
        assert sum(count for _, _, count in points) == 8
    evaluation.write_evaluation(lot / "page.html", made)
    assert (lot / "page.html").read_text().count("<polyline") == 2
