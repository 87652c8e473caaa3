"""The outbox: events in the order in which they became true, and how far each sink has them.

What puts events here does so in the transaction that makes them true (`append`), under one lock, so
that a position never appears behind one that a sink has already passed.
"""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from services.database import PAGE, Database, insert_new, now, written
from services.event_types import OBSERVATION_RECORDED
from services.events import Event, derived_id
from services.tables import CursorRow, DeadLetterRow, EventRow, ObservationRow, SequenceRow

_POLL_S = 0.25
_LOOKED_AT = 100  # observations at once; nearly always the youngest is the one


class DeadLetter(NamedTuple):
    """An event that a sink refused for good.

    Attributes:
        sink: its URL, without what is secret in it.
        position: of the event.
        event: what was refused.
        reason: why.
        refused: when, UTC.
    """

    sink: str
    position: int
    event: Event
    reason: str
    refused: str


def append(session: Session, batch: str, events: Sequence[Event]) -> int:
    """Put events behind all others, numbered by asset; gives how many are new.

    The session must come from `Database.writing`, so that nobody else numbers meanwhile.
    """
    ids = list(dict.fromkeys(event.id for event in events))
    there: set[str] = set()
    for start in range(0, len(ids), PAGE):
        known = select(EventRow.id).where(EventRow.id.in_(ids[start : start + PAGE]))
        there.update(session.scalars(known))
    last: dict[str, int] = {}
    rows, recorded = [], now()
    for event in events:
        if event.id in there:
            continue
        there.add(event.id)
        told = event
        if (key := event.partitionkey) is not None:
            if key not in last:
                row = session.get(SequenceRow, key)
                last[key] = row.last if row else 0
            last[key] += 1
            told = event.numbered(last[key])
        rows.append(
            {"id": told.id, "batch": batch, "type": told.type, "subject": told.subject}
            | {"recorded": recorded, "body": told.json_line()}
        )
    for key, number in last.items():
        session.merge(SequenceRow(partition=key, last=number))
    if rows:
        session.execute(insert(EventRow), rows)
    return len(rows)


class Outbox:
    """Reads the events of a database, and keeps each sink's place in them.

    Raises (every method):
        CatalogError: the database is away, full, locked or damaged.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def events(
        self,
        after: int = 0,
        *,
        batch: str | None = None,
        subject: str | None = None,
        since: datetime | None = None,
    ) -> Iterator[tuple[int, Event]]:
        """Position and event, in order, of all above `after`; read page by page.

        Args:
            after: the last position not wanted.
            batch: only those that this batch told.
            subject: only those whose subject is this, or ends in `:` and this.
            since: only those recorded from then on.
        """
        query = select(EventRow.position, EventRow.body).order_by(EventRow.position).limit(PAGE)
        if batch is not None:
            query = query.where(EventRow.batch == batch)
        if subject is not None:
            ends = EventRow.subject.endswith(f":{subject}", autoescape=True)
            query = query.where((EventRow.subject == subject) | ends)
        if since is not None:
            query = query.where(EventRow.recorded >= written(since))
        while True:
            with self._database.transaction() as session:
                rows = session.execute(query.where(EventRow.position > after)).all()
            page = [(position, Event.model_validate_json(body)) for position, body in rows]
            yield from page
            if len(page) < PAGE:
                return
            after = page[-1][0]

    def newest(self, sink: str, subject: str, quantity: str, upto: int) -> list[Event]:
        """What a sink has of a quantity: the youngest observation, and the youngest with a value.

        Found from the youngest on by way of an index, however many there are.

        Args:
            sink: what it refused does not count.
            subject: the asset.
            quantity: what was observed of it.
            upto: the last position that counts.
        """
        seen = select(ObservationRow.id).execution_options(yield_per=_LOOKED_AT)
        seen = seen.where(ObservationRow.asset == subject, ObservationRow.quantity == quantity)
        seen = seen.order_by(ObservationRow.observed_at.desc())
        known = seen.where(ObservationRow.body["value"].as_float().is_not(None))
        refused = select(DeadLetterRow.position).where(DeadLetterRow.sink == sink)
        has = select(EventRow.id, EventRow.body)
        has = has.where(EventRow.position <= upto, EventRow.position.not_in(refused))
        found: dict[str, Event] = {}
        with self._database.transaction() as session:
            for query in (seen, known):
                for some in session.scalars(query).partitions():
                    ids = [derived_id(OBSERVATION_RECORDED, one) for one in some]
                    rows = session.execute(has.where(EventRow.id.in_(ids))).all()
                    if bodies := {row.id: row.body for row in rows}:
                        youngest = next(one for one in ids if one in bodies)
                        found[youngest] = Event.model_validate_json(bodies[youngest])
                        break
        return list(found.values())

    def wait(
        self, after: int, timeout_s: float, *, subject: str | None = None
    ) -> tuple[list[tuple[int, Event]], int]:
        """The next of `events`, waited for `timeout_s` at most, and the position to go on from.

        That is behind all that was looked at, whatever its subject.
        """
        end = time.monotonic() + timeout_s
        while True:
            last = self.last()
            if last > after:
                if some := list(islice(self.events(after, subject=subject), PAGE)):
                    return some, some[-1][0]
                after = last
            if (left := end - time.monotonic()) <= 0:
                return [], after
            time.sleep(min(_POLL_S, left))

    def last(self) -> int:
        """The position of the youngest event; 0 where there is none."""
        with self._database.transaction() as session:
            return session.scalar(select(func.max(EventRow.position))) or 0

    def cursor(self, sink: str) -> int:
        """The position up to which `sink` has been served; 0 at first."""
        with self._database.transaction() as session:
            row = session.get(CursorRow, sink)
            return row.position if row else 0

    def advance(self, sink: str, position: int) -> None:
        """Note that `sink` holds everything up to `position`; it never goes back."""
        with self._database.writing(CursorRow) as session:
            _advance(session, sink, position)

    def bury(self, sink: str, position: int, reason: str) -> None:
        """Set aside an event that `sink` refuses for good, and pass it."""
        row = {"sink": sink, "position": position, "reason": reason, "refused": now()}
        with self._database.writing(CursorRow) as session:
            insert_new(session, DeadLetterRow, [row])
            _advance(session, sink, position)

    def dead(self, sink: str | None = None) -> list[DeadLetter]:
        """What sinks refused, the oldest first."""
        query = select(DeadLetterRow, EventRow).join(
            EventRow, EventRow.position == DeadLetterRow.position
        )
        if sink is not None:
            query = query.where(DeadLetterRow.sink == sink)
        with self._database.transaction() as session:
            rows = session.execute(query.order_by(DeadLetterRow.position)).all()
            return [
                DeadLetter(
                    dead.sink,
                    dead.position,
                    Event.model_validate_json(event.body),
                    dead.reason,
                    dead.refused,
                )
                for dead, event in rows
            ]

    def revive(self, sink: str, position: int) -> None:
        """Forget that `sink` refused an event: it took it after all."""
        with self._database.transaction() as session:
            session.execute(
                delete(DeadLetterRow).where(
                    DeadLetterRow.sink == sink, DeadLetterRow.position == position
                )
            )


def _advance(session: Session, sink: str, position: int) -> None:
    row = session.get(CursorRow, sink)
    if row is None:
        session.add(CursorRow(sink=sink, position=position))
    else:
        row.position = max(row.position, position)
