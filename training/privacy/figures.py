"""How much personal data is covered, and what else: recall and false area with intervals.

An object counts as covered when the covers, as redaction draws them, lie over at least 95 % of its
box. Pictures count with all their objects: intervals are 95 % percentile bootstrap over pictures.
The false area is the share of a picture that is covered although it shows neither person nor
vehicle, on pictures that show none at all. What is covered besides is the share of a picture that
covers take farther from all labelled objects than their own size: the price among vehicles and
people, some of it for objects that nobody labelled.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import BadConfiguration
from models.plan import plan_of
from models.redaction import Region
from training.bar import bar
from training.coco import read_coco, xyxy
from training.evaluate import NIGHT_LEVEL, Figure

COVERED = 0.95
BINS_PX = (6, 12, 24, 48, 10_000)
_STEPS = tuple(round(0.02 * 1.1**i, 3) for i in range(36))  # to 0.56
_ROUNDS = 1000
_NEAR = 1.0  # of an object's sides, around it
_NEAR_PX = 16


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
    """

    topic: str
    source: str
    night: bool
    size_hw: tuple[int, int]
    truth: NDArray[np.float32]
    found: tuple[Region, ...]

    def mask(self, thresholds: Mapping[str, float]) -> NDArray[np.bool_]:
        """Bool (H, W): what would be covered at these thresholds; labels not named are not."""
        covered = np.zeros(self.size_hw, bool)
        sure = [r for r in self.found if r.score >= thresholds.get(r.label, 2.0)]
        for patch in plan_of(self.size_hw, sure, (), "mosaic").patches:
            x1, y1, x2, y2 = patch.box
            covered[y1:y2, x1:x2] = True
        return covered

    def hits(self, covered: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Bool (N,): whose box is covered for 95 % at least."""
        shares = []
        for x1, y1, x2, y2 in self.truth:
            left, top = max(int(x1), 0), max(int(y1), 0)
            right, bottom = max(int(np.ceil(x2)), left + 1), max(int(np.ceil(y2)), top + 1)
            area = covered[top:bottom, left:right]
            shares.append(area.mean() if area.size else 1.0)
        return np.array(shares) >= COVERED

    def beside(self, covered: NDArray[np.bool_]) -> float:
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
) -> list[Look]:
    """Every picture of a split of the plates, the faces and the empty streets in `data`.

    Raises:
        BadConfiguration: the data is not there.
    """
    looks = []
    for topic, folder in (("plates", "plates"), ("faces", "faces"), ("empty", "waste")):
        for image, truth in bar(_pictures(data / folder, split, topic), topic):
            pixels = cv2.imread(str(data / folder / image["file_name"]), cv2.IMREAD_COLOR)
            if pixels is None:
                raise BadConfiguration(f"cannot read {image['file_name']} in {data / folder}")
            found = tuple(locate(np.ascontiguousarray(pixels[..., ::-1])))
            night = image.get("night")
            dark = float(pixels.mean()) < NIGHT_LEVEL if night is None else bool(night)
            size_hw = (pixels.shape[0], pixels.shape[1])
            looks.append(Look(topic, image["source"], dark, size_hw, truth, found))
    return looks


def _pictures(
    folder: Path, split: str, topic: str
) -> list[tuple[dict[str, Any], NDArray[np.float32]]]:
    # Only validation says where people and vehicles are; the empty streets are always its.
    path = folder / ("val_pseudo.json" if topic == "empty" else f"{split}.json")
    pictures = [(image, xyxy(a)) for image, a in read_coco(path, "the data folder")]
    if topic == "empty":
        return [(image, boxes) for image, boxes in pictures if not len(boxes)]
    return pictures


def figures(looks: Sequence[Look], thresholds: Mapping[str, float]) -> dict[str, dict[str, Figure]]:
    """Recall by group (topic, height, day or night, source) and false area; see the module."""
    masks = [one.mask(thresholds) for one in looks]
    hits = [one.hits(mask) for one, mask in zip(looks, masks, strict=True)]
    table: dict[str, dict[str, Figure]] = {}
    for topic in dict.fromkeys(one.topic for one in looks if one.topic != "empty"):
        mine = [i for i, one in enumerate(looks) if one.topic == topic]
        row: dict[str, Figure] = {}
        tall = {i: looks[i].truth[:, 3] - looks[i].truth[:, 1] for i in mine}
        seen = {i: tall[i] >= BINS_PX[0] for i in mine}
        row["recall ≥ 6 px"] = _rate([hits[i][seen[i]] for i in mine])
        for low, high in pairwise(BINS_PX):
            name = f"recall {low}–{high} px" if high < BINS_PX[-1] else f"recall ≥ {low} px tall"
            row[name] = _rate([hits[i][(tall[i] >= low) & (tall[i] < high)] for i in mine])
        for night in (False, True):
            row[f"recall by {'night' if night else 'day'}"] = _rate(
                [hits[i][seen[i]] for i in mine if looks[i].night == night]
            )
        for source in sorted({looks[i].source for i in mine}):
            row[f"recall {source}"] = _rate(
                [hits[i][seen[i]] for i in mine if looks[i].source == source]
            )
        row["covered besides"] = _rate([np.array([looks[i].beside(masks[i])]) for i in mine])
        table[topic] = row
    empty = [
        np.array([m.mean()]) for m, one in zip(masks, looks, strict=True) if one.topic == "empty"
    ]
    table["empty"] = {"falsely covered area": _rate(empty)}
    return table


def choose(looks: Sequence[Look], limits: Mapping[str, float]) -> dict[str, float]:
    """For each label the lowest threshold that covers at most its limit of empty streets' area."""
    empty = [one for one in looks if one.topic == "empty"]
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
