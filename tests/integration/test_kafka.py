"""Against the broker that librdkafka has inside to test itself."""

import json
import socket
import sys
import threading
from contextlib import closing, contextmanager

import pytest

from models import plugins
from models.errors import BadConfiguration, EventRefused, SinkUnavailable
from services import delivery, sinks
from services.delivery import deliver, redeliver, subscription
from services.event_types import completed, recorded
from services.events import Event
from services.settings import Settings
from services.sinks import Target
from tests.told import SOURCE, START, ids, in_order, many, seen

pytest.importorskip("confluent_kafka", reason="install vigie[kafka]")
from services.sinks import kafka
from tests import kafka_cluster as cluster_of
from tests.kafka_cluster import BROKEN, GET_PRODUCER_ID, NOT_ENOUGH_REPLICAS, PRODUCE, TOO_LARGE
from tests.patience import MINUTE_S


@pytest.fixture
def cluster():
    with closing(cluster_of.Cluster()) as made:
        yield made


@pytest.fixture
def impatient(monkeypatch):
    """Within the block, a sink waits but a moment, and is soon tried again."""

    @contextmanager
    def block():
        with monkeypatch.context() as patch:
            patch.setattr(kafka, "_TIMEOUT_S", 3.0)
            patch.setattr(delivery, "_FIRST_WAIT_S", 0.05)
            yield

    return block


def opened(url):
    return closing(subscription(url, Settings()).open())


def large(number, size, assets=1):
    named = seen(number, assets).model_copy(update={"model": "é" * (size // 2)})
    return recorded(named, SOURCE)


def bodies(records):
    return [json.loads(record.value()) for record in records]


def ids_in(records):
    return [body["id"] for body in bodies(records)]


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_records_are_what_the_cloudevents_sdk_reads(cluster, mode):
    sdk = pytest.importorskip("cloudevents.core.bindings.kafka")
    sent = [event.numbered(1 + n // 2) for n, event in enumerate([large(0, 10, 2), *many(5, 2, 1)])]
    sent.append(completed("b1", {"redacted": 2}, START, SOURCE))
    with opened(f"{cluster.topic('t')}&mode={mode}") as sink:
        sink.send(sent)
    kind = {
        "structured": b"application/cloudevents+json; charset=utf-8",
        "binary": b"application/json",
    }
    found = {one.subject: [] for one in sent}
    for record in cluster.records("t"):
        headers = dict(record.headers())
        assert headers["content-type"] == kind[mode]
        assert ("ce_id" in headers) == (mode == "binary")
        told = sdk.from_kafka_event(sdk.KafkaMessage(headers, None, record.value()))
        event = Event.model_validate(told.get_attributes() | {"data": told.get_data()})
        found[record.key().decode()].append(event)
    assert found == {key: [one for one in sent if one.subject == key] for key in found}


def test_events_arrive_once_each_in_the_order_of_its_asset(cluster, outbox):
    events = many(2000, assets=40)
    url = cluster.topic("t").replace("//", "//127.0.0.1:1,")  # the first of two brokers is away
    (done,) = deliver(outbox(events), [url], Settings())
    assert (done.sent, done.refused, done.error) == (2000, 0, "")
    records = cluster.records("t")
    assert sorted(ids_in(records)) == sorted(ids(events))
    assert in_order(bodies(records))
    assert len({record.partition() for record in records}) > 1


def test_ten_thousand_events_arrive_through_a_cluster_that_fails(cluster, outbox, impatient):
    events, url = many(10_000, assets=100), cluster.topic("t", partitions=12)
    cluster.down()
    troubles = iter(
        [
            lambda: cluster.errors(PRODUCE, 0, BROKEN, NOT_ENOUGH_REPLICAS, 0, 0, BROKEN),
            lambda: cluster.answer_after(8000),  # takes them, and is given up before it says so
            cluster.down,
            lambda: cluster.errors(PRODUCE, *[0, cluster_of.NOT_AUTHORISED] * 5),
        ]
    )
    failures, begun = [], []

    def disturb(done):
        if done.error:  # a trouble goes when the sink has met it
            failures.append(done.error)
            cluster.answer_after(0)
            cluster.up()
        elif done.sent % 1000 == 0 and (trouble := next(troubles, None)):
            # While the next ones are on their way, not before.
            begun.append(threading.Timer(0.01, trouble))
            begun[-1].start()

    box = outbox(events)
    with impatient():
        (done,) = deliver(box, [url], Settings(), patience_s=60, progress=disturb)
    assert (done.sent, done.refused, done.error) == (10_000, 0, "")
    assert next(troubles, None) is None
    for one in begun:
        one.join(MINUTE_S)
    cluster.up()
    assert len(failures) >= 3
    records = cluster.records("t")
    assert set(ids_in(records)) == set(ids(events))
    assert in_order(bodies(records))
    assert len({record.value() for record in records}) == 10_000 < len(records)  # some came twice


def test_an_event_larger_than_a_broker_takes_becomes_a_dead_letter(cluster, outbox):
    events = [*many(2, 1), large(2, 1_200_000), *many(2, 1, first=3)]
    box, url = outbox(events), cluster.topic("t")
    (done,) = deliver(box, [url], Settings())
    assert (done.sent, done.refused) == (4, 1)
    assert [letter.event.id for letter in box.dead(done.sink)] == [events[2].id]
    assert ids_in(cluster.records("t")) == ids(events[:2] + events[3:])
    assert redeliver(box, url, Settings()).refused == 1


@pytest.mark.parametrize("size", [100, 200_000])
def test_what_is_refused_with_its_batch_is_sent_alone_and_in_order(cluster, size):
    events = [large(number, size) for number in range(9)]
    with opened(cluster.topic("t")) as sink:
        cluster.errors(PRODUCE, TOO_LARGE)
        sink.send(events)
    assert ids_in(cluster.records("t")) == ids(events)


def test_the_event_that_is_to_blame_is_found_and_all_before_it_are_there(cluster):
    events = many(5, 1)
    with opened(cluster.topic("t")) as sink:
        cluster.errors(PRODUCE, TOO_LARGE, 0, 0, TOO_LARGE)
        with pytest.raises(EventRefused, match="too large") as refused:
            sink.send(events)
        assert refused.value.event == events[2].id
        assert ids_in(cluster.records("t")) == ids(events[:2])
        sink.send(events[3:])
    assert ids_in(cluster.records("t")) == ids(events[:2] + events[3:])


def test_what_is_there_of_a_call_that_failed_is_told(cluster):
    events = [large(number, 200_000) for number in range(5)]  # two in a batch
    with opened(cluster.topic("t")) as sink:
        cluster.errors(PRODUCE, 0, TOO_LARGE, 0, cluster_of.NOT_AUTHORISED)
        with pytest.raises(SinkUnavailable) as error:
            sink.send(events)
    assert error.value.sent == 3
    assert ids_in(cluster.records("t")) == ids(events[:3])


def test_what_is_there_before_a_partition_that_failed_is_told(cluster, impatient):
    (first, second), url = many(2), cluster.topic("t")
    with opened(url) as sink:
        sink.send([second])
    cluster.without_leader("t", cluster.records("t")[0].partition())
    with opened(url) as sink, impatient(), pytest.raises(SinkUnavailable) as error:
        sink.send([first, second])
    assert error.value.sent == 1


@pytest.mark.parametrize(
    ("request_", "code", "told"),
    [
        (PRODUCE, cluster_of.NOT_AUTHORISED, "authorization"),
        (PRODUCE, NOT_ENOUGH_REPLICAS, "no answer"),
        (PRODUCE, BROKEN, "no answer"),
        (GET_PRODUCER_ID, cluster_of.NOT_AUTHORISED_AT_ALL, "authorization"),
    ],
)
def test_what_a_failed_call_left_never_comes_later(cluster, impatient, request_, code, told):
    first, second, third = many(3, 1)
    with opened(cluster.topic("t")) as sink:
        cluster.errors(request_, *[code] * 100)
        with impatient(), pytest.raises(SinkUnavailable, match=told) as error:
            sink.send([first, second])
        assert error.value.sent == 0
        cluster.no_errors(request_)
        sink.send([third])
    assert ids_in(cluster.records("t")) == [third.id]


def test_a_topic_that_is_not_there_is_named_as_the_reason(cluster, impatient):
    url = cluster.topic("t")
    cluster.topic_error("t", cluster_of.NO_SUCH_TOPIC)
    with opened(url) as sink, impatient(), pytest.raises(SinkUnavailable, match="Unknown topic"):
        sink.send(many(1))


def test_no_broker_is_told_without_the_password_and_without_noise(impatient, capfd):
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        url = f"kafka://us%40er:pass%23word@{place}/t"
        with opened(url) as sink, impatient(), pytest.raises(SinkUnavailable) as error:
            sink.send(many(1))
    assert str(error.value).startswith(f"{place}: Local: ")
    assert "pass" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_by_default_nothing_is_said_before_encryption(impatient):
    heard = []

    def listen(server):
        connection, _ = server.accept()
        with connection:
            heard.append(connection.recv(4096))

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(MINUTE_S)
        listener = threading.Thread(target=listen, args=(server,))
        listener.start()
        url = f"kafka://user:secret@127.0.0.1:{server.getsockname()[1]}/t"
        with opened(url) as sink, impatient(), pytest.raises(SinkUnavailable):
            sink.send(many(1))
        listener.join(MINUTE_S)
    (first,) = heard
    assert first.startswith(b"\x16\x03")  # TLS: handshake
    assert b"secret" not in first


def test_unencrypted_events_stay_here_wherever_a_broker_leads(cluster, monkeypatch):
    monkeypatch.setattr(kafka, "THIS_MACHINE", ("localhost",))  # this broker calls itself 127.0.0.1
    url = cluster.topic("t").replace("127.0.0.1", "localhost")
    with opened(url) as sink, pytest.raises(SinkUnavailable, match="unencrypted"):
        sink.send(many(1))


@pytest.mark.parametrize(
    "rest",
    [
        "broker.example:9092/t#security=plaintext",
        "localhost,broker.example/t#security=plaintext",
        "broker.example/t#security=none",
        "broker.example/t#sasl=GSSAPI",
        "broker.example/t#mode=batched",
        "broker.example/t#ca=/nowhere.pem",
        "broker.example/t#verify=no",
        "broker.example:port/t",
        "broker.example,/t",
        "/t",
        "broker.example/two/topics",
        "broker.example/..",
        "broker.example/t?security=plaintext",
    ],
)
def test_a_wrong_url_is_told_without_its_password(rest):
    with pytest.raises(BadConfiguration) as error, opened(f"kafka://user:secret@{rest}"):
        pass
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("rest", ["user@broker.example/t", "broker.example/t#sasl=PLAIN"])
def test_half_a_login_is_refused(rest):
    with pytest.raises(BadConfiguration), opened(f"kafka://{rest}"):
        pass


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    monkeypatch.delitem(sys.modules, "services.sinks.kafka")
    with pytest.raises(BadConfiguration, match=r"pip install vigie\[kafka\]"):
        plugins.load(sinks, "kafka").open_sink(Target("kafka://localhost/t"))
