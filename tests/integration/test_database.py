"""Opening a database: its migrations, and the URLs and servers that are none."""

import os
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from models.errors import BadConfiguration, CatalogError
from services import database
from services.database import Database
from services.migrations import revisions
from services.tables import Base
from tests import together
from tests.postgresql import PASSWORD

ROOT = Path(__file__).parents[2]


@pytest.fixture
def engine(url):
    return create_engine(url)


def schema(engine):
    """All that the database knows of our tables' columns and keys."""
    found = inspect(engine)
    parts = {
        "columns": found.get_multi_columns(),
        "keys": found.get_multi_pk_constraint(),
        "indexes": found.get_multi_indexes(),
        "unique": found.get_multi_unique_constraints(),
    }
    return {
        (part, table): sorted(map(str, one if isinstance(one, list) else [one]))
        for part, tables in parts.items()
        for (_, table), one in tables.items()
        if table != "alembic_version"
    }


def test_migrations_make_the_tables_that_the_code_knows(url, engine):
    Base.metadata.create_all(engine)
    known = schema(engine)
    Base.metadata.drop_all(engine)
    Database(url)
    assert schema(engine) == known
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_revisions_are_numbered_in_their_order():
    script = ScriptDirectory(str(ROOT / "services" / "migrations"))
    ordered = [one.revision for one in script.walk_revisions()][::-1]
    assert revisions() == ordered
    assert [int(one) for one in ordered] == list(range(1, len(ordered) + 1))


def _open(url, _):
    together.set_out()
    Database(url)


def test_processes_open_a_new_database_at_the_same_time(url, engine, four):
    list(four.map(_open, [url] * 4, range(4)))
    with engine.connect() as connection:
        made = connection.scalars(text("SELECT version_num FROM alembic_version")).all()
    assert made == [revisions()[-1]]


def _write_ahead(path, at):
    together.set_out()
    with closing(sqlite3.connect(path)) as connection:
        database._write_ahead(connection)
    return at


def test_processes_change_the_journal_of_a_new_file_at_the_same_time(tmp_path, four):
    for i in range(25):
        path = tmp_path / f"{i}.sqlite"
        assert list(four.map(_write_ahead, [path] * 4, range(4))) == [0, 1, 2, 3]
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_what_is_no_database_is_told_at_once(tmp_path):
    (tmp_path / "catalog.sqlite").write_bytes(b"no database" * 200)
    with pytest.raises(CatalogError, match="not a database"):
        Database(f"sqlite:///{tmp_path / 'catalog.sqlite'}")


def _die_half_way(url):
    from alembic import op

    op.create_index = lambda *_, **__: os._exit(9)  # after three tables
    Database(url)


def test_a_killed_migration_leaves_nothing_and_the_next_one_succeeds(url, engine):
    assert together.dies(_die_half_way, url)
    assert inspect(engine).get_table_names() == []
    Database(url)
    assert set(inspect(engine).get_table_names()) > Base.metadata.tables.keys()


@pytest.mark.parametrize(
    ("statements", "told"),
    [
        (["UPDATE alembic_version SET version_num = '9999'"], "newer Vigie .*revision 9999"),
        (["DROP TABLE alembic_version"], "no revision"),
        (["DELETE FROM alembic_version"], "no revision"),
    ],
)
def test_a_database_of_another_version_is_refused_as_it_is(url, engine, statements, told):
    Database(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    before = schema(engine)
    with pytest.raises(CatalogError, match=told) as error:
        Database(url)
    assert "VIGIE_CATALOG_URL" in str(error.value)
    assert schema(engine) == before


def test_opening_what_is_up_to_date_needs_no_alembic(tmp_path):
    url = f"sqlite:///{tmp_path / 'catalog.sqlite'}"
    Database(url)
    code = (
        "import sys; from services.database import Database; Database(sys.argv[1]);"
        "print('alembic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, url], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_the_wheel_holds_the_migrations(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
    subprocess.run(build, capture_output=True, check=True, cwd=ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    here = {str(path.relative_to(ROOT)) for path in (ROOT / "services/migrations").rglob("*.py")}
    assert here <= set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://vigie:hunter2@127.0.0.1:port/vigie",
        "postgresql://vigie:hunter2@half@127.0.0.1/vigie",
        "postgresql://vigie:hunter2",
        "mysql://vigie:hunter2@127.0.0.1/vigie",
        "hunter2",
    ],
)
def test_a_url_that_is_wrong_is_not_repeated(url):
    with pytest.raises(BadConfiguration, match="VIGIE_CATALOG_URL") as error:
        Database(url)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("postgresql://vigie:hunter2@127.0.0.1:{port}/postgres", "password"),
        ("postgresql://vigie@127.0.0.1:{port}/postgres?password=hunter2", "password"),
        ("postgresql://vigie:{right}@127.0.0.1:{port}/hunter", "does not exist"),
        ("postgresql://vigie:hunter2@127.0.0.1:1/postgres", "refused"),
    ],
)
def test_a_server_that_refuses_or_is_away_is_one_line_without_the_password(postgresql, url, cause):
    with pytest.raises(CatalogError, match=cause) as error:
        Database(url.format(port=postgresql.port, right=PASSWORD))
    assert "127.0.0.1" in str(error.value)
    for never in ("hunter2", PASSWORD, "\n"):
        assert never not in str(error.value)


def test_a_missing_driver_is_told_with_what_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(BadConfiguration, match=r"pip install 'vigie\[postgresql\]'"):
        Database("postgresql://vigie:hunter2@127.0.0.1/vigie")
