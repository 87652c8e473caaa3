"""`mqtts://user:password@broker.example:8883/vigie`: an MQTT 5 broker, after CloudEvents' binding.

Each event is a message of its own (structured mode, QoS 1) on the topic
`<prefix>/<territory>/<site>/<asset>/<type>`. The URL's path is the prefix, `vigie` where it is
empty; an asset is named as in the site file, an image by its key, a batch by its id, and what has a
meaning in topics is percent-encoded. `<prefix>/status` is retained: `online` while this sink is
connected, else `offline`. `#ca=/path/ca.pem` trusts that authority alone, not the system's.
"""

import ssl
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import quote, unquote, urlsplit

from paho.mqtt.packettypes import PacketTypes

from models.errors import BadConfiguration, EventRefused, SinkUnavailable
from services.events import Event
from services.mqtt import IN_FLIGHT, TOO_LARGE, Broker, Connection, Message, Packed
from services.sinks import Target, server_of
from services.sinks.https import STRUCTURED

_PORT = 8883
_TOPIC_INVALID, _PAYLOAD_INVALID = 0x90, 0x99
# What is the event's own fault; all else is the address's, the rights' or the moment's.
_REFUSED = frozenset({_TOPIC_INVALID, TOO_LARGE, _PAYLOAD_INVALID})

_STRUCTURED = Packed(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's own
_STRUCTURED.ContentType = STRUCTURED
_STRUCTURED.PayloadFormatIndicator = 1  # UTF-8
_PLAIN = Packed(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's own


@lru_cache(4096)  # of a few assets there are many events
def _topic(prefix: str, source: str, subject: str, kind: str) -> str:
    """Where an event is published."""
    place = source.split("/")[2::2]  # /territories/T/sites/S
    asset = subject.removeprefix(":".join(("urn:vigie", *place, "")))
    return "/".join((prefix, *(quote(level, safe=":") for level in (*place, asset, kind))))


class Publisher:
    """Publishes events to an MQTT broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._connection: Connection | None = None

    def send(self, events: Sequence[Event]) -> None:
        """See `services.sinks.Sink`.

        An event goes when the last one of its asset is acknowledged: a broker may refuse any
        message for now and take those behind it, and so have an event before the one that it
        follows.
        """
        if self._connection is None or self._connection.lost:
            self._connection = self._connected()
        connection = self._connection
        underway: dict[str, tuple[Event, int]] = {}  # by asset, the oldest first
        try:
            for event in events:
                topic = _topic(self._broker.prefix, event.source, event.subject, event.type)
                message = Message(topic, event.json_line().encode(), _STRUCTURED, retain=False)
                size, largest = message.size_bytes, connection.largest_bytes
                if size > largest:
                    self._settle(connection, underway, len(underway))
                    raise EventRefused(event.id, f"{size} bytes, the broker takes {largest}")
                needed = int(len(underway) >= connection.at_once)
                if event.subject in underway:
                    needed = [*underway].index(event.subject) + 1
                if needed:  # what is left keeps the connection busy meanwhile
                    self._settle(connection, underway, max(needed, len(underway) - IN_FLIGHT))
                underway[event.subject] = event, connection.publish(message)
            self._settle(connection, underway, len(underway))
        except (EventRefused, SinkUnavailable):
            # No late answer shall be taken for that of a later packet with the same number.
            while underway and not connection.lost:
                connection.answers([underway.popitem()[1][1]])
            raise

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def _connected(self) -> Connection:
        connection = Connection(self._broker)
        online = Message(self._broker.status, b"online", _PLAIN, retain=True)
        (answer,) = connection.answers([connection.publish(online)])
        if answer.is_failure:
            connection.close()
            raise SinkUnavailable(f"{self._broker.host}, {online.topic}: {answer}")
        return connection

    def _settle(
        self, connection: Connection, underway: dict[str, tuple[Event, int]], count: int
    ) -> None:
        """Wait for the answers to the `count` oldest events."""
        oldest = [underway.pop(asset) for asset in [*underway][:count]]
        answers = connection.answers([number for _, number in oldest]) if oldest else []
        for (event, _), answer in zip(oldest, answers, strict=True):
            if answer.value in _REFUSED:
                raise EventRefused(event.id, f"{self._broker.host} answered {answer}")
            if answer.is_failure:
                raise SinkUnavailable(f"{self._broker.host} answered {answer}")


def broker_of(target: Target, port: int, tls: ssl.SSLContext | None) -> Broker:
    """Read the URL of a broker; `port` where it names none.

    Raises:
        BadConfiguration: it names no broker, or its path cannot begin topics.
    """
    parts = urlsplit(target.url)
    form = f"{parts.scheme}://host:port/prefix"
    host, named = server_of(parts.netloc, form)
    if parts.query:
        raise BadConfiguration(f"give {form}")
    prefix = unquote(parts.path).strip("/") or "vigie"
    if not prefix.isprintable() or "+" in prefix or "#" in prefix or prefix.startswith("$"):
        raise BadConfiguration(f"{prefix}: topics begin without + and #, and not with $")
    user, password = (x if x is None else unquote(x) for x in (parts.username, parts.password))
    return Broker(host, named or port, prefix, user, password, tls)


def open_sink(target: Target) -> Publisher:
    """The sink of an `mqtts:` URL.

    Raises:
        BadConfiguration: see `broker_of`, or there is no certificate in the file.
    """
    target.only("ca")
    ca = target.options.get("ca")
    try:
        tls = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise BadConfiguration(f"#ca={ca}: {error.strerror}") from None
    return Publisher(broker_of(target, _PORT, tls))
