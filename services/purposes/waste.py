"""Waste: which registered containers need attention, and waste or containers nobody registered.

Quantities, all probabilities (unit "1"):

- `waste.overflow` of a registered container: that waste lies over its rim or beside it. Unknown
  where the view is dark or the container is not seen at its place.
- `waste.container` of a container that matches no registered one.
- `waste.dirty` of the whole view: that waste lies about anywhere in it.
"""

from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.detections import Detections
from services import judgement as judge
from services.events import Observation
from services.view import View

DETECTORS = ("waste",)

_SAME_PLACE_IOU = 0.3  # of the box around a registered outline and a detected container
_DARK_LEVEL = 14.0  # mean of 0 to 255 under which nothing can be said


class Limits(BaseModel):
    """Limits an asset may set.

    Attributes:
        enter: probability from which an overflow may start.
        leave: probability under which it may end.
        dwell_minutes: how long the probability must stay past a limit.
        stale_hours: how long a status holds without a new observation.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enter: float = Field(default=0.6, ge=0, le=1)
    leave: float = Field(default=0.4, ge=0, le=1)
    dwell_minutes: float = Field(default=0, ge=0)
    stale_hours: float = Field(default=48, gt=0)


def judgement(limits: Mapping[str, float]) -> Mapping[str, judge.Limits]:
    """Quantity → how it is judged, for an asset with these limits."""
    own = Limits.model_validate(limits)
    dwell, stale = timedelta(minutes=own.dwell_minutes), timedelta(hours=own.stale_hours)
    return {
        "waste.overflow": judge.Limits(enter=own.enter, leave=own.leave, dwell=dwell, stale=stale)
    }


def measure(view: View) -> list[Observation]:
    """The observations that one view supports."""
    found = view.detections["waste"]
    containers, waste = found.named("container"), found.named("waste")
    matched: set[int] = set()
    observations = []
    for asset in view.site.assets_in(view.camera.id, "waste") if view.camera else ():
        outline = view.outline(asset)
        x1, y1 = outline.min(0)
        x2, y2 = outline.max(0)
        index = _at(np.array([x1, y1, x2, y2], np.float32), containers.boxes)
        reason = None
        if _level(view.frame.pixels, x1, y1, x2, y2) < _DARK_LEVEL:
            reason = "dark"
        elif index is None:
            reason = "not_seen"
        if index is None or reason:
            observations.append(
                view.observe(asset.id, "waste.overflow", outline, "waste", reason=reason)
            )
        else:
            observations.append(_overflow(view, asset.id, outline, containers, index, waste))
        matched |= set() if index is None else {index}
    strangers = (i for i in range(len(containers)) if i not in matched)
    observations += [_unregistered(view, containers, i) for i in strangers]
    height, width = view.frame.pixels.shape[:2]
    whole = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    dirty = found.image_scores["dirty"]
    place = f"view:{view.camera.id}" if view.camera else f"picture:{_short(view.frame.key)}"
    if view.frame.pixels.mean() < _DARK_LEVEL:
        facts = view.observe(_urn(view, place), "waste.dirty", whole, "waste", reason="dark")
    else:
        facts = view.observe(
            _urn(view, place),
            "waste.dirty",
            whole,
            "waste",
            value=dirty,
            confidence=max(dirty, 1 - dirty),
        )
    return [*observations, facts]


def _overflow(
    view: View,
    asset: str,
    outline: NDArray[np.float32],
    containers: Detections,
    index: int,
    waste: Detections,
) -> Observation:
    states = dict(zip(containers.state_names, containers.states[index].tolist(), strict=True))
    beside = _waste_beside(containers.boxes[index], waste)
    probability = need(states, beside)
    return view.observe(
        asset,
        "waste.overflow",
        outline,
        "waste",
        value=probability,
        confidence=max(probability, 1 - probability),
        detail=states | {"waste_beside": beside},
    )


def need(states: Mapping[str, float], waste_beside: float) -> float:
    """Probability that a container needs attention: its own look, and waste found beside it.

    Either is enough (noisy-or): a full container may have nothing beside it, and a bag beside it
    does not change its look.
    """
    return 1 - states["clean"] * (1 - waste_beside)


def _waste_beside(box: NDArray[np.float32], waste: Detections) -> float:
    """Highest score of waste within half a container's height of its box."""
    x1, y1, x2, y2 = box
    reach = (y2 - y1) / 2
    left, top, right, bottom = waste.boxes.T
    near = (left < x2 + reach) & (right > x1 - reach) & (top < y2 + reach) & (bottom > y1 - reach)
    return float(waste.scores[near].max(initial=0.0))


def _unregistered(view: View, containers: Detections, index: int) -> Observation:
    x1, y1, x2, y2 = containers.boxes[index]
    outline = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float32)
    place = view.camera.id if view.camera else _short(view.frame.key)
    return view.observe(
        _urn(view, f"unregistered:{place}:{int(x1)}-{int(y1)}-{int(x2)}-{int(y2)}"),
        "waste.container",
        outline,
        "waste",
        value=float(containers.scores[index]),
        confidence=float(containers.scores[index]),
        detail=dict(zip(containers.state_names, containers.states[index].tolist(), strict=True)),
    )


def _at(place: NDArray[np.float32], boxes: NDArray[np.float32]) -> int | None:
    """Index of the box that covers `place` best, None where none does well enough."""
    if not len(boxes):
        return None
    low, high = np.maximum(boxes[:, :2], place[:2]), np.minimum(boxes[:, 2:], place[2:])
    shared = np.prod(np.clip(high - low, 0, None), 1)
    sizes = np.prod(boxes[:, 2:] - boxes[:, :2], 1) + np.prod(place[2:] - place[:2])
    iou = shared / (sizes - shared)
    best = int(iou.argmax())
    return best if iou[best] >= _SAME_PLACE_IOU else None


def _level(pixels: NDArray[np.uint8], x1: float, y1: float, x2: float, y2: float) -> float:
    part = pixels[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))]
    return float(part.mean()) if part.size else 0.0


def _urn(view: View, place: str) -> str:
    return f"urn:vigie:{view.site.territory}:{view.site.site}:{place}"


def _short(key: str) -> str:
    return sha256(key.encode()).hexdigest()[:12]
