"""Occupancy: how full car parks, queues, squares and pitches are, counted on stills.

Nobody is followed or recognised: what leaves a picture is a number for a place. Each asset says by
its `kind` what is counted there:

- `stall`: whether a vehicle stands in it, `occupancy.taken`, a probability.
- `car-park`, `queue`: cars, buses and lorries. A car park whose stalls are assets too, with their
  middles within its outline, is the sum of these.
- `cycle-park`: bicycles and motorcycles.
- `square`, `pitch`: people. A pitch also says whether it is in use, `occupancy.use`, a probability.

Where something is to be counted there is `occupancy.count` with its 90 % interval (its detail has
the number `per_m2` where the asset's geometry is an area), and, where the asset has a `capacity`,
`occupancy.share` of it. What counts is where things touch the ground: the
middle of a box's lower side lies in the outline (from straight above, the middle of the box).
Private zones count nothing. Fewer people than the site's `min_count` are only told as a range.
Unknown where the view is dark or lost: never "free".
"""

import math
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Self, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pyproj import Geod

from models.counting import GROUPS, Count, count
from models.detections import Detections
from models.detectors.occupancy import OccupancyDetector
from services import judgement as judge
from services.events import Observation
from services.lot import shift
from services.sites import Asset
from services.view import View
from services.visibility import blank, dark

DETECTORS = ("occupancy",)
KINDS: Mapping[str, str] = {
    "stall": "vehicle",
    "car-park": "vehicle",
    "queue": "vehicle",
    "cycle-park": "cycle",
    "square": "person",
    "pitch": "person",
}
"""Kind of asset → the group that is counted there."""

_GEOD = Geod(ellps="GRS80")
# Probability of a vehicle in a stall: constant, slope on the logit of the stall's look, slope on
# the evidence of the best box. `python -m benchmarks.stalls` fits them to a real car park and to
# drawn streets, which weigh the same: of a place it never saw, the look alone is too sure.
_TAKEN = (2.54, 0.74, 4.9)
_BEFORE = 0.5  # of a stall's height, by which what stands before it reaches below it
_HIDDEN = 0.6  # share of a stall that something before it covers, from which nothing is known
_BANDS = (0.25, 0.5, 0.75)  # of an asset's capacity: what signs and maps show
_BAND_GAP = 0.05  # by which a share must fall under its band to be in a lower one
_SHOWN = 0.9  # share of an area from which what is counted in it may stand for all
_SEEN = 0.5  # evidence of boxes from which a vehicle is seen nevertheless


class Limits(BaseModel):
    """Limits an asset may set.

    Attributes:
        capacity: how many there is room for; without it there is no share.
        full: share of the capacity from which it may become full.
        available: share under which it may become available again.
        taken: probability from which a stall is taken, or a pitch in use.
        freed: probability under which it is so no longer.
        dwell_minutes: how long a value must stay past a limit.
        stale_hours: how long a status holds without a new observation.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    capacity: float | None = Field(default=None, ge=1)
    full: float = Field(default=0.95, gt=0, le=2)
    available: float = Field(default=0.85, ge=0, le=2)
    taken: float = Field(default=0.7, ge=0, le=1)
    freed: float = Field(default=0.3, ge=0, le=1)
    dwell_minutes: float = Field(default=10, ge=0)
    stale_hours: float = Field(default=3, gt=0)

    @model_validator(mode="after")
    def _gap(self) -> Self:
        if self.available > self.full or self.freed > self.taken:
            raise ValueError("available must not be above full, nor freed above taken")
        return self


def judgement(limits: Mapping[str, float]) -> Mapping[str, judge.Limits]:
    """Condition → how it is judged, for an asset with these limits."""
    own = Limits.model_validate(limits)

    def between(enter: tuple[float, ...], leave: tuple[float, ...]) -> judge.Limits:
        dwell, stale = timedelta(minutes=own.dwell_minutes), timedelta(hours=own.stale_hours)
        return judge.Limits(enter=enter, leave=leave, dwell=dwell, stale=stale)

    return {
        "occupancy.taken": between((own.taken,), (own.freed,)),
        "occupancy.use": between((own.taken,), (own.freed,)),
        "occupancy.full": between((own.full,), (own.available,)),
        "occupancy.band": between(_BANDS, tuple(edge - _BAND_GAP for edge in _BANDS)),
        "occupancy.counted": between((), ()),
    }


def measure(view: View) -> list[Observation]:
    """The observations that one view supports."""
    found, assets = _countable(view), view.assets("occupancy")
    nothing = view.unseen or blank(view.frame.pixels)
    stalls = {one.asset: one for one in _stalls(view, assets, found["vehicle"], nothing)}
    observations = list(stalls.values())
    for asset, outline in assets:
        if asset.kind != "stall":
            own = [
                stalls[stall.id].value
                for stall, place in assets
                if asset.kind == "car-park" and stall.id in stalls
                if _holds(outline, place.mean(0))
            ]
            observations += _area(view, asset, outline, found[KINDS[asset.kind]], own, nothing)
    return observations


def _countable(view: View) -> dict[str, Detections]:
    """Group → what was found of it outside private zones."""
    found = view.detections["occupancy"]
    camera, size_hw = view.camera, view.frame.pixels.shape[:2]
    zones = [camera.scaled(z, size_hw) for z in camera.private_zones] if camera else []
    free = np.ones(len(found), bool)
    for zone in zones:
        free &= ~_feet_in(view, np.array(zone, np.float32), found)
    groups = {}
    for group, names in GROUPS.items():
        labels = [found.names.index(name) for name in names]
        groups[group] = found.where(free & np.isin(found.labels, labels))
    return groups


def _stalls(
    view: View,
    assets: list[tuple[Asset, NDArray[np.float32]]],
    vehicles: Detections,
    nothing: str | None,
) -> Iterator[Observation]:
    """Whether each parking stall is taken."""
    stalls = [(asset, outline) for asset, outline in assets if asset.kind == "stall"]
    outlines = [outline for _, outline in stalls]
    if nothing or not stalls:
        looks = np.full(len(stalls), 0.5, np.float32)
    else:
        looks = cast(OccupancyDetector, view.detectors["occupancy"]).taken(view.frame, outlines)
    reasons = [nothing or dark(view.frame.pixels, outline) for outline in outlines]
    seen = [evidence(outline, vehicles) for outline in outlines]
    rows = list(zip(looks.tolist(), seen, reasons, strict=True))
    clear = [terms(look, box) for look, (box, hidden), reason in rows if not (hidden or reason)]
    # From above it stays: there the detector misses too many vehicles to teach anything.
    moved = shift(*np.array(clear).reshape(-1, 2).T) if view.camera else 0.0
    for (asset, outline), (look, boxes, reason) in zip(stalls, rows, strict=True):
        value = None if reason else taken(look, *boxes, moved)
        told = partial(view.observe, asset.id, "occupancy.taken", outline, "occupancy")
        if value is None:
            yield told(reason=reason or "occluded")
        else:
            yield told(value=value, confidence=max(value, 1 - value))


def _area(
    view: View,
    asset: Asset,
    outline: NDArray[np.float32],
    found: Detections,
    stalls: list[float | None],
    nothing: str | None,
) -> Iterator[Observation]:
    """How many there are, and how full or used that is."""
    # A stall that is out of view may be taken or free, and the interval says so.
    reason = nothing or dark(view.frame.pixels, outline, 0 if stalls else _SHOWN)
    if stalls and all(p is None for p in stalls):
        reason = reason or "occluded"
    inside = found.where(_feet_in(view, outline, found))
    number = None if reason else _of_stalls(stalls) if stalls else count(inside.counted)
    value, low, high = (None, None, None) if number is None else map(_whole, number)
    group, told_from = KINDS[asset.kind], view.site.min_count
    if group == "person" and value is not None and high is not None and value < told_from:
        # The range is the same for none and for a few: it tells of nobody.
        value, low, high, reason = None, 0, told_from - 1, "below_min_count"
    told = partial(view.observe, asset.id, polygon=outline, model="occupancy", reason=reason)
    density = None if value is None else _density(asset, value)
    unit = f"{{{group}}}"
    yield told("occupancy.count", value=value, unit=unit, low=low, high=high, detail=density)
    capacity = Limits.model_validate(asset.limits).capacity
    if capacity is not None:
        share, least, most = (None if v is None else v / capacity for v in (value, low, high))
        yield told("occupancy.share", value=share, low=least, high=most)
    if asset.kind == "pitch":
        use = None if number is None else 1 - float(np.prod(1 - inside.scores))
        yield view.observe(
            asset.id,
            "occupancy.use",
            outline,
            "occupancy",
            value=use,
            reason=reason if use is None else None,
            confidence=None if use is None else max(use, 1 - use),
        )


def _density(asset: Asset, number: int) -> dict[str, float] | None:
    """How many on a square metre, where the asset's geometry says how large it is."""
    if asset.geometry.type != "Polygon":
        return None
    rings = [np.array(ring, np.float64) for ring in asset.geometry.coordinates]
    areas = [abs(_GEOD.polygon_area_perimeter(*ring.T)[0]) for ring in rings]
    return {"per_m2": number / max(areas[0] - sum(areas[1:]), 1.0)}


def _whole(number: float) -> int:
    return math.floor(number + 0.5)


def _of_stalls(stalls: list[float | None]) -> Count:
    """How many stalls are taken; one that is not seen may be either."""
    known = np.array([p for p in stalls if p is not None], np.float32)
    seen = count(np.stack([known, known * (1 - known)], 1))
    most = min(seen.high, len(known))
    return Count(seen.value, min(seen.low, most), most + len(stalls) - len(known))


def odds(look: float) -> float:
    """Logarithm of the odds of a probability, within bounds."""
    return math.log(max(look, 1e-4) / max(1 - look, 1e-4))


def terms(look: float, evidence: float) -> tuple[float, float]:
    """Log odds that a stall is taken, by its look, and what boxes on it add to them."""
    constant, by_look, by_box = _TAKEN
    return constant + by_look * odds(look), by_box * evidence


def taken(look: float, evidence: float, hidden: bool = False, moved: float = 0.0) -> float | None:
    """Probability that a vehicle stands in a stall; None where what stands before it hides it.

    Args:
        look: probability by the look of the stall alone.
        evidence: of boxes on it.
        hidden: something stands before it.
        moved: what its picture adds to the log odds, see `services.lot`.
    """
    probability = 1 / (1 + math.exp(-sum(terms(look, evidence)) - moved))
    return None if hidden and evidence < _SEEN else probability


def evidence(outline: NDArray[np.float32], vehicles: Detections) -> tuple[float, bool]:
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


def _share_covered(outline: NDArray[np.float32], box: NDArray[np.float32]) -> float:
    """Share of a convex outline (N, 2) that a box covers."""
    x1, y1, x2, y2 = box
    corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float32)
    hull = cv2.convexHull(outline)
    shared, _ = cv2.intersectConvexConvex(hull, corners)
    return float(shared / max(cv2.contourArea(hull), 1e-6))


def _feet_in(view: View, outline: NDArray[np.float32], found: Detections) -> NDArray[np.bool_]:
    """Which of the finds (N,) stand in an outline."""
    boxes = found.boxes
    feet = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], 1)
    if view.frame.gsd_m is not None:
        feet[:, 1] = (boxes[:, 1] + boxes[:, 3]) / 2
    return np.array([_holds(outline, foot) for foot in feet], bool)


def _holds(outline: NDArray[np.float32], point: NDArray[np.float32]) -> bool:
    return cv2.pointPolygonTest(outline, (float(point[0]), float(point[1])), False) >= 0
