"""Against a real Mosquitto, which each test starts on a port of its own."""

import itertools
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from models.errors import BadConfiguration, SinkUnavailable
from services.catalog import Catalog
from services.delivery import deliver, subscription
from services.event_types import OBSERVATION_RECORDED, completed, quarantined, recorded
from services.events import Event
from services.mqtt import Connection
from services.settings import Settings
from tests.mosquitto import MOSQUITTO, Listener, Mosquitto
from tests.patience import MINUTE_S, until
from tests.told import SOURCE, seen

ROOT = Path(__file__).parents[2]
SEEN = seen(0)


def event(number=0, asset="C-1", model="waste@0"):
    own = {"work": f"{number:032d}", "asset": f"urn:vigie:t:s:{asset}", "model": model}
    return recorded(SEEN.model_copy(update=own), SOURCE)


@pytest.fixture
def mosquitto(tmp_path):
    """Starts one with these lines in its configuration."""
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    started = []

    def start(*lines):
        started.append(Mosquitto(tmp_path, *lines))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


def opened(url):
    return subscription(url, Settings()).open()


def unavailable(url):
    """Why a sink cannot send."""
    with closing(opened(url)) as sink, pytest.raises(SinkUnavailable) as error:
        sink.send([event()])
    return str(error.value)


@pytest.fixture
def town(mosquitto):
    """A broker, someone who listens there, and a sink."""
    broker = mosquitto()
    with closing(Listener(broker)) as listener, closing(opened(broker.url)) as sink:
        yield broker, listener, sink


def test_events_arrive_in_order_each_on_its_topic(town):
    _, listener, sink = town
    sent = [(event(n, f"C-{n % 30}"), f"C-{n % 30}/{OBSERVATION_RECORDED}") for n in range(300)]
    image = quarantined("w", "crème+b/#1%\x01.jpg", "truncated", SEEN.observed_at, SOURCE)
    batch = completed("3fa9c01d22e7", {"redacted": 1}, SEEN.observed_at, SOURCE)
    sent += [
        (event(0, "unregistered:cam-01:5.7"), f"unregistered:cam-01:5.7/{OBSERVATION_RECORDED}"),
        (image, f"cr%C3%A8me%2Bb%2F%231%25%01.jpg/{image.type}"),
        (batch, f"3fa9c01d22e7/{batch.type}"),
    ]
    sink.send([one for one, _ in sent])
    until(lambda: len(listener.events) >= len(sent))
    heard = [(Event.model_validate_json(m.payload), m.topic) for m in listener.events]
    assert heard == [(one, f"town/t/s/{topic}") for one, topic in sent]
    for message in listener.events:
        assert message.properties.ContentType == "application/cloudevents+json; charset=utf-8"
        assert message.properties.PayloadFormatIndicator == 1
        assert (message.qos, message.retain) == (1, False)


def retained_status(broker):
    with closing(Listener(broker)) as late:
        until(lambda: late.status)
        ((state, retained),) = late.status
    assert retained
    return state


def test_the_status_is_online_while_connected_and_offline_after(town):
    broker, listener, sink = town
    sink.send([event()])
    until(lambda: listener.status)
    assert retained_status(broker) == "online"
    sink.close()
    until(lambda: len(listener.status) > 1)
    assert listener.status == [("online", False), ("offline", False)]
    assert retained_status(broker) == "offline"


def test_the_broker_tells_that_a_killed_process_is_offline(town):
    broker, listener, _ = town
    code = "from services.sinks import Target, mqtt; mqtt.open_sink(Target('{}')).send([]); input()"
    command = [sys.executable, "-c", code.format(broker.url)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE)
    until(lambda: listener.status)
    process.kill()
    process.communicate()
    until(lambda: len(listener.status) > 1)
    assert listener.status == [("online", False), ("offline", False)]


def test_a_broker_that_restarts_in_the_middle_gets_all_in_order(town, tmp_path, monkeypatch):
    broker, listener, _ = town
    catalog, failures = Catalog(f"sqlite:///{tmp_path}/catalog.sqlite"), []
    events = [event(n, f"C-{n % 50}") for n in range(10_000)]
    catalog.judge("b1", lambda _: events)
    publish, numbers = Connection.publish, itertools.count(1)

    def publish_and_stop(connection, message):
        if next(numbers) == 3210:  # some before it are not acknowledged
            broker.process.terminate()
            broker.process.wait(MINUTE_S)
        return publish(connection, message)

    def note(done):
        if done.error:
            failures.append(done.error)
            if len(failures) == 2:  # the second one finds nobody
                broker.start()

    monkeypatch.setattr(Connection, "publish", publish_and_stop)
    (done,) = deliver(catalog.outbox, [broker.url], Settings(), patience_s=60, progress=note)
    assert len(failures) >= 2
    assert (done.sent, done.refused, done.error) == (10_000, 0, "")
    until(lambda: len(listener.distinct) >= len(events))
    told = [json.loads(payload) for payload in listener.distinct]
    assert sorted(one["id"] for one in told) == sorted(one.id for one in events)
    for asset in {one.subject for one in events}:
        numbers = [int(one["sequence"]) for one in told if one["subject"] == asset]
        assert numbers == list(range(1, 201))


def test_a_silent_broker_is_left_and_found_again(town, monkeypatch):
    broker, listener, sink = town
    sink.send([event(0)])
    with monkeypatch.context() as hasty:
        hasty.setattr("services.mqtt._ANSWER_S", 0.2)
        broker.process.send_signal(signal.SIGSTOP)
        with pytest.raises(SinkUnavailable, match="no answer"):
            sink.send([event(1)])
        broker.process.send_signal(signal.SIGCONT)
    sink.send([event(1), event(2)])
    until(lambda: len(listener.distinct) == 3)
    sink.close()
    until(lambda: not any("client-vigie" in thread.name for thread in threading.enumerate()))


def test_a_wrong_password_waits_and_is_never_told(mosquitto, tmp_path):
    users, tool = tmp_path / "users", shutil.which("mosquitto_passwd")
    subprocess.run([tool, "-b", "-c", users, "vigie", "p@ss:w/rd"], check=True)
    broker = mosquitto(f"password_file {users}")
    host = f"127.0.0.1:{broker.port}"
    with closing(opened(f"mqtt://vigie:p%40ss%3Aw%2Frd@{host}")) as sink:
        sink.send([event()])
    assert unavailable(f"mqtt://vigie:s3cret@{host}") == "127.0.0.1: Not authorized"


def test_a_broker_that_is_away_is_unavailable():
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"mqtt://vigie:s3cret@127.0.0.1:{taken.getsockname()[1]}"
        assert unavailable(url) == "127.0.0.1: Connection refused"


def test_nothing_passes_an_event_of_its_asset_that_may_not_be_published(mosquitto, tmp_path):
    rights = tmp_path / "rights"
    rights.write_text(f"topic readwrite #\ntopic deny town/t/s/C-1/{OBSERVATION_RECORDED}\n")
    broker = mosquitto(f"acl_file {rights}", "message_size_limit 5000")
    first, other, last = event(1), event(2, "C-2"), event(3, "C-3")
    large = event(4, "C-4", "x" * 8000)  # refused for good, but not before what waits
    later = first.model_copy(update={"id": "later", "type": "vigie.waste.overflow.started.v1"})
    with closing(Listener(broker)) as listener, closing(opened(broker.url)) as sink:
        for _ in range(2):
            with pytest.raises(SinkUnavailable, match="answered Not authorized"):
                sink.send([first, other, large, later])
        sink.send([last])
        until(lambda: last.json_line().encode() in listener.distinct)
        assert {m.topic.split("/")[3] for m in listener.events} == {"C-2", "C-3"}
        assert len(listener.status) == 1  # the connection stood
        assert not sink._connection._answers  # none is left for a packet to come


@pytest.mark.parametrize("limit", ["max_packet_size", "message_size_limit"])
def test_what_is_too_large_is_set_aside_and_the_next_ones_arrive(mosquitto, tmp_path, limit):
    broker = mosquitto(f"{limit} 5000")
    catalog = Catalog(f"sqlite:///{tmp_path}/catalog.sqlite")
    large = (9, 30)
    events = [event(n, f"C-{n % 7}", "x" * 8000 if n in large else "waste@0") for n in range(40)]
    catalog.judge("b1", lambda _: events)
    with closing(Listener(broker)) as listener:
        (done,) = deliver(catalog.outbox, [broker.url], Settings())
        assert (done.sent, done.refused, done.error) == (38, 2, "")
        until(lambda: len(listener.distinct) == 38)
    dead = [letter.event.id for letter in catalog.outbox.dead(broker.url)]
    assert dead == [events[n].id for n in large]


@pytest.fixture
def tls(mosquitto, tmp_path):
    """A broker whose certificate only its own authority, this file, vouches for."""
    key, ca = tmp_path / "key.pem", tmp_path / "ca.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        [*command.split(), *subject, "-keyout", key, "-out", ca], check=True, capture_output=True
    )
    return mosquitto(f"certfile {ca}", f"keyfile {key}"), ca


def test_a_private_authority_is_trusted_where_it_is_named(tls):
    broker, ca = tls
    with closing(opened(f"mqtts://localhost:{broker.port}#ca={ca}")) as sink:
        sink.send([event()])


@pytest.mark.parametrize(
    ("host", "named", "told"),
    [("localhost", False, "self-signed certificate"), ("127.0.0.1", True, "IP address mismatch")],
)
def test_a_strange_certificate_is_not_trusted(tls, host, named, told):
    broker, ca = tls
    url = f"mqtts://vigie:s3cret@{host}:{broker.port}"
    why = unavailable(f"{url}#ca={ca}" if named else url)
    assert why.startswith(f"{host}: ")
    assert told in why
    assert "s3cret" not in why


@pytest.mark.parametrize(
    "url",
    [
        "mqtt://broker.example/vigie",
        "mqtt://127.0.0.1.example/vigie",
        "mqtt://localhost/vigie#ca=/ca.pem",
        "mqtts:///vigie",
        "mqtts://broker..example",
        "mqtts://broker.example:port",
        "mqtts://broker.example/vigie?qos=2",
        "mqtts://broker.example/+/vigie",
        "mqtts://broker.example/a%23b",
        "mqtts://broker.example/a%00b",
        "mqtts://broker.example/$SYS",
        "mqtts://broker.example#ca=/proc/nowhere.pem",
        "mqtts://broker.example#qos=2",
    ],
)
def test_a_url_that_cannot_be_is_refused(url):
    with pytest.raises(BadConfiguration):
        opened(url)
