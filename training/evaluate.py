"""Figures with bootstrap intervals: average precision, AUC, balanced accuracy.

Images are scored as the product sees them: redacted first. Intervals are 95 % percentile bootstrap
over images (Efron 1979), because boxes of one image are not independent.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from models.detections import Detections
from models.frame import decode
from models.redaction import Redactor
from models.runtime import Runtime
from training.dataset import Sample

_ROUNDS = 1000
NIGHT_LEVEL = 60.0  # mean of 0 to 255, where nobody labelled day or night
Figure = tuple[float, float, float, int]
"""Value, low, high, number of images (or of positives and negatives for a rate)."""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """One image's truth beside what was found.

    Attributes:
        sample: the truth.
        found: detections, with scores from nearly zero up for a full precision curve.
        night: as labelled, else by how dark the picture is; None where nobody looked.
    """

    sample: Sample
    found: Detections
    night: bool | None

    def scores_class(self, label: int) -> bool:
        """Whether the labels allow to count this class's hits and misses here."""
        return bool(self.sample.exhaustive[label]) and not self.sample.loose


def score(samples: Iterable[Sample], redactor: Redactor, runtime: Runtime) -> list[Scored]:
    """Redact and detect each sample's picture, at nearly no threshold."""
    scored = []
    for sample in samples:
        assert sample.path is not None
        frame = decode(
            sample.path.name,
            sample.path.read_bytes(),
            source=sample.source,
            stored_at=datetime.now(UTC),
        )
        redacted = redactor(frame, ())
        found = runtime.detect(redacted.pixels, min_score=0.01)
        dark = float(frame.pixels.mean()) < NIGHT_LEVEL
        scored.append(Scored(sample, found, dark if sample.night is None else sample.night))
    return scored


def hits(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], truth: NDArray[np.float32], iou: float
) -> NDArray[np.bool_]:
    """Which of `boxes` (N, 4) hit: each true box (M, 4) is hit once, by the best score first."""
    hit = np.zeros(len(boxes), bool)
    free = np.ones(len(truth), bool)
    for index in np.argsort(-scores, kind="stable"):
        if not free.any():
            break
        low = np.maximum(boxes[index, :2], truth[:, :2])
        high = np.minimum(boxes[index, 2:], truth[:, 2:])
        shared = np.prod(np.clip(high - low, 0, None), 1)
        areas = np.prod(truth[:, 2:] - truth[:, :2], 1)
        own = float(np.prod(boxes[index, 2:] - boxes[index, :2]))
        overlap = np.where(free, shared / np.maximum(areas + own - shared, 1e-9), 0)
        best = int(overlap.argmax())
        if overlap[best] >= iou:
            hit[index], free[best] = True, False
    return hit


def average_precision(scores: NDArray[np.float32], hit: NDArray[np.bool_], positives: int) -> float:
    """Area under the precision envelope (PASCAL VOC 2010); NaN where nothing is to be found."""
    if positives == 0:
        return float("nan")
    ordered = hit[np.argsort(-scores, kind="stable")]
    found = np.cumsum(ordered)
    precision = found / np.arange(1, len(ordered) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((envelope * ordered).sum() / positives)


def _bootstrap(count: int, figure: Callable[[NDArray[np.intp]], float], number: int) -> Figure:
    """Figure over all `count` images with its interval; resamples without a value are left out."""
    rng = np.random.default_rng(0)
    drawn = [figure(rng.integers(0, count, count)) for _ in range(_ROUNDS)]
    known = [value for value in drawn if np.isfinite(value)]
    low, high = np.percentile(known, [2.5, 97.5]) if known else (float("nan"),) * 2
    return figure(np.arange(count)), float(low), float(high), number


def _of_both(
    rate: Callable[[NDArray[Any], NDArray[Any]], float], truth: NDArray[Any], said: NDArray[Any]
) -> Callable[[NDArray[np.intp]], float]:
    """A rate of what was said against the truth on chosen images; NaN where one truth is absent."""

    def figure(chosen: NDArray[np.intp]) -> float:
        drawn = truth[chosen]
        return float("nan") if drawn.all() or not drawn.any() else float(rate(drawn, said[chosen]))

    return figure


def class_ap(scored: Sequence[Scored], label: int) -> Figure | None:
    """AP at IoU 0.5 of one class over the images that are labelled for it."""
    images = [s for s in scored if s.scores_class(label)]
    rows = []
    for image in images:
        mine = image.found.labels == label
        truth = image.sample.boxes[image.sample.labels == label]
        scores = image.found.scores[mine]
        rows.append((scores, hits(image.found.boxes[mine], scores, truth, 0.5), len(truth)))
    positives = sum(row[2] for row in rows)
    if not positives:
        return None

    def figure(chosen: NDArray[np.intp]) -> float:
        scores = np.concatenate([rows[i][0] for i in chosen])
        hit = np.concatenate([rows[i][1] for i in chosen])
        return average_precision(scores, hit, sum(rows[i][2] for i in chosen))

    return _bootstrap(len(rows), figure, positives)


def facts_of(
    scored: Sequence[Scored], name: str, index: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Probability and truth of an image fact, where the truth is known."""
    known = [s for s in scored if not np.isnan(s.sample.facts[index])]
    probabilities = np.array([s.found.image_scores[name] for s in known], np.float64)
    return probabilities, np.array([s.sample.facts[index] > 0.5 for s in known], bool)


def figures(
    scored: Sequence[Scored], names: Sequence[str], facts: Sequence[str]
) -> dict[str, dict[str, Figure]]:
    """Every figure for all images, by source, and by day and night within a source."""
    groups: dict[str, list[Scored]] = {"all": list(scored)}
    for image in scored:
        groups.setdefault(image.sample.source, []).append(image)
        if image.night is not None:
            light = "night" if image.night else "day"
            groups.setdefault(f"{image.sample.source}, {light}", []).append(image)
    table: dict[str, dict[str, Figure]] = {}
    for group, images in sorted(groups.items()):
        row: dict[str, Figure] = {}
        for label, name in enumerate(names):
            if ap := class_ap(images, label):
                row[f"AP50 {name}"] = ap
        for index, fact in enumerate(facts):
            p, truth = facts_of(images, fact, index)
            if truth.any() and not truth.all():
                row[f"AUC {fact}"] = _bootstrap(len(p), _of_both(roc_auc_score, truth, p), len(p))
                row[f"balanced accuracy {fact}"] = _bootstrap(
                    len(p), _of_both(balanced_accuracy_score, truth, p >= 0.5), len(p)
                )
        if row:
            table[group] = row
    return table


def best_threshold(scored: Sequence[Scored], label: int) -> float:
    """The score threshold with the highest F1 on boxes of one class."""
    scores, hit, positives = [np.zeros(0, np.float32)], [np.zeros(0, bool)], 0
    for image in scored:
        if image.scores_class(label):
            mine = image.found.labels == label
            truth = image.sample.boxes[image.sample.labels == label]
            scores.append(image.found.scores[mine])
            hit.append(hits(image.found.boxes[mine], scores[-1], truth, 0.5))
            positives += len(truth)
    everything, right = np.concatenate(scores), np.concatenate(hit)
    if not right.any():
        return 0.5
    order = np.argsort(-everything)
    found = np.cumsum(right[order])
    f1 = 2 * found / (np.arange(1, len(order) + 1) + positives)
    return round(float(everything[order][int(f1.argmax())]), 3)


def platt(logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and offset that make sigmoid(slope · logit + offset) a probability (Platt 1999).

    Both truths weigh the same, so that 0.5 is the balanced decision.
    """
    model = LogisticRegression(class_weight="balanced").fit(logits[:, None], truth)
    return round(float(model.coef_[0, 0]), 4), round(float(model.intercept_[0]), 4)
