"""The tables of the catalog."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Index, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# SQLite numbers rows by itself only where the column is an INTEGER, which holds 64 bits there.
_Number = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    """Tables of the catalog."""

    type_annotation_map = {dict[str, Any]: JSON}  # noqa: RUF012 - SQLAlchemy's own form


class BatchRow(Base):
    """One submitted batch. `finished` is set by the transaction that judges it."""

    __tablename__ = "batches"
    batch: Mapped[str] = mapped_column(String(64), primary_key=True)
    source: Mapped[str]
    images: Mapped[int]
    submitted: Mapped[str]
    finished: Mapped[str | None]
    body: Mapped[dict[str, Any]]


class ImageRow(Base):
    """The outcome of one image of a batch."""

    __tablename__ = "images"
    batch: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(1024), primary_key=True)
    work: Mapped[str] = mapped_column(String(32), index=True)
    status: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None]
    body: Mapped[dict[str, Any]]


class ObservationRow(Base):
    """One observation; `position` is the order of arrival."""

    __tablename__ = "observations"
    position: Mapped[int] = mapped_column(_Number, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    work: Mapped[str] = mapped_column(String(32), index=True)
    asset: Mapped[str] = mapped_column(String(255))
    quantity: Mapped[str] = mapped_column(String(64))
    observed_at: Mapped[str] = mapped_column(String(40))
    body: Mapped[dict[str, Any]]
    __table_args__ = (Index("by_asset", "asset", "quantity", "observed_at"),)


class AssetStateRow(Base):
    """What judgement remembers of an asset and condition (`services.judgement.Record`)."""

    __tablename__ = "asset_states"
    asset: Mapped[str] = mapped_column(String(255), primary_key=True)
    condition: Mapped[str] = mapped_column(String(64), primary_key=True)
    body: Mapped[dict[str, Any]]


class EventRow(Base):
    """The outbox: an event waits here for every sink, in `position` order.

    `body` is text: read as such it is ten times quicker to hand on.
    """

    __tablename__ = "events"
    position: Mapped[int] = mapped_column(_Number, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    batch: Mapped[str] = mapped_column(String(64), index=True)
    type: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(1024), index=True)
    recorded: Mapped[str] = mapped_column(String(20))
    body: Mapped[str] = mapped_column(Text)


class SequenceRow(Base):
    """The number of the last event of an asset."""

    __tablename__ = "sequences"
    partition: Mapped[str] = mapped_column(String(255), primary_key=True)
    last: Mapped[int] = mapped_column(_Number)


class CursorRow(Base):
    """How far a sink has been served."""

    __tablename__ = "cursors"
    sink: Mapped[str] = mapped_column(String(512), primary_key=True)
    position: Mapped[int] = mapped_column(_Number)


class DeadLetterRow(Base):
    """An event that a sink refused for good."""

    __tablename__ = "dead_letters"
    sink: Mapped[str] = mapped_column(String(512), primary_key=True)
    position: Mapped[int] = mapped_column(_Number, primary_key=True, autoincrement=False)
    reason: Mapped[str] = mapped_column(Text)
    refused: Mapped[str] = mapped_column(String(20))


class AuditRow(Base):
    """A link of the audit (`services.audit.Link`); the unique columns make a fork impossible.

    `entry` is text, so that one that was damaged is found at its own position.
    """

    __tablename__ = "audit"
    position: Mapped[int] = mapped_column(_Number, primary_key=True, autoincrement=False)
    previous: Mapped[str] = mapped_column(String(64), unique=True)
    entry: Mapped[str] = mapped_column(Text)
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    seal: Mapped[str] = mapped_column(String(64))
