"""The durable record on SQLite and on PostgreSQL: the same tests run on both."""

import os
import threading
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest

from models.errors import CatalogError
from services.audit import Witness, verify
from services.catalog import Catalog
from services.outcome import Outcome
from services.record import Record
from services.status import State
from tests import together
from tests.patience import MINUTE_S
from tests.told import SOURCE, START, ids, many, seen

WITNESS = Witness("a.martin", SOURCE, b"k" * 32)
SINK = "file:///events.jsonl"
ASSET, QUANTITY = seen(0).asset, seen(0).quantity
ROUNDS = 12


def outcome(number, key=None):
    return Outcome(
        key=key or f"{number}.jpg",
        work=seen(number).work,
        status="redacted",
        captured_at=START,
        processed_at=START,
        observations=(seen(number),),
    )


def quarantined(number):
    changes = {"status": "quarantined", "reason": "truncated", "observations": ()}
    return outcome(number).model_copy(update=changes)


def tell(catalog, events, batch="b1"):
    """Put events into the outbox; gives how many were new."""
    return catalog.judge(batch, lambda _: events)


def told(catalog):
    return [event.id for _, event in catalog.outbox.events()]


def numbers(catalog):
    """Asset → the numbers of its events, in the order of the outbox."""
    found = defaultdict(list)
    for _, event in catalog.outbox.events():
        found[event.partitionkey].append(int(event.sequence))
    return found


@pytest.fixture
def catalog(url):
    made = Catalog(url)
    made.add_batch("b1", SOURCE, 2, {"site": {"name": "Quai n° 3"}})
    return made


def test_what_goes_in_comes_back_as_it_was(catalog, url):
    done = [outcome(1, "é'\"%_\\ 𝄞.jpg"), quarantined(2), outcome(3)]
    catalog.take_in("b1", done, WITNESS)
    again = Catalog(url)
    assert {one.key: one for one in again.outcomes("b1")} == {one.key: one for one in done}
    assert again.done([outcome(3).work, outcome(4).work]) == {outcome(3).work: outcome(3)}
    assert again.counts("b1") == {"redacted": 2, "quarantined": 1}
    assert [link.entry["reason"] for link in again.audit()] == [None, "truncated", None]
    assert again.batch("b1").body == {"site": {"name": "Quai n° 3"}}


def test_a_batch_is_entered_into_the_audit_once(catalog):
    for _ in range(2):
        catalog.begin("b1", "privacy@0", WITNESS)
    verdict = verify(catalog.audit(), WITNESS.key)
    assert (verdict.entries, verdict.missing) == (1, {"b1": 2})


def test_a_repeat_is_harmless(catalog):
    done, events = [outcome(1), outcome(2)], many(20)
    for new in (20, 0):
        catalog.add_batch("b1", "/other", 9, {})
        catalog.take_in("b1", done, WITNESS)
        assert tell(catalog, events) == new
    assert (catalog.batch("b1").source, catalog.batch("b1").images) == (SOURCE, 2)
    assert catalog.outcomes("b1") == done
    assert verify(catalog.audit(), WITNESS.key).entries == 2
    assert told(catalog) == ids(events)
    # What comes twice takes no number either.
    tell(catalog, many(30))
    assert set(map(tuple, numbers(catalog).values())) == {(1, 2, 3)}


def test_states_are_remembered_together_with_their_events(catalog, url):
    record = Record(state=State(status="raised", level=1, since=START), horizon=START)

    def judging(ledger):
        assert ledger.record(ASSET, QUANTITY) == Record()
        ledger.keep(ASSET, QUANTITY, record)
        assert ledger.record(ASSET, QUANTITY) == record
        return many(2)

    catalog.judge("b1", judging)
    again = Catalog(url)
    assert again.states() == [(ASSET, QUANTITY, record)]
    assert told(again) == ids(many(2))
    assert again.batch("b1").finished is not None


def test_observations_are_read_in_the_order_of_arrival_from_a_time_on(catalog):
    late, early, other = outcome(20), outcome(0), outcome(1)
    catalog.take_in("b1", [late], WITNESS)
    catalog.take_in("b2", [early, other, late], WITNESS)
    read = []

    def judging(ledger):
        for since in (None, START, START + timedelta(microseconds=1)):
            found = ledger.observations(ASSET, QUANTITY, since)
            read.append([one.work for one in found])
        return []

    catalog.judge("b1", judging)
    assert read == [[late.work, early.work], [late.work, early.work], [late.work]]


def test_a_failed_transaction_leaves_nothing(catalog):
    def judging(ledger):
        ledger.keep(ASSET, QUANTITY, Record(state=State(level=1)))
        return [*many(3), many(4)[3].model_copy(update={"id": None})]  # the database refuses it

    with pytest.raises(CatalogError):
        catalog.judge("b1", judging)
    bad = quarantined(2).model_copy(update={"work": None})
    with pytest.raises(CatalogError):
        catalog.take_in("b1", [outcome(1), bad], WITNESS)
    assert (told(catalog), catalog.states()) == ([], [])
    assert catalog.batch("b1").finished is None
    assert (catalog.counts("b1"), list(catalog.audit())) == ({}, [])
    assert tell(catalog, many(10)) == 10
    assert set(map(tuple, numbers(catalog).values())) == {(1,)}


def _die_while_judging(url):
    def judging(ledger):
        ledger.keep(ASSET, QUANTITY, Record(state=State(level=1)))
        ledger.record(ASSET, "other")  # the database has heard of it
        os._exit(9)

    Catalog(url).judge("b1", judging)


def test_a_killed_writer_leaves_nothing_and_holds_nobody_up(catalog, url):
    assert together.dies(_die_while_judging, url)
    assert catalog.states() == []
    assert tell(catalog, many(5)) == 5


def _take_in(url, name):
    catalog = Catalog(url)
    together.set_out()
    for number in range(ROUNDS):
        mine = 1000 * name + number
        # All four take in the first, one the second.
        catalog.take_in("b1", [outcome(number), outcome(mine)], WITNESS)


def test_writers_at_the_same_time_make_one_chain(catalog, url, four):
    list(four.map(_take_in, [url] * 4, range(1, 5), timeout=2 * MINUTE_S))
    assert verify(catalog.audit(), WITNESS.key).entries == 5 * ROUNDS
    assert catalog.counts("b1") == {"redacted": 5 * ROUNDS}


def _judge(url, name):
    catalog = Catalog(url)
    together.set_out()
    for number in range(ROUNDS):

        def judging(ledger, number=number):
            record = ledger.record(ASSET, QUANTITY)
            state = State(level=record.state.level + 1)
            ledger.keep(ASSET, QUANTITY, Record(state=state))
            # All four tell the first of them, one the others; of the same three assets.
            mine = 10_000 * name + 10 * number
            return [*many(1, 3, number), *many(5, 3, mine)]

        catalog.judge(f"b{name}", judging)


def test_judges_at_the_same_time_lose_no_update_and_leave_no_gap(catalog, url, four):
    list(four.map(_judge, [url] * 4, range(1, 5), timeout=2 * MINUTE_S))
    assert [record.state.level for *_, record in catalog.states()] == [4 * ROUNDS]
    found = numbers(catalog)
    assert sum(map(len, found.values())) == ROUNDS + 4 * ROUNDS * 5
    assert len(found) == 3
    for sequence in found.values():
        assert sequence == list(range(1, len(sequence) + 1))


def _tell(url, name):
    catalog = Catalog(url)
    together.set_out()
    for number in range(ROUNDS):
        # Long transactions and short ones, so that one begun later could end earlier.
        first, count = 10_000 * name + 100 * number, 1 if (number + name) % 2 else 40
        events = many(count, 10, first)
        events = [e.model_copy(update={"partitionkey": f"{e.subject}-{name}"}) for e in events]
        tell(catalog, events, f"b{name}")


def test_a_reader_that_follows_misses_nothing(catalog, url, four):
    writers = [four.submit(_tell, url, name) for name in range(1, 5)]
    read, after, ended = [], 0, False
    while not ended:
        ended = all(writer.done() for writer in writers)  # asked first: the rest is read, too
        read += [(position, event.id) for position, event in catalog.outbox.events(after)]
        after = read[-1][0] if read else 0
    for writer in writers:
        writer.result(MINUTE_S)
    assert read == [(position, event.id) for position, event in catalog.outbox.events()]
    assert len(read) == 4 * ROUNDS // 2 * 41


def test_judgement_reads_of_one_moment(catalog, url):
    catalog.take_in("b1", [outcome(0)], WITNESS)
    meanwhile = threading.Thread(target=Catalog(url).take_in, args=("b1", [outcome(10)], WITNESS))

    def judging(ledger):
        before = ledger.observations(ASSET, QUANTITY, None)
        meanwhile.start()
        # SQLite lets it write only after us, PostgreSQL now.
        meanwhile.join(0.5)
        assert ledger.observations(ASSET, QUANTITY, None) == before
        return []

    catalog.judge("b1", judging)
    meanwhile.join(MINUTE_S)
    assert set(catalog.done([outcome(10).work])) == {outcome(10).work}


def _advance(url, name):
    outbox = Catalog(url).outbox
    together.set_out()
    for number in range(3 * ROUNDS):
        outbox.advance(SINK, 100 * (number + 1) + name if name % 2 else 5000 - 100 * number)


def test_cursors_never_go_back(catalog, url, four):
    catalog.outbox.advance("other", 7)
    catalog.outbox.advance("other", 3)
    assert (catalog.outbox.cursor("other"), catalog.outbox.cursor(SINK)) == (7, 0)
    movers = [four.submit(_advance, url, name) for name in range(1, 5)]
    read = [0]
    while not all(mover.done() for mover in movers):
        read.append(catalog.outbox.cursor(SINK))
    for mover in movers:
        mover.result(MINUTE_S)
    assert read == sorted(read)
    assert catalog.outbox.cursor(SINK) == 5000


def test_what_a_sink_refuses_is_set_aside_until_it_takes_it(catalog):
    events, outbox = many(3), catalog.outbox
    tell(catalog, events)
    reason = "hub.example said: « trop long »\n'; DROP TABLE events; --" * 100
    for _ in range(2):
        outbox.bury(SINK, 2, reason)
    outbox.bury("other", 1, "too strange")
    assert (outbox.cursor(SINK), outbox.cursor("other")) == (2, 1)
    (letter,) = outbox.dead(SINK)
    assert (letter.position, letter.event.id, letter.reason) == (2, events[1].id, reason)
    assert [one.position for one in outbox.dead()] == [1, 2]
    outbox.revive(SINK, 2)
    assert [one.sink for one in outbox.dead()] == ["other"]
    assert outbox.cursor(SINK) == 2


def test_events_are_found_by_batch_subject_and_time_page_by_page(catalog, monkeypatch):
    monkeypatch.setattr("services.outbox.PAGE", 3)
    events = many(20)
    tell(catalog, events[:12], "b1")
    tell(catalog, events, "b2")
    found = catalog.outbox.events
    assert [event.id for _, event in found()] == ids(events)
    assert [event.id for _, event in found(after=4)] == ids(events[4:])
    assert [event.id for _, event in found(batch="b2")] == ids(events[12:])
    for subject in ("C-003", ASSET.replace("000", "003")):
        assert [event.id for _, event in found(subject=subject)] == [events[3].id, events[13].id]
    for none in ("c-003", "C-00_", "C-00%", "003"):
        assert list(found(subject=none)) == []
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert list(found(since=tomorrow)) == []
    assert len(list(found(since=START))) == len(events)
