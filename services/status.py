"""What is remembered of one asset and condition between observations, and what that says."""

from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from services.events import Instant, Observation, Wire

LOW = "low"
"""Reason of an observation of plants under half a metre, whose height is only told as a range."""

SILENT = "silent"
"""Reason of an observation that stands for the pictures that did not come."""

UNSURE = "unsure"
"""Why a status is unknown of which there are values, but none that settles it."""

_NO_REFERENCES = "no_references"  # a sighting that only says that a picture came

Status = Literal["unknown", "clear", "raised"]


class Seen(Wire):
    """The last known value that one camera gave."""

    value: float
    at: Instant


class Doubt(Wire):
    """Observations in a row that confirm nothing.

    Attributes:
        reason: of the last of them.
        since: capture time of the first.
        until: capture time of the last.
    """

    reason: str
    since: Instant
    until: Instant


class State(Wire):
    """All that the state machine of one asset and condition remembers.

    Attributes:
        status: the current condition.
        level: the level last told of, even while status is unknown; 0 where there is none.
        since: capture time at which the open condition, or the current band, began.
        pending: level that observations in a row ask for, or go beyond → the first of them.
        last_known_at: last observation with a value.
        cameras: what each camera saw last, as far as it still counts; "" for all other pictures.
        silent: whether the condition was raised because nothing came.
        doubt: what came since the status was last confirmed; None where nothing did.
    """

    status: Status = "unknown"
    level: int = 0
    since: Instant | None = None
    pending: dict[int, Instant] = Field(default_factory=dict)
    last_known_at: Instant | None = None
    cameras: dict[str, Seen] = Field(default_factory=dict)
    silent: bool = False
    doubt: Doubt | None = None

    def status_at(self, time: datetime, stale: timedelta) -> Status:
        """The status, unknown where it was not confirmed for longer than `stale`."""
        if self.silent:
            return self.status
        times = (self.last_known_at, self.doubt.since if self.doubt else time)
        return self.status if all(t and time - t <= stale for t in times) else "unknown"

    def reason_at(self, time: datetime, stale: timedelta) -> str | None:
        """Why the status is unknown; None where it is known.

        `SILENT` where nothing came for longer than `stale`, else the reason of the last unknown
        observation, or `UNSURE` where what came has values that settle nothing.
        """
        if self.status_at(time, stale) != "unknown":
            return None
        last = self.doubt.until if self.doubt else self.last_known_at
        if last is None or time - last > stale:
            return SILENT
        return self.doubt.reason if self.doubt else UNSURE

    def doubted(self, observation: Observation) -> Doubt:
        """What came since the status was confirmed, with one more that confirms nothing."""
        reason, at = observation.reason or UNSURE, observation.observed_at
        before = self.doubt
        # A silence, or pictures in which nobody can look for the view, are no row of blind ones.
        if before is None or {before.reason, reason} & {SILENT, _NO_REFERENCES}:
            return Doubt(reason=reason, since=at, until=at)
        return Doubt(reason=reason, since=before.since, until=at)
