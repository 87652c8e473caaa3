"""How much personal data is covered, and what else: recall and false area with intervals.

An object counts as covered when the covers, as redaction draws them, lie over at least 95 % of its
box. Pictures count with all their objects: intervals are 95 % percentile bootstrap over pictures.
The false area is the share of a picture that is covered although it shows neither person nor
vehicle, on pictures that show none at all. What is covered besides is the share of a picture that
covers take farther from all labelled objects than their own size: the price among vehicles and
people, some of it for objects that nobody labelled.

All of it is told twice: of the locator's look, at any threshold, and of what the redactor
publishes, for which the proof may have covered more, or put the picture into quarantine.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import BadConfiguration, RedactionFailed
from models.frame import Frame
from models.plan import plan_of
from models.redaction import RedactedFrame, Region
from training.bar import bar
from training.coco import read_coco, xyxy
from training.evaluate import NIGHT_LEVEL, Figure

COVERED = 0.95
BINS_PX = (6, 12, 24, 48, 10_000)
_STEPS = tuple(round(0.02 * 1.1**i, 3) for i in range(36))  # to 0.56
_ROUNDS = 1000
_NEAR = 1.0  # of an object's sides, around it
_NEAR_PX = 16
# Only validation says where people and vehicles are: those streets are empty in every split.
_FILES = (
    ("plates", "plates", "{split}.json"),
    ("faces", "faces", "{split}.json"),
    ("empty", "empty", "{split}.json"),
    ("empty", "waste", "val_pseudo.json"),
)
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)

Covered = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One picture: what it holds and what was found in it.

    Attributes:
        topic: plates, faces, heads, or empty (neither person nor vehicle to be seen).
        source: data source.
        night: dark.
        size_hw: px.
        truth: float32 (N, 4) xyxy px of the topic's objects.
        found: regions, with scores from nearly zero up.
        published: the areas that the redactor covered; None where it published nothing.
    """

    topic: str
    source: str
    night: bool
    size_hw: tuple[int, int]
    truth: NDArray[np.float32]
    found: tuple[Region, ...]
    published: tuple[Region, ...] | None = None

    def mask(self, thresholds: Mapping[str, float]) -> Covered:
        """Bool (H, W): what would be covered at these thresholds; labels not named are not."""
        sure = [r for r in self.found if r.score >= thresholds.get(r.label, 2.0)]
        return self._painted(plan_of(self.size_hw, sure, (), "mosaic").regions)

    def published_mask(self) -> Covered:
        """Bool (H, W): what is covered in the published picture."""
        return self._painted(self.published or ())

    def _painted(self, covers: Sequence[Region]) -> Covered:
        covered = np.zeros(self.size_hw, bool)
        for cover in covers:
            x1, y1, x2, y2 = cover.box
            covered[y1:y2, x1:x2] = True
        return covered

    def hits(self, covered: Covered) -> Covered:
        """Bool (N,): whose box is covered for 95 % at least."""
        shares = []
        for x1, y1, x2, y2 in self.truth:
            left, top = max(int(x1), 0), max(int(y1), 0)
            right, bottom = max(int(np.ceil(x2)), left + 1), max(int(np.ceil(y2)), top + 1)
            area = covered[top:bottom, left:right]
            shares.append(area.mean() if area.size else 1.0)
        return np.array(shares) >= COVERED

    def beside(self, covered: Covered) -> float:
        """Share of the picture that is covered and not near an object."""
        far = covered.copy()
        for box in self.truth:
            around = np.maximum(_NEAR * (box[2:] - box[:2]), _NEAR_PX)
            x1, y1 = np.maximum(box[:2] - around, 0).astype(int)
            x2, y2 = np.ceil(box[2:] + around).astype(int)
            far[y1:y2, x1:x2] = False
        return float(far.mean())


def look(
    data: Path,
    split: str,
    locate: Callable[[NDArray[np.uint8]], Sequence[Region]],
    redact: Callable[[Frame], RedactedFrame] | None = None,
) -> list[Look]:
    """Every picture of a split of the plates, the faces and the empty streets in `data`.

    What `data` does not hold is left out. With `redact`, what it would publish is looked at too.

    Raises:
        BadConfiguration: the data holds none of them, or a picture of it is not there.
    """
    files = [(topic, data / folder / name.format(split=split)) for topic, folder, name in _FILES]
    there = [(topic, path) for topic, path in files if path.exists()]
    if not there:
        names = ", ".join(str(path.relative_to(data)) for _, path in files)
        raise BadConfiguration(f"nothing to measure on in {data}: give one or more of {names}")
    looks = []
    for topic, path in there:
        for image, truth in bar(_pictures(path, topic), topic):
            read = cv2.imread(str(path.parent / image["file_name"]), cv2.IMREAD_COLOR)
            if read is None:
                raise BadConfiguration(f"cannot read {image['file_name']} in {path.parent}")
            pixels = np.ascontiguousarray(read[..., ::-1])
            night = image.get("night")
            looks.append(
                Look(
                    topic,
                    image.get("source", "own"),
                    float(pixels.mean()) < NIGHT_LEVEL if night is None else bool(night),
                    (pixels.shape[0], pixels.shape[1]),
                    truth,
                    tuple(locate(pixels)),
                    _published(pixels, redact) if redact else None,
                )
            )
    return looks


def _published(
    pixels: NDArray[np.uint8], redact: Callable[[Frame], RedactedFrame]
) -> tuple[Region, ...] | None:
    try:
        return redact(Frame("measured.jpg", pixels, "measured", _NO_TIME, "object")).regions
    except RedactionFailed:
        return None


def _pictures(path: Path, topic: str) -> list[tuple[dict[str, Any], NDArray[np.float32]]]:
    pictures = [(image, xyxy(a)) for image, a in read_coco(path, "the data folder")]
    if topic == "empty":
        return [(image, boxes) for image, boxes in pictures if not len(boxes)]
    return pictures


def figures(looks: Sequence[Look], thresholds: Mapping[str, float]) -> dict[str, dict[str, Figure]]:
    """Recall by group (topic, height, day or night, source) and false area; see the module."""
    return _table([(one, one.mask(thresholds)) for one in looks])


def published_figures(looks: Sequence[Look]) -> dict[str, dict[str, Figure]]:
    """The same of what was published, and the share of pictures that went to quarantine instead."""
    sound = [(one, one.published_mask()) for one in looks if one.published is not None]
    refused = [np.array([one.published is None]) for one in looks]
    table = {f"{topic}, published": row for topic, row in _table(sound).items()}
    return table | {"all, published": {"in quarantine instead": _rate(refused)}}


def _table(looks: Sequence[tuple[Look, Covered]]) -> dict[str, dict[str, Figure]]:
    table: dict[str, dict[str, Figure]] = {}
    for topic in dict.fromkeys(one.topic for one, _ in looks if one.topic != "empty"):
        mine = [(one, mask) for one, mask in looks if one.topic == topic]
        row: dict[str, Figure] = {}
        tall = [one.truth[:, 3] - one.truth[:, 1] for one, _ in mine]
        hits = [one.hits(mask) for one, mask in mine]
        seen = [hit[px >= BINS_PX[0]] for hit, px in zip(hits, tall, strict=True)]
        row["recall ≥ 6 px"] = _rate(seen)
        for low, high in pairwise(BINS_PX):
            name = f"recall {low}–{high} px" if high < BINS_PX[-1] else f"recall ≥ {low} px tall"
            both = zip(hits, tall, strict=True)
            row[name] = _rate([hit[(px >= low) & (px < high)] for hit, px in both])
        for night in (False, True):
            row[f"recall by {'night' if night else 'day'}"] = _rate(
                [hit for hit, (one, _) in zip(seen, mine, strict=True) if one.night == night]
            )
        for source in sorted({one.source for one, _ in mine}):
            row[f"recall {source}"] = _rate(
                [hit for hit, (one, _) in zip(seen, mine, strict=True) if one.source == source]
            )
        row["covered besides"] = _rate([np.array([one.beside(mask)]) for one, mask in mine])
        table[topic] = row
    empty = [np.array([mask.mean()]) for one, mask in looks if one.topic == "empty"]
    if empty:
        table["empty"] = {"falsely covered area": _rate(empty)}
    return table


def choose(looks: Sequence[Look], limits: Mapping[str, float]) -> dict[str, float]:
    """For each label the lowest threshold that covers at most its limit of empty streets' area.

    Raises:
        BadConfiguration: no look is at an empty street.
    """
    empty = [one for one in looks if one.topic == "empty"]
    if not empty:
        raise BadConfiguration("thresholds are chosen on empty streets: give waste/val_pseudo.json")
    chosen = {}
    for label, limit in limits.items():
        for threshold in _STEPS:
            chosen[label] = threshold
            if np.mean([one.mask({label: threshold}).mean() for one in empty]) <= limit:
                break
    return chosen


def _rate(groups: Sequence[NDArray[Any]]) -> Figure:
    """Mean over all values, resampling groups; NaN where there are none."""
    sums = np.array([g.sum() for g in groups], np.float64)
    counts = np.array([len(g) for g in groups], np.float64)
    if not counts.sum():
        return (float("nan"), float("nan"), float("nan"), 0)
    draws = np.random.default_rng(0).integers(0, len(groups), (_ROUNDS, len(groups)))
    rates = sums[draws].sum(1) / np.maximum(counts[draws].sum(1), 1)
    low, high = np.percentile(rates, [2.5, 97.5])
    return (float(sums.sum() / counts.sum()), float(low), float(high), int(counts.sum()))
