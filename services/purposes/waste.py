"""Waste: which registered containers need attention, and waste or containers nobody registered.

Quantities, all probabilities (unit "1"):

- `waste.overflow` of a registered container: that waste lies over its rim or beside it. Unknown
  where the view is dark, blank or lost, or the container is not seen at its place. Where the camera
  has references, a place that looks as it does on them counts as clean even if the detector misses
  the container, and one that looks like nothing on them is occluded, unless waste is seen there.
  Its detail holds the probability of each state where the container is seen (those that need
  attention add up to the value), the expected `severity` (0 clean, 1 a little litter, 2 waste
  beside it, 3 overflow), score, count and area (in containers) of the waste that lies beside it and
  no nearer to another container, and how much its place and its colours changed.
- `waste.container` of containers that match no registered one, reported once a place. Where one
  that is registered may be what was seen, as it lies there and was not matched, nothing is said.
- `waste.dump` of waste beside no container, in pictures from straight above. Both tell the surest
  of what shares a place, and in their detail the `count`.
- `waste.dirty` of the whole view, but not from above: that waste lies about anywhere in it. Unknown
  of a picture that is dark, or shows nothing, as in fog or of a covered lens.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.detections import Detections
from models.detectors.waste import MAX_GSD_M
from models.registration import Change
from services import judgement as judge
from services.attention import closest_pairs, lies_by, need, same_place
from services.events import Observation
from services.places import may_be_at
from services.sites import Asset
from services.view import View, short, urn
from services.visibility import blank, dark

DETECTORS = ("waste",)

_SAME_PLACE_M = 3.0  # from a registered position to the middle of a container seen from above
_SEVERITY = {"clean": 0, "minor_litter": 1, "side_waste": 2, "overflow": 3}
_CALM = ("clean", "minor_litter")
_HIDDEN = 0.12  # change from which something else may stand where no container is detected
_HALF_HIDDEN = 0.28  # and where one is: on drawn days one in view changes by up to 0.26


class Limits(BaseModel):
    """Limits an asset may set.

    Attributes:
        enter: probability from which an overflow may start.
        leave: probability under which it may end. Well below `enter`: by night and in rain the
            probability of one heap wanders by a quarter.
        dwell_minutes: how long the probability must stay past a limit.
        stale_hours: how long a status holds without a new observation.
        together_minutes: how long what one camera sees counts beside what others see.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enter: float = Field(default=0.6, ge=0, le=1)
    leave: float = Field(default=0.3, ge=0, le=1)
    dwell_minutes: float = Field(default=0, ge=0)
    stale_hours: float = Field(default=48, gt=0)
    together_minutes: float = Field(default=30, ge=0)


def judgement(limits: Mapping[str, float]) -> Mapping[str, judge.Limits]:
    """Condition → how it is judged, for an asset with these limits."""
    own = Limits.model_validate(limits)
    return {
        "waste.overflow": judge.Limits(
            enter=(own.enter,),
            leave=(own.leave,),
            dwell=timedelta(minutes=own.dwell_minutes),
            stale=timedelta(hours=own.stale_hours),
            together=timedelta(minutes=own.together_minutes),
        )
    }


def measure(view: View) -> list[Observation]:
    """The observations that one view supports."""
    found = view.detections["waste"]
    containers, waste = found.named("container"), found.named("waste")
    unseen = _unseen(view)
    assets = view.assets("waste")
    matched = {} if unseen else _matched(view, assets, containers.boxes)
    observations, known, places = [], [], list(containers.boxes)
    for number, (asset, outline) in enumerate(assets):
        index = matched.get(number)
        change = view.change(asset)
        reason = unseen or dark(view.frame.pixels, outline)
        if reason is None and index is None:
            reason = _unfound(change)
        if reason:
            observations.append(
                view.observe(asset.id, "waste.overflow", outline, "waste", reason=reason)
            )
            continue
        if index is None:
            places.append(_box_around(outline))
        known.append((asset, outline, len(places) - 1 if index is None else index, change))
    by = lies_by(np.array(places, np.float32).reshape(-1, 4), waste.boxes)
    for asset, outline, place, change in known:
        states = _states(containers, place) if place < len(containers) else {}
        beside = _beside(places[place], waste.where(by == place))
        observations.append(_overflow(view, asset, outline, states, beside, change))
    if not unseen:
        observations += _containers(
            view, containers, {assets[n][0].id: i for n, i in matched.items()}
        )
    if view.frame.gsd_m is not None:
        observations += _found(view, "waste.dump", waste.where(by < 0))
    # Among all the squares of a picture from above there is always one that looks dirty.
    if view.frame.gsd_m is None or unseen:
        observations.append(_dirty(view, found.image_scores.get("dirty", 0.0), unseen))
    return observations


def _unseen(view: View) -> str | None:
    """Why nothing can be said of the whole picture; None where it shows something."""
    if view.frame.gsd_m is not None:
        return "too_coarse" if view.frame.gsd_m > MAX_GSD_M else None
    return view.unseen or blank(view.frame.pixels)


def _dirty(view: View, probability: float, unseen: str | None) -> Observation:
    place = f"view:{view.camera.id}" if view.camera else f"picture:{short(view.frame.key)}"
    return view.observe(
        urn(view.site, place),
        "waste.dirty",
        view.whole(),
        "waste",
        value=None if unseen else probability,
        reason=unseen,
        confidence=None if unseen else max(probability, 1 - probability),
    )


def _unfound(change: Change | None) -> str | None:
    """Why nothing is known of a container that is not detected; None where its place tells."""
    if change is None:
        return "not_seen"
    return "occluded" if change.colour is None or change.edges > _HIDDEN else None


def _overflow(
    view: View,
    asset: Asset,
    outline: NDArray[np.float32],
    states: Mapping[str, float],
    beside: Mapping[str, float],
    change: Change | None,
) -> Observation:
    """Of a container whose states by its look are known, or else how its place changed."""
    detail = dict(beside)
    calm = sum(states.get(name, 0.0) for name in _CALM) if states else None
    probability = need(calm, beside["waste_beside"], None if change is None else change.colour)
    # Waste that is seen counts, however much else is hidden.
    if change is not None and change.edges > _HALF_HIDDEN and probability < 0.5:
        return view.observe(asset.id, "waste.overflow", outline, "waste", reason="occluded")
    if calm is not None:
        detail |= _told(states, calm, probability)
    if change is not None:
        detail["change"] = change.edges
        if change.colour is not None:
            detail["colour_change"] = change.colour
    return view.observe(
        asset.id,
        "waste.overflow",
        outline,
        "waste",
        value=probability,
        confidence=max(probability, 1 - probability),
        detail=detail,
    )


def _told(states: Mapping[str, float], calm: float, needs: float) -> dict[str, float]:
    """The states' probabilities, made to agree with that of needing attention, and the severity."""
    calmer, worse = (1 - needs) / max(calm, 1e-9), needs / max(1 - calm, 1e-9)
    told = {name: p * (calmer if name in _CALM else worse) for name, p in states.items()}
    return told | {"severity": sum(_SEVERITY[name] * p for name, p in told.items())}


def _states(found: Detections, index: int) -> dict[str, float]:
    return dict(zip(found.state_names, found.states[index].tolist(), strict=True))


def _beside(box: NDArray[np.float32], waste: Detections) -> dict[str, float]:
    """What lies beside a container: best score, count, area in containers."""
    area = np.prod(waste.boxes[:, 2:] - waste.boxes[:, :2], 1).sum()
    return {
        "waste_beside": float(waste.scores.max(initial=0.0)),
        "waste_count": float(len(waste)),
        "waste_area": float(area / max(np.prod(box[2:] - box[:2]), 1)),
    }


def _containers(
    view: View, containers: Detections, matched: Mapping[str, int]
) -> list[Observation]:
    """Containers that nobody registered; `matched` are the others, by asset."""
    own = np.isin(np.arange(len(containers)), list(matched.values()))
    lost = [a for a in view.site.assets if a.purpose == "waste" and a.id not in matched]
    exact = view.frame.ground is not None
    return [
        one
        for one in _found(view, "waste.container", containers.where(~own))
        if one.position is None
        or not any(may_be_at(asset.geometry, one.position, exact) for asset in lost)
    ]


def _found(view: View, quantity: str, found: Detections) -> list[Observation]:
    """What nobody registered: of each place the surest, and how many there are."""
    places = defaultdict(list)
    for index in np.argsort(-found.scores, kind="stable").tolist():
        places[view.place(found.boxes[index])[0]].append(index)
    observations = []
    for place, (surest, *others) in places.items():
        x1, y1, x2, y2 = found.boxes[surest]
        score = float(found.scores[surest])
        states = _states(found, surest) if quantity == "waste.container" else {}
        observations.append(
            view.observe(
                place,
                quantity,
                np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float32),
                "waste",
                value=score,
                confidence=score,
                detail=states | {"count": 1 + len(others)},
                position=view.place(found.boxes[surest])[1],
            )
        )
    return observations


def _matched(
    view: View, assets: Sequence[tuple[Asset, NDArray[np.float32]]], boxes: NDArray[np.float32]
) -> dict[int, int]:
    """Asset → the container that stands at its place.

    In a view its box overlaps the outline; from above, where positions are off by a metre or two,
    its middle is near.
    """
    closeness = []
    for asset, outline in assets:
        if view.camera is None and asset.geometry.type == "Point":
            assert view.frame.gsd_m is not None
            away = np.linalg.norm((boxes[:, :2] + boxes[:, 2:]) / 2 - outline.mean(0), axis=1)
            closeness.append(np.asarray(1 - away * view.frame.gsd_m / _SAME_PLACE_M, np.float32))
        else:
            closeness.append(same_place(_box_around(outline), boxes))
    return closest_pairs(closeness)


def _box_around(outline: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([outline.min(0), outline.max(0)])
