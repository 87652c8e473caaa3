"""The snippets of docs/events.md do what the text says."""

import json
import re
import shlex
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services import delivery
from services.event_examples import example
from services.event_types import withdrawn
from services.judgement import CONDITIONS
from services.settings import Settings
from serving.cli import app
from tests.context_broker import ContextBroker
from tests.integration.test_webhook import SECRET, SETTINGS, receiver
from tests.mosquitto import MOSQUITTO, Mosquitto
from tests.patience import MINUTE_S, until
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


# A band is no condition: it is never over, it only changes.
OPENING = [one for one in CONDITIONS.values() if one.rises != one.falls]


@pytest.mark.parametrize("condition", OPENING, ids=lambda condition: condition.rises)
def test_open_conditions_know_what_began_what_ended_and_what_was_withdrawn(docs, condition):
    started, ended = example(condition.rises), example(condition.falls)
    back = withdrawn(ended.id, ended.type, ended.subject, ended.time, ended.source)
    told = [json.loads(event.json_line()) for event in (started, ended, back)]
    asset = started.subject, condition.rises.removesuffix(".v1")
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
    assert subscribed.wait(MINUTE_S)
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
    end = time.monotonic() + MINUTE_S
    docs["follow"](
        *(cluster.address, "events", heard.append),
        lambda: len(heard) == 4 or time.monotonic() > end,
    )
    cluster.close()
    assert [event["id"] for event in heard] == ids(events)


def test_a_broker_is_read(docs, outbox):
    context = "https://town.example/ngsi-context.jsonld"
    with closing(ContextBroker()) as broker:
        delivery.deliver(outbox(many(1)), [broker.url], SETTINGS)
        place = f"http://127.0.0.1:{broker.port}"
        assert docs["overflow"](place, context, "t:s:C-000") == (0.5, "2026-06-12T05:00:00Z")
        assert broker.asked[-1]["link"].startswith(f"<{context}>; rel=")
        entity = broker.entities["urn:ngsi-ld:WasteContainer:t:s:C-000"]
        entity["overflowStatus"]["value"] = "unknown"
        assert docs["overflow"](place, context, "t:s:C-000") is None


LINES = re.findall(r"^    vigie (.*)$", TEXT, re.MULTILINE)
ENDLESS = ("--follow", "tail", "run", "statistics")  # or they need a store


@pytest.mark.parametrize("line", LINES)
def test_a_line_for_the_shell_is_one(line, outbox, receiver, tmp_path, monkeypatch):
    monkeypatch.setenv("VIGIE_CATALOG_URL", f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    outbox(many(2))
    words = [receiver.url if word.startswith("https:") else word for word in words_of(line)]
    if any(word in words for word in ENDLESS):
        words.append("--help")  # the rest is read nevertheless
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output


def words_of(line):
    """Its arguments: what follows after `|` and `>` is another program's."""
    return shlex.split(re.split(r"[|>]", line)[0], comments=True)


def test_the_example_is_an_event():
    (block,) = re.findall(r"^```json\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    told = json.loads(block)
    assert told.keys() == json.loads(example(told["type"]).json_line()).keys()
