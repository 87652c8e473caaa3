"""What a site file says of occupancy: kinds of assets, their limits, and what cannot be told."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Self

import numpy as np
import shapely
from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.camera_ground import area_m2
from services.site_fields import Asset
from services.site_yaml import Path
from services.standing import drawn, share_in, within

if TYPE_CHECKING:
    from services.sites import Site

KINDS: Mapping[str, str] = {
    "stall": "vehicle",
    "car-park": "vehicle",
    "street-parking": "vehicle",
    "queue": "vehicle",
    "cycle-park": "cycle",
    "square": "person",
    "pitch": "person",
}
"""Kind of asset → the group that is counted there."""

PARKING = ("car-park", "street-parking")
"""Kinds that are the sum of the stalls in them, where there are any."""

USED = (0.08, 0.97)  # `python -m benchmarks.in_use`
"""Probability that anybody is on a pitch, where nobody is found and where somebody is."""

_HIDDEN = 0.5  # share of an outline in private zones from which it was drawn by mistake
_LINE_PX = 5.0  # by which a point of a line may lie beside its queue: both are drawn by hand


def few_reach(min_count: int) -> int:
    """Number of people at which the range that stands for fewer than `min_count` ends, or below.

    That of the shipped weights ends there with half as much variance again, too: another training
    shall refuse no site.
    """
    return 2 * min_count + 1


class Limits(BaseModel):
    """Limits an asset may set: none that nothing could reach, or fall below.

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
    available: float = Field(default=0.85, gt=0, le=2)
    taken: float = Field(default=0.7, ge=0, lt=1)
    freed: float = Field(default=0.3, gt=0, le=1)
    dwell_minutes: float = Field(default=10, ge=0)
    stale_hours: float = Field(default=3, gt=0)

    @model_validator(mode="after")
    def _gap(self) -> Self:
        if self.available > self.full or self.freed > self.taken:
            raise ValueError("available must not be above full, nor freed above taken")
        return self


def contradictions(site: "Site") -> Iterator[tuple[Path, str]]:
    """What is right by itself, yet leaves an asset of occupancy with nothing true to tell."""
    assets = [(i, asset) for i, asset in enumerate(site.assets) if asset.purpose == "occupancy"]
    counted = {KINDS[asset.kind] for _, asset in assets}
    for label in sorted(counted.intersection(site.redaction.cover)):
        yield (
            ("redaction", "cover"),
            f"a {label} that is covered cannot be counted; leave {label} out, or who is counted",
        )
    for i, asset in assets:
        path = ("assets", i)
        if len(asset.views) > 1:
            yield (
                (*path, "views"),
                "one camera alone counts an asset; make what each one sees an asset of its own",
            )
        elif asset.line is not None and (asset.kind != "queue" or not asset.views):
            yield (*path, "line"), "only a queue has a line, in the view of its camera"
        else:
            yield from _undrawable(asset, site, path)
            if told := _unreachable(asset, site):
                yield (*path, "limits", "capacity"), told
            yield from _unusable(asset, path)


def _undrawable(asset: Asset, site: "Site", path: Path) -> Iterator[tuple[Path, str]]:
    """Outlines and lines in which a camera sees nothing to count."""
    for camera in (camera for camera in site.cameras if camera.id in asset.views):
        place = (*path, "views", camera.id)
        outline = np.array(asset.views[camera.id], np.float32)
        zones = shapely.union_all([drawn(np.array(zone)) for zone in camera.private_zones])
        if share_in(outline, zones) > _HIDDEN:
            yield place, "lies in a private zone, where nothing is counted; draw it beside that"
        if camera.ground is not None and area_m2(drawn(outline), camera.ground) is None:
            yield place, f"reaches beyond the horizon of the ground of {camera.id}; draw it lower"
        width, height = camera.size_wh
        for j, (x, y, _) in enumerate(asset.line or ()):
            if not (0 <= x <= width and 0 <= y <= height):
                yield (*path, "line", j), f"[{x:g}, {y:g}] is outside the picture of {camera.id}"
            elif drawn(outline).distance(shapely.Point(x, y)) > _LINE_PX:
                yield (
                    (*path, "line", j),
                    f"[{x:g}, {y:g}] is outside the outline, where no vehicle counts; draw that "
                    "around the whole line",
                )


def _unusable(asset: Asset, path: Path) -> Iterator[tuple[Path, str]]:
    """Limits by which a pitch would always be in use, or never."""
    limits, (empty, used) = Limits.model_validate(asset.limits), USED
    if asset.kind == "pitch":
        told = f"a pitch is in use by {used} where people are found, by {empty} where none are"
        if limits.taken > used:
            yield (*path, "limits", "taken"), f"is never reached: {told}; write {used} or less"
        if limits.freed <= empty:
            yield (*path, "limits", "freed"), f"nothing is below: {told}; write more than {empty}"


def _unreachable(asset: Asset, site: "Site") -> str | None:
    """Why an asset's share of its capacity could never become full, or available again."""
    limits = Limits.model_validate(asset.limits)
    if limits.capacity is None:
        return None
    stalls = _stalls_in(asset, site)
    if 0 < stalls < limits.full * limits.capacity:
        return f"is never full with {stalls} stalls drawn in it; draw all, or write {stalls}"
    if KINDS[asset.kind] == "person" and limits.available * limits.capacity <= few_reach(
        site.min_count
    ):
        return (
            f"fewer than {site.min_count} people (min_count) are told as a range that may reach "
            f"{few_reach(site.min_count)}, so it never has room again; count in a larger place"
        )
    return None


def _stalls_in(asset: Asset, site: "Site") -> int:
    """How many stalls a car park or street is the sum of."""
    if asset.kind not in PARKING:
        return 0
    stalls = [one for one in site.assets if one.kind == "stall" and one.purpose == "occupancy"]
    for camera, outline in asset.views.items():
        middles = [np.mean(one.views[camera], 0) for one in stalls if camera in one.views]
        points = np.array(middles, np.float32).reshape(-1, 2)
        return int(within(np.array(outline, np.float32), points).sum())
    if asset.geometry.type != "Polygon":
        return 0
    ground = shapely.geometry.shape(asset.geometry.model_dump())
    return sum(
        ground.covers(shapely.geometry.shape(one.geometry.model_dump()).centroid) for one in stalls
    )
