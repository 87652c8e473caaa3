"""From observations to events: one small state machine per asset and condition.

Pure functions over an explicit state. Time is capture time, never the clock. Two limits with a
gap between them (hysteresis) and a minimum dwell keep a value that wobbles around one limit from
raising a string of events; an asset that nothing confirms for too long becomes unknown, with the
reason. Where several cameras show one asset, what one of them sees holds for a while beside what
the others do not see.

An unknown observation moves nothing, and breaks no run of values past a limit: nobody saw what was
then, as between any two stills. Nor does a share whose interval lies on both sides of a limit. Only
in a view that should be seen, dark for a whole day says as much as another view.

Pictures that come late or out of order are the affair of `services.record`, and those that do not
come that of `services.silence`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, NamedTuple

from services import event_types as types
from services.events import Event, Observation, Wire
from services.places import around
from services.status import LOW, SILENT, Seen, State

LOST_VIEW = "site.view.lost"
"""Quantity and condition: whether a fixed camera no longer shows its known view."""


class Condition(NamedTuple):
    """What is judged, and how its changes are called.

    Attributes:
        quantity: whose values.
        rises: type of the event when the level rises.
        falls: type of the event when it falls.
        by_interval: whether the interval must be clear of the limit at which the condition begins,
            for it to begin or to end: one that holds this says as little as no value.
    """

    quantity: str
    rises: str
    falls: str
    by_interval: bool = False


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
    "vegetation.unmown": Condition(
        "vegetation.unmown", types.MOWING_DUE, types.MOWING_DONE, by_interval=True
    ),
    "vegetation.pruning": Condition(
        "vegetation.over", types.PRUNING_DUE, types.PRUNING_DONE, by_interval=True
    ),
    "vegetation.encroachment": Condition(
        "vegetation.encroachment", types.ENCROACHMENT_STARTED, types.ENCROACHMENT_ENDED
    ),
    "vegetation.dryness": Condition(
        "vegetation.dryness", types.DRYNESS_STARTED, types.DRYNESS_ENDED, by_interval=True
    ),
    LOST_VIEW: Condition(LOST_VIEW, types.VIEW_LOST, types.VIEW_RESTORED),
}
"""Name of a condition → what it is."""

FOUND = {"waste.container": types.CONTAINER_FOUND}
"""Quantity of what nobody registered → the type of the event that reports it, once a place."""


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
        blind: how long observations may come without a value before the condition is raised for
            that alone; None where only the status becomes unknown, after `stale`.
    """

    enter: tuple[float, ...]
    leave: tuple[float, ...]
    dwell: timedelta
    stale: timedelta
    together: timedelta = timedelta(0)
    silent: timedelta | None = None
    blind: timedelta | None = None

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

    def between(self, value: float) -> bool:
        """Whether what a value asks for hangs on the current level."""
        return self.level(value, 0) != self.level(value, len(self.enter))

    def within(self, low: float | None, high: float | None) -> bool:
        """Whether an interval holds a limit at which a level begins; what is none holds nothing."""
        if low is None or high is None:
            return False
        return any(low < edge <= high for edge in self.enter)

    def band(self, level: int) -> tuple[float, float | None]:
        """From and to what values a level reaches; the last has no end."""
        return (0.0, *self.enter)[level], (*self.enter, None)[level]


VIEW_LIMITS = Limits(
    enter=(0.6,),
    leave=(0.4,),
    dwell=timedelta(minutes=5),
    stale=timedelta(hours=48),
    blind=timedelta(hours=24),
)
"""How `LOST_VIEW` is judged: one picture with a lorry before the lens is no lost view, and a night
is shorter than a day."""


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
    # Of what is told as a range the upper end is judged, of what is low the lower, and by bands the
    # lower, too: few people are the lowest.
    lower = observation.reason == LOW or len(limits.enter) > 1
    end = observation.low if lower else observation.high
    value = end if observation.value is None else observation.value
    if condition.by_interval and limits.within(observation.low, observation.high):
        value = None
    first = at
    if value is None:
        blind = state.doubted(observation)
        if limits.blind is None or at - blind.since < limits.blind:
            # What one camera cannot see says nothing against what another one does meanwhile.
            return state if at == last else state.model_copy(update={"doubt": blind}), None
        value, first = limits.enter[-1], blind.since
    cameras = {name: one for name, one in state.cameras.items() if at - one.at <= limits.together}
    cameras[camera] = Seen(value=value, at=at)
    highest = max(one.value for one in cameras.values())
    unsure = observation.is_probability and limits.between(highest)
    doubt = state.doubted(observation) if unsure else None
    known = {"last_known_at": at, "cameras": cameras, "doubt": doubt}
    wanted = limits.level(highest, state.level)
    between = range(state.level + 1, wanted + 1) or range(wanted, state.level)
    pending = {level: state.pending.get(level, first) for level in between}
    settled = [
        level
        for level, since in pending.items()
        # The evidence of a rise is a picture that shows it.
        if at - since >= limits.dwell and (level < state.level or value >= limits.enter[level - 1])
    ]
    if not (pending or unsure):
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
        anew = {"status": "unknown", "level": 0, "since": None, "silent": False, "doubt": None}
        # What the picture shows is a new matter, which its dwell keeps from being told at once.
        return judge(state.model_copy(update=anew), observation, condition, limits)[0], over
    if limits.silent is None:
        unknown = {"status": "unknown", "pending": {}, "doubt": state.doubted(observation)}
        return state.model_copy(update=unknown), None
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

    One picture shows a thing once: what it shows in the next cell is another.

    Args:
        observations: of quantities in `FOUND`, in any order.
        known: whether a place was reported before.
        source: of the events.
    """
    reported: dict[tuple[str, str], str] = {}
    for one in sorted(observations, key=lambda o: (o.observed_at, o.id)):
        places = list(around(one.asset))
        by = {reported.get((place, one.quantity), one.work) for place in places}
        if by != {one.work} or any(known(place) for place in places):
            continue
        reported[one.asset, one.quantity] = one.work
        yield types.changed(FOUND[one.quantity], one, source, since=one.observed_at)
