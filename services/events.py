"""What was observed, and the events that say so: CloudEvents 1.0 in JSON.

Identity is derived, never drawn: `work` names one image under one set of models and one
configuration, so doing the same work again gives the same observations and the same event ids,
and a consumer drops repeats by id.
"""

import hashlib
from datetime import UTC
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

TYPE_PREFIX = "vigie."

Probability = Annotated[float, Field(ge=0, le=1)]
Instant = Annotated[
    AwareDatetime,
    PlainSerializer(
        lambda t: t.astimezone(UTC).isoformat().replace("+00:00", "Z"), return_type=str
    ),
    WithJsonSchema({"type": "string", "format": "date-time"}),
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
        redactor: `name@digest` of what covered personal data in it.
    """

    key: str
    sha256: str
    polygon: tuple[tuple[float, float], ...]
    redactor: str


class Measured(Wire):
    """One measured quantity of one asset, as it is told.

    Attributes:
        asset: URN.
        kind: what the asset is, as its site file says, e.g. `car-park`; None for what is no asset.
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

    asset: str
    kind: str | None = None
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

    @property
    def is_probability(self) -> bool:
        """Whether the value is one: it has a confidence, and no interval."""
        return self.value is not None and self.confidence is not None and self.high is None

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


class Observation(Measured):
    """One measured quantity of one asset in one image.

    Attributes:
        work: identity of image, models and configuration (`work_key`).
    """

    work: str

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
        dataschema: URN of the JSON Schema of `data` (docs/events/).
        data: what happened, in full.
        partitionkey: the asset, where there is one: its events stay in their order.
        sequence: number among all events of this `partitionkey`, without gaps; the outbox gives it.
    """

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str
    type: str
    subject: str
    time: Instant
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: str
    data: dict[str, Any]
    partitionkey: str | None = None
    sequence: str | None = None

    def json_line(self) -> str:
        """One line of JSON, absent attributes left out as CloudEvents asks."""
        return self.model_dump_json(exclude_none=True)

    def numbered(self, number: int) -> "Event":
        """The same event as the `number`th of its asset."""
        return self.model_copy(update={"sequence": f"{number:010d}"})


def schema_of(kind: str) -> str:
    """The URN of the schema of an event type's data."""
    return f"urn:vigie:schema:{kind.removeprefix(TYPE_PREFIX)}"


def derived_id(*parts: str) -> str:
    """32 hex digits that depend on all `parts` and their order."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def work_key(etag: str, models: tuple[str, ...], configuration: str, key: str) -> str:
    """Identity of one image under one set of models and one configuration.

    The object key counts: the same picture under two keys is two captures.
    """
    return derived_id(key, etag, configuration, *sorted(models))
