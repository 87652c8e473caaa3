"""What a purpose sees of one image, and what it must offer."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from models.detections import Detections
from models.detectors import Detector
from models.frame import Position
from models.ground import Ground
from models.plan import GRID_PX, plan_of
from models.redaction import PRIVATE_ZONE, RedactedFrame
from models.registration import Change, KnownView, Sight
from services.events import Observation
from services.judgement import LOST_VIEW, Limits
from services.observing import Observing, Origin
from services.places import earth_place, place_urn
from services.sites import Asset, Camera, Site

POINT_M = 2.0
"""Side of the square that stands for an asset whose geometry is a point."""

RIM_M = 2.0
"""What the border of a picture from above cuts lies within it: people, faces, plates, vehicles."""

_OTHER_SHAPE = 0.02  # of the ratio of width to height; codecs cut off some rows
_CELLS = 16  # along the longer side of a view: something that stands about a container's width off


@dataclass(frozen=True, eq=False)
class View(Observing):
    """One redacted image of a site with what the detectors found in it.

    Attributes:
        site: the site.
        camera: the fixed camera it comes from, None for any other picture.
        frame: the redacted image.
        detections: detector name → what it found.
        models: detector name → `name@digest`.
        work: identity of image, models and configuration.
        redacted_key: where the redacted image is kept.
        known: the camera's view as it should be; None without references.
        sight: what became of it in this image.
        detectors: detector name → detector, for what a purpose asks about places of its own.
        valid: bool (H, W) px of a window of a raster, where there is data; None where all is.
    """

    site: Site
    camera: Camera | None
    frame: RedactedFrame
    detections: Mapping[str, Detections]
    models: Mapping[str, str]
    work: str
    redacted_key: str
    known: KnownView | None = None
    sight: Sight | None = None
    detectors: Mapping[str, Detector] = field(default_factory=dict)
    valid: NDArray[np.bool_] | None = None

    @property
    def origin(self) -> Origin:
        """What all that is observed in this view has in common."""
        frame = self.frame
        return Origin(
            self.site,
            self.camera.id if self.camera else None,
            self.work,
            frame.captured_at,
            frame.time_source,
            self.redacted_key,
            frame.digest,
            frame.redactor,
            self.models,
        )

    @property
    def unseen(self) -> Literal["dark", "view_lost"] | None:
        """Why nothing can be said of what the camera should show; None where it shows it."""
        if self.sight is None:
            camera, size_hw = self.camera, self.frame.pixels.shape[:2]
            return None if camera is None or alike(size_hw, camera.size_wh) else "view_lost"
        if self.sight.state == "seen":
            return None
        return "dark" if self.sight.state == "dark" else "view_lost"

    def assets(self, purpose: str) -> list[tuple[Asset, NDArray[np.float32]]]:
        """The assets of a purpose that this picture shows, with their outlines (N, 2) in px.

        A fixed camera shows those with an outline in its view, moved as the view has moved, but
        not off the border where it is drawn there: what the picture cuts has its feet on it. An
        orthophoto those whose geometry lies whole in it and not on its rim, a point as a square of
        `POINT_M`: of one that is cut, a part would be taken for all.
        """
        if self.camera is not None:
            listed = self.site.assets_in(self.camera.id, purpose)
            return [(a, self.placed(a.views[self.camera.id], at_border=True)) for a in listed]
        if self.frame.ground is None or self.frame.gsd_m is None:
            return []
        height, width = self.frame.pixels.shape[:2]
        ground, gsd_m = self.frame.ground, self.frame.gsd_m
        rim, shown = RIM_M / gsd_m, []
        for asset in (a for a in self.site.assets if a.purpose == purpose):
            outline = np.asarray(rings_from_above(asset, ground, gsd_m)[0], np.float32)
            if (outline >= rim).all() and (outline <= [width - rim, height - rim]).all():
                shown.append((asset, outline))
        return shown

    def holes(self, asset: Asset) -> list[NDArray[np.float32]]:
        """What is no part of an asset's outline from above, though it lies within: (N, 2) px."""
        if self.camera is not None or self.frame.ground is None or self.frame.gsd_m is None:
            return []
        rings = rings_from_above(asset, self.frame.ground, self.frame.gsd_m)
        return [ring.astype(np.float32) for ring in rings[1:]]

    @cached_property
    def hidden(self) -> NDArray[np.bool_]:
        """Which px (H, W) say nothing of the place: covered by redaction, or without data."""
        height, width = self.frame.pixels.shape[:2]
        hidden = np.zeros((height, width), bool) if self.valid is None else ~self.valid
        for region in self.frame.regions:
            # The region of a camera's zone is the box around it, which holds more than is hidden.
            if self.camera is None or region.label != PRIVATE_ZONE:
                x1, y1, x2, y2 = region.box
                hidden[y1:y2, x1:x2] = True
        zones = [zone.tolist() for zone in self.private_zones(moved=False)]
        blocks = plan_of((height, width), (), zones, "solid").solid
        return hidden | blocks.repeat(GRID_PX, 0).repeat(GRID_PX, 1)[:height, :width]

    def private_zones(self, *, moved: bool) -> list[NDArray[np.float32]]:
        """The camera's private zones (N, 2) px: as redaction covered them, or moved with the view.

        Redaction cannot move them: only its result may be compared with the references.
        """
        zones = self.camera.private_zones if self.camera else ()
        return [self.placed(zone, moved=moved) for zone in zones]

    def placed(
        self,
        points: Sequence[tuple[float, float]],
        *,
        moved: bool = True,
        at_border: bool = False,
    ) -> NDArray[np.float32]:
        """Points drawn in the camera's view, (N, 2) px of this picture, moved as the view has.

        With `at_border`, those drawn on the picture's border stay on it, or move beyond it.
        """
        assert self.camera is not None
        drawn = np.array(points, np.float64)
        if moved and self.sight is not None and self.sight.affine is not None:
            drawn = drawn @ self.sight.affine[:, :2].T + self.sight.affine[:, 2]
        height, width = self.frame.pixels.shape[:2]
        here = np.array(self.camera.scaled(drawn.tolist(), (height, width)), np.float32)
        if at_border:
            first, last = np.array(points) <= 0, np.array(points) >= self.camera.size_wh
            here = np.where(first, np.minimum(here, 0), here)
            here = np.where(last, np.maximum(here, np.array([width, height], np.float32)), here)
        return here

    def change(self, asset: Asset) -> Change | None:
        """How much an asset's place differs from the references; None without them."""
        if self.known is None or self.sight is None or self.sight.affine is None:
            return None
        assert self.camera is not None
        drawn = np.array(asset.views[self.camera.id], np.float32)
        return self.known.change(self.frame.pixels, self.sight, drawn, self.frame.regions)

    def place(self, box: NDArray[np.float32]) -> tuple[str, Position | None]:
        """Where something that nobody registered stands: the URN of its place, and its position.

        The place is a cell of the camera's view as it should be; of the Earth in an orthophoto, or
        where the site locates pictures by EXIF and this one knows where it was taken; else of this
        picture alone.

        Args:
            box: xyxy px in this frame; it stands on the middle of its lower side.
        """
        height, width = self.frame.pixels.shape[:2]
        foot = np.array([(box[0] + box[2]) / 2 / width, box[3] / height], np.float64)
        position = None
        if self.frame.ground is not None:
            middle = np.array([[box[0] + box[2], box[1] + box[3]]], np.float64) / 2
            longitude, latitude = self.frame.ground.lon_lat(middle)[0].tolist()
            position = round(longitude, 6), round(latitude, 6)
        elif self.camera is None and self.site.locate == "exif":
            position = self.frame.position
        if position is not None:
            return earth_place(self.site, position, self.frame.ground is not None), position
        size = np.array(self.camera.size_wh if self.camera else (width, height), np.float64)
        foot *= size
        if self.sight is not None and self.sight.affine is not None:
            linear, shift = self.sight.affine[:, :2], self.sight.affine[:, 2]
            foot = np.asarray(np.linalg.solve(linear, foot - shift), np.float64)
        column, row = (foot / size.max() * _CELLS).astype(int).tolist()
        within = self.camera.id if self.camera else short(self.frame.key)
        return place_urn(self.site, within, column, row), None

    def whole(self) -> NDArray[np.float32]:
        """The outline (4, 2) of the whole frame."""
        height, width = self.frame.pixels.shape[:2]
        return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)

    def sightings(self) -> list[Observation]:
        """Whether the camera no longer shows its known view: `site.view.lost`, 0 or 1.

        Nothing is said of a camera that has no references and may fall silent.
        """
        if self.camera is None or (self.sight is None and self.camera.silent_hours is None):
            return []
        state = "no_references" if self.sight is None else self.sight.state
        known = state in ("seen", "lost")
        sighting = self.observe(
            urn(self.site, f"view:{self.camera.id}"),
            LOST_VIEW,
            self.whole(),
            "registration",
            value=float(state == "lost") if known else None,
            reason=None if known else state,
            detail=None if self.sight is None else {"matches": self.sight.matches},
        )
        return [sighting]


def alike(size_hw: tuple[int, ...], size_wh: tuple[int, int]) -> bool:
    """Whether a picture has a camera's shape: one that is turned or cropped has not."""
    ratio = (size_hw[1] * size_wh[1]) / (size_hw[0] * size_wh[0])
    return abs(math.log(ratio)) < _OTHER_SHAPE


def rings_from_above(asset: Asset, ground: Ground, gsd_m: float) -> list[NDArray[np.float64]]:
    """The outlines (N, 2) px of an asset's geometry.

    A polygon has an outer ring, then its holes; a line has itself; a point a square of `POINT_M`.

    Args:
        asset: what stands there.
        ground: of the pixels.
        gsd_m: metres of ground that one of them shows.
    """
    geometry = asset.geometry
    if geometry.type == "Polygon":
        return [ground.px(np.array(ring[:-1], np.float64)) for ring in geometry.coordinates]
    if geometry.type == "LineString":
        return [ground.px(np.array(geometry.coordinates, np.float64))]
    middle = ground.px(np.array([geometry.coordinates], np.float64))
    half = POINT_M / gsd_m / 2
    return [middle + np.array([[-half, -half], [half, -half], [half, half], [-half, half]])]


def short(key: str) -> str:
    """A picture's name in URNs: object keys may hold what these may not."""
    return sha256(key.encode()).hexdigest()[:12]


def urn(site: Site, place: str) -> str:
    """The URN of something at a site that is no asset, such as `view:<camera id>`."""
    return f"urn:vigie:{site.territory}:{site.site}:{place}"


class Purpose(Protocol):
    """A module in `services/purposes/`."""

    DETECTORS: tuple[str, ...]

    @staticmethod
    def measure(view: View) -> list[Observation]: ...  # noqa: D102 - see the class

    @staticmethod
    def judgement(limits: Mapping[str, float]) -> Mapping[str, Limits]: ...  # noqa: D102
