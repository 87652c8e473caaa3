"""From observations to events: one small state machine per asset and quantity.

Pure functions over an explicit state. Time is capture time, never the clock. Two limits with a
gap between them (hysteresis) and a minimum dwell keep a value that wobbles around one limit from
raising a string of events; an unknown observation moves nothing, and an asset not seen for too
long becomes unknown. Where several cameras show one asset, what one of them sees holds for a while
beside what the others do not see.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from services.events import (
    CONTAINER_FOUND,
    OCCUPANCY_AVAILABLE,
    OCCUPANCY_FULL,
    OVERFLOW_ENDED,
    OVERFLOW_STARTED,
    STALL_FREED,
    STALL_TAKEN,
    USE_ENDED,
    USE_STARTED,
    VIEW_LOST,
    VIEW_RESTORED,
    Event,
    Instant,
    Observation,
    Wire,
    derived_id,
)
from services.places import around

LOST_VIEW = "site.view.lost"
"""Quantity: whether a fixed camera no longer shows its known view."""

TRANSITIONS = {
    "waste.overflow": (OVERFLOW_STARTED, OVERFLOW_ENDED),
    "occupancy.taken": (STALL_TAKEN, STALL_FREED),
    "occupancy.use": (USE_STARTED, USE_ENDED),
    "occupancy.share": (OCCUPANCY_FULL, OCCUPANCY_AVAILABLE),
    LOST_VIEW: (VIEW_LOST, VIEW_RESTORED),
}
"""Quantity → the types of the events that open and close its condition."""

FOUND = {"waste.container": CONTAINER_FOUND}
"""Quantity of what nobody registered → the type of the event that reports it, once a place."""

Status = Literal["unknown", "clear", "raised"]


class Limits(Wire):
    """When a condition starts and ends.

    Attributes:
        enter: value from which it may start.
        leave: value under which it may end, below `enter`.
        dwell: how long a value must stay past a limit.
        stale: how long the last status holds without a known observation.
        together: how long the value that one camera saw counts beside those of others; the highest
            is judged.
    """

    enter: float
    leave: float
    dwell: timedelta
    stale: timedelta
    together: timedelta = timedelta(0)


VIEW_LIMITS = Limits(enter=0.6, leave=0.4, dwell=timedelta(minutes=5), stale=timedelta(hours=48))
"""How `LOST_VIEW` is judged: one picture with a lorry before the lens is no lost view."""


class Seen(Wire):
    """The last known value that one camera gave."""

    value: float
    at: Instant


class State(Wire):
    """All that judgement remembers of one asset and quantity.

    Attributes:
        status: the current condition.
        raised: whether a started event is still without its end, even while status is unknown.
        since: capture time at which the open condition began.
        pending_since: first of the observations in a row that ask for a change.
        last_known_at: last observation with a value.
        sequence: number of the last event.
        cameras: what each camera saw last, as far as it still counts; "" for all other pictures.
    """

    status: Status = "unknown"
    raised: bool = False
    since: Instant | None = None
    pending_since: Instant | None = None
    last_known_at: Instant | None = None
    sequence: int = 0
    cameras: dict[str, Seen] = Field(default_factory=dict)


def judge(
    state: State, observation: Observation, limits: Limits, source: str
) -> tuple[State, list[Event]]:
    """The state after one observation, and the events it raises.

    An observation older than the last known one leaves the state as it is, and so does a second one
    of the same camera at the same time.
    """
    at, camera = observation.observed_at, observation.camera or ""
    last, mine = state.last_known_at, state.cameras.get(camera)
    if (last is not None and at < last) or (mine is not None and at <= mine.at):
        return state, []
    stale = last is not None and at - last > limits.stale
    if stale:
        state = state.model_copy(update={"status": "unknown", "pending_since": None})
    # Of what is told as a range the upper end is judged.
    value = observation.high if observation.value is None else observation.value
    if value is None:
        return state, []
    cameras = {name: one for name, one in state.cameras.items() if at - one.at <= limits.together}
    cameras[camera] = Seen(value=value, at=at)
    known = {"last_known_at": at, "cameras": cameras}
    wants = _wanted(state, max(one.value for one in cameras.values()), limits)
    if wants == state.raised:
        settled: Status = "raised" if state.raised else "clear"
        return state.model_copy(update=known | {"status": settled, "pending_since": None}), []
    pending = state.pending_since or at
    state = state.model_copy(update=known | {"pending_since": pending})
    # The evidence of a start is a picture that shows it.
    if at - pending < limits.dwell or (wants and value < limits.enter):
        return state, []
    kind = TRANSITIONS[observation.quantity][state.raised]
    state, event = _change(state, observation, pending, kind, source)
    return state, [event]


def _wanted(state: State, value: float, limits: Limits) -> bool:
    return value >= (limits.leave if state.raised else limits.enter)


def _change(
    state: State, observation: Observation, pending: datetime, kind: str, source: str
) -> tuple[State, Event]:
    raised = not state.raised
    since = pending if raised else state.since
    changed = state.model_copy(
        update={
            "status": "raised" if raised else "clear",
            "raised": raised,
            "since": since if raised else None,
            "pending_since": None,
            "sequence": state.sequence + 1,
        }
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
    return changed, event


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


def found(
    observations: Iterable[Observation], known: Callable[[str, str], State], source: str
) -> tuple[dict[tuple[str, str], State], list[Event]]:
    """Report what nobody registered, once a place; gives the new places' states and the events.

    Args:
        observations: of quantities in `FOUND`, in any order.
        known: (place, quantity) → its state so far.
        source: of the events.
    """
    states: dict[tuple[str, str], State] = {}
    events = []
    for one in sorted(observations, key=lambda o: (o.observed_at, o.id)):
        places = [(place, one.quantity) for place in around(one.asset)]
        if any(place in states or known(*place).raised for place in places):
            continue
        state, event = _change(State(), one, one.observed_at, FOUND[one.quantity], source)
        states[one.asset, one.quantity] = state
        events.append(event)
    return states, events
