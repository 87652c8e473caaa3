"""From observations to events: one small state machine per asset and condition.

Pure functions over an explicit state. Time is capture time, never the clock. Two limits with a
gap between them (hysteresis) and a minimum dwell keep a value that wobbles around one limit from
raising a string of events; an unknown observation moves nothing, and an asset not seen for too
long becomes unknown. Where several cameras show one asset, what one of them sees holds for a while
beside what the others do not see.

Pictures that come late or out of order are the affair of `services.record`, and those that do not
come that of `services.silence`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, Literal, NamedTuple

from pydantic import Field

from services import event_types as types
from services.events import Event, Instant, Observation, Wire
from services.places import around

LOST_VIEW = "site.view.lost"
"""Quantity and condition: whether a fixed camera no longer shows its known view."""

SILENT = "silent"
"""Reason of an observation that stands for the pictures that did not come."""


class Condition(NamedTuple):
    """What is judged, and how its changes are called.

    Attributes:
        quantity: whose values.
        rises: type of the event when the level rises.
        falls: type of the event when it falls.
    """

    quantity: str
    rises: str
    falls: str


CONDITIONS: Mapping[str, Condition] = {
    "waste.overflow": Condition("waste.overflow", types.OVERFLOW_STARTED, types.OVERFLOW_ENDED),
    "occupancy.taken": Condition("occupancy.taken", types.STALL_TAKEN, types.STALL_FREED),
    "occupancy.use": Condition("occupancy.use", types.USE_STARTED, types.USE_ENDED),
    "occupancy.full": Condition("occupancy.share", types.OCCUPANCY_FULL, types.OCCUPANCY_AVAILABLE),
    "occupancy.band": Condition(
        "occupancy.share", types.OCCUPANCY_CHANGED, types.OCCUPANCY_CHANGED
    ),
    # Without limits it never changes: of a count only silence is told.
    "occupancy.counted": Condition(
        "occupancy.count", types.OCCUPANCY_CHANGED, types.OCCUPANCY_CHANGED
    ),
    "vegetation.mowing": Condition("vegetation.grass", types.MOWING_DUE, types.MOWING_DONE),
    "vegetation.growing": Condition("vegetation.growth", types.MOWING_DUE, types.MOWING_DONE),
    "vegetation.pruning": Condition("vegetation.over", types.PRUNING_DUE, types.PRUNING_DONE),
    "vegetation.encroachment": Condition(
        "vegetation.encroachment", types.ENCROACHMENT_STARTED, types.ENCROACHMENT_ENDED
    ),
    "vegetation.dryness": Condition(
        "vegetation.dryness", types.DRYNESS_STARTED, types.DRYNESS_ENDED
    ),
    LOST_VIEW: Condition(LOST_VIEW, types.VIEW_LOST, types.VIEW_RESTORED),
}
"""Name of a condition → what it is."""

FOUND = {"waste.container": types.CONTAINER_FOUND}
"""Quantity of what nobody registered → the type of the event that reports it, once a place."""

Status = Literal["unknown", "clear", "raised"]


class Limits(Wire):
    """When a condition starts and ends; of several levels, when each is reached and left.

    Attributes:
        enter: values from which the levels 1, 2, … may be reached, rising.
        leave: values under which they may be left, each at most its `enter`.
        dwell: how long a value must stay past a limit.
        stale: how long the last status holds without a known observation.
        together: how long the value that one camera saw counts beside those of others; the highest
            is judged.
        silent: how long no observation may come before the condition is raised for that alone;
            None where only the status becomes unknown, after `stale`.
    """

    enter: tuple[float, ...]
    leave: tuple[float, ...]
    dwell: timedelta
    stale: timedelta
    together: timedelta = timedelta(0)
    silent: timedelta | None = None

    @property
    def patience(self) -> timedelta:
        """How long no observation may come until that is told."""
        return self.stale if self.silent is None else self.silent

    def level(self, value: float, current: int) -> int:
        """The level that a value asks for at the current one."""
        edges = [
            leave if current > i else enter
            for i, (enter, leave) in enumerate(zip(self.enter, self.leave, strict=True))
        ]
        return sum(1 for _ in takewhile(lambda edge: value >= edge, edges))

    def band(self, level: int) -> tuple[float, float | None]:
        """From and to what values a level reaches; the last has no end."""
        return (0.0, *self.enter)[level], (*self.enter, None)[level]


VIEW_LIMITS = Limits(
    enter=(0.6,), leave=(0.4,), dwell=timedelta(minutes=5), stale=timedelta(hours=48)
)
"""How `LOST_VIEW` is judged: one picture with a lorry before the lens is no lost view."""


class Seen(Wire):
    """The last known value that one camera gave."""

    value: float
    at: Instant


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
    """

    status: Status = "unknown"
    level: int = 0
    since: Instant | None = None
    pending: dict[int, Instant] = Field(default_factory=dict)
    last_known_at: Instant | None = None
    cameras: dict[str, Seen] = Field(default_factory=dict)
    silent: bool = False

    def status_at(self, time: datetime, stale: timedelta) -> Status:
        """The status, unknown where it was not confirmed for longer than `stale`."""
        seen = self.last_known_at
        holds = self.silent or (seen is not None and time - seen <= stale)
        return self.status if holds else "unknown"


class Change(NamedTuple):
    """One change of level: its event but for what only the record knows."""

    kind: str
    observation: Observation
    more: dict[str, Any]

    @property
    def identity(self) -> str:
        """The same for the same change, however often it is judged."""
        told = [f"{name}={self.more[name]}" for name in sorted(self.more)]
        return "|".join([self.kind, self.observation.id, *told])


def judge(
    state: State, observation: Observation, condition: Condition, limits: Limits
) -> tuple[State, Change | None]:
    """The state after one observation, and the change it settles.

    An observation older than the last known one leaves the state as it is, and so does a second one
    of the same camera at the same time. Silence is over with the first that comes.
    """
    at, camera = observation.observed_at, observation.camera or ""
    if state.silent or observation.reason == SILENT:
        return _silent(state, observation, condition, limits)
    last, mine = state.last_known_at, state.cameras.get(camera)
    if (last is not None and at < last) or (mine is not None and at <= mine.at):
        return state, None
    if last is not None and at - last > limits.stale:
        state = state.model_copy(update={"status": "unknown", "pending": {}})
    # Of what is told as a range the upper end is judged.
    value = observation.high if observation.value is None else observation.value
    if value is None:
        return state, None
    cameras = {name: one for name, one in state.cameras.items() if at - one.at <= limits.together}
    cameras[camera] = Seen(value=value, at=at)
    known = {"last_known_at": at, "cameras": cameras}
    wanted = limits.level(max(one.value for one in cameras.values()), state.level)
    between = range(state.level + 1, wanted + 1) or range(wanted, state.level)
    pending = {level: state.pending.get(level, at) for level in between}
    settled = [
        level
        for level, since in pending.items()
        # The evidence of a rise is a picture that shows it.
        if at - since >= limits.dwell and (level < state.level or value >= limits.enter[level - 1])
    ]
    if not pending:
        known |= {"status": "raised" if wanted else "clear"}
    if not settled:
        return state.model_copy(update=known | {"pending": pending}), None
    level = max(settled) if wanted > state.level else min(settled)
    since = pending[level]
    change = _change(state, level, observation, since, condition, limits)
    known |= {
        "status": "raised" if level else "clear",
        "level": level,
        "since": since if level or len(limits.enter) > 1 else None,
        "pending": {beyond: first for beyond, first in pending.items() if beyond not in settled},
    }
    return state.model_copy(update=known), change


def _silent(
    state: State, observation: Observation, condition: Condition, limits: Limits
) -> tuple[State, Change | None]:
    """Silence begins, or what it had raised ends."""
    at = observation.observed_at
    if observation.reason != SILENT:
        over = Change(condition.falls, observation, {"since": state.since, "until": at})
        anew = {"status": "unknown", "level": 0, "since": None, "silent": False}
        # What the picture shows is a new matter, which its dwell keeps from being told at once.
        return judge(state.model_copy(update=anew), observation, condition, limits)[0], over
    if limits.silent is None:
        return state.model_copy(update={"status": "unknown", "pending": {}}), None
    if state.level:  # it was raised before, and nothing says otherwise
        return state, None
    since = at - limits.silent
    raised = {"status": "raised", "level": 1, "since": since, "pending": {}, "silent": True}
    return state.model_copy(update=raised), Change(condition.rises, observation, {"since": since})


def _change(
    state: State,
    level: int,
    observation: Observation,
    since: datetime,
    condition: Condition,
    limits: Limits,
) -> Change:
    kind = condition.rises if level > state.level else condition.falls
    data = types.DATA[kind]
    if data is types.Changed:
        bands = {"band": limits.band(level), "was": limits.band(state.level)}
        return Change(kind, observation, {"since": since} | bands)
    if data is types.Ended:
        return Change(kind, observation, {"since": state.since, "until": since})
    return Change(kind, observation, {"since": since})


def found(
    observations: Iterable[Observation], known: Callable[[str], bool], source: str
) -> Iterator[Event]:
    """Report what nobody registered, once a place: its subject.

    Args:
        observations: of quantities in `FOUND`, in any order.
        known: whether a place was reported before.
        source: of the events.
    """
    reported: set[tuple[str, str]] = set()
    for one in sorted(observations, key=lambda o: (o.observed_at, o.id)):
        places = list(around(one.asset))
        if any((place, one.quantity) in reported or known(place) for place in places):
            continue
        reported.add((one.asset, one.quantity))
        yield types.changed(FOUND[one.quantity], one, source, since=one.observed_at)
