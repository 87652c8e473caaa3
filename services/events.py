"""What was observed, and the events that say so: CloudEvents 1.0 in JSON.

Identity is derived, never drawn: `work` names one image under one set of models and one
configuration, so doing the same work again gives the same observations and the same event ids,
and a consumer drops repeats by id.
"""

import hashlib
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, model_validator

TYPE_PREFIX = "vigie."
OBSERVATION_RECORDED = "vigie.observation.recorded.v1"
OVERFLOW_STARTED = "vigie.waste.overflow.started.v1"
OVERFLOW_ENDED = "vigie.waste.overflow.ended.v1"
CONTAINER_FOUND = "vigie.waste.container.found.v1"
STALL_TAKEN = "vigie.occupancy.taken.v1"
STALL_FREED = "vigie.occupancy.freed.v1"
USE_STARTED = "vigie.occupancy.use.started.v1"
USE_ENDED = "vigie.occupancy.use.ended.v1"
OCCUPANCY_FULL = "vigie.occupancy.full.v1"
OCCUPANCY_AVAILABLE = "vigie.occupancy.available.v1"
VIEW_LOST = "vigie.site.view.lost.v1"
VIEW_RESTORED = "vigie.site.view.restored.v1"
IMAGE_QUARANTINED = "vigie.image.quarantined.v1"
BATCH_COMPLETED = "vigie.batch.completed.v1"

Probability = Annotated[float, Field(ge=0, le=1)]
Instant = Annotated[
    AwareDatetime,
    PlainSerializer(
        lambda t: t.astimezone(UTC).isoformat().replace("+00:00", "Z"), return_type=str
    ),
]


class Wire(BaseModel):
    """Frozen, and strict about unknown fields: what is written is what is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Evidence(Wire):
    """Where to look.

    Attributes:
        key: object key in the redacted bucket.
        sha256: of that object, hex.
        polygon: outline in px of the redacted image.
    """

    key: str
    sha256: str
    polygon: tuple[tuple[float, float], ...]


class Observation(Wire):
    """One measured quantity of one asset in one image.

    Attributes:
        work: identity of image, models and configuration (`work_key`).
        asset: URN.
        camera: id of the fixed camera that saw it, None for any other picture.
        quantity: what was measured, e.g. `waste.overflow`.
        value: None where it is unknown, with a `reason`; unknown is never "clean" or "free".
        unit: UCUM; "1" for a probability.
        low, high: 90 % interval; None where the value is itself a probability. Alone, without a
            value, they say all that may be told: the range in which a small count of people lies.
        confidence: probability that the stated value is right.
        reason: why the value is unknown.
        observed_at: capture time.
        time_source: where the capture time comes from.
        evidence: where to look; None for what a sensor measured.
        model: `name@digest` of what saw it, or of the sensor.
        detail: further figures by name, such as the probability of each state.
        position: longitude, latitude in degrees, coarse, of what nobody registered; None where
            nobody knows, and for assets, whose geometry the site file holds.
    """

    work: str
    asset: str
    camera: str | None = None
    quantity: str
    value: float | None
    unit: str
    low: float | None = None
    high: float | None = None
    confidence: Probability | None = None
    reason: str | None = None
    observed_at: Instant
    time_source: Literal["exif", "key", "object", "sensor"]
    evidence: Evidence | None = None
    model: str
    detail: dict[str, float] = Field(default_factory=dict)
    position: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if (self.value is None) != (self.reason is not None):
            raise ValueError("either a value or the reason why there is none")
        if (self.evidence is None) != (self.time_source == "sensor"):
            raise ValueError("evidence for all but a sensor's reading")
        known = [v for v in (self.low, self.value, self.high) if v is not None]
        if known != sorted(known):
            raise ValueError("the interval does not hold the value")
        return self

    @property
    def id(self) -> str:
        """Deterministic identity."""
        return derived_id(self.work, self.asset, self.quantity)

    def evident_in(self, sha256: str) -> "Observation":
        """The same observation, its evidence in the redacted object with this digest."""
        assert self.evidence is not None
        evidence = self.evidence.model_copy(update={"sha256": sha256})
        return self.model_copy(update={"evidence": evidence})


class Event(Wire):
    """A CloudEvents 1.0 event in its JSON form.

    Attributes:
        id: deterministic.
        source: /territories/…/sites/….
        type: what happened, versioned in the name.
        subject: the asset, image or batch.
        time: capture time.
        data: what happened, in full.
        sequence: per subject and type family, gap-free; None where order means nothing.
    """

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str
    type: str
    subject: str
    time: Instant
    datacontenttype: Literal["application/json"] = "application/json"
    data: dict[str, Any]
    sequence: str | None = None

    def json_line(self) -> str:
        """One line of JSON, absent attributes left out as CloudEvents asks."""
        return self.model_dump_json(exclude_none=True)


def derived_id(*parts: str) -> str:
    """32 hex digits that depend on all `parts` and their order."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def work_key(etag: str, models: tuple[str, ...], configuration: str, key: str) -> str:
    """Identity of one image under one set of models and one configuration.

    The object key counts: the same picture under two keys is two captures.
    """
    return derived_id(key, etag, configuration, *sorted(models))


def recorded(observation: Observation, source: str) -> Event:
    """The event that publishes an observation."""
    return Event(
        id=derived_id(OBSERVATION_RECORDED, observation.id),
        source=source,
        type=OBSERVATION_RECORDED,
        subject=observation.asset,
        time=observation.observed_at,
        data=observation.model_dump(mode="json", exclude={"work"}, exclude_none=True)
        | {"value": observation.value},
    )


def quarantined(work: str, key: str, reason: str, time: datetime, source: str) -> Event:
    """The event that says that an image was set aside, and why."""
    return Event(
        id=derived_id(IMAGE_QUARANTINED, work),
        source=source,
        type=IMAGE_QUARANTINED,
        subject=key,
        time=time,
        data={"key": key, "reason": reason},
    )


def completed(batch: str, counts: dict[str, int], time: datetime, source: str) -> Event:
    """The event that closes a batch."""
    return Event(
        id=derived_id(BATCH_COMPLETED, batch),
        source=source,
        type=BATCH_COMPLETED,
        subject=batch,
        time=time,
        data={"batch": batch, "counts": counts},
    )
