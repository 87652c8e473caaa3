import random
from contextlib import closing

import pytest
import urllib3

from services import delivery, ngsi
from services import event_types as types
from services.catalog import Catalog
from services.sinks import ngsi_ld
from tests.context_broker import ContextBroker
from tests.integration.test_ngsi_sink import SETTINGS, alert, refuse, told
from tests.unit.test_ngsi import check

SERIES = [
    ("bin", "waste.overflow", "1", "overflow", "overflowStatus"),
    ("lot", "occupancy.count", "{vehicle}", "occupiedSpotNumber", "occupiedSpotNumberStatus"),
    ("lot", "occupancy.share", "1", "occupancy", "occupancyStatus"),
    ("square", "occupancy.count", "{person}", "peopleCount", "peopleCountStatus"),
    ("stall", "occupancy.taken", "1", None, "status"),
]
FAULTS = [
    *[None] * 30,
    *[(status, None) for status in (401, 429, 500, 502, 503)] * 2,
    (429, None, [("retry-after", "1")]),
    *["hang up", "lost answer", "partly"] * 5,
    *["silence"] * 2,
]


def wild_events(draw):
    """Series of observations in any order, alerts in theirs, and ten events that are refused."""
    series = {
        (i, row): [
            told(f"{row[0]}-{i}", draw.choice([0.0, 0.6, 1.0, None]), minute, *row[1:3])
            for minute in draw.sample(range(10_000), 30)
        ]
        for row in SERIES
        for i in range(65)
    }
    bad = [told(f"bad-{i}", 0.5, key="bad") for i in range(10)]
    events = [*bad, *(event for some in series.values() for event in some)]
    draw.shuffle(events)
    kinds = (types.OVERFLOW_STARTED, types.OVERFLOW_ENDED)
    alerts = [alert(kinds[n % 2], f"bin-{i}", n) for n in range(1, 9) for i in range(65)]
    places = sorted(draw.choices(range(len(events)), k=len(alerts)), reverse=True)
    for one, place in zip(reversed(alerts), places, strict=True):
        events.insert(place, one)
    return series, alerts, bad, events


def sent_so_far(broker):
    """Each entity of each request, with what earlier ones said: a late picture tells less."""
    known = {}
    for _, _, entities in broker.requests:
        for entity in entities:
            before = {} if entity["type"] in ngsi.REPLACED else known.get(entity["id"], {})
            known[entity["id"]] = before | {n: v for n, v in entity.items() if n != "@context"}
            yield known[entity["id"]]


@pytest.fixture
def broker():
    with closing(ContextBroker()) as made:
        yield made


def test_ten_thousand_events_reach_a_broker_that_fails_all_the_time(broker, tmp_path, monkeypatch):
    draw = random.Random(7)
    series, alerts, bad, events = wild_events(draw)
    catalog = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    assert catalog.judge("b", lambda _: events) == len(events) > 10_000
    refuse(broker, "bad")
    broker.plan.extend(draw.sample(FAULTS, len(FAULTS)))
    monkeypatch.setattr(ngsi_ld, "_TIMEOUT", urllib3.Timeout(1.5))
    monkeypatch.setattr(delivery, "_FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(delivery, "_LONGEST_WAIT_S", 0.01)
    (done,) = delivery.deliver(catalog.outbox, [broker.url], SETTINGS, patience_s=60)
    assert (done.sent, done.refused, done.error) == (len(events) - len(bad), len(bad), "")
    assert not broker.plan
    dead = catalog.outbox.dead()
    assert {(letter.event.id, letter.reason) for letter in dead} == {(e.id, "No bad") for e in bad}
    for (_, (*_, number, status)), some in series.items():
        newest = max(some, key=lambda event: event.time)
        known = max((e for e in some if e.data["value"] is not None), key=lambda e: e.time)
        for event, attribute in ((newest, status), (known, number)):
            if attribute is not None:
                entity, _ = ngsi.entities(event)
                assert broker.entities[entity["id"]][attribute] == entity[attribute]
    for entity in sent_so_far(broker):
        check(entity)
    for event in {event.subject: event for event in alerts}.values():
        entity, _ = ngsi.entities(event)
        assert broker.entities[entity["id"]] == ngsi.in_context(entity)
