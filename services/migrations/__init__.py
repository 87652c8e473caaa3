"""Migrations: opening a database brings it to the tables of this version, or refuses it.

One file a revision in `versions/`, numbered in their order: there is no list to extend.
"""

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from models.errors import CatalogError
from services.tables import Base

_VERSIONS = Path(__file__).parent / "versions"
_ANOTHER = "or set VIGIE_CATALOG_URL to another database"


def revisions() -> list[str]:
    """The revisions that this version knows, the oldest first."""
    return sorted(path.name.partition("_")[0] for path in _VERSIONS.glob("[0-9]*.py"))


def upgrade(engine: Engine) -> None:
    """Bring a database to the newest revision, all or nothing; processes may do so at once.

    Raises:
        CatalogError: a newer version made the database, or one that kept no revision.
        SQLAlchemyError: it is away, full, locked or damaged.
    """
    known = revisions()
    with engine.connect() as connection:
        if _revision(connection) == known[-1]:
            return
    with engine.begin() as connection:
        _wait_for_turn(connection)
        _migrate(connection, known)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _wait_for_turn(connection: Connection) -> None:
    """Until the transaction ends, nobody else migrates."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('vigie.migrations'))"))
    else:
        connection.execute(text("BEGIN IMMEDIATE"))


def _migrate(connection: Connection, known: list[str]) -> None:
    revision = _revision(connection)
    if revision is None and Base.metadata.tables.keys() & inspect(connection).get_table_names():
        raise CatalogError(
            "the database holds tables but no revision: they are from before there were "
            f"migrations; set it aside and submit its batches again, {_ANOTHER}"
        )
    if revision not in (None, *known):
        raise CatalogError(
            f"a newer Vigie made the catalog (revision {revision}; this one knows {known[-1]}): "
            f"install that version, {_ANOTHER}"
        )
    # Imported here, since all but the first start of a version do without.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "services:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
