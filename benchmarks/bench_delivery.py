"""Events a second from the catalog to each sink, beside a bare loop of the same client library.

The loop posts the same bodies, already in memory, to the same server, and keeps nothing: no cursor,
no order, no repeat. Servers run beside it on this machine. What is not installed is left out.
"""

import json
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import urllib3
from confluent_kafka import Producer
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTProtocolVersion

from benchmarks.record import record
from services.catalog import Catalog
from services.delivery import deliver
from services.events import Event
from services.settings import Settings
from services.sinks.https import BATCHED, STRUCTURED
from tests.context_broker import ContextBroker
from tests.mosquitto import MOSQUITTO, Mosquitto
from tests.told import many

COUNT, ASSETS, ROUNDS = 5000, 50, 3


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serve(port: int) -> None:
    """Take every POST."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


@contextmanager
def http_server() -> Iterator[str]:
    port = free_port()
    server = get_context("spawn").Process(target=serve, args=(port,), daemon=True)
    server.start()
    answers(port)
    yield f"http://127.0.0.1:{port}/"
    server.kill()


def answers(port: int) -> None:
    """Wait until a server listens."""
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit(f"nothing listens on port {port}")


def rate(call: Callable[[], object]) -> float:
    """Events a second, the best of `ROUNDS`."""
    best = 0.0
    for _ in range(ROUNDS):
        began = time.perf_counter()
        call()
        best = max(best, COUNT / (time.perf_counter() - began))
    return best


def compare(
    name: str, what: str, url: str, events: Sequence[Event], bare: Callable[[], None]
) -> None:
    """Ours and the loop in turn, and the figures."""

    peer = rate(bare)
    spent = min(delivered(events, url) for _ in range(ROUNDS))
    told = f"events from the catalog to {what}"
    record(f"deliver_{name}", COUNT / spent, "events/s", "bare loop", peer, told)


def delivered(events: Sequence[Event], url: str) -> float:
    """Seconds that a delivery from a new catalog takes."""
    with tempfile.TemporaryDirectory() as folder:
        catalog = Catalog(f"sqlite:///{folder}/catalog.sqlite")
        catalog.judge("b", lambda _: events)
        began = time.perf_counter()
        (done,) = deliver(catalog.outbox, [url], Settings(webhook_secret=None))
        spent = time.perf_counter() - began
        assert done.sent == COUNT, done.error
    return spent


def to_file(events: Sequence[Event], folder: Path) -> None:
    lines = [event.json_line() for event in events]

    def bare() -> None:
        with (folder / "bare.jsonl").open("a") as file:
            for line in lines:
                file.write(line + "\n")

    compare("file", "a file", f"file://{folder}/events.jsonl", events, bare)


def to_webhook(events: Sequence[Event]) -> None:
    bodies = [event.json_line().encode() for event in events]
    with http_server() as url:
        pool = urllib3.PoolManager(maxsize=1)

        def one_by_one() -> None:
            for body in bodies:
                pool.request("POST", url, body=body, headers={"content-type": STRUCTURED})

        compare("https", "a webhook, one by one", url, events, one_by_one)

        def in_batches() -> None:
            for start in range(0, COUNT, 500):
                body = b"[" + b",".join(bodies[start : start + 500]) + b"]"
                pool.request("POST", url, body=body, headers={"content-type": BATCHED})

        compare("https_batched", "a webhook, in batches", f"{url}#mode=batched", events, in_batches)


def to_mqtt(events: Sequence[Event], folder: Path) -> None:
    bodies = [(event.type, event.json_line().encode()) for event in events]
    broker = Mosquitto(folder)
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()

    def bare() -> None:
        sent = [client.publish(f"bare/{kind}", body, qos=1) for kind, body in bodies]
        for one in sent:
            one.wait_for_publish()

    compare("mqtt", "an MQTT broker, QoS 1", broker.url, events, bare)
    client.disconnect()
    client.loop_stop()
    broker.process.kill()


def to_kafka(events: Sequence[Event]) -> None:
    bodies = [(event.subject, event.json_line()) for event in events]
    cluster = Producer({"bootstrap.servers": "nowhere:1", "test.mock.num.brokers": 1})
    broker = next(iter(cluster.list_topics(timeout=10).brokers.values()))
    address = f"{broker.host}:{broker.port}"
    producer = Producer({"bootstrap.servers": address, "enable.idempotence": True})

    def bare() -> None:
        for start in range(0, COUNT, 500):
            for key, body in bodies[start : start + 500]:
                producer.produce("bare", body, key)
            producer.flush()

    url = f"kafka://{address}/bench#security=plaintext"
    compare("kafka", "Kafka", url, events, bare)


def keep_entities(told: Connection) -> None:
    """Be a context broker; tell its URL."""
    broker = ContextBroker()
    told.send(broker.url)
    broker.closing.wait()


def to_context_broker(events: Sequence[Event]) -> None:
    heard = ContextBroker()
    delivered(events, heard.url)
    bodies = [(path, json.dumps(entities).encode()) for path, _, entities in heard.requests]
    heard.close()
    here, there = get_context("spawn").Pipe()
    broker = get_context("spawn").Process(target=keep_entities, args=(there,), daemon=True)
    broker.start()
    url = here.recv()
    place = url.replace("ngsi-ld:", "http:").partition("/#")[0]
    pool = urllib3.PoolManager(maxsize=1)

    def bare() -> None:
        for path, body in bodies:
            headers = {"content-type": "application/ld+json"}
            pool.request("POST", place + path, body=body, headers=headers)

    compare("ngsi_ld", "an NGSI-LD context broker", url, events, bare)
    broker.kill()


def main() -> None:
    events = many(COUNT, ASSETS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        to_file(events, folder)
        to_webhook(events)
        if MOSQUITTO:
            to_mqtt(events, folder)
        to_kafka(events)
    to_context_broker(events)
    print(json.dumps({"events": COUNT, "assets": ASSETS, "body_bytes": len(events[0].json_line())}))


if __name__ == "__main__":
    main()
