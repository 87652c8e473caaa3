"""The snippets of docs/events.md do what the text says."""

import json
import re
import threading
from pathlib import Path

import pytest

from services import contract, delivery
from services.event_types import OVERFLOW_ENDED, OVERFLOW_STARTED, withdrawn
from services.settings import Settings
from tests.integration.test_webhook import SECRET, SETTINGS, receiver
from tests.mosquitto import MOSQUITTO, Mosquitto, until
from tests.told import ids, many

__all__ = ["receiver"]  # a fixture
ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def docs():
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL):
        exec(block, names)
    return names


def test_a_file_is_read_without_repeats(docs, outbox, tmp_path):
    events, file, seen = many(6), tmp_path / "events.jsonl", set()
    delivery.deliver(outbox(events), [f"file://{file}"], Settings())
    lines = file.read_text().splitlines()
    assert [e["id"] for e in docs["new_events"](lines[:4] + lines[2:], seen)] == ids(events)
    assert list(docs["new_events"](lines, seen)) == []


def test_open_conditions_know_what_was_withdrawn(docs):
    started, ended = contract.example(OVERFLOW_STARTED), contract.example(OVERFLOW_ENDED)
    back = withdrawn(ended.id, ended.type, ended.subject, ended.time, ended.source)
    told = [json.loads(event.json_line()) for event in (started, ended, back)]
    asset = started.subject, "vigie.waste.overflow"
    assert docs["open_conditions"](told[:1]) == {asset: started.data["since"]}
    assert docs["open_conditions"](told[:2]) == {}
    assert docs["open_conditions"](told) == {asset: started.data["since"]}


def test_a_signature_is_checked(docs, outbox, receiver):
    delivery.deliver(outbox(many(1)), [receiver.url], SETTINGS)
    ((headers, body),) = receiver.requests
    headers = {name.lower(): value for name, value in headers.items()}
    assert docs["verified"](SECRET, headers, body)
    assert not docs["verified"](SECRET, headers, body + b" ")
    assert not docs["verified"]("whsec_" + "A" * 32, headers, body)
    late = int(headers["webhook-timestamp"]) + 301
    assert not docs["verified"](SECRET, headers, body, now=late)


@pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")
def test_a_dashboard_hears_what_is_published(docs, outbox, tmp_path):
    broker, heard = Mosquitto(tmp_path), []
    client = docs["dashboard"]("127.0.0.1", broker.port, heard.append)
    subscribed = threading.Event()
    client.on_subscribe = lambda *_: subscribed.set()
    client.loop_start()
    assert subscribed.wait(60)
    events = many(4)
    box = outbox(events)
    delivery.deliver(box, [broker.url.replace("/town", "/vigie")], SETTINGS)
    until(lambda: len(heard) >= 4)
    assert [event["id"] for event in heard] == ids(events)
    client.disconnect()
    client.loop_stop()
    broker.process.kill()


def test_a_group_of_consumers_follows_a_topic(docs, outbox):
    pytest.importorskip("confluent_kafka", reason="install vigie[kafka]")
    from tests.kafka_cluster import Cluster

    cluster, events, heard = Cluster(), many(4), []
    delivery.deliver(outbox(events), [cluster.topic("events", partitions=1)], SETTINGS)
    docs["follow"](cluster.address, "events", heard.append, lambda: len(heard) == 4)
    cluster.close()
    assert [event["id"] for event in heard] == ids(events)


def test_the_example_is_an_event():
    (block,) = re.findall(r"^```json\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    told = json.loads(block)
    assert told.keys() == json.loads(contract.example(told["type"]).json_line()).keys()
