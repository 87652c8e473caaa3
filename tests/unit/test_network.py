from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models import runtime as runtime_module
from models.card import Architecture, Card, read_card, read_weights
from models.checkpoint import build, save
from models.detections import Detections
from models.errors import BadAnswer, BadWeights
from models.network import Network
from models.runtime import STRIDES, Runtime, boxes_of, letterbox, points

ARCHITECTURE = Architecture(
    ("container", "waste"), ("clean", "side_waste", "overflow"), ("dirty",), input_px=128
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small untrained network, saved."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights")
    network = Network(ARCHITECTURE).eval()
    card = Card(
        "tiny",
        ARCHITECTURE,
        "",
        {"container": 0.005, "waste": 0.5},
        {"dirty": (2.0, -1.0)},
        "Apache-2.0",
        "none",
        {"epochs": 0},
        {"AP50": "0.1"},
    )
    save(network, card, path)
    return path


def load(folder):
    card = read_card("tiny", folder)
    return build(card, read_weights(card, folder)), card


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(0).integers(0, 255, (90, 160, 3), dtype=np.uint8)


@pytest.mark.parametrize(("backend", "bound"), [("openvino", 1e-3), ("onnxruntime", 1e-3)])
def test_exported_network_agrees_with_torch(folder, picture, tmp_path, backend, bound):
    square, _ = letterbox(picture, ARCHITECTURE.input_px)
    truth = Runtime("tiny", folder=folder, backend="torch").dense(square)
    found = Runtime("tiny", folder=folder, cache=tmp_path, backend=backend, precision="f32").dense(
        square
    )
    for expected, actual in zip(truth, found, strict=True):
        assert expected.shape == actual.shape
        np.testing.assert_allclose(actual, expected, atol=bound)


def test_bf16_stays_close(folder, picture, tmp_path):
    square, _ = letterbox(picture, ARCHITECTURE.input_px)
    truth = Runtime("tiny", folder=folder, backend="torch").dense(square)
    found = Runtime("tiny", folder=folder, cache=tmp_path, backend="openvino").dense(square)
    np.testing.assert_allclose(found.logits, truth.logits, atol=0.1)
    np.testing.assert_allclose(found.distances, truth.distances, atol=0.1)


def test_the_export_is_made_once(folder, tmp_path):
    Runtime("tiny", folder=folder, cache=tmp_path)
    (made,) = tmp_path.glob("*.onnx")
    before = made.stat().st_mtime_ns
    Runtime("tiny", folder=folder, cache=tmp_path)
    assert made.stat().st_mtime_ns == before
    assert read_card("tiny", folder).digest[:16] in made.name


def test_detections_are_in_the_original_picture(folder, picture):
    found = Runtime("tiny", folder=folder, backend="torch").detect(picture)
    assert found.size_hw == (90, 160)
    assert found.state_names == ARCHITECTURE.state_names
    assert {found.names[label] for label in found.labels} <= {"container"}  # 0.005 against 0.5
    assert len(found) > 0


def test_calibration_is_applied_to_the_logit(folder, picture):
    runtime = Runtime("tiny", folder=folder, backend="torch")
    square, _ = letterbox(picture, ARCHITECTURE.input_px)
    both = runtime.dense(square), runtime.dense(square[:, ::-1].copy())
    logit = sum(float(dense.image[0]) for dense in both) / 2
    expected = 1 / (1 + np.exp(-(2.0 * logit - 1.0)))
    assert runtime.detect(picture).image_scores["dirty"] == pytest.approx(expected, abs=1e-5)


def test_a_network_gone_mad_is_an_error_not_an_empty_result(folder, picture):
    runtime = Runtime("tiny", folder=folder, backend="torch")
    good = runtime._run
    runtime._run = lambda pixels: [np.full_like(part, np.nan) for part in good(pixels)]
    with pytest.raises(BadAnswer, match="not_finite"):
        runtime.detect(picture)


def test_a_card_round_trips(folder):
    card = read_card("tiny", folder)
    assert card.architecture == ARCHITECTURE
    assert card.calibration == {"dirty": (2.0, -1.0)}
    assert card.model.startswith("tiny@")


def test_thresholds_belong_to_the_model_identity(folder, tmp_path):
    network, card = load(folder)
    other = Card(
        "tiny", ARCHITECTURE, "", {"container": 0.3, "waste": 0.5}, {}, "Apache-2.0", "none"
    )
    assert save(network, other, tmp_path).model != card.model


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "no card", "bad card"])
def test_damaged_or_missing_weights_are_refused(folder, tmp_path, damage):
    for path in folder.glob("tiny.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights, card = tmp_path / "tiny.safetensors", tmp_path / "tiny.md"
    data = bytearray(weights.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
        weights.write_bytes(data)
    elif damage == "cut":
        weights.write_bytes(data[:-1])
    elif damage == "remove":
        weights.unlink()
    elif damage == "no card":
        card.unlink()
    else:
        card.write_text("---\nname: [\n---\n")
    with pytest.raises(BadWeights):
        load(tmp_path)


def test_weights_survive_storage_in_half_precision(folder):
    torch.manual_seed(0)
    fresh = Network(ARCHITECTURE).eval()
    stored, _ = load(folder)
    pixels = torch.randint(0, 255, (1, 128, 128, 3), dtype=torch.uint8)
    with torch.inference_mode():
        a, b = fresh(pixels), stored(pixels)
    torch.testing.assert_close(a.logits, b.logits, atol=0.02, rtol=0)


def test_points_are_cell_centres_of_all_levels():
    at = points(64)
    assert at.shape == (8 * 8 + 4 * 4 + 2 * 2, 8)
    assert at[0].tolist() == [4, 4, 4, 4, -8, -8, 8, 8]
    assert at[-1].tolist() == [48, 48, 48, 48, -32, -32, 32, 32]


def test_distances_in_strides_become_boxes():
    at = np.array([[100, 60, 100, 60, -8, -8, 8, 8]], np.float32)
    distances = np.array([[1, 2, 3, 4]], np.float32)
    assert boxes_of(distances, at).tolist() == [[92, 44, 124, 92]]
    same = boxes_of(torch.from_numpy(distances), torch.from_numpy(at))
    assert same.tolist() == [[92, 44, 124, 92]]


@settings(max_examples=40)
@given(st.integers(1, 700), st.integers(1, 700))
def test_letterbox_keeps_the_whole_picture(height, width):
    picture = np.full((height, width, 3), 200, np.uint8)
    square, scale = letterbox(picture, 128)
    assert square.shape == (128, 128, 3)
    assert max(height, width) * scale == pytest.approx(128)
    covered = (square == 200).all(-1)
    assert covered.sum() == max(1, round(height * scale)) * max(1, round(width * scale))


class Bright(Runtime):
    """Stands for a network that finds every bright spot, cut or whole."""

    def __init__(self):
        self.card = Card("bright", ARCHITECTURE, "", {}, {}, "", "")

    def detect(self, pixels, min_score=None):
        assert pixels.shape == (self.side, self.side, 3)
        return self._spots(pixels)

    def _both_ways(self, pixels):
        assert not any(side % 32 for side in pixels.shape[:2])
        return pixels

    def _made_of(self, dense, at, scale, size_hw, min_score):
        grid = [side // stride for stride in STRIDES for side in dense.shape[:2]]
        assert len(at) == sum(h * w for h, w in zip(grid[::2], grid[1::2], strict=True))
        assert (dense[size_hw[0] :] == 127).all()
        assert (dense[:, size_hw[1] :] == 127).all()
        return self._spots(dense[: size_hw[0], : size_hw[1]])

    def _spots(self, pixels):
        _, _, stats, _ = cv2.connectedComponentsWithStats(np.uint8(pixels[..., 0] == 255))
        x, y, w, h, _ = stats[1:].T
        n = len(x)
        return Detections(
            np.stack([x, y, x + w, y + h], 1).astype(np.float32),
            np.full(n, 0.5, np.float32),
            np.zeros(n, np.int64),
            ARCHITECTURE.names,
            pixels.shape[:2],
            np.tile(np.float32([1, 0, 0]), (n, 1)),
            ARCHITECTURE.state_names,
            {"dirty": n / 100},
        )


def scattered(height, width, largest, spots):
    pixels, true = np.zeros((height, width, 3), np.uint8), []
    for right, down, wide, tall in spots:
        w, h = (int(4 + v * (largest - 4)) for v in (wide, tall))
        x, y = int(right * max(width - w, 0)), int(down * max(height - h, 0))
        if pixels[max(y - 2, 0) : y + h + 2, max(x - 2, 0) : x + w + 2].any():
            continue
        pixels[y : y + h, x : x + w] = 255
        true.append([x, y, min(x + w, width), min(y + h, height)])
    return pixels, true


@settings(max_examples=30, deadline=None)
@given(
    st.integers(90, 700),
    st.integers(90, 700),
    st.sampled_from([1.0, 1.3]),
    st.lists(st.tuples(*[st.floats(0, 1)] * 4), max_size=6),
)
def test_what_squares_find_is_what_is_there_each_once(height, width, scale, spots):
    runtime = Bright()
    runtime.side = round(ARCHITECTURE.input_px / scale)
    pixels, true = scattered(height, width, 0.4 * runtime.side, spots)
    found = runtime.detect_tiled(pixels, scale)
    assert sorted(found.boxes.tolist()) == sorted(true)
    assert found.size_hw == (height, width)
    assert (found.image_scores["dirty"] > 0) == bool(true)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(90, 700),
    st.integers(90, 700),
    st.sampled_from([160, 300, 1920]),
    st.lists(st.tuples(*[st.floats(0, 1)] * 4), max_size=6),
)
def test_at_full_size_all_is_found_once_but_what_is_too_large(height, width, part_px, spots):
    runtime, largest = Bright(), ARCHITECTURE.input_px
    pixels, true = scattered(height, width, 0.4 * largest, spots)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime_module, "_PART_PX", part_px)
        found = runtime.detect_at_full_size(pixels)
    assert sorted(found.boxes.tolist()) == sorted(true)
    assert found.size_hw == (height, width)
    pixels[10:60, 20 : 40 + largest] = 255
    x1, _, x2, _ = runtime.detect_at_full_size(pixels).boxes.T
    assert (x2 - x1 <= largest).all()


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_a_network_without_facts_takes_pictures_of_any_size(tmp_path, backend):
    architecture = replace(ARCHITECTURE, state_names=(), image_names=())
    torch.manual_seed(0)
    save(Network(architecture).eval(), Card("any", architecture, "", {}, {}, "", ""), tmp_path)
    runtime = Runtime("any", folder=tmp_path, cache=tmp_path, backend=backend, precision="f32")
    truth = Runtime("any", folder=tmp_path, backend="torch")
    for size_hw in ((128, 128), (96, 224)):
        pixels = np.random.default_rng(0).integers(0, 255, (*size_hw, 3), np.uint8)
        for one, two in zip(runtime.dense(pixels), truth.dense(pixels), strict=True):
            np.testing.assert_allclose(one, two, atol=1e-3)


def test_a_picture_and_its_mirror_image_show_the_same(folder, picture):
    runtime = Runtime("tiny", folder=folder, backend="torch")
    square = np.full((128, 128, 3), 127, np.uint8)
    square[:90] = picture[:, :128]
    one, two = runtime.detect(square), runtime.detect(square[:, ::-1])
    assert len(one) == len(two) > 0
    np.testing.assert_allclose(one.scores, two.scores, atol=1e-4)
    assert one.image_scores["dirty"] == pytest.approx(two.image_scores["dirty"], abs=1e-5)
    turned = two.boxes[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [128, 0, 128, 0]
    best = np.argsort(-one.scores)[:20]
    for box in one.boxes[best]:
        assert np.abs(turned - box).max(1).min() < 0.05


def test_a_picture_that_claims_absurd_detail_takes_no_more_memory():
    runtime = Bright()
    runtime.side = ARCHITECTURE.input_px
    pixels = np.zeros((90, 160, 3), np.uint8)
    pixels[40:80, 20:100] = 255
    assert len(runtime.detect_tiled(pixels, 1e-9)) == 0
    (box,) = runtime.detect_tiled(pixels, 0.5).boxes
    np.testing.assert_allclose(box, [20, 40, 100, 80], atol=1)
