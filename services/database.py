"""The database below the catalog and the outbox: one engine, short transactions, one kind of error.

SQLite by default, PostgreSQL otherwise.
"""

import random
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, literal, make_url, text
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import Session

from models.errors import BadConfiguration, CatalogError
from services import migrations
from services.tables import Base

_PATIENCE_S = 60  # of a writer on SQLite
PAGE = 500
"""Rows read at once; what a sink gets in one call, and at most gets again after a crash."""


def written(moment: datetime) -> str:
    """A moment, aware, as the record writes it: UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def now() -> str:
    """The present time as the record writes it."""
    return written(datetime.now(UTC))


class Database:
    """The tables at a SQLAlchemy URL, made or brought to this version when it is opened.

    Raises (every method):
        CatalogError: the database is away, full, locked, damaged, or of another version.

    Raises (when it is opened):
        BadConfiguration: the URL is wrong, or the driver is not installed.
    """

    def __init__(self, url: str) -> None:
        read = _read(url)
        # Not the user, nor what follows "?": passwords stand there too.
        bare = URL.create(read.drivername, None, None, read.host, read.port, read.database)
        self._where = str(bare)
        with self._errors():
            self._engine = _engine(read)
            migrations.upgrade(self._engine)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            cause = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise CatalogError(f"catalog {self._where}: {cause}") from error

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """All or nothing of what happens inside."""
        with self._errors(), Session(self._engine) as session, session.begin():
            yield session

    @contextmanager
    def writing(self, table: type[Base]) -> Iterator[Session]:
        """A transaction beside which no other one writes `table`: reading, too, is of one moment.

        Rows that number themselves become visible in the order of their numbers.
        """
        with self.transaction() as session:
            if session.get_bind().dialect.name == "postgresql":
                # The moment is that of the first query after the lock.
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
                name = table.__tablename__
                session.execute(text(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE"))
            else:
                session.execute(text("BEGIN IMMEDIATE"))
            yield session


def _read(url: str) -> URL:
    """The URL; none of what is wrong with it is repeated, since it may be a part of a password."""
    try:
        read = make_url(url)
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        raise BadConfiguration("VIGIE_CATALOG_URL: this is no URL") from None
    kind = read.get_backend_name()
    if kind not in ("sqlite", "postgresql"):
        raise BadConfiguration("VIGIE_CATALOG_URL: give sqlite:///… or postgresql://…")
    if kind == "postgresql" and url.count("@") > 1:
        raise BadConfiguration("VIGIE_CATALOG_URL: write an @ in a name or a password as %40")
    return read


def _engine(url: URL) -> Engine:
    try:
        # A connection that the server has closed meanwhile is replaced before it is used.
        engine = create_engine(url, pool_pre_ping=True)
    except ImportError:
        raise BadConfiguration(
            "PostgreSQL needs its driver: pip install 'vigie[postgresql]'"
        ) from None
    if engine.dialect.name == "sqlite":
        if engine.url.database:
            Path(engine.url.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)

        @event.listens_for(engine, "connect")
        def _pragmas(connection: Any, _: Any) -> None:
            # FULL keeps commits through a power cut; who waits to write is served in no order, so
            # one of several waits long on a slow disk; ids are told apart by case, as PostgreSQL
            # does.
            for pragma in (
                f"busy_timeout={_PATIENCE_S * 1000}",
                "synchronous=FULL",
                "case_sensitive_like=ON",
            ):
                connection.execute(f"PRAGMA {pragma}")
            _write_ahead(connection)

    return engine


def _write_ahead(connection: Any) -> None:
    """Let readers read while one writes (WAL).

    Where several open a new database SQLite refuses all but one at once, whatever `busy_timeout`.
    """
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(random.uniform(0.01, 0.05))  # noqa: S311 - no secret


def insert_new(session: Session, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert the rows whose unique keys are not there yet; gives how many were new."""
    sqlite = session.get_bind().dialect.name == "sqlite"
    insert = sqlite_insert(table) if sqlite else postgresql_insert(table)
    # Not the row count: PostgreSQL's driver does not give it.
    once = insert.on_conflict_do_nothing().returning(literal(1))
    # Row by row, so that rows number themselves in their order; not by way of the session, which
    # takes most of the time.
    connection = session.connection()
    return sum(len(connection.execute(once, row).all()) for row in rows)
