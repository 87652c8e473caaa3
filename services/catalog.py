"""The durable record: batches, images, observations, asset states, the outbox, and the audit.

What belongs together becomes visible together: one transaction takes in a shard's images, their
audit entries and observations, one judges a batch and appends its events. Unique keys make a repeat
harmless.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.errors import BatchError, CatalogError
from services.audit import Entry, Link, Witness, linked
from services.database import PAGE, Database, insert_new, now
from services.events import Event, Observation
from services.outbox import Outbox, append
from services.outcome import Outcome
from services.record import Record
from services.tables import AssetStateRow, AuditRow, BatchRow, ImageRow, ObservationRow


class Ledger:
    """What judgement may read and write, in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def record(self, asset: str, condition: str) -> Record:
        """What is remembered; a fresh record for an asset never seen."""
        row = self._session.get(AssetStateRow, (asset, condition))
        return Record.model_validate(row.body) if row else Record()

    def keep(self, asset: str, condition: str, record: Record) -> None:
        """Remember."""
        body = record.model_dump(mode="json")
        self._session.merge(AssetStateRow(asset=asset, condition=condition, body=body))

    def observations(self, asset: str, quantity: str, since: datetime | None) -> list[Observation]:
        """All that any batch observed of an asset from `since` on, in the order of arrival."""
        query = select(ObservationRow).order_by(ObservationRow.position)
        query = query.where(ObservationRow.asset == asset, ObservationRow.quantity == quantity)
        if since is not None:
            query = query.where(ObservationRow.observed_at >= _instant(since))
        return [Observation.model_validate(row.body) for row in self._session.scalars(query)]


class Catalog:
    """The record at a SQLAlchemy URL.

    Attributes:
        outbox: the events, and how far each sink has them.

    Raises (every method):
        CatalogError: the database is away, full, locked, damaged, or of another version.

    Raises (when it is opened):
        BadConfiguration: the URL is wrong, or the driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self._database = Database(url)
        self.outbox = Outbox(self._database)

    def add_batch(self, batch: str, source: str, images: int, body: dict[str, Any]) -> None:
        """Record a batch; a second time changes nothing."""
        row = {"batch": batch, "source": source, "images": images, "submitted": now()}
        with self._database.transaction() as session:
            insert_new(session, BatchRow, [row | {"finished": None, "body": body}])

    def batch(self, batch: str) -> BatchRow:
        """One batch, by its id or an unambiguous start of it.

        Raises:
            BatchError: none, or several.
        """
        with self._database.transaction() as session:
            query = select(BatchRow).where(BatchRow.batch.startswith(batch, autoescape=True))
            found = session.scalars(query).all()
            session.expunge_all()
        if len(found) != 1:
            known = "no batch" if not found else f"{len(found)} batches"
            raise BatchError(f"{known} called {batch!r}: `vigie status` lists them")
        return found[0]

    def batches(self) -> Sequence[BatchRow]:
        """All batches, the newest first."""
        with self._database.transaction() as session:
            order = (BatchRow.submitted.desc(), BatchRow.batch)
            rows = session.scalars(select(BatchRow).order_by(*order)).all()
            session.expunge_all()
        return rows

    def begin(self, batch: str, redactor: str, witness: Witness) -> None:
        """Enter a batch into the audit, once: before any picture of it can be published.

        Raises:
            BatchError: no such batch.
        """
        with self._database.writing(AuditRow) as session:
            row = session.get(BatchRow, batch)
            if row is None:
                raise BatchError(f"no batch called {batch!r}: submit it again")
            if "begun" in row.body:
                return
            row.body = row.body | {"begun": now()}
            entry = witness.begun(batch, redactor, row.images)
            _enter(session, [entry], witness.key)

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
                "observed_at": _instant(observation.observed_at),
                "body": observation.model_dump(mode="json"),
            }
            for outcome in outcomes
            for observation in outcome.observations
        ]
        with self._database.writing(AuditRow) as session:  # the chain has one end
            new = [
                o
                for o, row in zip(outcomes, images, strict=True)
                if insert_new(session, ImageRow, [row])
            ]
            insert_new(session, ObservationRow, observations)
            _enter(session, (witness.entry(outcome, batch) for outcome in new), witness.key)

    def audit(self) -> Iterator[Link]:
        """The chain of audit entries from the first; read page by page."""
        query, after = select(AuditRow).order_by(AuditRow.position).limit(PAGE), 0
        while True:
            with self._database.transaction() as session:
                page = [_link(r) for r in session.scalars(query.where(AuditRow.position > after))]
            yield from page
            if len(page) < PAGE:
                return
            after = page[-1].position

    def done(self, works: Sequence[str]) -> dict[str, Outcome]:
        """The outcomes already recorded for these works, in any batch."""
        found: dict[str, Outcome] = {}
        with self._database.transaction() as session:
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
        with self._database.transaction() as session:
            rows = select(ImageRow.work).where(ImageRow.batch == batch).order_by(ImageRow.key)
            works = list(session.scalars(rows))
        done = self.done(works)
        return [done[work] for work in works]

    def observations(self, asset: str, quantity: str) -> list[Observation]:
        """All that any batch observed of an asset, in the order of arrival."""
        with self._database.transaction() as session:
            return Ledger(session).observations(asset, quantity, None)

    def observed(
        self, purpose: str, since: datetime, until: datetime | None = None
    ) -> Iterator[Observation]:
        """All that any batch observed of a purpose's quantities, in the order of arrival.

        Args:
            purpose: its name.
            since: capture times from it on.
            until: and before it.
        """
        query = select(ObservationRow.body).order_by(ObservationRow.position)
        query = query.where(ObservationRow.quantity.startswith(f"{purpose}.", autoescape=True))
        query = query.where(ObservationRow.observed_at >= _instant(since))
        if until is not None:
            query = query.where(ObservationRow.observed_at < _instant(until))
        with self._database.transaction() as session:
            for body in session.scalars(query.execution_options(yield_per=PAGE)):
                yield Observation.model_validate(body)

    def counts(self, batch: str) -> Counter[str]:
        """Images of a batch by status."""
        query = select(ImageRow.status, func.count()).where(ImageRow.batch == batch)
        with self._database.transaction() as session:
            rows = session.execute(query.group_by(ImageRow.status)).all()
        return Counter({row[0]: row[1] for row in rows})

    def judge(self, batch: str, judging: Callable[[Ledger], Sequence[Event]]) -> int:
        """Close a batch: its asset states and events become visible together.

        Args:
            batch: its id.
            judging: reads and writes states, and gives the events; nobody else judges meanwhile.

        Returns:
            How many of the events are new.
        """
        with self._database.writing(AssetStateRow) as session:
            fresh = append(session, batch, judging(Ledger(session)))
            row = session.get(BatchRow, batch)
            if row is not None:
                row.finished = row.finished or now()
        return fresh

    def states(self) -> list[tuple[str, str, Record]]:
        """Asset, condition and what is remembered of them, of all assets."""
        query = select(AssetStateRow).order_by(AssetStateRow.asset, AssetStateRow.condition)
        with self._database.transaction() as session:
            return [
                (row.asset, row.condition, Record.model_validate(row.body))
                for row in session.scalars(query)
            ]


def _instant(time: datetime) -> str:
    """UTC in a form whose order is that of time."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def _enter(session: Session, entries: Iterable[Entry], key: bytes) -> None:
    """Lengthen the chain, in a transaction that writes the audit."""
    last = session.scalar(select(AuditRow).order_by(AuditRow.position.desc()).limit(1))
    link = _link(last) if last else None
    for entry in entries:
        link = linked(entry, link, key)
        session.add(AuditRow(**link.model_dump() | {"entry": json.dumps(link.entry)}))


def _link(row: AuditRow) -> Link:
    columns = {"position": row.position, "previous": row.previous, "hash": row.hash}
    try:
        return Link.model_validate(columns | {"entry": json.loads(row.entry), "seal": row.seal})
    except ValueError:  # pydantic's and json's
        raise CatalogError(f"audit entry {row.position} is no entry") from None
