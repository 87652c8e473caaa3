"""The durable record: batches, images, observations, asset states, the outbox, and the audit.

SQLite by default, any SQLAlchemy URL otherwise. What belongs together becomes visible together:
one transaction takes in a shard's images, their audit entries and observations, one judges a batch
and appends its events. Unique keys make a repeat harmless.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, func, literal, select, text
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from models.errors import BatchError, CatalogError
from services.audit import Link, Witness, linked
from services.events import Event
from services.judgement import State
from services.outcome import Outcome
from services.tables import (
    AssetStateRow,
    AuditRow,
    Base,
    BatchRow,
    CursorRow,
    EventRow,
    ImageRow,
    ObservationRow,
)

_PAGE = 1000  # events or audit entries read at once


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Catalog:
    """The record at a SQLAlchemy URL; tables are made on first use.

    Raises (every method):
        CatalogError: the database is away, full, locked or damaged.
    """

    def __init__(self, url: str) -> None:
        self._where = url.rsplit("@", maxsplit=1)[-1]  # never the password
        with self._errors():
            self._engine = _engine(url)
            Base.metadata.create_all(self._engine)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            cause = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise CatalogError(f"catalog {self._where}: {cause}") from error

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        with self._errors(), Session(self._engine) as session, session.begin():
            yield session

    def add_batch(self, batch: str, source: str, images: int, body: dict[str, Any]) -> None:
        """Record a batch; a second time changes nothing."""
        row = {"batch": batch, "source": source, "images": images, "submitted": _now()}
        with self._transaction() as session:
            _insert_new(session, BatchRow, [row | {"finished": None, "body": body}])

    def batch(self, batch: str) -> BatchRow:
        """One batch, by its id or an unambiguous start of it.

        Raises:
            BatchError: none, or several.
        """
        with self._transaction() as session:
            query = select(BatchRow).where(BatchRow.batch.startswith(batch, autoescape=True))
            found = session.scalars(query).all()
            session.expunge_all()
        if len(found) != 1:
            known = "no batch" if not found else f"{len(found)} batches"
            raise BatchError(f"{known} called {batch!r}: `vigie status` lists them")
        return found[0]

    def batches(self) -> Sequence[BatchRow]:
        """All batches, the newest first."""
        with self._transaction() as session:
            order = (BatchRow.submitted.desc(), BatchRow.batch)
            rows = session.scalars(select(BatchRow).order_by(*order)).all()
            session.expunge_all()
        return rows

    def take_in(self, batch: str, outcomes: Sequence[Outcome], witness: Witness) -> None:
        """Record a shard's outcomes, observations and audit entries in one transaction.

        A repeat changes nothing: an image of a batch has one entry.
        """
        images = [
            {
                "batch": batch,
                "key": outcome.key,
                "work": outcome.work,
                "status": outcome.status,
                "reason": outcome.reason,
                "body": outcome.model_dump(mode="json", exclude={"observations"}),
            }
            for outcome in outcomes
        ]
        observations = [
            {
                "id": observation.id,
                "work": observation.work,
                "asset": observation.asset,
                "quantity": observation.quantity,
                "observed_at": observation.observed_at.astimezone(UTC).isoformat(),
                "body": observation.model_dump(mode="json"),
            }
            for outcome in outcomes
            for observation in outcome.observations
        ]
        with self._transaction() as session:
            if session.get_bind().dialect.name == "postgresql":
                # The chain has one end. SQLite's first insert below is a lock of this kind.
                session.execute(text("LOCK TABLE audit IN SHARE ROW EXCLUSIVE MODE"))
            new = [
                o
                for o, row in zip(outcomes, images, strict=True)
                if _insert_new(session, ImageRow, [row])
            ]
            _insert_new(session, ObservationRow, observations)
            last = session.scalar(select(AuditRow).order_by(AuditRow.position.desc()).limit(1))
            link = _link(last) if last else None
            for outcome in new:
                link = linked(witness.entry(outcome, batch), link, witness.key)
                session.add(AuditRow(**link.model_dump() | {"entry": json.dumps(link.entry)}))

    def audit(self) -> Iterator[Link]:
        """The chain of audit entries from the first; read page by page."""
        query, after = select(AuditRow).order_by(AuditRow.position).limit(_PAGE), 0
        while True:
            with self._transaction() as session:
                page = [_link(r) for r in session.scalars(query.where(AuditRow.position > after))]
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].position

    def done(self, works: Sequence[str]) -> dict[str, Outcome]:
        """The outcomes already recorded for these works, in any batch."""
        found: dict[str, Outcome] = {}
        with self._transaction() as session:
            for start in range(0, len(works), 500):
                some = works[start : start + 500]
                seen: dict[str, list[dict[str, Any]]] = {}
                for row in session.scalars(
                    select(ObservationRow).where(ObservationRow.work.in_(some))
                ):
                    seen.setdefault(row.work, []).append(row.body)
                for image in session.scalars(select(ImageRow).where(ImageRow.work.in_(some))):
                    body = image.body | {"observations": seen.get(image.work, [])}
                    found[image.work] = Outcome.model_validate(body)
        return found

    def outcomes(self, batch: str) -> list[Outcome]:
        """The outcomes of a batch by key, observations included."""
        with self._transaction() as session:
            rows = select(ImageRow.work).where(ImageRow.batch == batch).order_by(ImageRow.key)
            works = list(session.scalars(rows))
        done = self.done(works)
        return [done[work] for work in works]

    def counts(self, batch: str) -> Counter[str]:
        """Images of a batch by status."""
        query = select(ImageRow.status, func.count()).where(ImageRow.batch == batch)
        with self._transaction() as session:
            rows = session.execute(query.group_by(ImageRow.status)).all()
        return Counter({row[0]: row[1] for row in rows})

    def state(self, asset: str, quantity: str) -> State:
        """What judgement remembers; a fresh state for an asset never seen."""
        with self._transaction() as session:
            row = session.get(AssetStateRow, (asset, quantity))
            return State.model_validate(row.body) if row else State()

    def finish(
        self, batch: str, states: dict[tuple[str, str], State], events: Sequence[Event]
    ) -> int:
        """Close a batch: its asset states and events become visible together.

        Returns:
            How many of the events are new.
        """
        rows = [
            {"id": e.id, "batch": batch, "type": e.type, "subject": e.subject}
            | {"body": e.model_dump(mode="json", exclude_none=True)}
            for e in events
        ]
        with self._transaction() as session:
            for (asset, quantity), state in states.items():
                body = state.model_dump(mode="json")
                session.merge(AssetStateRow(asset=asset, quantity=quantity, body=body))
            fresh = _insert_new(session, EventRow, rows)
            row = session.get(BatchRow, batch)
            if row is not None:
                row.finished = row.finished or _now()
        return fresh

    def events(self, after: int = 0, batch: str | None = None) -> Iterator[tuple[int, Event]]:
        """Position and event, in order, of all above `after`; read page by page."""
        query = select(EventRow).order_by(EventRow.position).limit(_PAGE)
        if batch is not None:
            query = query.where(EventRow.batch == batch)
        while True:
            with self._transaction() as session:
                rows = session.scalars(query.where(EventRow.position > after)).all()
                page = [(row.position, Event.model_validate(row.body)) for row in rows]
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    def cursor(self, sink: str) -> int:
        """The position up to which `sink` has been served; 0 at first."""
        with self._transaction() as session:
            row = session.get(CursorRow, sink)
            return row.position if row else 0

    def advance(self, sink: str, position: int) -> None:
        """Note that `sink` holds everything up to `position`."""
        with self._transaction() as session:
            session.merge(CursorRow(sink=sink, position=position))


def _engine(url: str) -> Engine:
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        if engine.url.database:
            Path(engine.url.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)

        @event.listens_for(engine, "connect")
        def _pragmas(connection: Any, _: Any) -> None:
            # WAL lets readers read while one writes; FULL keeps commits through a power cut.
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000"):
                connection.execute(f"PRAGMA {pragma}")

    return engine


def _link(row: AuditRow) -> Link:
    columns = {"position": row.position, "previous": row.previous, "hash": row.hash}
    try:
        return Link.model_validate(columns | {"entry": json.loads(row.entry), "seal": row.seal})
    except ValueError:  # pydantic's and json's
        raise CatalogError(f"audit entry {row.position} is no entry") from None


def _insert_new(session: Session, table: type[Base], rows: list[dict[str, Any]]) -> int:
    """Insert the rows whose unique keys are not there yet; gives how many were new."""
    if not rows:
        return 0
    sqlite = session.get_bind().dialect.name == "sqlite"
    insert = sqlite_insert(table) if sqlite else postgresql_insert(table)
    fresh = 0
    for row in rows:
        # Not the row count: PostgreSQL's driver does not give it.
        once = insert.values(row).on_conflict_do_nothing().returning(literal(1))
        fresh += len(session.execute(once).all())
    return fresh
