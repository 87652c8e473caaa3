"""What is remembered of one asset and condition, so that pictures may come late and out of order.

What was observed within the lateness limit is judged again, in the order of capture, whenever more
of it arrives: the state is then the one that pictures in order would have given. An event that was
told and holds no longer is withdrawn. Pictures that do not come count as well (`services.silence`).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from services import event_types as types
from services.events import Event, Instant, Observation, Wire
from services.judgement import CONDITIONS, Change, Limits, judge
from services.silence import due_after, with_silences
from services.status import SILENT, State


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
        last: the last observation before `horizon`, or silence.
        looked: the last time at which somebody looked whether anything came.
        due: when silence is to be told unless something comes; None where it was.
    """

    state: State = State()
    settled: State = State()
    horizon: Instant | None = None
    told: tuple[Told, ...] = ()
    stale: timedelta = timedelta(0)
    last: Observation | None = None
    looked: Instant | None = None
    due: Instant | None = None


def judge_again(
    record: Record,
    history: Sequence[Observation],
    condition: str,
    limits: Limits,
    lateness: timedelta,
    source: str,
    now: datetime | None = None,
) -> tuple[Record, list[Event]]:
    """The record after what arrived, or did not, and the events to tell: withdrawals first.

    Args:
        record: so far.
        history: everything observed from the record's horizon on, in the order of arrival; what
            was captured before it is left out. Where one picture was looked at again, by another
            model or for a site file that has changed, the first look is heard.
        condition: its name.
        limits: of the asset.
        lateness: how much later than a younger one a picture may come.
        source: of the events.
        now: by when more would have come, if there were more.
    """
    arrived = {o.id: -number for number, o in enumerate(reversed(history))}
    inside = sorted(
        (o for o in history if record.horizon is None or o.observed_at >= record.horizon),
        key=lambda o: (o.observed_at, picture_of(o), arrived[o.id], o.id),
    )
    if not inside:
        return record, []
    horizon = inside[-1].observed_at - lateness
    if record.horizon is not None:
        horizon = max(horizon, record.horizon)
    looked = max(time for time in (inside[-1].observed_at, record.looked, now) if time is not None)
    before = [] if record.last is None else [record.last]
    timeline = list(with_silences([*before, *inside], limits.patience, looked))[len(before) :]
    state, settled, last = record.settled, record.settled, record.last
    changes: dict[str, Change] = {}
    for one in timeline:
        state, change = judge(state, one, CONDITIONS[condition], limits)
        if one.observed_at < horizon:
            settled, last = state, one
        silence = Change(types.OBSERVATION_RECORDED, one, {}) if one.reason == SILENT else None
        changes |= {each.identity: each for each in (silence, change) if each is not None}
    told = {one.identity: one for one in record.told}
    youngest, events = inside[-1], []
    # The youngest first: what is taken back last is what began it all.
    for old in sorted(record.told, key=lambda one: one.time, reverse=True):
        if old.holds and old.identity not in changes:
            events.append(
                types.withdrawn(old.id, old.type, youngest.asset, old.time, source, youngest.kind)
            )
            told[old.identity] = old.model_copy(update={"holds": False})
    for identity, change in changes.items():
        earlier = told.get(identity)
        if earlier is None or not earlier.holds:
            revision = earlier.revision + 1 if earlier else 0
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
    after = Record(
        state=state,
        settled=settled,
        horizon=horizon,
        told=kept,
        stale=limits.stale,
        last=last,
        looked=looked,
        due=due_after(timeline[-1], limits.patience),
    )
    return after, events


def picture_of(observation: Observation) -> tuple[str, str]:
    """What all looks at one picture have in common: camera, and key but for the work."""
    key = observation.evidence.key.rsplit(".", 2)[0] if observation.evidence else ""
    return observation.camera or "", key


def judge_all(
    observations: Iterable[Observation],
    condition: str,
    limits: Limits,
    source: str,
    now: datetime | None = None,
) -> tuple[State, list[Event]]:
    """Judge a whole history in the order of capture, whatever order it comes in."""
    record, events = judge_again(
        Record(), list(observations), condition, limits, timedelta(0), source, now
    )
    return record.state, events
