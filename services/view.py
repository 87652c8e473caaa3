"""What a purpose sees of one image, and what it must offer."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from models.capture import CELL_DEGREES
from models.detections import Detections
from models.detectors import Detector
from models.frame import Position
from models.redaction import RedactedFrame
from models.registration import KnownView, Sight
from services.events import Evidence, Observation
from services.judgement import LOST_VIEW, Limits
from services.places import place_urn
from services.sites import Asset, Camera, Site

POINT_M = 2.0
"""Side of the square that stands for an asset whose geometry is a point."""

_CELLS = 16  # along the longer side of a view: something that stands about a container's width off


@dataclass(frozen=True, slots=True, eq=False)
class View:
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

    @property
    def unseen(self) -> Literal["dark", "view_lost"] | None:
        """Why nothing can be said of what the camera should show; None where it shows it."""
        if self.sight is None or self.sight.state == "seen":
            return None
        return "dark" if self.sight.state == "dark" else "view_lost"

    def assets(self, purpose: str) -> list[tuple[Asset, NDArray[np.float32]]]:
        """The assets of a purpose that this picture shows, with their outlines (N, 2) in px.

        A fixed camera shows those with an outline in its view, moved as the view has moved; an
        orthophoto those whose geometry lies in it, a point as a square of `POINT_M`.
        """
        if self.camera is not None:
            listed = self.site.assets_in(self.camera.id, purpose)
            return [(asset, self._outline(asset)) for asset in listed]
        if self.frame.ground is None:
            return []
        height, width = self.frame.pixels.shape[:2]
        shown = []
        for asset in (a for a in self.site.assets if a.purpose == purpose):
            outline = self._from_above(asset)
            x, y = outline.mean(0)
            if 0 <= x < width and 0 <= y < height:
                shown.append((asset, outline))
        return shown

    def _from_above(self, asset: Asset) -> NDArray[np.float32]:
        assert self.frame.ground is not None
        assert self.frame.gsd_m is not None
        geometry = asset.geometry
        if geometry.type == "Polygon":
            ring = np.array(geometry.coordinates[0][:-1], np.float64)
            return np.asarray(self.frame.ground.px(ring), np.float32)
        middle = self.frame.ground.px(np.array([geometry.coordinates], np.float64))
        half = POINT_M / self.frame.gsd_m / 2
        square = np.array([[-half, -half], [half, -half], [half, half], [-half, half]])
        return np.asarray(middle + square, np.float32)

    def _outline(self, asset: Asset) -> NDArray[np.float32]:
        assert self.camera is not None
        drawn = np.array(asset.views[self.camera.id], np.float64)
        if self.sight is not None and self.sight.affine is not None:
            drawn = drawn @ self.sight.affine[:, :2].T + self.sight.affine[:, 2]
        here = self.camera.scaled(drawn.tolist(), self.frame.pixels.shape[:2])
        return np.array(here, np.float32)

    def change(self, asset: Asset) -> float | None:
        """How much an asset's place differs from the references, in [0, 1]; None without them."""
        if self.known is None or self.sight is None or self.sight.affine is None:
            return None
        assert self.camera is not None
        drawn = np.array(asset.views[self.camera.id], np.float32)
        return self.known.change(self.frame.pixels, self.sight, drawn)

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
            column, row = (math.floor(degrees / CELL_DEGREES) for degrees in position)
            return place_urn(self.site, "earth", column, row), position
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

    def sighting(self) -> Observation:
        """Whether the camera no longer shows its known view: `site.view.lost`, 0 or 1."""
        assert self.camera is not None
        assert self.sight is not None
        dark = self.sight.state == "dark"
        return self.observe(
            urn(self.site, f"view:{self.camera.id}"),
            LOST_VIEW,
            self.whole(),
            "registration",
            value=None if dark else float(self.sight.state == "lost"),
            reason="dark" if dark else None,
            detail={"matches": self.sight.matches},
        )

    def observe(
        self,
        asset: str,
        quantity: str,
        polygon: NDArray[np.float32],
        model: str,
        *,
        value: float | None = None,
        unit: str = "1",
        low: float | None = None,
        high: float | None = None,
        reason: str | None = None,
        confidence: float | None = None,
        detail: Mapping[str, float] | None = None,
        position: Position | None = None,
    ) -> Observation:
        """An observation of `asset` (URN) in this view, its outline (N, 2) px as evidence.

        Where `value` is None, `reason` says why; `low` and `high` are its 90 % interval, None for a
        probability.
        """
        outline = tuple((round(float(x), 1), round(float(y), 1)) for x, y in polygon)
        return Observation(
            work=self.work,
            asset=asset,
            kind=self.site.kinds.get(asset),
            camera=self.camera.id if self.camera else None,
            quantity=quantity,
            value=None if value is None else round(value, 4),
            unit=unit,
            low=None if low is None else round(low, 4),
            high=None if high is None else round(high, 4),
            reason=reason,
            confidence=None if confidence is None else round(confidence, 4),
            observed_at=self.frame.captured_at,
            time_source=self.frame.time_source,
            evidence=Evidence(
                key=self.redacted_key,
                sha256=self.frame.digest,
                polygon=outline,
                redactor=self.frame.redactor,
            ),
            model=self.models[model],
            detail={name: round(float(share), 4) for name, share in (detail or {}).items()},
            position=position,
        )


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
