from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from models.errors import BadConfiguration, EventRefused, SinkUnavailable, UnknownPlugin
from services import delivery, subscription
from services.catalog import Catalog
from services.event_types import OVERFLOW_ENDED, completed, recorded, withdrawn
from services.events import Event
from services.settings import Settings
from tests.patience import stopping
from tests.unit.test_catalog import NOW, events_of, outcome, tell

SETTINGS = Settings(webhook_secret=None)


@pytest.fixture
def catalog(tmp_path):
    made = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    made.add_batch("b1", "/territories/t/sites/s", 2, {})
    return made


def send(catalog, *urls, **options):
    return delivery.deliver(catalog.outbox, urls, SETTINGS, **options)


def lines(path):
    return [Event.model_validate_json(line).id for line in path.read_text().splitlines()]


def ids(events):
    return [event.id for event in events]


class Faulty:
    """A sink in which a test injects faults: what each call raises, in turn."""

    def __init__(self, *faults):
        self.faults, self.got, self.poison = list(faults), [], set()

    def send(self, events):
        if self.faults and (fault := self.faults.pop(0)):
            raise fault
        for event in events:
            if event.id in self.poison:
                raise EventRefused(event.id, "too strange")
            self.got.append(event.id)

    def close(self):
        pass


@pytest.fixture
def faulty(monkeypatch):
    sink = Faulty()
    real = subscription.plugins.load

    def load(package, name):
        if name == "faulty":
            return SimpleNamespace(open_sink=lambda _: sink)
        return real(package, name)

    monkeypatch.setattr(subscription.plugins, "load", load)
    monkeypatch.setattr(delivery, "_FIRST_WAIT_S", 0.001)
    return sink


@pytest.fixture
def stop():
    with stopping() as event:
        yield event


def test_a_file_gets_every_event_once_and_in_order(catalog, tmp_path):
    url = f"file://{tmp_path}/out/events.jsonl"
    everything = events_of(outcome("a"), outcome("b"))
    tell(catalog, everything[:1])
    assert [one.sent for one in send(catalog, url)] == [1]
    tell(catalog, everything)
    assert [one.sent for one in send(catalog, url)] == [1]
    assert [one.sent for one in send(catalog, url)] == [0]
    assert lines(tmp_path / "out/events.jsonl") == ids(everything)


def test_a_line_that_a_killed_process_left_half_is_written_again_whole(catalog, tmp_path):
    path = tmp_path / "events.jsonl"
    everything = events_of(outcome("a"), outcome("b"))
    tell(catalog, everything[:1])
    send(catalog, f"file://{path}")
    with path.open("a") as file:
        file.write(everything[1].json_line()[:200])
    tell(catalog, everything)
    send(catalog, f"file://{path}")
    assert lines(path) == ids(everything)


def test_a_file_that_has_grown_is_set_aside_and_nothing_is_lost(catalog, tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text("x" * 999_999 + "\n")
    tell(catalog, events_of(outcome("a")))
    send(catalog, f"file://{path}#rotate_mb=1")
    assert len(lines(path)) == 1
    (aside,) = tmp_path.glob("events.*Z.jsonl")
    assert aside.stat().st_size == 1_000_000


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("ftp://example.org/x", UnknownPlugin),
        ("os.path:///x", UnknownPlugin),
        ("file://elsewhere/x.jsonl", BadConfiguration),
        ("file:///x.jsonl#rotate_mb=0", BadConfiguration),
        ("file:///x.jsonl#mode=batched", BadConfiguration),
        ("file:///x.jsonl#type", BadConfiguration),
        ("https://h/#mode=both", BadConfiguration),
        ("https:///hook", BadConfiguration),
        ("http://hub.example.org/hook", BadConfiguration),
        ("http://[::1/hook", BadConfiguration),
    ],
)
def test_a_sink_that_cannot_be_is_refused_before_anything_is_sent(catalog, tmp_path, url, error):
    tell(catalog, events_of(outcome("a")))
    with pytest.raises(error):
        send(catalog, f"file://{tmp_path}/events.jsonl", url)
    assert not (tmp_path / "events.jsonl").exists()


def test_a_folder_that_cannot_be_written_makes_events_wait(catalog):
    tell(catalog, events_of(outcome("a")))
    url = "file:///proc/nowhere/x.jsonl"
    (done,) = send(catalog, url, patience_s=0)
    assert (done.sent, done.error[:12]) == (0, "cannot write")
    assert catalog.outbox.cursor(url) == 0


@pytest.mark.parametrize(
    ("fragment", "wanted"),
    [
        ("", "oxb"),
        ("type=vigie.batch.*", "b"),
        ("type=vigie.batch.*&type=vigie.observation.*", "oxb"),
        ("site=s", "ob"),
        ("site=x", "x"),
        ("purpose=waste", "ox"),
        ("purpose=vegetation", ""),
        ("purpose=waste&site=s", "o"),
    ],
)
def test_a_sink_gets_what_it_asks_for_and_passes_the_rest(catalog, tmp_path, fragment, wanted):
    here, there = "/territories/t/sites/s", "/territories/t/sites/x"
    told = {
        "o": recorded(outcome("a").observations[0], here),
        "x": recorded(outcome("b").observations[0], there),
        "b": completed("b1", {}, NOW, here),
    }
    tell(catalog, list(told.values()))
    url = f"file://{tmp_path}/events.jsonl#{fragment}"
    (done,) = send(catalog, url)
    assert done.sent == len(wanted)
    if wanted:
        assert lines(tmp_path / "events.jsonl") == [told[one].id for one in wanted]
    assert catalog.outbox.cursor(done.sink) == 3


@pytest.mark.parametrize(
    ("fragment", "wanted"),
    [
        ("purpose=waste", True),
        ("type=vigie.waste.*", True),
        ("type=vigie.event.*", True),
        ("purpose=occupancy", False),
        ("type=vigie.site.*", False),
    ],
)
def test_a_withdrawal_goes_where_what_it_takes_back_went(fragment, wanted):
    back = withdrawn("0" * 32, OVERFLOW_ENDED, "urn:vigie:t:s:A", NOW, "/territories/t/sites/s")
    assert delivery.subscription(f"file:///e.jsonl#{fragment}", SETTINGS).wants(back) == wanted


def test_passwords_are_no_part_of_what_cursors_and_messages_call_a_sink():
    one = delivery.subscription("https://user:pa55word@hub/hook?token=t0ken#site=s", SETTINGS)
    assert one.name == "https://hub/hook?ce54c36c#site=s"
    assert "pa55word" in one.target.url
    assert "t0ken" in one.target.url
    other = delivery.subscription("https://hub/hook?token=other#site=s", SETTINGS)
    assert other.name != one.name


def test_a_sink_that_fails_gets_all_later_and_holds_up_no_other(catalog, faulty, tmp_path):
    everything = events_of(*(outcome(n) for n in "abc"))
    tell(catalog, everything)
    faulty.faults = [SinkUnavailable("away")] * 1000
    away, there = send(catalog, "faulty://x", f"file://{tmp_path}/e.jsonl", patience_s=0.05)
    assert (away.sent, away.error, there.sent) == (0, "away", 3)
    faulty.faults = [SinkUnavailable("away"), SinkUnavailable("slow", after_s=0.001), None]
    (back,) = send(catalog, "faulty://x")
    assert (back.sent, back.error) == (3, "")
    assert faulty.got == ids(everything)


def test_waits_grow_and_the_time_that_a_sink_asks_for_is_kept(catalog, faulty, monkeypatch):
    tell(catalog, events_of(outcome("a")))
    waits = []
    monkeypatch.setattr(delivery.time, "sleep", waits.append)
    monkeypatch.setattr(delivery, "_FIRST_WAIT_S", 1.0)
    faulty.faults = [SinkUnavailable("x")] * 4 + [SinkUnavailable("x", after_s=17.0)]
    send(catalog, "faulty://x", patience_s=1000)
    assert all(2**i / 2 <= wait <= 2**i for i, wait in enumerate(waits[:4]))
    assert waits[4:] == [17.0]


def test_what_a_sink_refuses_is_set_aside_with_its_reason_and_the_rest_goes_on(catalog, faulty):
    everything = events_of(*(outcome(n) for n in "abcde"))
    tell(catalog, everything)
    faulty.poison = {everything[1].id, everything[4].id}
    (done,) = send(catalog, "faulty://x")
    assert (done.sent, done.refused, done.error) == (3, 2, "")
    assert faulty.got == ids([everything[i] for i in (0, 2, 3)])
    letters = catalog.outbox.dead("faulty://x")
    assert [(one.event.id, one.reason) for one in letters] == [
        (everything[1].id, "too strange"),
        (everything[4].id, "too strange"),
    ]
    faulty.poison = {everything[4].id}
    again = delivery.redeliver(catalog.outbox, "faulty://x", SETTINGS)
    assert (again.sent, again.refused) == (1, 1)
    assert faulty.got[-1] == everything[1].id
    assert [one.event.id for one in catalog.outbox.dead()] == [everything[4].id]


def test_a_replay_sends_the_same_again_and_moves_no_cursor(catalog, faulty):
    everything = events_of(*(outcome(n) for n in "abc"))
    tell(catalog, everything[:2])
    send(catalog, "faulty://x")
    tell(catalog, everything)
    hour = timedelta(hours=1)
    now = datetime.now(UTC)
    assert delivery.replay(catalog.outbox, "faulty://x", SETTINGS, now + hour).sent == 0
    assert delivery.replay(catalog.outbox, "faulty://x", SETTINGS, now - hour).sent == 2
    assert faulty.got == ids(everything[:2]) * 2  # the third waits for its turn
    send(catalog, "faulty://x")
    assert faulty.got[-1] == everything[2].id


def test_a_mistake_of_a_sink_is_told_as_its_failure_and_loses_nothing(
    catalog, faulty, stop, tmp_path
):
    everything = events_of(*(outcome(n) for n in "abc"))
    tell(catalog, everything)
    told = []
    faulty.faults = [ValueError(everything[0].json_line())] * 3

    def watch(done):
        told.append((done.sink, done.error))
        if done.sink == "faulty://x" and done.sent == 3:
            stop.set()

    urls = ["faulty://x", f"file://{tmp_path}/e.jsonl"]
    done = send(catalog, *urls, until=stop, progress=watch)
    assert [(one.sent, one.error) for one in done] == [(3, "")] * 2
    assert told.count(("faulty://x", "unexpected ValueError in this sink")) == 3
    assert faulty.got == ids(everything)


@pytest.mark.parametrize(("again", "more"), [(delivery.redeliver, []), (delivery.replay, [NOW])])
def test_a_mistake_of_a_sink_is_told_without_content_by_hand_too(catalog, faulty, again, more):
    everything = events_of(outcome("a"))
    tell(catalog, everything)
    catalog.outbox.bury("faulty://x", 1, "too strange")
    faulty.faults = [ValueError(everything[0].json_line())]
    with pytest.raises(SinkUnavailable) as error:
        again(catalog.outbox, "faulty://x", SETTINGS, *more)
    assert str(error.value) == "unexpected ValueError in this sink"
    assert len(catalog.outbox.dead()) == 1


def test_a_delivery_that_follows_sends_what_comes_until_it_is_stopped(catalog, faulty, stop):
    everything = events_of(*(outcome(n) for n in "abc"))
    tell(catalog, everything[:1])
    seen = []

    def watch(done):
        if done.sent == 1 and not seen:
            seen.append(1)
            faulty.faults = [SinkUnavailable("away")] * 3
            tell(catalog, everything)
        if done.sent == 3:
            stop.set()

    (done,) = send(catalog, "faulty://x", patience_s=0, until=stop, progress=watch)
    assert done.sent == 3
    assert faulty.got == ids(everything)
