"""Figures with bootstrap intervals: average precision, AUC, balanced accuracy, calibration.

Images are scored as the product sees them: redacted first. Intervals are 95 % percentile bootstrap
over images (Efron 1979), because boxes of one image are not independent.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from models.detections import Detections
from models.redaction import Redactor
from training.bar import bar
from training.dataset import Sample

_ROUNDS = 1000
_BINS = 5  # of the calibration error; with hundreds of pictures more bins measure noise
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
        encoded: the redacted JPEG; empty where nobody kept it.
    """

    sample: Sample
    found: Detections
    night: bool | None
    encoded: bytes = b""

    def scores_class(self, label: int) -> bool:
        """Whether the labels allow to count this class's hits and misses here."""
        return bool(self.sample.exhaustive[label]) and not self.sample.loose


class Finder(Protocol):
    """What can be evaluated: a detector's network."""

    def detect(self, pixels: NDArray[np.uint8], min_score: float | None = None) -> Detections:
        """What is found in uint8 (H, W, 3) pixels, from `min_score` on."""
        ...


def score(samples: Iterable[Sample], redactor: Redactor, finder: Finder) -> list[Scored]:
    """Redact and detect each sample's picture, at nearly no threshold."""
    scored = []
    for sample in bar(samples, "pictures"):
        frame = sample.frame()
        redacted = redactor(frame, ())
        found = finder.detect(redacted.pixels, min_score=0.01)
        dark = float(frame.pixels.mean()) < NIGHT_LEVEL
        night = dark if sample.night is None else sample.night
        scored.append(Scored(sample, found, night, redacted.encoded))
    return scored


def hits(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], truth: NDArray[np.float32], iou: float
) -> NDArray[np.bool_]:
    """Which of `boxes` (N, 4) hit a true box, see `matches`."""
    return matches(boxes, scores, truth, iou) >= 0


def matches(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], truth: NDArray[np.float32], iou: float
) -> NDArray[np.intp]:
    """Which true box (M, 4) each of `boxes` (N, 4) hits, −1 for none.

    Each true box is hit once, by the best score first.
    """
    hit = np.full(len(boxes), -1)
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
            hit[index], free[best] = best, False
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


def resampled(count: int, figure: Callable[[NDArray[np.intp]], float], number: int) -> Figure:
    """Figure over all `count` images with its interval; resamples without a value are left out."""
    rng = np.random.default_rng(0)
    drawn = [figure(rng.integers(0, count, count)) for _ in range(_ROUNDS)]
    known = [value for value in drawn if np.isfinite(value)]
    low, high = np.percentile(known, [2.5, 97.5]) if known else (float("nan"),) * 2
    return figure(np.arange(count)), float(low), float(high), number


def bootstrap(values: NDArray[np.float64]) -> Figure:
    """Mean of one value a picture, with its interval."""
    return resampled(len(values), lambda chosen: float(values[chosen].mean()), len(values))


def of_both(
    rate: Callable[[NDArray[Any], NDArray[Any]], float], truth: NDArray[Any], said: NDArray[Any]
) -> Callable[[NDArray[np.intp]], float]:
    """A rate of what was said against the truth on chosen images; NaN where one truth is absent."""

    def figure(chosen: NDArray[np.intp]) -> float:
        drawn = truth[chosen]
        return float("nan") if drawn.all() or not drawn.any() else float(rate(drawn, said[chosen]))

    return figure


def told(table: Mapping[str, Mapping[str, Figure]]) -> dict[str, str]:
    """Figures by group as a model card tells them."""
    return {
        f"{figure}, validation {group}": f"{value:.3f} [{low:.3f}, {high:.3f}], n = {count}"
        for group, row in table.items()
        for figure, (value, low, high, count) in row.items()
    }


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

    return resampled(len(rows), figure, positives)


def facts_of(
    scored: Sequence[Scored], name: str, index: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Probability and truth of an image fact, where the truth is known."""
    known = [s for s in scored if not np.isnan(s.sample.facts[index])]
    probabilities = np.array([s.found.image_scores[name] for s in known], np.float64)
    return probabilities, np.array([s.sample.facts[index] > 0.5 for s in known], bool)


def states_of(scored: Sequence[Scored]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Probabilities (N, S) and truth (N,) of the objects found whose state is known."""
    said, truth = [], []
    for image in scored:
        known = np.flatnonzero(image.sample.states >= 0)
        for index in np.unique(image.sample.labels[known]):
            mine = np.flatnonzero(image.found.labels == index)
            same = known[image.sample.labels[known] == index]
            boxes, scores = image.found.boxes[mine], image.found.scores[mine]
            for one in same:
                hit = hits(boxes, scores, image.sample.boxes[one : one + 1], 0.5)
                if hit.any():
                    said.append(image.found.states[mine[hit.argmax()]])
                    truth.append(image.sample.states[one])
    width = scored[0].found.states.shape[1] if scored else 0
    return np.array(said, np.float64).reshape(len(said), width), np.array(truth, np.int64)


def calibration(
    truth: NDArray[np.bool_], said: NDArray[np.float64]
) -> list[tuple[float, float, int]]:
    """Mean of what was said, share that was true, and number, in bins of equal numbers."""
    bins = np.array_split(np.argsort(said, kind="stable"), _BINS)
    return [(float(said[b].mean()), float(truth[b].mean()), len(b)) for b in bins if len(b)]


def calibration_error(truth: NDArray[np.bool_], said: NDArray[np.float64]) -> float:
    """Expected calibration error over bins of equal numbers (Naeini et al., AAAI 2015)."""
    gaps = (abs(mean - share) * count for mean, share, count in calibration(truth, said))
    return sum(gaps) / max(len(said), 1)


def apart(scored: Sequence[Scored]) -> dict[str, list[Scored]]:
    """All images, those of each source, and those of each by day and by night."""
    groups = {"all": list(scored)}
    for image in scored:
        groups.setdefault(image.sample.source, []).append(image)
        if image.night is not None:
            light = "night" if image.night else "day"
            groups.setdefault(f"{image.sample.source}, {light}", []).append(image)
    return groups


def figures(
    scored: Sequence[Scored],
    names: Sequence[str],
    facts: Sequence[str],
    thresholds: Mapping[str, float],
    bad: Sequence[int] = (),
) -> dict[str, dict[str, Figure]]:
    """Every figure for all images, by source, and by day and night within a source.

    Args:
        scored: images with what was found.
        names: object classes.
        facts: about the whole image.
        thresholds: of facts, for their balanced accuracy.
        bad: indices of states that need attention; their sum is scored as one probability.
    """
    table: dict[str, dict[str, Figure]] = {}
    for group, images in sorted(apart(scored).items()):
        row: dict[str, Figure] = {}
        for label, name in enumerate(names):
            if ap := class_ap(images, label):
                row[f"AP50 {name}"] = ap
        for index, fact in enumerate(facts):
            p, truth = facts_of(images, fact, index)
            if truth.any() and not truth.all():
                row[f"AUC {fact}"] = resampled(len(p), of_both(roc_auc_score, truth, p), len(p))
                above = p >= thresholds.get(fact, 0.5)
                row[f"balanced accuracy {fact}"] = resampled(
                    len(p), of_both(balanced_accuracy_score, truth, above), len(p)
                )
                row[f"ECE {fact}"] = resampled(len(p), of_both(calibration_error, truth, p), len(p))
        if bad:
            states, truths = states_of(images)
            truth, p = np.isin(truths, bad), states[:, list(bad)].sum(1)
            if truth.any() and not truth.all():
                for name, rate in (("AUC", roc_auc_score), ("ECE", calibration_error)):
                    row[f"{name} state"] = resampled(len(p), of_both(rate, truth, p), len(p))
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
