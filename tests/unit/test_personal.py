import re
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models import personal
from models.errors import BadWeights, RedactionFailed
from models.frame import Frame
from models.personal import PersonalData
from models.redaction import LABELS, Redactor
from tests.outputs import must_hold_no_metadata
from training import scenes

Pixels = NDArray[np.uint8]
PLATE = LABELS.index("plate")


@pytest.fixture(scope="module")
def locate(networks: Path) -> PersonalData:
    return PersonalData(precision="f32", cache=networks)


def grey(width: int, height: int) -> Pixels:
    return np.full((height, width, 3), 150, np.uint8)


def quiet(square: Pixels) -> list[NDArray[np.float32]]:
    """What the network says where there is nothing."""
    h, w = (side // 4 for side in square.shape[1:3])
    both = np.zeros((1, 2 * len(LABELS), h, w), np.float32)
    return [np.full((1, len(LABELS), h, w), -20, np.float32), both, both.copy()]


def test_plates_of_drawn_cars_are_found_and_covered(locate: PersonalData) -> None:
    hits = []
    redactor = Redactor([locate], style="solid")
    for seed in (3, 5, 8):
        scene = scenes.street(np.random.default_rng(seed), people=0, cars=4)
        frame = Frame("k", scene.pixels, "cam", datetime(2026, 1, 1, tzinfo=UTC), "object")
        covered = (redactor(frame).pixels == 127).all(axis=2)
        for box, label in zip(scene.boxes.round().astype(int), scene.labels, strict=True):
            if label == "plate" and box[3] - box[1] >= 6:
                x1, y1, x2, y2 = box
                hits.append(covered[y1:y2, x1:x2].mean() >= 0.95)
    assert len(hits) >= 2
    assert np.mean(hits) >= 0.5


def test_the_same_picture_gives_the_same_regions_best_first(locate: PersonalData) -> None:
    pixels = scenes.street(np.random.default_rng(3), people=3, cars=2).pixels
    found = locate(pixels)
    assert found == locate(pixels)
    assert [r.score for r in found] == sorted((r.score for r in found), reverse=True)


def test_an_area_shows_what_the_whole_picture_shows_there(locate: PersonalData) -> None:
    pixels = scenes.street(np.random.default_rng(3), people=3, cars=2).pixels
    found = [r for r in locate(pixels) if r.score >= locate.thresholds[r.label] + 0.05]
    assert found
    for region in found[:6]:
        again = locate(pixels, [region.box])
        near = np.array([np.abs(np.subtract(r.box, region.box)).max() for r in again])
        alike = [r.label == region.label and d <= 2 for r, d in zip(again, near, strict=True)]
        assert any(alike)


def test_nothing_is_found_where_there_is_nothing(locate: PersonalData) -> None:
    assert locate(grey(16, 16)) == []
    assert locate(grey(640, 480), []) == []


def test_weights_that_are_missing_or_foreign_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadWeights, match=r"privacy\.md"):
        PersonalData(folder=tmp_path)
    card = (Path(personal.__file__).parent / "weights" / "privacy.md").read_text()
    (tmp_path / "privacy.md").write_text(card)
    with pytest.raises(BadWeights, match=r"privacy\.safetensors is missing"):
        PersonalData(folder=tmp_path)
    (tmp_path / "privacy.safetensors").write_bytes(b"another network")
    with pytest.raises(BadWeights, match="not the file"):
        PersonalData(folder=tmp_path)


def test_the_model_changes_with_what_decides(locate: PersonalData, networks: Path) -> None:
    other = PersonalData(precision="f32", cache=networks, min_score=0.9)
    assert locate.model != other.model
    assert locate.model.startswith("privacy@")


def test_a_centre_becomes_the_box_of_the_paper(
    networks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One hot cell on the finest level, which is twice the picture."""
    locate = PersonalData(precision="f32", cache=networks, min_score=0.1)

    def planted(square: Pixels) -> list[NDArray[np.float32]]:
        logits, log_sizes, offsets = quiet(square)
        if square.shape[2] == 1280:
            logits[0, PLATE, 10, 20] = np.log(3)  # a score of 0.75, a fifth of it alone
            logits[0, PLATE, 10, 21] = np.log(2)  # its neighbour is no second centre
            log_sizes[0, 2 * PLATE : 2 * PLATE + 2, 10, 20] = np.log([24 / 4, 16 / 4])
            offsets[0, 2 * PLATE : 2 * PLATE + 2, 10, 20] = 0.25, 0.5  # y, x
        return [logits, log_sizes, offsets]

    monkeypatch.setattr(locate, "_run", planted)
    (found,) = locate(grey(640, 480))
    assert (found.label, round(found.score, 6)) == ("plate", 0.15)
    # The centre is ((20 + 0.5 + 0.5) · 4, (10 + 0.25 + 0.5) · 4) = (84, 43), all of it halved.
    assert found.box == ((84 - 8) // 2, (43 - 12) // 2, (84 + 8) // 2, -(-(43 + 12) // 2))


@pytest.mark.parametrize(("vehicle", "score"), [(0.8, 0.4), (0.3, 0.15), (0.1, 0.1), (None, 0.1)])
def test_a_plate_counts_as_much_as_the_vehicle_it_hangs_on(
    vehicle: float | None, score: float, networks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    car = LABELS.index("vehicle")
    locate = PersonalData(precision="f32", cache=networks, min_score=0.05)

    def planted(square: Pixels) -> list[NDArray[np.float32]]:
        logits, log_sizes, offsets = quiet(square)
        if square.shape[2] == 1280:
            logits[0, PLATE, 100, 100] = 0  # a score of a half
            log_sizes[0, 2 * PLATE : 2 * PLATE + 2, 100, 100] = np.log([5, 10])
            if vehicle is not None:
                logits[0, car, 90, 105] = np.log(vehicle / (1 - vehicle))
                log_sizes[0, 2 * car : 2 * car + 2, 90, 105] = np.log([50, 60])
        return [logits, log_sizes, offsets]

    monkeypatch.setattr(locate, "_run", planted)
    scores = {region.label: region.score for region in locate(grey(640, 480))}
    assert scores["plate"] == pytest.approx(score, abs=1e-4)
    assert scores.get("vehicle") == (vehicle and pytest.approx(vehicle, abs=1e-4))


@pytest.mark.parametrize("fault", ["heat", "size", "offset", "crowd"])
def test_output_that_cannot_be_trusted_fails(
    fault: str, locate: PersonalData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(square: Pixels) -> list[NDArray[np.float32]]:
        parts = quiet(square)
        if fault == "crowd":
            parts[0][...] = 3.0
        else:
            parts[["heat", "size", "offset"].index(fault)][0, 0, 1, 1] = np.nan
        return parts

    monkeypatch.setattr(locate, "_run", broken)
    with pytest.raises(RedactionFailed) as caught:
        locate(grey(900, 700))
    assert caught.value.reason == ("too_many_found" if fault == "crowd" else "not_finite")


def test_the_lines_for_library_users_in_the_docs_cover_a_picture(
    networks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = Path(personal.__file__).parents[1] / "docs" / "privacy.md"
    (lines,) = re.findall(r"```python\n(.*?)```", docs.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cache").symlink_to(networks)
    street = scenes.street(np.random.default_rng(3), (480, 640), people=3, cars=1).pixels
    cv2.imwrite("street.jpg", street)
    exec(lines, {})
    must_hold_no_metadata(Path("redacted.jpg").read_bytes())
    changed = np.abs(cv2.imread("redacted.jpg").astype(int) - cv2.imread("street.jpg")).max(2) > 60
    assert 0.002 < changed.mean() < 0.5
