"""What became of one image: the form that shards write, the catalog keeps and reports read."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypedDict

from pydantic import Field, FiniteFloat

from models.counting import GROUPS
from models.detections import Detections
from models.redaction import RedactedFrame, Region
from services.events import Instant, Observation, Wire

Covered = dict[str, dict[str, int]]
"""Label → height in px of what was found, such as `24-47` → how many areas redaction covered.

Of who or what was covered nothing else is kept.
"""

_NOT_KEPT = (*GROUPS["person"], *GROUPS["cycle"])  # a box of a cycle is its rider's too


class Found(Wire):
    """A detected object: box xyxy px of the oriented image; state probabilities by name."""

    label: str
    score: FiniteFloat
    box: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]
    states: dict[str, FiniteFloat] = Field(default_factory=dict)


class Outcome(Wire):
    """One image, window or map, redacted or quarantined: nothing else can become of it.

    Its numbers are finite: JSON could not hold others, and whoever finds such is broken.

    Attributes:
        key: object key in the inbox; of a window of a raster, with its place (`Item.name`).
        work: identity of image, models and configuration.
        status: where it ended.
        reason: why it was quarantined.
        captured_at: capture time; the object's own time where the image could not be decoded.
        processed_at: when this became of it.
        original: HMAC of the original's digest (`services.audit`); empty where it was not read.
        redactor: name@digest of what covers personal data.
        thresholds: label → score from which the redactor covers.
        width, height: px, 0 where it could not be decoded.
        redacted_key: key in the redacted bucket.
        sha256: of the redacted object.
        covered: what was covered.
        detections: what was found, by all detectors.
        facts: probabilities about the whole image, such as `dirty`.
        observations: what was measured.
        files: what else was made of it, name → key in the redacted bucket (`services.maps`).
        seconds: time spent by stage.
    """

    key: str
    work: str
    status: Literal["redacted", "quarantined"]
    reason: str | None = None
    captured_at: Instant
    processed_at: Instant = Field(default_factory=lambda: datetime.now(UTC))
    original: str = ""
    redactor: str = ""
    thresholds: dict[str, FiniteFloat] = Field(default_factory=dict)
    width: int = 0
    height: int = 0
    redacted_key: str | None = None
    sha256: str | None = None
    covered: Covered = Field(default_factory=dict)
    detections: tuple[Found, ...] = ()
    facts: dict[str, FiniteFloat] = Field(default_factory=dict)
    observations: tuple[Observation, ...] = ()
    files: dict[str, str] = Field(default_factory=dict)
    seconds: dict[str, float] = Field(default_factory=dict)

    def published_as(self, sha256: str, seconds: dict[str, float]) -> "Outcome":
        """The same outcome once the redacted object, with this digest, stands in the store."""
        observations = tuple(o.evident_in(sha256) for o in self.observations)
        return self.model_copy(
            update={"sha256": sha256, "observations": observations, "seconds": seconds}
        )


@dataclass(slots=True)
class Stages:
    """Seconds spent in each stage of one image."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Time what happens inside."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(time.perf_counter() - began, 5)


class Described(TypedDict):
    """What there is to say of a redacted picture, in the terms of `Outcome`."""

    width: int
    height: int
    covered: Covered
    detections: tuple[Found, ...]
    facts: dict[str, float]


class Testimony(TypedDict):
    """What the audit wants to know besides, in the terms of `Outcome`."""

    original: str
    redactor: str
    thresholds: dict[str, float]


def described(frame: RedactedFrame, detections: Mapping[str, Detections]) -> Described:
    """Size, what was covered, objects and facts."""
    height, width = frame.pixels.shape[:2]
    return {
        "width": width,
        "height": height,
        "covered": covered(frame.regions),
        "detections": tuple(f for found in detections.values() for f in _objects(found)),
        "facts": {
            name: round(score, 4)
            for found in detections.values()
            for name, score in found.image_scores.items()
        },
    }


def covered(regions: Sequence[Region]) -> Covered:
    """How many areas were covered, by label and the height of what was found there."""
    bins: dict[str, Counter[str]] = {}
    for region in regions:
        bins.setdefault(region.label, Counter())[_bin(region.height_px)] += 1
    return {label: dict(counts) for label, counts in bins.items()}


def _bin(height_px: int) -> str:
    for name, limit_px in (("<6", 6), ("6-11", 12), ("12-23", 24), ("24-47", 48)):
        if height_px < limit_px:
            return name
    return ">=48"


def _objects(found: Detections) -> Iterator[Found]:
    rows = zip(found.boxes, found.scores, found.labels, found.states, strict=True)
    for (x1, y1, x2, y2), score, label, states in rows:
        if found.names[label] in _NOT_KEPT:
            continue  # people are counted, and what is kept of them is the number
        yield Found(
            label=found.names[label],
            score=round(float(score), 4),
            box=(
                round(float(x1), 1),
                round(float(y1), 1),
                round(float(x2), 1),
                round(float(y2), 1),
            ),
            states={
                name: round(float(share), 4)
                for name, share in zip(found.state_names, states, strict=True)
            },
        )
