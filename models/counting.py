"""How many there are, from what was found: an expected number and its 90 % interval.

A detector misses some and invents others, more of them where things are small or hide each other.
How many real ones a find stands for, and how much that varies, is measured by kind of find; and how
much the number varies where nothing is found, by group.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.detections import Detections

GROUPS: Mapping[str, tuple[str, ...]] = {
    "person": ("person",),
    "vehicle": ("car", "bus", "truck"),
    "cycle": ("bicycle", "motorcycle"),
}
"""What is counted together: their error is measured as one."""

HEIGHTS_PX = (16.0, 32.0, 64.0)
_HIDDEN = 0.3  # share of a box that another of its group covers, from which it counts as crowded
MISSED = 0.1
"""Variance of what is there beside all finds, where nobody measured it."""

_QUANTILE = 1.645  # of the normal distribution: 5 % lie beyond it


class Count(NamedTuple):
    """Expected number and the 90 % interval around it, all at least 0."""

    value: float
    low: float
    high: float


def count(counted: NDArray[np.float32], missed: float = MISSED) -> Count:
    """How many real objects a set of finds stands for.

    Args:
        counted: (N, 2), each find's number and the variance of that.
        missed: variance of what is there beside them.
    """
    value = float(counted[:, 0].sum())
    reach = _QUANTILE * math.sqrt(float(counted[:, 1].sum()) + missed)
    return Count(value, max(value - reach, 0.0), value + reach)


def count_found(found: Detections, group: str) -> Count:
    """How many of a group there are in a place, `found` being its finds there."""
    return count(found.counted, found.missed.get(group, MISSED))


def standing_for(found: Detections, measured: Mapping[str, tuple[float, float]]) -> Detections:
    """The same finds with how many real objects each stands for, and what is missed beside them.

    Args:
        found: at the thresholds that it was measured at: other finds would crowd these.
        measured: kind of find → number and variance; one and zero where it is not there. And what
            `not_found` names → zero and variance.
    """
    counted = found.counted.copy()
    groups = np.array([group_of(name) for name in found.names])[found.labels]
    for group in GROUPS:
        mine = np.flatnonzero(groups == group)
        table = np.array([measured.get(kind, (1.0, 0.0)) for kind in kinds(group)], np.float32)
        counted[mine] = table[kind_of(found.boxes[mine])]
    missed = {g: measured[not_found(g)][1] for g in GROUPS if not_found(g) in measured}
    return replace(found, counted=counted, missed=missed)


def group_of(name: str) -> str:
    """The group that a class is counted with."""
    return next(group for group, names in GROUPS.items() if name in names)


def kinds(group: str) -> list[str]:
    """The kinds of finds of a group, in the order of `kind_of`."""
    sizes = [f"< {HEIGHTS_PX[0]:g} px", *(f"≥ {px:g} px" for px in HEIGHTS_PX)]
    return [f"{group} {size}{crowd}" for size in sizes for crowd in ("", ", crowded")]


def not_found(group: str) -> str:
    """What a card calls that which is there beside all finds of a group."""
    return f"{group}, not found"


def kind_of(boxes: NDArray[np.float32]) -> NDArray[np.int64]:
    """Index (N,) into `kinds` of each of the boxes (N, 4), all of one group."""
    sizes = np.searchsorted(HEIGHTS_PX, boxes[:, 3] - boxes[:, 1], side="right")
    return 2 * sizes.astype(np.int64) + (hidden(boxes) > _HIDDEN)


def hidden(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Largest share (N,) of each box (N, 4) that another one covers."""
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(2)
    np.fill_diagonal(shared, 0)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return np.asarray(shared.max(1, initial=0) / np.maximum(areas, 1e-9), np.float32)
