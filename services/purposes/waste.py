"""Waste: which registered containers need attention, and waste or containers nobody registered.

Quantities, all probabilities (unit "1"):

- `waste.overflow` of a registered container: that waste lies over its rim or beside it. Unknown
  where the view is dark, blank or lost, or the container is not seen at its place. Where the camera
  has references, a place that looks as it does on them counts as clean even if the detector misses
  the container, and one that looks like nothing on them is occluded, unless the detector sees waste
  there. Its detail holds the probability of each state where the container is seen (those that need
  attention add up to the value), the expected `severity` (0 clean, 1 a little litter, 2 waste
  beside it, 3 overflow), score, count and area (in containers) of the waste that lies beside it and
  no nearer to another container, and how much its place and its colours changed. An `isle` of
  containers is told by the one that needs it most, and by the waste beside any of them.
- `waste.container` of containers that match no registered one, reported once a place. Where one
  that is registered may be what was seen, as it may stand there and was not matched, nothing is
  said.
- `waste.dump` of waste beside no container. Both tell the surest of what shares a place, and in
  their detail the `count`.
- `waste.dirty` of the whole view, but not from above: that waste lies about anywhere in it. Unknown
  of a picture that is dark, or shows nothing, as in fog or of a covered lens.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.detections import Detections
from models.detectors.waste import MAX_GSD_M
from models.registration import Change
from services import judgement as judge
from services.attention import need
from services.container_places import box_around, homes_of, lies_by
from services.events import Observation
from services.places import may_be_at
from services.sites import Asset
from services.view import View, short, urn
from services.visibility import blank, dark

DETECTORS = ("waste",)

_SEVERITY = {"clean": 0, "minor_litter": 1, "side_waste": 2, "overflow": 3}
_CALM = ("clean", "minor_litter")
# Change from which something else may stand where no container is detected, or where nothing but
# its colours speaks for waste: on drawn days an overflow that is overlooked changes by up to 0.05.
_HIDDEN = 0.12
_HALF_HIDDEN = 0.28  # and where one is: on drawn days one in view changes by up to 0.26


class Limits(BaseModel):
    """Limits an asset may set.

    Attributes:
        enter: probability from which an overflow may start.
        leave: probability under which it may end, `enter` at most. Well below it: by night and in
            rain the probability of one heap wanders by a quarter.
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

    @model_validator(mode="after")
    def _gap(self) -> Self:
        if self.leave > self.enter:
            raise ValueError(f"leave ({self.leave:g}) must not be above enter ({self.enter:g})")
        return self


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
    assets, unseen = view.assets("waste"), _unseen(view)
    if unseen:
        return [*(_unknown(view, *one, unseen) for one in assets), _dirty(view, 0.0, unseen)]
    found, from_above = view.detections["waste"], view.frame.gsd_m is not None
    containers, waste = found.named("container"), found.named("waste")
    homes = homes_of(view, assets, containers.boxes)
    known = {asset.id: list(home) for (asset, _), home in zip(assets, homes, strict=True) if home}
    places = list(containers.boxes)
    for (_, outline), home in zip(assets, homes, strict=True):
        if not home:  # What lies beside one that was missed is its waste, and not a neighbour's.
            home.append(len(places))
            places.append(box_around(outline))
    boxes = np.array(places, np.float32).reshape(-1, 4)
    by, observations = lies_by(boxes, waste.boxes, from_above=from_above), []
    for (asset, outline), home in zip(assets, homes, strict=True):
        looks = [_states(containers, index) for index in home if index < len(containers)]
        beside = _beside(boxes[home], waste.where(np.isin(by, home)))
        worst = min(looks, key=_calm, default={})
        observations.append(_overflow(view, asset, outline, worst, beside))
    observations += _strangers(view, containers, known, boxes[len(containers) :])
    observations += _found(view, "waste.dump", waste.where(by < 0))
    # Among all the squares of a picture from above there is always one that looks dirty.
    if not from_above:
        observations.append(_dirty(view, found.image_scores.get("dirty", 0.0), None))
    return observations


def _unseen(view: View) -> str | None:
    """Why nothing can be said of the whole picture; None where it shows something."""
    if view.frame.gsd_m is not None:
        return "too_coarse" if view.frame.gsd_m > MAX_GSD_M else None
    return view.unseen or blank(view.frame.pixels, view.hidden)


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


def _unknown(view: View, asset: Asset, outline: NDArray[np.float32], reason: str) -> Observation:
    return view.observe(asset.id, "waste.overflow", outline, "waste", reason=reason)


def _overflow(
    view: View,
    asset: Asset,
    outline: NDArray[np.float32],
    states: Mapping[str, float],
    beside: Mapping[str, float],
) -> Observation:
    """Of a container whose states by its look are known, or else how its place changed."""
    change, calm = view.change(asset), _calm(states) if states else None
    score = beside["waste_beside"]
    unseen = dark(view.frame.pixels, outline, valid=view.valid, hidden=view.hidden)
    if reason := unseen or _hidden(calm, score, change):
        return _unknown(view, asset, outline, reason)
    probability = need(calm, score, None if change is None else change.colour)
    detail = dict(beside)
    if states:
        detail |= _told(states, score, probability)
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


def _hidden(calm: float | None, beside: float, change: Change | None) -> str | None:
    """Why nothing can be said of a container; None where its look or its place tells.

    What stands before it changes colours as waste does: that waste is seen, only the detector says.
    """
    if change is None:
        return "not_seen" if calm is None else None
    if calm is None:
        return "occluded" if change.colour is None or change.edges > _HIDDEN else None
    if need(calm, beside) >= 0.5:
        return None
    by_colour = need(calm, beside, change.colour) >= 0.5
    return "occluded" if change.edges > (_HIDDEN if by_colour else _HALF_HIDDEN) else None


def _told(states: Mapping[str, float], beside: float, needs: float) -> dict[str, float]:
    """The states' probabilities, made to agree with that of needing attention, and the severity.

    What waste beside a container adds to that is side waste, whatever it looks like itself.
    """
    calm = _calm(states)
    told = {name: p * (1 - beside) if name in _CALM else p for name, p in states.items()}
    told["side_waste"] += calm * beside
    calm *= 1 - beside
    calmer, worse = (1 - needs) / max(calm, 1e-9), needs / max(1 - calm, 1e-9)
    told = {name: p * (calmer if name in _CALM else worse) for name, p in told.items()}
    return told | {"severity": sum(_SEVERITY[name] * p for name, p in told.items())}


def _calm(states: Mapping[str, float]) -> float:
    return sum(states[name] for name in _CALM)


def _states(found: Detections, index: int) -> dict[str, float]:
    return dict(zip(found.state_names, found.states[index].tolist(), strict=True))


def _beside(boxes: NDArray[np.float32], waste: Detections) -> dict[str, float]:
    """What lies beside a container, or an isle's: best score, count, area in containers."""
    areas = [np.prod(one[:, 2:] - one[:, :2], 1) for one in (waste.boxes, boxes)]
    return {
        "waste_beside": float(waste.scores.max(initial=0.0)),
        "waste_count": float(len(waste)),
        "waste_area": float(areas[0].sum() / max(areas[1].mean(), 1)),
    }


def _strangers(
    view: View,
    containers: Detections,
    known: Mapping[str, Sequence[int]],
    missed: NDArray[np.float32],
) -> list[Observation]:
    """Containers that nobody registered; `known` are the others, by asset.

    `missed` (N, 4) px is where this view should show registered ones that were not found.
    """
    lost = [a for a in view.site.assets if a.purpose == "waste" and a.id not in known]
    own = {index for home in known.values() for index in home}
    strange = [
        index not in own and not _may_be(view, box, lost, missed)
        for index, box in enumerate(containers.boxes)
    ]
    return _found(view, "waste.container", containers.where(np.array(strange, bool)))


def _may_be(
    view: View, box: NDArray[np.float32], lost: Sequence[Asset], missed: NDArray[np.float32]
) -> bool:
    """Whether a box (4,) may show a registered container that was not found."""
    position = view.place(box)[1]
    if position is not None:
        exact = view.frame.ground is not None
        return any(may_be_at(asset.geometry, position, exact) for asset in lost)
    if view.camera is None:
        return bool(lost)
    low, high = np.maximum(box[:2], missed[:, :2]), np.minimum(box[2:], missed[:, 2:])
    return bool((low < high).all(1).any())


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
