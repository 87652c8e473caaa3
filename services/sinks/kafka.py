"""`kafka://user:password@broker.example:9093/vigie.events`: a Kafka topic, by CloudEvents' binding.

Several brokers stand with commas between. The record's key is the event's `partitionkey`, else its
subject, so that the events of one asset share a partition. Structured mode, or `#mode=binary`.

Connections are encrypted; `#ca=/path.pem` names the authority to trust instead of the system's. A
user is authenticated by `#sasl=SCRAM-SHA-512`, `SCRAM-SHA-256` or `PLAIN`. `#security=plaintext` is
for a broker on this machine. Needs `vigie[kafka]`.
"""

import json
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from typing import Any
from urllib.parse import unquote, urlsplit

from models.errors import BadConfiguration, EventRefused, SinkUnavailable
from services.events import Event
from services.sinks import THIS_MACHINE, Target, server_of
from services.sinks.https import STRUCTURED

with suppress(ImportError):  # an optional extra: `open_sink` tells
    from confluent_kafka import KafkaError, KafkaException, Message, Producer

_TIMEOUT_S = 10.0  # without any acknowledgement; a partition finds a new leader in less
_TOPIC = "vigie.events"
_TOPIC_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")
# What is the record's own fault: MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE, INVALID_RECORD.
_REFUSED = frozenset({10, 18, 87})
# A record that overtakes one which failed is out of order for good. So a partition gets one batch
# at a time: `_slices` are small enough for it, nothing goes before `flush`, and nobody but us gives
# a record up. Fewer requests in flight would not do: librdkafka sends the batch that it has ready
# behind one that is refused, and a broker takes any first number of a new producer.
_SLICE_BYTES = 500_000
_IN_ORDER = {
    "enable.idempotence": True,
    "acks": "all",
    "batch.size": 1_000_000,
    "linger.ms": 60_000,
    "message.timeout.ms": 0,
}
# librdkafka writes to stderr where it is given no logger.
_LOG = logging.getLogger(__name__)
_LOG.addHandler(logging.NullHandler())


class Topic:
    """Produces to a topic and waits for what all in-sync replicas acknowledge."""

    def __init__(self, brokers: str, name: str, security: dict[str, Any], *, binary: bool) -> None:
        self._brokers, self._name, self._binary = brokers, name, binary
        self._here_only = security["security.protocol"].endswith("PLAINTEXT")
        self._configuration = _IN_ORDER | security
        self._configuration |= {"bootstrap.servers": brokers, "client.id": "vigie"}
        self._configuration |= {"reconnect.backoff.max.ms": 1000}  # 10 s would outlast `_TIMEOUT_S`
        self._configuration |= {"logger": _LOG, "error_cb": self._note}
        self._trouble: KafkaError | None = None
        self._producer: Producer | None = None
        Producer(self._configuration)  # refuses now what it would refuse later

    def send(self, events: Sequence[Event]) -> None:
        """See `services.sinks.Sink`."""
        sent = 0
        for some in _slices(events):
            at = 0
            try:
                # A batch is refused whole; alone, an event shows whether it is to blame.
                for at in sorted(self._refused(some)):
                    if error := self._refused(some[at : at + 1]).get(0):
                        raise EventRefused(some[at].id, f"{self._brokers}: {_told(error)}")
            except SinkUnavailable as error:
                error.sent += sent + at
                raise
            sent += len(some)

    def close(self) -> None:
        """Close the connections."""
        self._producer = None

    def _refused(self, events: Sequence[Event]) -> dict[int, "KafkaError"]:
        """Produce all; index and error of each that the cluster refuses, the others are there."""
        self._trouble = None
        waiting, failed = set(range(len(events))), dict[int, KafkaError]()

        def report(at: int, error: "KafkaError | None", _: "Message | None" = None) -> None:
            waiting.discard(at)
            if error is not None:
                failed[at] = error

        try:
            producer = self._producer = self._producer or self._connected()
        except KafkaException as error:
            raise self._unavailable({0: error.args[0]}, sent=0) from None
        for at, event in enumerate(events):
            try:
                producer.produce(self._name, **self._record(event), on_delivery=partial(report, at))
            except KafkaException as error:  # larger than any broker takes, or the producer failed
                report(at, error.args[0])
        self._serve(producer, waiting)
        missing = waiting | failed.keys()
        if waiting or any(error.code() not in _REFUSED for error in failed.values()):
            self._producer = None  # what it has in flight must not come after what is sent next
            producer.purge()
            self._serve(producer, waiting)  # librdkafka keeps each report until it is taken
            raise self._unavailable(failed, sent=min(missing))
        return failed

    def _connected(self) -> "Producer":
        """A new producer that has found the cluster."""
        producer = Producer(self._configuration)
        try:
            cluster = producer.list_topics(self._name, timeout=_TIMEOUT_S)
        finally:
            producer.poll(0)  # calls `_note`
        hosts = {broker.host for broker in cluster.brokers.values()}
        if self._here_only and (elsewhere := hosts.difference(THIS_MACHINE)):
            raise SinkUnavailable(f"{self._brokers} leads to {min(elsewhere)}, unencrypted")
        # It may just be made, on demand: only where nothing is acknowledged this is the reason.
        self._note(cluster.topics[self._name].error)
        return producer

    def _record(self, event: Event) -> dict[str, Any]:
        key = event.partitionkey or event.subject
        if not self._binary:
            headers = [("content-type", STRUCTURED)]
            return {"key": key, "value": event.json_line(), "headers": headers}
        told = event.model_dump(mode="json", exclude_none=True)
        data, kind = told.pop("data"), told.pop("datacontenttype")
        # The official SDK would have every event parsed and validated once more for these lines.
        headers = [("content-type", kind), *((f"ce_{name}", told[name]) for name in told)]
        return {"key": key, "value": json.dumps(data, ensure_ascii=False), "headers": headers}

    def _serve(self, producer: "Producer", waiting: set[int]) -> None:
        """Take reports until nobody waits, or none has come for `_TIMEOUT_S`."""
        before, until = len(waiting), time.monotonic() + _TIMEOUT_S
        while True:
            try:
                producer.flush(0.1)  # a longer one goes on calling back while this exception is set
            except KafkaException as error:  # the producer failed; the reports follow
                self._note(error.args[0])
            if len(waiting) < before:
                before, until = len(waiting), time.monotonic() + _TIMEOUT_S
            if not waiting or time.monotonic() > until:
                return

    def _note(self, error: "KafkaError | None") -> None:
        """Keep why it does not go on; that all brokers are away is only its consequence."""
        if error is not None and error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._trouble = error

    def _unavailable(self, failed: Mapping[int, "KafkaError"], sent: int) -> SinkUnavailable:
        """What the first of these errors came from; these codes are no reason."""
        purged = {KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT}
        aside = _REFUSED | purged | {KafkaError._FATAL}
        reasons = (failed[at] for at in sorted(failed) if failed[at].code() not in aside)
        error = next(reasons, self._trouble)
        told = f"{self._brokers}: {_told(error) if error else 'no answer'}"
        return SinkUnavailable(told, sent=sent)


def _slices(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """Events that fit into one batch."""
    start = size = 0
    for at, event in enumerate(events):
        more = len(event.json_line().encode())
        if at > start and size + more > _SLICE_BYTES:
            yield events[start:at]
            start, size = at, 0
        size += more
    if start < len(events):
        yield events[start:]


def _told(error: "KafkaError") -> str:
    """What an error's code means; its own text may repeat what a broker was told."""
    return KafkaError(error.code()).str()


def _security(target: Target, hosts: Sequence[str]) -> dict[str, Any]:
    """Encryption and authentication, in librdkafka's terms."""
    parts = urlsplit(target.url)
    plain = target.option("security", ("tls", "plaintext")) == "plaintext"
    if plain and not set(hosts) <= set(THIS_MACHINE):
        raise BadConfiguration("#security=plaintext: events leave this machine encrypted")
    told: dict[str, Any] = {}
    if "ca" in target.options:
        told["ssl.ca.location"] = target.options["ca"]
    mechanism = target.option("sasl", ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"))
    protocol = "PLAINTEXT" if plain else "SSL"
    if parts.username is not None:
        protocol = f"SASL_{protocol}"
        told |= {"sasl.mechanism": mechanism, "sasl.username": unquote(parts.username)}
        told |= {"sasl.password": unquote(parts.password or "")}
    elif "sasl" in target.options:
        raise BadConfiguration("#sasl: give kafka://user:password@broker:9093/topic")
    return told | {"security.protocol": protocol}


def open_sink(target: Target) -> Topic:
    """The sink of a `kafka:` URL.

    Raises:
        BadConfiguration: the URL is wrong, or the package is missing.
    """
    if find_spec("confluent_kafka") is None:
        raise BadConfiguration("kafka: needs confluent-kafka: pip install vigie[kafka]")
    target.only("mode", "security", "sasl", "ca")
    parts = urlsplit(target.url)
    brokers, name = parts.netloc.rpartition("@")[2], unquote(parts.path.strip("/")) or _TOPIC
    form = "kafka://broker:9093/topic, brokers with commas between"
    hosts = [server_of(broker, form)[0] for broker in brokers.split(",")]
    if parts.query or not _TOPIC_NAME.fullmatch(name):
        raise BadConfiguration(f"give {form}")
    binary = target.option("mode", ("structured", "binary")) == "binary"
    try:
        return Topic(brokers, name, _security(target, hosts), binary=binary)
    except KafkaException as error:
        raise BadConfiguration(f"{brokers}: {error.args[0].str()}") from None
