"""Occupancy: how full car parks, queues, squares and pitches are, counted on stills.

Nobody is followed or recognised: what leaves a picture is a number for a place. Each asset says by
its `kind` what is counted there:

- `stall`: whether a vehicle stands in it, `occupancy.taken`, a probability (`services.lot`).
- `car-park`, `street-parking`, `queue`: cars, buses and lorries. A car park or street whose stalls
  are assets too, with their middles within its outline, is the sum of these. A queue with a `line`
  also has `occupancy.length`, in metres (`services.queue_line`).
- `cycle-park`: bicycles and motorcycles.
- `square`, `pitch`: people. A pitch also says whether anybody is on it, `occupancy.use`, a
  probability, and by it never how many.

Where something is to be counted there is `occupancy.count` with its 90 % interval,
`occupancy.density` on a square metre where the camera's `ground` or the asset's geometry says how
large it is, and, where the asset has a `capacity`, `occupancy.share` of it. What counts is where
things touch the ground: the middle of a box's lower side lies in the outline (from straight above,
the middle of the box). Private zones count nothing. Fewer people than the site's `min_count` are
only told as a range, the same for none and for a few. Unknown where the view is dark, lost, hidden
or too coarse: never "free".
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from itertools import compress
from typing import cast

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Geod
from shapely.geometry import shape

from models.counting import MISSED, count, count_found, kinds
from models.detections import Detections
from models.detectors.occupancy import OccupancyDetector
from services import judgement as judge
from services.camera_ground import area_m2
from services.events import Observation
from services.lot import stalls, taken_of
from services.occupancy_site import KINDS, PARKING, USED, Limits, contradictions
from services.queue_line import length_m
from services.sites import Asset
from services.standing import (
    Outline,
    before,
    countable,
    cut_off,
    drawn,
    feet,
    share_in,
    within,
)
from services.view import View
from services.visibility import blank, dark

__all__ = ["DETECTORS", "KINDS", "Limits", "contradictions", "judgement", "measure"]

DETECTORS = ("occupancy",)
_GEOD = Geod(ellps="GRS80")
_BANDS = (0.25, 0.5, 0.75)  # of an asset's capacity: what signs and maps show
_BAND_GAP = 0.05  # by which a share must fall under its band to be in a lower one
_SHOWN = 0.9  # share of an area, or of its stalls, from which what is seen may stand for all
_HIDDEN = 0.5  # share of an area that something hides, from which nothing is known of it
# Metres a px up to which it is found from straight above: of cars on flights held back 0.78 are at
# 0.13 m, 0.59 at 0.19 m. What people and bicycles look like from there nobody taught the detector.
_MAX_GSD_M = {"vehicle": 0.15}


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
    found, assets = countable(view), view.assets("occupancy")
    unseen = view.unseen or blank(view.frame.pixels, view.hidden)
    nothing = {group: _coarse(view, group) or unseen for group in found}
    marked = [(asset, outline) for asset, outline in assets if asset.kind == "stall"]
    observations = list(stalls(view, marked, found["vehicle"], nothing["vehicle"]))
    middles = np.array([outline.mean(0) for _, outline in marked], np.float32).reshape(-1, 2)
    for asset, outline in assets:
        if asset.kind != "stall":
            own = _within(view, asset, outline, middles) & (asset.kind in PARKING)
            mine = list(compress(observations, own))
            why = nothing[KINDS[asset.kind]] or dark(
                view.frame.pixels,
                outline,
                0 if mine else _SHOWN,
                valid=view.valid,
                hidden=view.hidden,
            )
            observations += _area(view, asset, outline, found, mine, why)
    return observations


def _within(
    view: View, asset: Asset, outline: Outline, points: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Which points (N, 2) px lie in an asset's outline, and in none of its holes."""
    inside = within(outline, points)
    for hole in view.holes(asset):
        inside &= ~within(hole, points)
    return inside


def _coarse(view: View, group: str) -> str | None:
    """Why a picture from straight above says nothing of a group; None where it may."""
    gsd_m = view.frame.gsd_m
    if gsd_m is None or gsd_m <= _MAX_GSD_M.get(group, 0):
        return None
    return "too_coarse" if group in _MAX_GSD_M else "from_above"


def _area(
    view: View,
    asset: Asset,
    outline: Outline,
    found: Mapping[str, Detections],
    marked: Sequence[Observation],
    nothing: str | None,
) -> Iterator[Observation]:
    """How many there are, and how full, long or used that is."""
    group, told_from = KINDS[asset.kind], view.site.min_count
    unknown = nothing or (_untold(marked) if marked else _occluded(view, outline, group, found))
    inside = found[group].where(_within(view, asset, outline, feet(view, found[group])))
    taken = [one.value for one in marked]
    number = None if unknown else taken_of(taken) if taken else count_found(inside, group)
    value, low, high = (None, None, None) if number is None else map(_whole, number)
    reason = unknown
    if group == "person" and value is not None and value < told_from:
        value, low, high, reason = None, 0, _most_of_few(view), "below_min_count"
    told = partial(view.observe, asset.id, polygon=outline, model="occupancy")
    unit, area = f"{{{group}}}", _area_m2(view, asset)
    yield told("occupancy.count", value=value, unit=unit, low=low, high=high, reason=reason)
    for quantity, whole, of in (
        ("occupancy.share", Limits.model_validate(asset.limits).capacity, "1"),
        ("occupancy.density", area, f"{unit}/m2"),
    ):
        if whole is not None:
            part, least, most = (None if v is None else v / whole for v in (value, low, high))
            yield told(quantity, value=part, unit=of, low=least, high=most, reason=reason)
    if asset.kind == "pitch":
        use = None if unknown else USED[len(inside) > 0]
        sure = None if use is None else max(use, 1 - use)
        yield told("occupancy.use", value=use, confidence=sure, reason=unknown)
    if asset.line is not None and view.camera is not None:
        line = view.placed([(x, y) for x, y, _ in asset.line])
        at = [metres for _, _, metres in asset.line]
        end = (None, None, None) if unknown else length_m(line, at, inside.boxes)
        told = partial(told, value=end[0], low=end[1], high=end[2])
        yield told("occupancy.length", unit="m", reason=unknown)


def _untold(marked: Sequence[Observation]) -> str | None:
    """Why the stalls of a car park do not tell how full it is; None where they do.

    One that is not seen may be taken or free, and the interval says so. Too many would leave a
    value that is only that of the others.
    """
    reasons = [one.reason for one in marked if one.value is None]
    if len(marked) - len(reasons) >= _SHOWN * len(marked):
        return None
    return reasons[0] if len(set(reasons)) == 1 else "occluded"


def _occluded(
    view: View, outline: Outline, group: str, found: Mapping[str, Detections]
) -> str | None:
    """Why an area cannot be seen; None where it can."""
    # A private zone was covered over it, which has moved beneath that.
    cut = share_in(outline, cut_off(view)) > 1 - _SHOWN
    return "occluded" if cut or before(view, outline, group, found) > _HIDDEN else None


def _most_of_few(view: View) -> int:
    """Upper end of the range that stands for any number of people below the site's `min_count`.

    It is that of the largest of these numbers, where the detector is least sure: were it that of
    what was found, it would tell one from none.
    """
    measured = cast(OccupancyDetector, view.detectors["occupancy"]).card.calibration
    people = [measured[kind] for kind in kinds("person") if kind in measured]
    spread = max((variance / number for number, variance in people), default=0.0)
    largest = view.site.min_count - 0.5
    missed = view.detections["occupancy"].missed.get("person", MISSED)
    return _whole(count(np.array([[largest, spread * largest]], np.float32), missed).high)


def _area_m2(view: View, asset: Asset) -> float | None:
    """Square metres in which an asset's things are counted; None where nobody knows."""
    camera, private = view.camera, 0.0
    if camera is not None:
        outline = np.array(asset.views[camera.id], np.float32)
        zones = shapely.union_all([drawn(np.array(zone)) for zone in camera.private_zones])
        if camera.ground is not None:
            return area_m2(drawn(outline) - zones, camera.ground)
        private = share_in(outline, zones)
    if asset.geometry.type != "Polygon":
        return None
    place = shape(asset.geometry.model_dump())
    # By the turn of its ring a hole is added or taken away.
    area, _ = _GEOD.geometry_area_perimeter(shapely.orient_polygons(place))
    return max(area * (1 - private), 1.0)


def _whole(number: float) -> int:
    return math.floor(number + 0.5)
