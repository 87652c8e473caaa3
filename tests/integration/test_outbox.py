"""The outbox: numbers, waiting readers, and what a sink has."""

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.catalog import Catalog
from services.database import Database
from services.event_types import recorded
from services.outbox import Outbox, append
from services.tables import EventRow
from tests.told import SOURCE, ids, many, outcome_of, seen
from tests.unit.test_catalog import WITNESS, tell

ASSET, OTHER = seen(0).asset, seen(1).asset
SINK = "ngsi-ld://broker/"


@pytest.fixture
def catalog(tmp_path):
    return Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")


class GivenUp(Exception):
    pass


_EVENTS = st.tuples(st.integers(0, 3), st.integers(0, 5))  # asset, and which of its events
_TRANSACTIONS = st.lists(st.tuples(st.lists(_EVENTS, max_size=8), st.booleans()), max_size=8)


@settings(max_examples=30)
@given(_TRANSACTIONS)
def test_numbers_have_no_gap_however_events_repeat_and_transactions_are_split_or_fail(drawn):
    database, expected = Database("sqlite://"), defaultdict(list)
    for told, fails in drawn:
        events = [many(1, 4, first=asset + 4 * number)[0] for asset, number in told]
        new = dict.fromkeys(one for one in told if one[1] not in expected[one[0]])
        try:
            with database.writing(EventRow) as session:
                assert append(session, "b1", events) == len(new)
                if fails:
                    raise GivenUp
        except GivenUp:
            continue
        for asset, number in new:
            expected[asset].append(number)
    numbers = defaultdict(list)
    for _, event in Outbox(database).events():
        numbers[event.subject].append((event.id, int(event.sequence)))
    assert numbers == {
        seen(asset, 4).asset: [
            (many(1, 4, first=asset + 4 * number)[0].id, place)
            for place, number in enumerate(told, 1)
        ]
        for asset, told in expected.items()
        if told
    }


def test_a_reader_that_waits_gets_what_comes_and_gives_up_in_time(catalog):
    assert catalog.outbox.wait(0, 0.01) == ([], 0)
    events = many(3)
    tell(catalog, events)
    some, after = catalog.outbox.wait(0, 60)
    assert ([event.id for _, event in some], after) == (ids(events), 3)


def test_a_reader_of_one_asset_sleeps_through_the_others_and_goes_on_behind_them(
    catalog, monkeypatch
):
    tell(catalog, many(9, 3)[1:3])
    coming = [many(9, 3)[4:6], [], many(9, 3)[6:8]]
    naps = []

    def nap(seconds):
        naps.append(seconds)
        tell(catalog, coming[len(naps) - 1])

    monkeypatch.setattr("services.outbox.time.sleep", nap)
    some, after = catalog.outbox.wait(0, 60, subject="C-000")
    assert [(at, event.id) for at, event in some] == [(5, many(9, 3)[6].id)]
    assert (after, len(naps)) == (5, 3)
    assert catalog.outbox.wait(5, 0, subject="C-000") == ([], 6)
    assert catalog.outbox.wait(6, 0) == ([], 6)


def test_a_waiting_reader_gets_a_page_at_a_time(catalog, monkeypatch):
    monkeypatch.setattr("services.outbox.PAGE", 2)
    tell(catalog, many(3))
    assert [catalog.outbox.wait(after, 0)[1] for after in (0, 2, 3)] == [2, 3, 3]


def observed(catalog, *values, asset=ASSET, quantity="waste.overflow"):
    """Take in one observation a minute, and tell of it; gives the events."""
    made, done = [], []
    for minute, value in values:
        changes = {"asset": asset, "quantity": quantity, "value": value, "work": f"{minute:032x}"}
        changes |= {"reason": "dark"} if value is None else {}
        one = seen(10 * minute).model_copy(update=changes)
        done.append(outcome_of(one))
        made.append(recorded(one, SOURCE))
    catalog.take_in("b1", done, WITNESS)
    tell(catalog, made)
    return made


def test_what_a_sink_has_is_the_youngest_and_the_youngest_that_is_known(url):
    catalog = Catalog(url)

    def newest(upto, sink=SINK):
        return [event.id for event in catalog.outbox.newest(sink, ASSET, "waste.overflow", upto)]

    events = observed(catalog, (600, 0.1), (700, None), *((n, 0.9) for n in range(100)))
    observed(catalog, (800, 0.7), asset=OTHER)
    observed(catalog, (800, 0.7), quantity="waste.fill_level")
    told = len(events)
    assert newest(told) == [events[1].id, events[0].id]
    assert newest(1) == [events[0].id]
    assert newest(0) == []
    later = observed(catalog, *((n, None) for n in range(900, 950)))  # the sink has none of them
    assert newest(told) == [events[1].id, events[0].id]
    assert newest(1000) == [later[-1].id, events[0].id]
    catalog.outbox.bury(SINK, 1, "No")
    assert newest(told) == [events[1].id, events[101].id]
    assert newest(told, "other") == [events[1].id, events[0].id]
