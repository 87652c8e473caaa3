"""Parking stalls: whether each is taken, by its look and by boxes on it, and how many are.

A car park is judged in its own light: what the looks of all its stalls are off by in one picture is
found from that picture.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from models.counting import Count, count
from models.detections import Detections
from models.detectors.occupancy import OccupancyDetector
from services.events import Observation
from services.odds import log_odds, probability
from services.sites import Asset
from services.standing import Outline, covers, share_in
from services.view import View
from services.visibility import dark

Odds = NDArray[np.float64]

# Probability of a vehicle in a stall: constant, slope on the logit of the stall's look, slope on
# the evidence of the best box. `python -m benchmarks.stalls` fits them to a real car park and to
# drawn streets, which weigh the same: of a place it never saw, the look alone is too sure.
_TAKEN = (2.54, 0.74, 4.9)
_BEFORE = 0.5  # of a stall's height, by which what stands before it reaches below it
_HIDDEN = 0.6  # share of a stall that something before it covers, from which nothing is known
_SEEN = 0.5  # evidence of boxes from which a vehicle is seen nevertheless
SUREST = 1 - 1e-4
"""How sure the look of a stall may be, either way."""

_NO_LOOK = 0.5  # what the look of a stall says that cannot be looked at

_TRUE = 3.0  # log odds of taken stalls, of free ones negative, where looks do not mislead
_MISLED = 0.5  # standard deviation of what they are off by, before any stall is seen
_UNBOXED = 0.5  # log odds that a stall without a box loses: most vehicles have one
_EXPECTED = 5.0  # taken stalls, and as many free ones, before any is seen
_ROUNDS = 20  # by then it has settled


def stalls(
    view: View, places: Sequence[tuple[Asset, Outline]], vehicles: Detections, nothing: str | None
) -> Iterator[Observation]:
    """Whether each parking stall is taken: `occupancy.taken`.

    Args:
        view: the picture.
        places: the stalls with their outlines.
        vehicles: what was found outside private zones.
        nothing: why the picture says nothing; None where it does.
    """
    outlines = [outline for _, outline in places]
    if nothing or not places:
        looks = np.full(len(places), _NO_LOOK, np.float32)
    else:
        looks = cast(OccupancyDetector, view.detectors["occupancy"]).taken(view.frame, outlines)
    covered = covers(view)
    seen = []
    for outline, look in zip(outlines, looks.tolist(), strict=True):
        box, hidden = evidence(outline, vehicles)
        blind = share_in(outline, covered) > _HIDDEN
        reason = nothing or dark(view.frame.pixels, outline, valid=view.valid, hidden=view.hidden)
        seen.append((_NO_LOOK if blind else look, box, hidden or blind, reason))
    clear = [terms(look, box) for look, box, hidden, reason in seen if not (hidden or reason)]
    # From above it stays: there the detector misses too many vehicles to teach anything.
    moved = shift(*np.array(clear).reshape(-1, 2).T) if view.camera else 0.0
    for (asset, outline), (look, box, hidden, reason) in zip(places, seen, strict=True):
        value = None if reason else taken(look, box, hidden, moved)
        told = partial(view.observe, asset.id, "occupancy.taken", outline, "occupancy")
        if value is None:
            yield told(reason=reason or "occluded")
        else:
            yield told(value=value, confidence=max(value, 1 - value))


def taken_of(stalls: Sequence[float | None]) -> Count:
    """How many stalls are taken, by their probabilities; one that is not seen may be either."""
    known = np.array([p for p in stalls if p is not None], np.float32)
    seen = count(np.stack([known, known * (1 - known)], 1))
    most = min(seen.high, len(known))
    return Count(seen.value, min(seen.low, most), most + len(stalls) - len(known))


def terms(look: float, evidence: float) -> tuple[float, float]:
    """Log odds that a stall is taken, by its look, and what boxes on it add to them."""
    constant, by_look, by_box = _TAKEN
    return constant + by_look * log_odds(look, SUREST), by_box * evidence


def taken(look: float, evidence: float, hidden: bool = False, moved: float = 0.0) -> float | None:
    """Probability that a vehicle stands in a stall; None where what stands before it hides it.

    Args:
        look: probability by the look of the stall alone.
        evidence: of boxes on it.
        hidden: something stands before it.
        moved: what its picture adds to the log odds, see `shift`.
    """
    if hidden and evidence < _SEEN:
        return None
    return probability(sum(terms(look, evidence)) + moved)


def evidence(outline: Outline, vehicles: Detections) -> tuple[float, bool]:
    """What boxes say of a stall: the best score times the share of it that the box covers.

    And whether a vehicle before it, whose box reaches well below it, hides it.
    """
    top, bottom = outline[:, 1].min(), outline[:, 1].max()
    best, hidden = 0.0, False
    for box, score in zip(vehicles.boxes, vehicles.scores, strict=True):
        share = _share_covered(outline, box)
        if box[3] - bottom > _BEFORE * (bottom - top):
            hidden |= share > _HIDDEN
        else:
            best = max(best, float(score) * share)
    return best, hidden


def _share_covered(outline: Outline, box: NDArray[np.float32]) -> float:
    """Share of a convex outline (N, 2) that a box covers."""
    x1, y1, x2, y2 = box
    corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float32)
    hull = cv2.convexHull(outline)
    shared, _ = cv2.intersectConvexConvex(hull, corners)
    return float(shared / max(cv2.contourArea(hull), 1e-6))


def shift(looks: Odds, boxes: Odds) -> float:
    """What to add to the log odds of every stall of one picture.

    The look of stalls is learned on other ground, in other light: all of a picture then seem more
    taken, or more free, than they are. Expectation maximisation (Dempster et al., 1977) finds where
    between two groups the threshold lies, and how full the car park is, from the stalls themselves
    and the boxes on them: nobody need label any. Both groups lie as far apart as their variance,
    which is what true log odds do (van Leeuwen and Brümmer, Interspeech 2013).

    Args:
        looks: (N,) log odds that a stall is taken, by its look.
        boxes: (N,) what boxes on it add to them, at least 0.
    """
    variance = 2 * _TRUE
    moved = 0.0
    for _ in range(_ROUNDS):
        taken = 1 / (1 + np.exp(-(looks + moved + boxes - _UNBOXED)))
        full = (taken.sum() + _EXPECTED) / (len(taken) + 2 * _EXPECTED)
        off = (looks - _TRUE * (2 * taken - 1)).sum() / variance
        off /= len(looks) / variance + 1 / _MISLED**2
        moved = float(np.log(full / (1 - full)) - off)
    return moved
