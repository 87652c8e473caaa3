import multiprocessing
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from models.errors import BatchError, CatalogError
from services.audit import Witness, verify
from services.catalog import Catalog
from services.event_types import recorded
from services.events import Evidence, Observation
from services.outcome import Outcome
from services.record import Record
from services.status import State

NOW = datetime(2026, 6, 12, 7, 40, tzinfo=UTC)
WITNESS = Witness("a.martin", "/territories/t/sites/s", b"k" * 32)


def outcome(name, status="redacted", value=0.5):
    work = name.ljust(32, "0")
    observation = Observation(
        work=work,
        asset="urn:vigie:t:s:C-1",
        quantity="waste.overflow",
        value=value,
        unit="1",
        observed_at=NOW,
        time_source="key",
        evidence=Evidence(key="a.jpg", sha256="0" * 64, polygon=(), redactor="privacy@0"),
        model="waste@0",
    )
    quarantined = status == "quarantined"
    return Outcome(
        key=f"{name}.jpg",
        work=work,
        status=status,
        reason="truncated" if quarantined else None,
        captured_at=NOW,
        observations=() if quarantined else (observation,),
    )


@pytest.fixture
def catalog(tmp_path):
    made = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    made.add_batch("b1", "/territories/t/sites/s", 2, {})
    return made


def events_of(*outcomes):
    return [recorded(o, "/s") for outcome in outcomes for o in outcome.observations]


def tell(catalog, events, batch="b1"):
    """Put events into the outbox; gives how many were new."""
    return catalog.judge(batch, lambda _: events)


def test_outcomes_come_back_as_they_went_in(catalog):
    done = [outcome("a"), outcome("b", "quarantined")]
    catalog.take_in("b1", done, WITNESS)
    assert catalog.outcomes("b1") == done
    assert catalog.counts("b1") == {"redacted": 1, "quarantined": 1}


def test_a_repeat_is_harmless(catalog):
    done = [outcome("a"), outcome("b")]
    for _ in range(2):
        catalog.take_in("b1", done, WITNESS)
        catalog.add_batch("b1", "/other", 9, {})
    assert catalog.outcomes("b1") == done
    assert len(list(catalog.audit())) == 2
    assert catalog.batch("b1").images == 2
    events = events_of(*done)
    assert tell(catalog, events) == 2
    assert tell(catalog, events) == 0
    assert len(list(catalog.outbox.events())) == 2


def test_work_done_in_another_batch_is_found(catalog):
    catalog.take_in("b1", [outcome("a")], WITNESS)
    assert set(catalog.done([outcome("a").work, outcome("b").work])) == {outcome("a").work}


def test_what_is_judged_survives_a_restart(catalog, tmp_path):
    state = State(status="raised", level=1, since=NOW, last_known_at=NOW)
    record = Record(state=state, horizon=NOW)

    def judging(ledger):
        assert ledger.record("urn:x", "waste.overflow") == Record()
        ledger.keep("urn:x", "waste.overflow", record)
        return []

    catalog.judge("b1", judging)
    again = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    assert again.states() == [("urn:x", "waste.overflow", record)]
    assert again.batch("b1").finished is not None


def test_judgement_reads_what_any_batch_observed_in_the_order_of_arrival(catalog):
    late, early = outcome("z"), outcome("a")
    catalog.take_in("b1", [late], WITNESS)
    catalog.take_in("b2", [early, late], WITNESS)
    read = []

    def judging(ledger):
        for since in (None, NOW, NOW + timedelta(microseconds=1)):
            found = ledger.observations("urn:vigie:t:s:C-1", "waste.overflow", since)
            read.append([o.work[0] for o in found])
        return []

    catalog.judge("b1", judging)
    assert read == [["z", "a"], ["z", "a"], []]


def test_a_failed_judgement_leaves_nothing(catalog):
    def failing(ledger):
        ledger.keep("urn:x", "q", Record(state=State(level=1)))
        return [
            *events_of(outcome("a")),
            events_of(outcome("b"))[0].model_copy(update={"id": None}),
        ]

    with pytest.raises(CatalogError):
        catalog.judge("b1", failing)
    assert list(catalog.outbox.events()) == []
    assert catalog.states() == []
    assert catalog.batch("b1").finished is None


def test_events_of_an_asset_are_numbered_without_gaps_whatever_is_told_twice(catalog):
    told = events_of(*(outcome(n) for n in "abcdef"))
    tell(catalog, told[:3])
    tell(catalog, told[1:5])
    tell(catalog, told)
    assert [e.sequence for _, e in catalog.outbox.events()] == [f"{n:010d}" for n in range(1, 7)]


def test_batches_are_found_by_an_unambiguous_start(catalog):
    catalog.add_batch("b22", "/s", 1, {})
    catalog.add_batch("b23", "/s", 1, {})
    assert catalog.batch("b22").batch == "b22"
    for unclear in ("b2", "x", "%"):
        with pytest.raises(BatchError, match="vigie status"):
            catalog.batch(unclear)


def test_an_unreachable_catalog_is_one_clear_line_without_the_password():
    with pytest.raises(CatalogError) as error:
        Catalog("sqlite:////proc/nowhere/catalog.sqlite")
    assert "\n" not in str(error.value)


def test_more_events_than_a_page_come_in_order_and_all(catalog, monkeypatch):
    monkeypatch.setattr("services.outbox.PAGE", 3)
    everything = events_of(*(outcome(f"{i:02d}") for i in range(10)))
    tell(catalog, everything)
    found = [event.id for _, event in catalog.outbox.events()]
    assert found == [event.id for event in everything]
    assert [event.id for _, event in catalog.outbox.events(after=4)] == found[4:]
    assert catalog.outbox.last() == 10


def test_events_are_found_by_asset_by_batch_and_by_when_they_were_recorded(catalog):
    one, two = events_of(outcome("a"))[0], events_of(outcome("b"))[0]
    two = two.model_copy(update={"subject": "urn:vigie:t:s:XC-1"})
    tell(catalog, [one])
    tell(catalog, [two], "b2")

    def found(**wanted):
        return [event.id for _, event in catalog.outbox.events(**wanted)]

    assert found(subject="C-1") == found(subject="urn:vigie:t:s:C-1") == [one.id]
    assert found(batch="b2") == [two.id]
    now = datetime.now(UTC)
    assert found(since=now - timedelta(hours=1)) == [one.id, two.id]
    assert found(since=now + timedelta(hours=1)) == []


def test_the_audit_has_one_entry_an_image_of_a_batch_in_one_chain(catalog, monkeypatch):
    monkeypatch.setattr("services.catalog.PAGE", 2)
    catalog.take_in("b1", [outcome("a"), outcome("b", "quarantined")], WITNESS)
    catalog.take_in("b2", [outcome("a"), outcome("c")], WITNESS)
    catalog.take_in("b1", [outcome("b", "quarantined"), outcome("d")], WITNESS)
    links = list(catalog.audit())
    told = [(link.entry["batch"], link.entry["reason"]) for link in links]
    assert told == [("b1", None), ("b1", "truncated"), ("b2", None), ("b2", None), ("b1", None)]
    assert verify(links, WITNESS.key).entries == 5


def test_a_batch_is_entered_once_and_tells_what_is_missing(catalog):
    catalog.add_batch("b2", "/territories/t/sites/s", 3, {"purposes": ["waste"]})
    for batch in ("b1", "b2", "b1"):
        catalog.begin(batch, "privacy@0", WITNESS)
    assert verify(catalog.audit(), WITNESS.key).missing == {"b1": 2, "b2": 3}
    catalog.take_in("b1", [outcome("a"), outcome("b", "quarantined")], WITNESS)
    catalog.take_in("b2", [outcome("a")], WITNESS)
    verdict = verify(catalog.audit(), WITNESS.key)
    assert (verdict.entries, verdict.missing) == (5, {"b2": 2})
    first = next(catalog.audit()).entry
    assert (first["outcome"], first["operator"], first["images"]) == ("begun", "a.martin", 2)
    assert catalog.batch("b2").body["purposes"] == ["waste"]
    with pytest.raises(BatchError, match="submit it again"):
        catalog.begin("b3", "privacy@0", WITNESS)
    assert verify(catalog.audit(), WITNESS.key).entries == 5


def test_an_image_without_its_entry_is_not_taken_in(catalog, monkeypatch):
    def broken(*_):
        raise CatalogError("no room")

    monkeypatch.setattr("services.catalog.linked", broken)
    with pytest.raises(CatalogError):
        catalog.take_in("b1", [outcome("a")], WITNESS)
    assert catalog.counts("b1") == {}
    assert catalog.done([outcome("a").work]) == {}


def _take_in_thirty(url, name):
    writer = Catalog(url)
    for number in range(30):
        # Half of them are taken in by both writers.
        shared = outcome(f"{number:02d}{name if number % 2 else ''}")
        writer.take_in("b1", [shared], WITNESS)


def test_writers_at_the_same_time_make_one_chain(catalog, tmp_path):
    url = f"sqlite:///{tmp_path / 'catalog.sqlite'}"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_take_in_thirty, args=(url, n)) for n in "xyz"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert verify(catalog.audit(), WITNESS.key).entries == 15 + 3 * 15
    assert catalog.counts("b1") == {"redacted": 60}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE audit SET entry = replace(entry, 'a.martin', 'b.petit') WHERE position = 2", "2"),
        ("UPDATE audit SET entry = '[' WHERE position = 3", "3"),
        ("DELETE FROM audit WHERE position = 1", "1"),
        ("DELETE FROM audit WHERE position = 3", "3"),
    ],
)
def test_a_change_in_the_database_is_found_at_its_position(catalog, tmp_path, change, told):
    catalog.take_in("b1", [outcome(n) for n in "abcd"], WITNESS)
    with closing(sqlite3.connect(tmp_path / "catalog.sqlite")) as connection, connection:
        connection.execute(change)
    with pytest.raises(CatalogError, match=f"entry {told}"):
        verify(catalog.audit(), WITNESS.key)
