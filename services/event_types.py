"""The types of events: what each one's `data` holds, and how it is made.

`DATA` is the contract: from it `make docs` writes the JSON Schema of every type below docs/events/,
and the AsyncAPI document.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from services.events import (
    Event,
    Instant,
    Measured,
    Observation,
    Wire,
    derived_id,
    schema_of,
)

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
OCCUPANCY_CHANGED = "vigie.occupancy.changed.v1"
MOWING_DUE = "vigie.vegetation.mowing.due.v1"
MOWING_DONE = "vigie.vegetation.mowing.done.v1"
PRUNING_DUE = "vigie.vegetation.pruning.due.v1"
PRUNING_DONE = "vigie.vegetation.pruning.done.v1"
ENCROACHMENT_STARTED = "vigie.vegetation.encroachment.started.v1"
ENCROACHMENT_ENDED = "vigie.vegetation.encroachment.ended.v1"
DRYNESS_STARTED = "vigie.vegetation.dryness.started.v1"
DRYNESS_ENDED = "vigie.vegetation.dryness.ended.v1"
VIEW_LOST = "vigie.site.view.lost.v1"
VIEW_RESTORED = "vigie.site.view.restored.v1"
IMAGE_QUARANTINED = "vigie.image.quarantined.v1"
BATCH_COMPLETED = "vigie.batch.completed.v1"
EVENT_WITHDRAWN = "vigie.event.withdrawn.v1"


class Recorded(Measured):
    """What was measured.

    Attributes:
        privacy: `redacted` where a picture is the evidence: personal data in it was covered before
            anything looked at it; `no_picture` for what a sensor measured.
    """

    privacy: Literal["redacted", "no_picture"]

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if (self.evidence is None) != (self.privacy == "no_picture"):
            raise ValueError("privacy says redacted where there is a picture")
        return self


class Found(Recorded):
    """Something that nobody registered, at a place, for the first time.

    Attributes:
        since: capture time of the picture that shows it.
    """

    since: Instant


class Started(Recorded):
    """A condition holds from now on: the observation that settled it.

    Attributes:
        since: capture time of the first of the observations that say so.
    """

    since: Instant


class Ended(Recorded):
    """A condition holds no longer: the observation that settled it.

    Attributes:
        since: when it had begun.
        until: capture time of the first of the observations that say that it is over.
    """

    since: Instant
    until: Instant


class Changed(Recorded):
    """A share moved from one band to another: the observation that settled it.

    Attributes:
        since: capture time of the first of the observations in the new band.
        band: the share's new band, from and to; the last has no end.
        was: the band before.
    """

    since: Instant
    band: tuple[float, float | None]
    was: tuple[float, float | None]


class Withdrawn(Wire):
    """An event that holds no longer: a picture that came late shows that it was otherwise.

    Attributes:
        event: id of the event that is taken back.
        type: its type.
        kind: what the asset is, as its site file says.
        reason: why.
    """

    event: str
    type: str
    kind: str | None = None
    reason: Literal["late_picture"] = "late_picture"


class Quarantined(Wire):
    """A picture was set aside; nothing of it is published.

    Attributes:
        key: object key in the inbox.
        reason: short stable code, such as `truncated`.
    """

    key: str
    reason: str


class Declared(Wire):
    """What a site declares of a purpose.

    Attributes:
        legal_basis: GDPR article 6(1).
        images_days: how long redacted pictures are kept.
        events_days: how long observations and events are kept.
        notice: URL or text shown to the public.
    """

    legal_basis: str
    images_days: int
    events_days: int
    notice: str


class Completed(Wire):
    """A batch is done.

    Attributes:
        batch: its id.
        counts: pictures by what became of them.
        purposes: those that the site declares.
    """

    batch: str
    counts: dict[str, int]
    purposes: dict[str, Declared] = Field(default_factory=dict)


DATA: Mapping[str, type[Wire]] = {
    OBSERVATION_RECORDED: Recorded,
    OVERFLOW_STARTED: Started,
    OVERFLOW_ENDED: Ended,
    CONTAINER_FOUND: Found,
    STALL_TAKEN: Started,
    STALL_FREED: Ended,
    USE_STARTED: Started,
    USE_ENDED: Ended,
    OCCUPANCY_CHANGED: Changed,
    OCCUPANCY_FULL: Started,
    OCCUPANCY_AVAILABLE: Ended,
    MOWING_DUE: Started,
    MOWING_DONE: Ended,
    PRUNING_DUE: Started,
    PRUNING_DONE: Ended,
    ENCROACHMENT_STARTED: Started,
    ENCROACHMENT_ENDED: Ended,
    DRYNESS_STARTED: Started,
    DRYNESS_ENDED: Ended,
    VIEW_LOST: Started,
    VIEW_RESTORED: Ended,
    EVENT_WITHDRAWN: Withdrawn,
    IMAGE_QUARANTINED: Quarantined,
    BATCH_COMPLETED: Completed,
}
"""Type of event → what its `data` holds."""


def _event(
    kind: str, identity: str, source: str, subject: str, time: datetime, data: Wire
) -> Event:
    told = data.model_dump(mode="json", exclude_none=True)
    if isinstance(data, Measured):
        told["value"] = data.value  # null says that it is unknown
    return Event(
        id=derived_id(kind, identity),
        source=source,
        type=kind,
        subject=subject,
        time=time,
        dataschema=schema_of(kind),
        data=told,
        partitionkey=subject if isinstance(data, Measured | Withdrawn) else None,
    )


def _measured(observation: Observation) -> dict[str, Any]:
    fields = {name: getattr(observation, name) for name in Measured.model_fields}
    return fields | {"privacy": "redacted" if observation.evidence else "no_picture"}


def recorded(observation: Observation, source: str) -> Event:
    """The event that publishes an observation."""
    data = Recorded(**_measured(observation))
    return _event(
        OBSERVATION_RECORDED,
        observation.id,
        source,
        observation.asset,
        observation.observed_at,
        data,
    )


def changed(
    kind: str, observation: Observation, source: str, revision: int = 0, **more: Any
) -> Event:
    """The event that says what an observation settled.

    Args:
        kind: its type.
        observation: the evidence.
        source: of the event.
        revision: how often the same was told and withdrawn before.
        more: what the type's data holds beside the observation.
    """
    data = DATA[kind](**_measured(observation), **more)
    times = [str(more.get(name, "")) for name in ("since", "until")]
    identity = derived_id(observation.id, *times, str(revision))
    return _event(kind, identity, source, observation.asset, observation.observed_at, data)


def withdrawn(
    event: str, kind: str, subject: str, time: datetime, source: str, asset_kind: str | None = None
) -> Event:
    """The event that takes another one, with this id and type, back; of the same time."""
    data = Withdrawn(event=event, type=kind, kind=asset_kind)
    return _event(EVENT_WITHDRAWN, event, source, subject, time, data)


def quarantined(work: str, key: str, reason: str, time: datetime, source: str) -> Event:
    """The event that says that an image was set aside, and why."""
    data = Quarantined(key=key, reason=reason)
    return _event(IMAGE_QUARANTINED, work, source, key, time, data)


def completed(
    batch: str,
    counts: dict[str, int],
    time: datetime,
    source: str,
    purposes: Mapping[str, Declared] | None = None,
) -> Event:
    """The event that closes a batch of a site that declares these purposes."""
    data = Completed(batch=batch, counts=counts, purposes=dict(purposes or {}))
    return _event(BATCH_COMPLETED, batch, source, batch, time, data)
