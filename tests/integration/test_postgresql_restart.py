"""A PostgreSQL server that goes away and comes back, while events are written and delivered."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from models.errors import CatalogError
from services.catalog import Catalog
from services.delivery import deliver
from services.settings import Settings
from services.sinks.file import FileSink
from tests.patience import MINUTE_S, stopping
from tests.told import ids, in_order, many

EVENTS, ASSETS, AT_ONCE = 10_000, 20, 100
CRASHES = (1, 3, 6)  # calls to the sink after which the server is gone


@pytest.fixture(scope="module")
def server(new_server):
    return new_server()


def again(do):
    """Until the database is back."""
    end = time.monotonic() + MINUTE_S
    while True:
        try:
            return do()
        except CatalogError:
            assert time.monotonic() < end, "it never came back"
            time.sleep(0.05)


def test_a_restart_between_two_uses_is_not_noticed(server):
    catalog = Catalog(server.new_database())
    catalog.judge("b1", lambda _: many(3))
    server.stop("fast")
    with pytest.raises(CatalogError, match=r"127\.0\.0\.1"):
        catalog.outbox.last()
    server.start()
    assert catalog.outbox.last() == 3
    for mode in ("fast", "immediate"):
        server.stop(mode)
        server.start()
        assert catalog.outbox.last() == 3


def test_what_was_written_is_delivered_through_crashes(server, tmp_path, monkeypatch):
    url, path = server.new_database(), tmp_path / "events.jsonl"
    outbox, down = Catalog(url).outbox, threading.Event()
    calls = iter(range(1, EVENTS))
    send = FileSink.send

    def send_and_crash(sink, events):
        send(sink, events)
        if next(calls) in CRASHES:
            server.stop("immediate")
            down.set()

    def write(first):
        catalog = again(lambda: Catalog(url))
        for start in range(first, first + EVENTS // 4, AT_ONCE):
            events = many(AT_ONCE, ASSETS, start)
            again(lambda start=start, events=events: catalog.judge(f"b{start}", lambda _: events))

    def follow(ended):
        again(lambda: deliver(outbox, [f"file://{path}"], Settings(), until=ended))

    write(0)
    write(EVENTS // 4)
    monkeypatch.setattr(FileSink, "send", send_and_crash)
    with ThreadPoolExecutor(4) as threads, stopping() as ended:
        following = threads.submit(follow, ended)
        writers = [threads.submit(write, EVENTS * quarter // 4) for quarter in (2, 3)]
        for _ in CRASHES:
            assert down.wait(MINUTE_S)
            down.clear()
            server.start()
        for writer in writers:
            writer.result(MINUTE_S)
        ended.set()
        following.result(MINUTE_S)
    # What came while it waited for the end.
    deliver(outbox, [f"file://{path}"], Settings())

    lines = path.read_text().splitlines()
    bodies = list(map(json.loads, lines))
    assert {body["id"] for body in bodies} == set(ids(many(EVENTS, ASSETS)))
    assert in_order(bodies)
    # Each crash came before the sink's place was noted, so there are repeats.
    assert len(lines) > len(set(lines)) == EVENTS
