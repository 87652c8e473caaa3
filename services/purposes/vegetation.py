"""Vegetation: how high it stands, what needs mowing, pruning or water, what grows into the way.

From straight above heights come from maps (`services.survey_map`), never from one picture; a fixed
camera sees grass. Each asset says by its `kind` what is measured there:

- `parcel`, a polygon, from maps: `vegetation.height`, the mean height of its vegetation in metres;
  what is under half a metre is only told as a range. Its detail holds median and 95th percentile
  with their intervals. `vegetation.cover`, the share of it that is vegetation; `vegetation.over`,
  the share of it that is higher than the asset's limit `height_m`; `vegetation.unmown`, where the
  asset has a limit `mow_m`, the share that is higher than that and not than `height_m`, as trees
  are; `vegetation.vigour`, NDVI where the survey has a near infrared band, else the green leaf
  index; and `vegetation.dryness`, by how much that has fallen below the best of the same parcel's
  last 120 days, with the interval that both indices leave, a hint and no more. Where only the time
  of storing is known it is not told.
- `clearance`, a line such as a road, a path or a power line, from maps: `vegetation.encroachment`,
  the height in metres that four square metres of vegetation within `distance_m` of it reach; a
  range where that is under half a metre.
- `gauge`, an outline in a camera's view around a printed stake: `vegetation.grass` in centimetres.
- `lawn`, an outline in a camera's view: `vegetation.growth` since it was mown as on the camera's
  references; an index without a unit, about 1 where it is clearly grown, never centimetres.

Unknown where too little was analysed, or the view is dark or lost: never "low".
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models import gauge, growth
from models.gauge import read_gauge
from models.growth import growth_index
from models.heights import LOW_M
from services import judgement as judge
from services.events import Observation
from services.sites import Asset
from services.survey_map import SurveyMap
from services.survey_parcels import clearance, parcels
from services.view import View

DETECTORS = ("vegetation",)
MODELS: Mapping[str, str] = {"gauge": gauge.MODEL, "growth": growth.MODEL}
KINDS: Mapping[str, str] = {
    "parcel": "Polygon",
    "clearance": "LineString",
    "gauge": "",
    "lawn": "",
}
"""Kind of asset → the GeoJSON type of its geometry; any where only a camera sees it."""


class Limits(BaseModel):
    """Limits an asset may set.

    Attributes:
        height_m: height over which vegetation of a parcel is to be pruned.
        prune: share of the parcel so high from which pruning is due.
        pruned: share under which it is done.
        mow_m: height over which a parcel is to be mown, below `height_m`; none where maps do not
            say so.
        mow: share of the parcel so high from which mowing is due.
        mown: share under which it is done.
        distance_m: on either side of a line, within which it shall be clear.
        encroached_m: height from which vegetation grows into the way.
        cleared_m: height under which it does so no longer.
        mow_cm: height of grass at a gauge from which mowing is due.
        mown_cm: height under which it is done.
        grown: growth index of a lawn from which mowing is due.
        cut: growth index under which it is done.
        dry: fall of vigour from which a parcel may want water.
        watered: fall under which it does so no longer.
        dwell_hours: how long a value that a camera sees must stay past a limit.
        stale_days: how long a status holds without a new observation.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    height_m: float = Field(default=2.0, ge=LOW_M, le=60)
    prune: float = Field(default=0.2, gt=0, le=1)
    pruned: float = Field(default=0.1, ge=0, le=1)
    mow_m: float | None = Field(default=None, ge=LOW_M, le=5)
    mow: float = Field(default=0.5, gt=0, le=1)
    mown: float = Field(default=0.2, ge=0, le=1)
    distance_m: float = Field(default=2.0, gt=0, le=100)
    encroached_m: float = Field(default=2.0, ge=LOW_M, le=60)
    cleared_m: float = Field(default=1.0, ge=0, le=60)
    mow_cm: float = Field(default=12, gt=0, le=200)
    mown_cm: float = Field(default=8, ge=0, le=200)
    grown: float = Field(default=1.0, gt=0, le=10)
    cut: float = Field(default=0.5, ge=0, le=10)
    dry: float = Field(default=0.3, gt=0, le=1)
    watered: float = Field(default=0.15, ge=0, le=1)
    dwell_hours: float = Field(default=6, ge=0)
    stale_days: float = Field(default=400, gt=0)

    @model_validator(mode="after")
    def _gaps(self) -> Self:
        for enter, leave in _PAIRS.values():
            if getattr(self, leave) > getattr(self, enter):
                raise ValueError(f"{leave} must not be above {enter}")
        if self.mow_m is not None and self.mow_m >= self.height_m:
            raise ValueError("mow_m must be below height_m")
        return self


_PAIRS = {
    "vegetation.pruning": ("prune", "pruned"),
    "vegetation.encroachment": ("encroached_m", "cleared_m"),
    "vegetation.mowing": ("mow_cm", "mown_cm"),
    "vegetation.growing": ("grown", "cut"),
    "vegetation.unmown": ("mow", "mown"),
    "vegetation.dryness": ("dry", "watered"),
}
"""Condition → the limits at which it begins and ends."""

_SEEN_BY_CAMERAS = ("vegetation.mowing", "vegetation.growing")


def judgement(limits: Mapping[str, float]) -> Mapping[str, judge.Limits]:
    """Condition → how it is judged, for an asset with these limits."""
    own = Limits.model_validate(limits)
    return {
        name: judge.Limits(
            enter=(getattr(own, enter),),
            leave=(getattr(own, leave),),
            # A survey is flown once in months: nothing confirms it within hours.
            dwell=timedelta(hours=own.dwell_hours if name in _SEEN_BY_CAMERAS else 0),
            stale=timedelta(days=own.stale_days),
        )
        for name, (enter, leave) in _PAIRS.items()
    }


def measure(view: View) -> list[Observation]:
    """What a fixed camera sees of grass. Pictures from above are measured as maps."""
    if view.camera is None:
        return []
    seen = []
    for asset, outline in view.assets("vegetation"):
        if asset.kind == "gauge":
            seen.append(_grass(view, asset, outline))
        elif asset.kind == "lawn":
            seen.append(_growth(view, asset, outline))
    return seen


def _grass(view: View, asset: Asset, outline: NDArray[np.float32]) -> Observation:
    if view.unseen:
        return view.observe(asset.id, "vegetation.grass", outline, "gauge", reason=view.unseen)
    reading = read_gauge(view.frame.pixels, outline, view.frame.regions)
    return view.observe(
        asset.id,
        "vegetation.grass",
        outline,
        "gauge",
        value=reading.height_cm,
        unit="cm",
        low=reading.low_cm,
        high=reading.high_cm,
        reason=reading.reason,
        confidence=None if reading.height_cm is None else reading.confidence,
    )


def _growth(view: View, asset: Asset, outline: NDArray[np.float32]) -> Observation:
    reason: str | None = view.unseen
    index = None
    if view.known is None or view.sight is None or view.camera is None:
        reason = "no_references"
    elif reason is None:
        drawn = np.array(asset.views[view.camera.id], np.float32)
        frame, affine = view.frame, view.sight.affine
        references = view.known.references
        grown = growth_index(references, frame.pixels, drawn, affine, frame.regions)
        index, reason = grown.index, grown.reason
    return view.observe(
        asset.id, "vegetation.growth", outline, "growth", value=index, reason=reason
    )


def survey(of: SurveyMap) -> list[Observation]:
    """What a map says of parcels and of lines that shall be clear."""
    seen = []
    for asset, rings in of.assets("vegetation"):
        limits = Limits.model_validate(asset.limits)
        if asset.kind == "parcel":
            seen += parcels(of, asset, rings, limits.height_m, limits.mow_m)
        elif asset.kind == "clearance":
            line = rings[0]
            seen.append(clearance(of, asset, line, limits.distance_m, limits.encroached_m))
    return seen
