import multiprocessing
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest

from models.errors import BadConfiguration, BatchError, CatalogError, UnknownPlugin
from services.audit import Witness, verify
from services.catalog import Catalog
from services.delivery import deliver
from services.events import Event, Evidence, Observation, recorded
from services.judgement import State
from services.outcome import Outcome

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
        evidence=Evidence(key="a.jpg", sha256="0" * 64, polygon=()),
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
    assert catalog.finish("b1", {}, events) == 2
    assert catalog.finish("b1", {}, events) == 0
    assert len(list(catalog.events())) == 2


def test_work_done_in_another_batch_is_found(catalog):
    catalog.take_in("b1", [outcome("a")], WITNESS)
    assert set(catalog.done([outcome("a").work, outcome("b").work])) == {outcome("a").work}


def test_state_survives_a_restart(catalog, tmp_path):
    state = State(status="raised", raised=True, since=NOW, last_known_at=NOW, sequence=3)
    catalog.finish("b1", {("urn:x", "waste.overflow"): state}, [])
    again = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    assert again.state("urn:x", "waste.overflow") == state
    assert again.state("urn:y", "waste.overflow") == State()
    assert again.batch("b1").finished is not None


def test_a_failed_transaction_leaves_nothing(catalog):
    good = events_of(outcome("a"))
    bad = good[0].model_copy(update={"id": None})  # the database refuses it
    with pytest.raises(CatalogError):
        catalog.finish("b1", {("urn:x", "q"): State(sequence=1)}, [*good, bad])
    assert list(catalog.events()) == []
    assert catalog.state("urn:x", "q") == State()


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


def test_a_file_sink_gets_every_event_once_and_in_order(catalog, tmp_path):
    url = f"file://{tmp_path}/out/events.jsonl"
    first, second = events_of(outcome("a")), events_of(outcome("b"))
    catalog.finish("b1", {}, first)
    assert deliver(catalog, url) == 1
    catalog.finish("b1", {}, first + second)
    assert deliver(catalog, url) == 1
    assert deliver(catalog, url) == 0
    lines = (tmp_path / "out/events.jsonl").read_text().splitlines()
    assert [Event.model_validate_json(line) for line in lines] == first + second


def test_more_events_than_a_page_come_in_order_and_all(catalog, monkeypatch):
    monkeypatch.setattr("services.catalog._PAGE", 3)
    everything = events_of(*(outcome(f"{i:02d}") for i in range(10)))
    catalog.finish("b1", {}, everything)
    assert [event for _, event in catalog.events()] == everything
    assert [event for _, event in catalog.events(after=4)] == everything[4:]


def test_two_sinks_have_their_own_cursors(catalog, tmp_path):
    catalog.finish("b1", {}, events_of(outcome("a")))
    assert deliver(catalog, f"file://{tmp_path}/one.jsonl") == 1
    assert deliver(catalog, f"file://{tmp_path}/two.jsonl") == 1


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("ftp://example.org/x", UnknownPlugin),
        ("os.path:///x", UnknownPlugin),
        ("file://elsewhere/x.jsonl", BadConfiguration),
        ("file:///proc/nowhere/x.jsonl", BadConfiguration),
    ],
)
def test_a_sink_that_cannot_be_is_refused_and_nothing_counts_as_sent(catalog, url, error):
    catalog.finish("b1", {}, events_of(outcome("a")))
    with pytest.raises(error):
        deliver(catalog, url)
    assert catalog.cursor(url) == 0


def test_the_audit_has_one_entry_an_image_of_a_batch_in_one_chain(catalog, monkeypatch):
    monkeypatch.setattr("services.catalog._PAGE", 2)
    catalog.take_in("b1", [outcome("a"), outcome("b", "quarantined")], WITNESS)
    catalog.take_in("b2", [outcome("a"), outcome("c")], WITNESS)
    catalog.take_in("b1", [outcome("b", "quarantined"), outcome("d")], WITNESS)
    links = list(catalog.audit())
    told = [(link.entry["batch"], link.entry["reason"]) for link in links]
    assert told == [("b1", None), ("b1", "truncated"), ("b2", None), ("b2", None), ("b1", None)]
    assert verify(links, WITNESS.key).entries == 5


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
