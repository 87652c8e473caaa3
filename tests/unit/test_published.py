"""What is published of containers, scored: as the purpose says it, and never by what was fitted."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from benchmarks.drawn_site import one_camera
from models.card import Architecture, Card
from models.detections import Detections
from services.outcome import Outcome, described
from services.purposes import waste
from serving.evaluation import _found
from tests.waste_views import by_quantity, view
from training.attention import figures, tell
from training.dataset import WASTE_NAMES, WASTE_STATES, Sample
from training.evaluate import Scored
from training.evaluate import figures as figures_of_finds

CARD = Card(
    "waste",
    Architecture(WASTE_NAMES, WASTE_STATES, ("dirty",)),
    "0" * 64,
    {"container": 0.5, "waste": 0.3, "dirty": 0.5},
    {},
    "",
    "",
)
NOW = datetime(2026, 6, 12, tzinfo=UTC)
LEFT, RIGHT, BAG = [250, 293, 400, 560], [440, 293, 590, 560], [450, 520, 510, 580]
FAINT = [10, 10, 90, 90]  # under the shipped threshold
CLEAN, BAD = [0.7, 0.2, 0.05, 0.05], [0.1, 0.1, 0.2, 0.6]


def image(found, true, dirty=(0.2, 0.0)):
    """`found`: box, label, score and states; `true`: box and state; `dirty`: said, and true."""
    said, truth = dirty
    boxes, labels, scores, states = (list(column) for column in zip(*found, strict=True))
    detections = Detections(
        np.array(boxes, np.float32),
        np.array(scores, np.float32),
        np.array(labels, np.int64),
        WASTE_NAMES,
        (600, 800),
        np.array(states, np.float32),
        WASTE_STATES,
        {"dirty": said},
    )
    sample = Sample(
        None,
        np.array([box for box, _ in true], np.float32),
        np.zeros(len(true), np.int64),
        np.array([state for _, state in true], np.int64),
        np.array([True, True]),
        np.array([truth], np.float32),
        "drawn",
    )
    return Scored(sample, detections, None)


def test_what_is_scored_is_what_the_purpose_publishes():
    found = [(LEFT, 0, 0.9, CLEAN), (RIGHT, 0, 0.9, BAD), (BAG, 1, 0.4, CLEAN)]
    faint = (FAINT, 0, 0.4, CLEAN)
    scored = image([*found, faint], [(LEFT, 0), (RIGHT, 3), (FAINT, 1)])
    told = tell([scored], CARD, fitted=False)
    assert [one.truth for one in told] == ["clean", "overflow", "minor_litter"]
    outlines = [[(a, b), (c, b), (c, d), (a, d)] for a, b, c, d in (LEFT, RIGHT, FAINT)]
    site = one_camera(
        "waste", "cam-01/", [(f"C-{n}", "container", o, {}) for n, o in enumerate(outlines)]
    )
    sure = scored.found.where(np.array([True, True, True, False]))
    seen = replace(
        view(size_hw=(600, 800)), site=site, camera=site.cameras[0], detections={"waste": sure}
    )
    published = {
        one.asset[-1]: one.value for one in by_quantity(waste.measure(seen))["waste.overflow"]
    }
    assert [one.value for one in told] == [
        None if published[n] is None else pytest.approx(published[n], abs=1e-4) for n in "012"
    ]
    assert published["2"] is None


def test_waste_beside_a_container_that_was_missed_is_not_its_neighbours():
    found = [(LEFT, 0, 0.9, CLEAN), (RIGHT, 0, 0.4, CLEAN), (BAG, 1, 0.4, CLEAN)]
    left, right = tell([image(found, [(LEFT, 0), (RIGHT, 2)])], CARD, fitted=False)
    assert left.value == pytest.approx(0.1)
    assert right.value is None


def test_what_a_batch_recorded_is_scored_with_its_states():
    scored = image([(LEFT, 0, 0.9, CLEAN), (RIGHT, 0, 0.9, BAD)], [(LEFT, 0), (RIGHT, 3)])
    of = described(view(size_hw=(600, 800)).frame, {"waste": scored.found})
    outcome = Outcome(key="a.jpg", work="w", status="redacted", captured_at=NOW, **of)
    recorded = replace(scored, found=_found(outcome, CARD))
    assert recorded.found.states == pytest.approx(scored.found.states)
    table = figures_of_finds([recorded], WASTE_NAMES, ("dirty",), {}, bad=(2, 3))
    assert table["all"]["AUC state"][0] == 1


def test_figures_tell_how_much_is_unknown_and_how_well_the_rest_is_told():
    good, bad = (
        image([(LEFT, 0, score, states)], [(LEFT, 0 if states is CLEAN else 3)])
        for score, states in ((0.9, CLEAN), (0.9, BAD))
    )
    lost = image([(LEFT, 0, 0.1, CLEAN)], [(LEFT, 0)])
    row = figures([good, bad, lost, replace(lost)], CARD, fitted=False)["all"]
    assert row["unknown, published"][0] == pytest.approx(0.5)
    assert row["AUC, published"][0] == 1
    assert set(row) == {"unknown, published", "AUC, published", "ECE, published"}


def test_calibration_is_told_out_of_fold_where_it_was_fitted_on_these_pictures():
    """Where nothing is to be learned, what was fitted still seems to know."""
    rng = np.random.default_rng(0)
    pictures = []
    for _ in range(200):
        said = rng.uniform(0.02, 0.98)
        truth = float(rng.random() < 0.5)
        pictures.append(image([(LEFT, 0, 0.9, CLEAN)], [(LEFT, 0)], (said, truth)))
    row = figures(pictures, CARD, fitted=True)["all"]
    assert row["ECE dirty, out of fold"][0] < 0.15  # what was said was no probability at all
    assert "ECE dirty, out of fold" not in figures(pictures, CARD, fitted=False)["all"]
