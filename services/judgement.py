"""From observations to events: one small state machine per asset and quantity.

Pure functions over an explicit state. Time is capture time, never the clock. Two limits with a
gap between them (hysteresis) and a minimum dwell keep a value that wobbles around one limit from
raising a string of events; an unknown observation moves nothing, and an asset not seen for too
long becomes unknown.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from services.events import (
    OVERFLOW_ENDED,
    OVERFLOW_STARTED,
    VIEW_LOST,
    VIEW_RESTORED,
    Event,
    Instant,
    Observation,
    Wire,
    derived_id,
)

LOST_VIEW = "site.view.lost"
"""Quantity: whether a fixed camera no longer shows its known view."""

TRANSITIONS = {
    "waste.overflow": (OVERFLOW_STARTED, OVERFLOW_ENDED),
    LOST_VIEW: (VIEW_LOST, VIEW_RESTORED),
}
"""Quantity → the types of the events that open and close its condition."""

Status = Literal["unknown", "clear", "raised"]


class Limits(Wire):
    """When a condition starts and ends.

    Attributes:
        enter: value from which it may start.
        leave: value under which it may end, below `enter`.
        dwell: how long a value must stay past a limit.
        stale: how long the last status holds without a known observation.
    """

    enter: float
    leave: float
    dwell: timedelta
    stale: timedelta


VIEW_LIMITS = Limits(enter=0.6, leave=0.4, dwell=timedelta(minutes=5), stale=timedelta(hours=48))
"""How `LOST_VIEW` is judged: one picture with a lorry before the lens is no lost view."""


class State(Wire):
    """All that judgement remembers of one asset and quantity.

    Attributes:
        status: the current condition.
        raised: whether a started event is still without its end, even while status is unknown.
        since: capture time at which the open condition began.
        pending_since: first of the observations in a row that ask for a change.
        last_known_at: last observation with a value.
        sequence: number of the last event.
    """

    status: Status = "unknown"
    raised: bool = False
    since: Instant | None = None
    pending_since: Instant | None = None
    last_known_at: Instant | None = None
    sequence: int = 0


def judge(
    state: State, observation: Observation, limits: Limits, source: str
) -> tuple[State, list[Event]]:
    """The state after one observation, and the events it raises.

    An observation older than the last known one leaves the state as it is.
    """
    at = observation.observed_at
    last = state.last_known_at
    if last is not None and at <= last:
        return state, []
    stale = last is not None and at - last > limits.stale
    if stale:
        state = state.model_copy(update={"status": "unknown", "pending_since": None})
    if observation.value is None:
        return state, []
    wants = _wanted(state, observation.value, limits)
    if wants == state.raised:
        settled: Status = "raised" if state.raised else "clear"
        return state.model_copy(
            update={"status": settled, "pending_since": None, "last_known_at": at}
        ), []
    pending = state.pending_since or at
    if at - pending < limits.dwell:
        return state.model_copy(update={"pending_since": pending, "last_known_at": at}), []
    return _change(state, observation, pending, source)


def _wanted(state: State, value: float, limits: Limits) -> bool:
    return value >= (limits.leave if state.raised else limits.enter)


def _change(
    state: State, observation: Observation, pending: datetime, source: str
) -> tuple[State, list[Event]]:
    started, ended = TRANSITIONS[observation.quantity]
    raised = not state.raised
    kind = started if raised else ended
    since = pending if raised else state.since
    changed = State(
        status="raised" if raised else "clear",
        raised=raised,
        since=since if raised else None,
        last_known_at=observation.observed_at,
        sequence=state.sequence + 1,
    )
    data = observation.model_dump(mode="json", exclude={"work"}, exclude_none=True)
    span = {"since": _text(since)} if raised else {"since": _text(since), "until": _text(pending)}
    event = Event(
        id=derived_id(kind, observation.id),
        source=source,
        type=kind,
        subject=observation.asset,
        time=observation.observed_at,
        data=data | span,
        sequence=f"{changed.sequence:010d}",
    )
    return changed, [event]


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat().replace("+00:00", "Z")


def judge_all(
    state: State, observations: Iterable[Observation], limits: Limits, source: str
) -> tuple[State, list[Event]]:
    """Judge a history in the order of capture, whatever order it comes in."""
    events: list[Event] = []
    for observation in sorted(observations, key=lambda o: (o.observed_at, o.id)):
        state, raised = judge(state, observation, limits, source)
        events += raised
    return state, events
