"""How many there are, from what was found: an expected number and its 90 % interval.

A detector misses some and invents others, more of them where things are small or hide each other.
How many real ones a find stands for, and how much that varies, is measured by kind of find.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

GROUPS: Mapping[str, tuple[str, ...]] = {
    "person": ("person",),
    "vehicle": ("car", "bus", "truck"),
    "cycle": ("bicycle", "motorcycle"),
}
"""What is counted together: their error is measured as one."""

HEIGHTS_PX = (16.0, 32.0, 64.0)
_HIDDEN = 0.3  # share of a box that another of its group covers, from which it counts as crowded
_MISSED = 0.1  # variance where nothing is found
_QUANTILE = 1.645  # of the normal distribution: 5 % lie beyond it


class Count(NamedTuple):
    """Expected number and the 90 % interval around it, all at least 0."""

    value: float
    low: float
    high: float


def count(counted: NDArray[np.float32]) -> Count:
    """How many real objects a set of finds stands for: (N, 2), each one's number and variance."""
    value = float(counted[:, 0].sum())
    reach = _QUANTILE * math.sqrt(float(counted[:, 1].sum()) + _MISSED)
    return Count(value, max(value - reach, 0.0), value + reach)


def group_of(name: str) -> str:
    """The group that a class is counted with."""
    return next(group for group, names in GROUPS.items() if name in names)


def kinds(group: str) -> list[str]:
    """The kinds of finds of a group, in the order of `kind_of`."""
    sizes = [f"< {HEIGHTS_PX[0]:g} px", *(f"≥ {px:g} px" for px in HEIGHTS_PX)]
    return [f"{group} {size}{crowd}" for size in sizes for crowd in ("", ", crowded")]


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
