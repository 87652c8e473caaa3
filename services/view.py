"""What a purpose sees of one image, and what it must offer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.detections import Detections
from models.redaction import RedactedFrame
from services.events import Evidence, Observation
from services.judgement import Limits
from services.sites import Asset, Camera, Site


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
    """

    site: Site
    camera: Camera | None
    frame: RedactedFrame
    detections: Mapping[str, Detections]
    models: Mapping[str, str]
    work: str
    redacted_key: str

    def outline(self, asset: Asset) -> NDArray[np.float32]:
        """The asset's outline (N, 2) in px of this frame, scaled from the size it was drawn in."""
        assert self.camera is not None
        drawn = asset.views[self.camera.id]
        return np.array(self.camera.scaled(drawn, self.frame.pixels.shape[:2]), np.float32)

    def observe(
        self,
        asset: str,
        quantity: str,
        polygon: NDArray[np.float32],
        model: str,
        *,
        value: float | None = None,
        reason: str | None = None,
        confidence: float | None = None,
        detail: Mapping[str, float] | None = None,
    ) -> Observation:
        """An observation of `asset` (URN) in this view, its outline (N, 2) px as evidence.

        `value` is a probability; where it is None, `reason` says why.
        """
        outline = tuple((round(float(x), 1), round(float(y), 1)) for x, y in polygon)
        return Observation(
            work=self.work,
            asset=asset,
            quantity=quantity,
            value=None if value is None else round(value, 4),
            unit="1",
            reason=reason,
            confidence=None if confidence is None else round(confidence, 4),
            observed_at=self.frame.captured_at,
            time_source=self.frame.time_source,
            evidence=Evidence(key=self.redacted_key, sha256=self.frame.digest, polygon=outline),
            model=self.models[model],
            detail={name: round(float(share), 4) for name, share in (detail or {}).items()},
        )


class Purpose(Protocol):
    """A module in `services/purposes/`."""

    DETECTORS: tuple[str, ...]

    @staticmethod
    def measure(view: View) -> list[Observation]: ...  # noqa: D102 - see the class

    @staticmethod
    def judgement(limits: Mapping[str, float]) -> Mapping[str, Limits]: ...  # noqa: D102
