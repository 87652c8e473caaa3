"""What is remembered of one asset and condition, so that pictures may come late and out of order.

What was observed within the lateness limit is judged again, in the order of capture, whenever more
of it arrives: the state is then the one that pictures in order would have given. An event that was
told and holds no longer is withdrawn.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from services import event_types as types
from services.events import Event, Instant, Observation, Wire
from services.judgement import CONDITIONS, Change, Limits, State, judge


class Told(Wire):
    """An event that a late picture may still take back.

    Attributes:
        identity: of the change (`Change.identity`).
        id: of the event.
        type: of the event.
        time: of the event.
        holds: whether it was not withdrawn.
        revision: how often it was withdrawn and told again before.
    """

    identity: str
    id: str
    type: str
    time: Instant
    holds: bool = True
    revision: int = 0


class Record(Wire):
    """All that is remembered of one asset and condition.

    Attributes:
        state: the current state.
        settled: the state before `horizon`, which nothing moves any more.
        horizon: capture time from which on late pictures count.
        told: events since the horizon, withdrawn ones too.
        stale: the staleness limit that it was last judged by.
    """

    state: State = State()
    settled: State = State()
    horizon: Instant | None = None
    told: tuple[Told, ...] = ()
    stale: timedelta = timedelta(0)


def judge_again(
    record: Record,
    history: Sequence[Observation],
    condition: str,
    limits: Limits,
    lateness: timedelta,
    source: str,
) -> tuple[Record, list[Event]]:
    """The record after what arrived, and the events to tell: withdrawals first.

    Args:
        record: so far.
        history: everything observed from the record's horizon on, in the order of arrival; what
            was captured before it is left out. Of two models that looked at one picture the first
            is heard.
        condition: its name.
        limits: of the asset.
        lateness: how much later than a younger one a picture may come.
        source: of the events.
    """
    heard = {o.model: -rank for rank, o in enumerate(reversed(history))}
    inside = sorted(
        (o for o in history if record.horizon is None or o.observed_at >= record.horizon),
        key=lambda o: (o.observed_at, heard[o.model], o.id),
    )
    if not inside:
        return record, []
    horizon = inside[-1].observed_at - lateness
    if record.horizon is not None:
        horizon = max(horizon, record.horizon)
    state = settled = record.settled
    changes: dict[str, Change] = {}
    for one in inside:
        state, change = judge(state, one, CONDITIONS[condition], limits)
        if one.observed_at < horizon:
            settled = state
        if change is not None:
            changes[change.identity] = change
    told = {one.identity: one for one in record.told}
    last, events = inside[-1], []
    for old in record.told:
        if old.holds and old.identity not in changes:
            events.append(
                types.withdrawn(old.id, old.type, last.asset, old.time, source, last.kind)
            )
            told[old.identity] = old.model_copy(update={"holds": False})
    for identity, change in changes.items():
        before = told.get(identity)
        if before is None or not before.holds:
            revision = before.revision + 1 if before else 0
            event = types.changed(change.kind, change.observation, source, revision, **change.more)
            events.append(event)
            told[identity] = Told(
                identity=identity,
                id=event.id,
                type=event.type,
                time=event.time,
                revision=revision,
            )
    kept = tuple(one for one in told.values() if one.time >= horizon)
    after = Record(state=state, settled=settled, horizon=horizon, told=kept, stale=limits.stale)
    return after, events


def judge_all(
    observations: Iterable[Observation], condition: str, limits: Limits, source: str
) -> tuple[State, list[Event]]:
    """Judge a whole history in the order of capture, whatever order it comes in."""
    record, events = judge_again(
        Record(), list(observations), condition, limits, timedelta(0), source
    )
    return record.state, events
