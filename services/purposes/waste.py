"""Waste: which registered containers need attention, and waste or containers nobody registered.

Quantities, all probabilities (unit "1"):

- `waste.overflow` of a registered container: that waste lies over its rim or beside it. Unknown
  where the view is dark or lost, or the container is not seen at its place. Where the camera has
  references, a place that looks as it does on them counts as clean even if the detector misses the
  container, and one that looks like nothing on them is occluded. Its detail holds the probability
  of each state where the container is seen (those that need attention add up to the value), the
  expected `severity` (0 clean, 1 a little litter, 2 waste beside it, 3 overflow), score, count and
  area (in containers) of the waste beside it, and how much its place and its colours changed.
- `waste.container` of a container that matches no registered one, reported once a place.
- `waste.dump` of waste beside no container, in pictures from straight above.
- `waste.dirty` of the whole view, but not from above: that waste lies about anywhere in it.
"""

import math
from collections.abc import Mapping
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.detections import Detections
from models.detectors.waste import MAX_GSD_M
from models.registration import Change
from services import judgement as judge
from services.events import Observation
from services.sites import Asset
from services.view import View, short, urn
from services.visibility import DARK_LEVEL, dark

DETECTORS = ("waste",)

_SAME_PLACE_IOU = 0.3  # of the box around a registered outline and a detected container
_SAME_PLACE_M = 3.0  # from a registered position to the middle of a container seen from above
_SEVERITY = {"clean": 0, "minor_litter": 1, "side_waste": 2, "overflow": 3}
_CALM = ("clean", "minor_litter")
_HIDDEN = 0.15  # change from which something else may stand where no container is detected
# Logistic regressions on drawn days (benchmarks/drawn_waste.py): constant, slope on the log odds by
# the detector, slope on the root of the change of colour; and constant and slope on that alone.
_TOGETHER = (-1.94, 1.68, 26.4)
_BY_CHANGE = (-3.34, 37.4)
_SUREST = 0.99  # that the detector's answer counts for, either way


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
    unseen = view.unseen or ("too_coarse" if (view.frame.gsd_m or 0) > MAX_GSD_M else None)
    assets = view.assets("waste")
    matched = {} if unseen else _matched(view, assets, containers.boxes)
    observations = []
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
        else:
            observations.append(_overflow(view, asset, outline, containers, index, waste, change))
    # In a view that moved, registered containers stand at places that nobody registered.
    strangers = set() if unseen else set(range(len(containers))) - set(matched.values())
    observations += [_stranger(view, "waste.container", containers, i) for i in sorted(strangers)]
    if view.frame.gsd_m is not None:
        dumps = (i for i in range(len(waste)) if _alone(waste.boxes[i], containers))
        observations += [_stranger(view, "waste.dump", waste, i) for i in dumps]
    # Among all the squares of a picture from above there is always one that looks dirty.
    if view.frame.gsd_m is None or unseen:
        observations.append(_dirty(view, found.image_scores.get("dirty", 0.0), unseen))
    return observations


def _dirty(view: View, probability: float, unseen: str | None) -> Observation:
    place = f"view:{view.camera.id}" if view.camera else f"picture:{short(view.frame.key)}"
    reason = unseen or ("dark" if view.frame.pixels.mean() < DARK_LEVEL else None)
    return view.observe(
        urn(view.site, place),
        "waste.dirty",
        view.whole(),
        "waste",
        value=None if reason else probability,
        reason=reason,
        confidence=None if reason else max(probability, 1 - probability),
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
    containers: Detections,
    index: int | None,
    waste: Detections,
    change: Change | None,
) -> Observation:
    states: dict[str, float] = {}
    box = np.concatenate([outline.min(0), outline.max(0)])
    if index is not None:
        box = containers.boxes[index]
        states = dict(zip(containers.state_names, containers.states[index].tolist(), strict=True))
    detail = _waste_beside(box, waste)
    calm = sum(states.get(name, 0.0) for name in _CALM) if states else None
    probability = need(calm, detail["waste_beside"], None if change is None else change.colour)
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


def need(clean: float | None, waste_beside: float, change: float | None = None) -> float:
    """Probability that a container needs attention.

    Its own look and waste found beside it: either is enough (noisy-or), for a full container may
    have nothing beside it, and a bag beside it does not change its look. A fixed camera also knows
    what the place should look like: another colour on top of it speaks for waste, none against it.
    Where the detector misses the container (`clean` is None), that stands for its look.

    Args:
        clean: probability that it is by the look of the container.
        waste_beside: score of the best waste found beside it.
        change: `Change.colour` of its place; None without references.
    """
    if clean is None:
        assert change is not None
        constant, slope = _BY_CHANGE
        return 1 - _share(-constant - slope * math.sqrt(change)) * (1 - waste_beside)
    needs = 1 - clean * (1 - waste_beside)
    if change is None:
        return needs
    constant, by_look, by_change = _TOGETHER
    sure = min(max(needs, 1 - _SUREST), _SUREST)
    return _share(constant + by_look * math.log(sure / (1 - sure)) + by_change * math.sqrt(change))


def _share(odds: float) -> float:
    return 1 / (1 + math.exp(-odds))


def _waste_beside(box: NDArray[np.float32], waste: Detections) -> dict[str, float]:
    """Waste near a container's box: best score, count, area in containers."""
    near = _near(box, waste.boxes)
    area = np.prod(waste.boxes[near, 2:] - waste.boxes[near, :2], 1).sum()
    return {
        "waste_beside": float(waste.scores[near].max(initial=0.0)),
        "waste_count": float(near.sum()),
        "waste_area": float(area / max(np.prod(box[2:] - box[:2]), 1)),
    }


def _near(box: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which boxes (N, 4) lie within half a container's height of its box."""
    reach = (box[3] - box[1]) / 2
    left, top, right, bottom = others.T
    return np.asarray(
        (left < box[2] + reach)
        & (right > box[0] - reach)
        & (top < box[3] + reach)
        & (bottom > box[1] - reach)
    )


def _alone(box: NDArray[np.float32], containers: Detections) -> bool:
    """Whether waste lies beside no container."""
    return not any(_near(one, box[None]).any() for one in containers.boxes)


def _stranger(view: View, quantity: str, found: Detections, index: int) -> Observation:
    """What nobody registered, at its place."""
    x1, y1, x2, y2 = found.boxes[index]
    place, position = view.place(found.boxes[index])
    states = dict(zip(found.state_names, found.states[index].tolist(), strict=True))
    return view.observe(
        place,
        quantity,
        np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float32),
        "waste",
        value=float(found.scores[index]),
        confidence=float(found.scores[index]),
        detail=states if quantity == "waste.container" else None,
        position=position,
    )


def _matched(
    view: View, assets: list[tuple[Asset, NDArray[np.float32]]], boxes: NDArray[np.float32]
) -> dict[int, int]:
    """Asset → the container that stands at its place, the closest pairs first, each once.

    In a view its box overlaps the outline; from above, where positions are off by a metre or two,
    its middle is near.
    """
    pairs = []
    for number, (asset, outline) in enumerate(assets):
        place = np.concatenate([outline.min(0), outline.max(0)])
        if view.camera is None and asset.geometry.type == "Point":
            assert view.frame.gsd_m is not None
            away = np.linalg.norm((boxes[:, :2] + boxes[:, 2:]) / 2 - outline.mean(0), axis=1)
            close, least = 1 - away * view.frame.gsd_m / _SAME_PLACE_M, 0.0
        else:
            close, least = _iou(place, boxes), _SAME_PLACE_IOU
        pairs += [(-c, number, i) for i, c in enumerate(close.tolist()) if c >= least]
    matched: dict[int, int] = {}
    for _, number, index in sorted(pairs):
        if number not in matched and index not in matched.values():
            matched[number] = index
    return matched


def _iou(place: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = np.maximum(boxes[:, :2], place[:2]), np.minimum(boxes[:, 2:], place[2:])
    shared = np.prod(np.clip(high - low, 0, None), 1)
    sizes = np.prod(boxes[:, 2:] - boxes[:, :2], 1) + np.prod(place[2:] - place[:2])
    return np.asarray(shared / (sizes - shared), np.float32)
