"""What looks at a picture: the redactor first, then the detectors, which only see its result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from models.detections import Detections
from models.detectors import Detector
from models.errors import BadImage
from models.frame import Frame, decode
from models.redaction import Polygon, RedactedFrame, Redactor
from models.registration import MODEL as REGISTRATION
from services.audit import Witness
from services.outcome import Stages, Testimony
from services.sites import Site
from services.tiles import LEGIBLE_M, LIMITS, HeightSource
from services.view import alike

_VERSION = f"vigie@{version('vigie')}"


@dataclass(frozen=True, slots=True)
class Eyes:
    """decode → redact → detect: the part of the line that needs no store and no site.

    Attributes:
        redactor: covers personal data.
        detectors: name → detector.
        above: covers it in pictures from straight above that may show persons; `redactor` if None.
    """

    redactor: Redactor
    detectors: Mapping[str, Detector]
    above: Redactor | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """`name@digest` of all that decides what is said of an image.

        Vigie's own version is part of it: how detections become observations changes with it.
        """
        found = sorted(d.model for d in self.detectors.values())
        above = [self.above.model] if self.above else []
        return (self.redactor.model, *above, *found, REGISTRATION, _VERSION)

    def redactor_at(self, gsd_m: float | None) -> Redactor:
        """What covers personal data where a px shows `gsd_m` of ground; None in other pictures."""
        legible = gsd_m is not None and gsd_m < LEGIBLE_M
        return self.above if self.above and legible else self.redactor

    @property
    def height_source(self) -> HeightSource | None:
        """The detector that tells heights, where there is one."""
        told = (d for d in self.detectors.values() if isinstance(d, HeightSource))
        return next(told, None)

    def testimony(self, witness: Witness, data: bytes, gsd_m: float | None = None) -> Testimony:
        """What the audit wants to know of the redaction of this original."""
        redactor = self.redactor_at(gsd_m)
        return {
            "original": witness.original(data),
            "redactor": redactor.model,
            "thresholds": dict(redactor.thresholds),
        }

    def see(
        self,
        key: str,
        data: bytes,
        *,
        stored_at: datetime,
        site: Site | None = None,
        stages: Stages | None = None,
    ) -> tuple[RedactedFrame, dict[str, Detections]]:
        """The redacted picture and what was found in it.

        Raises:
            BadImage: the picture is damaged, hostile or too large.
            RedactionFailed: personal data could not be covered with certainty.
            BadAnswer: what a detector says cannot be trusted.
        """
        stages = stages or Stages()
        camera = site.camera_of(key) if site else None
        survey = site.survey_of(key) if site else None
        source = camera or survey
        with stages.of("decode"):
            original = decode(
                key,
                data,
                source=source.id if source else "picture",
                stored_at=stored_at,
                key_time=site.captured_at(key) if site else None,
                zone=site.time_zone if site else UTC,
                gsd_m=survey.gsd_m if survey else None,
                limits=LIMITS,
            )
        size_hw = original.pixels.shape[:2]
        if camera and camera.private_zones and not alike(size_hw, camera.size_wh):
            told = f"{size_hw[1]}×{size_hw[0]} px: its private zones are drawn on another shape"
            raise BadImage("unlike_camera", told)
        zones = [camera.scaled(z, size_hw) for z in camera.private_zones] if camera else ()
        return self.look(original, zones, data, stages)

    def look(
        self, frame: Frame, zones: Sequence[Polygon], data: bytes | None, stages: Stages
    ) -> tuple[RedactedFrame, dict[str, Detections]]:
        """`see`, for what is decoded already: `zones` in px, `data` the file that it comes from."""
        with stages.of("redact"):
            redacted = self.redactor_at(frame.gsd_m)(frame, zones, original=data)
            del frame  # nothing below may see it
        with stages.of("detect"):
            return redacted, {name: find(redacted) for name, find in self.detectors.items()}
