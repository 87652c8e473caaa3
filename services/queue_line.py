"""How long a queue of vehicles is, along a line that somebody drew from its gate outwards."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from models.counting import Count
from services.geometry import Number, wrong

_SPACING_M = 7.5  # room of a standing vehicle, with the gap before it (Highway Capacity Manual)
_BREAK_M = 3 * _SPACING_M  # two vehicles that the detector missed do not break the queue
_SHORT_M, _LONG_M = 2 * _SPACING_M, 4 * _SPACING_M  # the same with one missed, and with three
_BEHIND_M = 2 * _SPACING_M  # behind the last one found, two more may be missed
_OFF = 0.05  # of a box's height, by which its lower side may lie off


def _line(points: tuple[tuple[float, float, float], ...]) -> tuple[tuple[float, float, float], ...]:
    if points[0][2] != 0:
        raise wrong("begins at the gate: the first point is at 0 m")
    for i, (one, other) in enumerate(pairwise(points)):
        if not one[2] < other[2] or one[:2] == other[:2]:
            raise wrong(f"point [{i + 1}] is no farther from the gate than the one before it")
    return points


QueueLine = Annotated[
    tuple[tuple[Number, Number, Number], ...],
    Field(min_length=3, max_length=50),
    AfterValidator(_line),
]
"""x, y in px of the camera's own size, and metres from the gate along the queue, outwards."""


def metres_along(
    line: NDArray[np.float32], metres: Sequence[float], feet: NDArray[np.float32]
) -> NDArray[np.float64]:
    """How far from the gate (N,) points (N, 2) px lie, each at the line's nearest point.

    Between the line's points perspective is kept: of four points on a straight line the cross-ratio
    is the same on the ground and in a picture (Hartley and Zisserman, section 2.5).

    Args:
        line: (M, 2) px, three points at least.
        metres: of its points.
        feet: the points.
    """
    starts, ways = line[:-1].astype(np.float64), np.diff(line, axis=0).astype(np.float64)
    lengths = np.linalg.norm(ways, axis=1)
    along = ((feet[:, None] - starts) * ways).sum(2) / lengths**2  # (N, M - 1)
    along = along.clip(0, 1)
    off = np.linalg.norm(feet[:, None] - starts - along[..., None] * ways, axis=2)
    nearest = off.argmin(1)
    px = np.concatenate([[0], lengths.cumsum()])
    t = px[nearest] + along[np.arange(len(feet)), nearest] * lengths[nearest]
    three = (nearest - 1).clip(0, len(line) - 3) + np.arange(3)[:, None]
    (t0, t1, t2), (m0, m1, m2) = px[three], np.asarray(metres, np.float64)[three]
    from_first = (t - t0) * (t1 - t2) * (m1 - m0)
    from_last = (t - t2) * (t1 - t0) * (m1 - m2)
    return np.asarray((m0 * from_last - m2 * from_first) / (from_last - from_first), np.float64)


def length_m(
    line: NDArray[np.float32], metres: Sequence[float], boxes: NDArray[np.float32]
) -> Count:
    """Metres from the gate to the foot of the last vehicle of an unbroken queue.

    No more than 22.5 m, room for two that the detector missed, lie in it between the gate and the
    first vehicle, and between one and the next. Its 90 % interval reaches from where it would end
    if 15 m broke it to where it would end if 30 m did not, with two more vehicles missed behind;
    and feet may lie a twentieth of a box's height off.

    Args:
        line: (M, 2) px.
        metres: of its points.
        boxes: (N, 4) xyxy px of the vehicles in the queue's outline.
    """
    middles, lower = (boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]
    off = _OFF * (lower - boxes[:, 1])
    at = [
        metres_along(line, metres, np.stack([middles, lower + side * off], 1))
        for side in (-1, 0, 1)
    ]
    return Count(
        _end(at[1], _BREAK_M),
        min(_end(one, _SHORT_M) for one in at),
        max(_end(one, _LONG_M) for one in at) + _BEHIND_M,
    )


def _end(at: NDArray[np.float64], gap_m: float) -> float:
    end = 0.0
    for one in np.sort(at).tolist():
        if one - end > gap_m:
            break
        end = one
    return end
