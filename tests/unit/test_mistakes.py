"""Which errors the gallery of an evaluation shows, and that its page holds no more than them."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from models.card import Architecture, Card
from models.detections import Detections
from models.frame import Frame
from models.redaction import redact
from serving.evaluation import Evaluation, write_evaluation
from training.dataset import WASTE_STATES, Sample
from training.evaluate import Scored
from training.mistakes import mistakes

NAMES, FACTS, BAD = ("container", "waste"), ("dirty",), (2, 3)
CUTS = {"container": 0.5, "waste": 0.5, "dirty": 0.5}
CLEAN, FULL = [0.9, 0.05, 0.03, 0.02], [0.0, 0.1, 0.2, 0.7]
BOX, OTHER = [10, 10, 50, 60], [60, 10, 90, 60]


def scored(true=(), found=(), *, dirty=0.0, said=0.0, exhaustive=True, loose=False):
    """`true`: (box, label, state); `found`: (box, label, score, states)."""
    pixels = np.full((80, 100, 3), 120, np.uint8)
    frame = Frame("drawn", pixels, "drawn", datetime(2026, 1, 1, tzinfo=UTC), "object")
    sample = Sample(
        Path("picture.jpg"),
        np.array([one[0] for one in true], np.float32).reshape(-1, 4),
        np.array([one[1] for one in true], np.int64),
        np.array([one[2] for one in true], np.int64),
        np.array([exhaustive, exhaustive]),
        np.array([dirty], np.float32),
        "drawn",
        loose,
    )
    detections = Detections(
        np.array([one[0] for one in found], np.float32).reshape(-1, 4),
        np.array([one[2] for one in found], np.float32),
        np.array([one[1] for one in found], np.int64),
        NAMES,
        (80, 100),
        np.array([one[3] for one in found], np.float32).reshape(-1, 4),
        WASTE_STATES,
        {"dirty": said},
    )
    return Scored(sample, detections, False, redact(frame, [], redactor="none@0").encoded)


def kinds(*images):
    return [(m.kind, m.what) for m in mistakes(images, NAMES, FACTS, CUTS, BAD)]


def test_what_is_right_is_no_mistake():
    right = scored([(BOX, 0, 3)], [(BOX, 0, 0.9, FULL)], dirty=1.0, said=0.9)
    unknown = scored(dirty=float("nan"), said=0.9)
    assert kinds(right, unknown) == []


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (scored(dirty=1.0, said=0.1), ("overlooked", "dirty")),
        (scored(dirty=0.0, said=0.9), ("alarm", "dirty")),
        (scored([(BOX, 0, 0)]), ("missed", "container")),
        (scored([(BOX, 0, 0)], [(BOX, 0, 0.4, CLEAN)]), ("missed", "container")),
        (scored([], [(BOX, 1, 0.9, CLEAN)]), ("invented", "waste")),
        (scored([(BOX, 0, 3)], [(BOX, 0, 0.9, CLEAN)]), ("state_overlooked", "container")),
        (scored([(BOX, 0, 1)], [(BOX, 0, 0.9, FULL)]), ("state_alarm", "container")),
    ],
)
def test_each_kind_of_mistake_is_called_by_its_name(image, expected):
    assert kinds(image) == [expected]


def test_where_labels_are_incomplete_nothing_is_invented_and_where_rough_nothing_missed():
    assert kinds(scored([], [(BOX, 0, 0.9, CLEAN)], exhaustive=False)) == []
    assert kinds(scored([(OTHER, 0, -1)], loose=True)) == []


def test_the_worst_comes_first():
    nearly, far = scored(dirty=1.0, said=0.49), scored(dirty=1.0, said=0.01)
    found = mistakes([nearly, far], NAMES, FACTS, CUTS, BAD)
    assert [m.image for m in found] == [far, nearly]


def test_the_page_shows_each_mistake_with_its_picture(tmp_path):
    images = [
        scored([(BOX, 0, 3)], [(BOX, 0, 0.9, CLEAN)], dirty=1.0, said=0.1),
        scored(dirty=0.0, said=0.2),
    ]
    card = Card("waste", Architecture(NAMES, WASTE_STATES, FACTS), "0" * 64, CUTS, {}, "", "")
    figures = {"all": {"AUC dirty": (0.9, 0.8, 1.0, 2)}}
    write_evaluation(tmp_path / "e.html", Evaluation(figures, card, "val", images))
    page = (tmp_path / "e.html").read_text(encoding="utf-8")
    # Overlooked, its container's state, and the overflow, whatever was said of it.
    assert page.count("data:image/jpeg;base64,") == 3
    assert "Every overflow" in page
    assert '<td class="num">0.05</td>' in page
    assert "0.800 – 1.000" in page
    assert "http" not in page.replace("http-equiv", "")
