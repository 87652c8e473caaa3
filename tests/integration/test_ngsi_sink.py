import json
from datetime import UTC, datetime, timedelta

import pytest
import urllib3

from models.errors import BadConfiguration, EventRefused, SinkUnavailable
from services import delivery, ngsi
from services import event_types as types
from services.event_types import changed, quarantined, recorded, withdrawn
from services.events import Evidence, Observation
from services.settings import Settings
from services.sinks import ngsi_ld
from tests.context_broker import MAX_BYTES, ContextBroker, problem

NOON = datetime(2026, 6, 12, 12, tzinfo=UTC)
SOURCE = "/territories/t/sites/s"
SETTINGS = Settings(webhook_secret=None)


def seen(asset, value, minute=0, quantity="waste.overflow", unit="1", key="cam/a.jpg"):
    return Observation(
        work=f"{key}:{minute}",
        asset=f"urn:vigie:t:s:{asset}",
        quantity=quantity,
        value=value,
        unit=unit,
        reason="dark" if value is None else None,
        observed_at=NOON + timedelta(minutes=minute),
        time_source="key",
        evidence=Evidence(key=key, sha256="0" * 64, polygon=(), redactor="privacy@0"),
        model="waste@abc",
    )


def told(*args, **more):
    return recorded(seen(*args, **more), SOURCE)


def alert(kind, asset, minute):
    until = {"until": NOON} if kind == types.OVERFLOW_ENDED else {}
    return changed(kind, seen(asset, 0.5, minute), SOURCE, since=NOON, **until)


def container(asset):
    return f"urn:ngsi-ld:WasteContainer:t:s:{asset}"


@pytest.fixture
def broker():
    made = ContextBroker()
    yield made
    made.close()


@pytest.fixture
def sink(broker):
    made = open_sink(broker.url)
    yield made
    made.close()


def open_sink(url):
    return ngsi_ld.open_sink(delivery.subscription(url, SETTINGS).target)


def refuse(broker, key):
    """Let a broker refuse what has this evidence."""
    broker.verdict = lambda e: problem(422, f"No {key}") if f'"{key}"' in json.dumps(e) else None


def test_an_entity_is_made_then_updated_and_what_the_town_says_of_it_stays(broker, sink):
    sink.send([told("A", 0.9)])
    broker.entities[container("A")]["location"] = {"type": "GeoProperty", "value": {}}
    sink.send([told("A", 0.2, 1)])
    url = f"http://127.0.0.1:{broker.port}/ngsi-ld/v1/entities/{container('A')}"
    entity = urllib3.request("GET", url).json()
    assert entity["overflow"]["value"] == 0.2
    assert entity["overflow"]["observedAt"] == "2026-06-12T12:01:00Z"
    assert "location" in entity
    assert "urn:ngsi-ld:MLModel:waste:abc" in broker.entities


def test_an_alert_is_told_whole_every_time(broker, sink):
    sink.send([alert(types.OVERFLOW_STARTED, "A", 0)])
    sink.send([alert(types.OVERFLOW_ENDED, "A", 9)])
    name = "urn:ngsi-ld:Alert:t:s:A:waste.overflow"
    assert broker.value(name, "status") == "ended"
    again = alert(types.OVERFLOW_STARTED, "A", 20)
    sink.send([again])
    assert broker.value(name, "status") == "active"
    assert "validTo" not in broker.entities[name]
    back = withdrawn(again.id, again.type, again.subject, again.time, SOURCE)
    sink.send([back])
    assert broker.value(name, "status") == "withdrawn"
    assert "validFrom" not in broker.entities[name]
    # A late picture showed that it had been otherwise: what is told last holds, not what is later.
    sink.send([again, back, alert(types.OVERFLOW_STARTED, "A", 15)])
    assert broker.value(name, "status") == "active"
    assert broker.value(name, "dateIssued")["@value"] == "2026-06-12T12:15:00Z"


def test_events_of_one_entity_become_one_and_the_youngest_observation_wins(broker, sink):
    sink.send([told("A", 0.5, 5), told("A", 0.7, 7), told("A", None, 6), told("A", 0.1, 1)])
    ((_, _, entities),) = broker.requests
    assert [entity["id"] for entity in entities].count(container("A")) == 1
    assert broker.value(container("A"), "overflow") == 0.7
    sink.send([told("A", 0.3, 3)])  # a picture that comes late
    assert broker.value(container("A"), "overflow") == 0.7
    sink.send([told("A", None, 8)])
    assert broker.value(container("A"), "overflow") == 0.7
    assert broker.entities[container("A")]["overflow"]["observedAt"] == "2026-06-12T12:07:00Z"
    assert broker.value(container("A"), "overflowStatus") == "unknown"


def test_user_tenant_context_and_path_go_with_a_request(broker):
    context = "https://town.example/vigie.jsonld"
    options = f"plain=yes&tenant=port_1&context={context}"
    open_sink(f"ngsi-ld://u:p%40ss@127.0.0.1:{broker.port}/gate/#{options}").send([told("A", 0.9)])
    ((path, headers, entities),) = broker.requests
    assert path == "/gate/ngsi-ld/v1/entityOperations/upsert?options=update"
    basic = urllib3.make_headers(basic_auth="u:p@ss")["authorization"]
    assert (headers["authorization"], headers["ngsild-tenant"]) == (basic, "port_1")
    assert {tuple(entity["@context"]) for entity in entities} == {(context, ngsi.CORE_CONTEXT)}


def test_an_event_without_entity_is_passed_without_a_request(broker, sink):
    sink.send([quarantined("w", "cam/a.jpg", "truncated", NOON, SOURCE)])
    assert not broker.requests


def test_a_large_batch_goes_in_requests_that_brokers_take(broker, sink):
    events = [told(f"A-{i}", 0.9, key=f"{'k' * 500}/{i}") for i in range(1500)]
    sink.send(events)
    sizes = [int(headers["content-length"]) for _, headers, _ in broker.requests]
    assert len(sizes) > 1
    assert max(sizes) < MAX_BYTES
    assert all(container(f"A-{i}") in broker.entities for i in range(1500))


@pytest.mark.parametrize("mercy", [True, False], ids=["207", "whole batch"])
@pytest.mark.parametrize("at", [0, 3, 6])
def test_the_first_event_to_blame_is_named_and_all_before_it_are_there(broker, sink, at, mercy):
    refuse(broker, "bad")
    broker.mercy = mercy
    events = [told(f"A-{i}", i / 10) for i in range(7)]
    events[at] = told(f"A-{at}", 0.5, key="bad")
    events.append(told("B", 0.5, key="bad"))
    with pytest.raises(EventRefused) as error:
        sink.send(events)
    assert (error.value.event, error.value.reason) == (events[at].id, "No bad")
    assert {container(f"A-{i}") for i in range(at)} <= broker.entities.keys()
    assert container(f"A-{at}") not in broker.entities


@pytest.mark.parametrize("mercy", [True, False], ids=["207", "whole batch"])
@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
def test_of_several_events_of_an_entity_only_the_bad_one_is_refused(broker, sink, order, mercy):
    refuse(broker, "bad")
    broker.mercy = mercy
    events = [told("A", m / 10, m, key="bad" if m == 3 else "cam/a.jpg") for m in order]
    with pytest.raises(EventRefused) as error:
        sink.send(events)
    at = order.index(3)
    assert error.value.event == events[at].id
    sink.send(events[at + 1 :])
    assert broker.value(container("A"), "overflow") == 0.2


def test_a_refusal_that_names_nobody_of_ours_is_found_all_the_same(broker, sink):
    errors = [{"entityId": "urn:x", "error": problem(400, "Odd\nid")}]
    broker.plan.extend((207, {"success": [], "errors": errors}) for _ in range(3))
    events = [told("A", 0.1), told("B", 0.1), told("C", 0.1)]
    with pytest.raises(EventRefused, match="Odd id") as error:
        sink.send(events)
    assert error.value.event == events[0].id


@pytest.mark.parametrize(
    "trouble",
    [problem(503, "Busy"), problem(429, "Slowly"), {"type": "urn:x/InternalError"}],
    ids=["503", "429", "without a status"],
)
def test_an_entity_that_fails_for_now_is_sent_again_and_refuses_nothing(broker, sink, trouble):
    broker.verdict = lambda e: trouble if e["id"] == container("A") else None
    with pytest.raises(SinkUnavailable):
        sink.send([told("A", 0.1), told("B", 0.1)])
    broker.verdict = lambda _: None
    sink.send([told("A", 0.1), told("B", 0.1)])
    assert {container("A"), container("B")} <= broker.entities.keys()


@pytest.mark.parametrize(
    "fault",
    [
        *((status, None) for status in (200, 401, 403, 404, 409, 415, 500, 502)),
        (302, None, [("location", "/ngsi-ld/v1/entityOperations/upsert")]),
        (400, problem(400, "No context", "LdContextNotAvailable")),
        (207, ["nonsense"]),
        (207, {"errors": []}),
        "hang up",
        "lost answer",
    ],
)
def test_what_is_not_an_events_fault_waits(broker, sink, fault):
    broker.plan.append(fault)
    with pytest.raises(SinkUnavailable, match=r"127\.0\.0\.1"):
        sink.send([told("A", 0.1)])
    sink.send([told("A", 0.1)])
    assert container("A") in broker.entities


@pytest.mark.parametrize("status", [429, 503])
def test_a_broker_says_how_long_to_wait(broker, sink, status):
    broker.plan.append((status, None, [("retry-after", "7")]))
    with pytest.raises(SinkUnavailable) as error:
        sink.send([told("A", 0.1)])
    assert error.value.after_s == 7


def test_a_broker_that_is_not_there_is_unavailable(broker):
    broker.close()
    with pytest.raises(SinkUnavailable):
        open_sink(broker.url).send([told("A", 0.1)])


@pytest.mark.parametrize(
    "url",
    [
        "ngsi-ld:///broker",
        "ngsi-ld://broker.example/#plain=yes",
        "ngsi-ld://127.0.0.1/#plain=perhaps",
        "ngsi-ld://broker.example/#tenant=a%0d%0ab",
        "ngsi-ld://broker.example/#context=file:///x",
        "ngsi-ld://broker.example/#mode=batched",
    ],
)
def test_a_wrong_url_is_told_at_once(url):
    with pytest.raises(BadConfiguration):
        open_sink(url)
