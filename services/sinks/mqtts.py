"""`mqtts://user:password@broker.example:8883/vigie`: an MQTT 5 broker, after CloudEvents' binding.

Each event is a message of its own (structured mode, QoS 1) on the topic
`<prefix>/<territory>/<site>/<asset>/<type>`. The URL's path is the prefix, `vigie` where it is
empty; an asset is named as in the site file, an image by its key, a batch by its id, and what has a
meaning in topics is percent-encoded. `<prefix>/status` is retained: `online` while this sink is
connected, else `offline`. `#ca=/path/ca.pem` trusts that authority alone, not the system's.
"""

import math
import secrets
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast
from urllib.parse import quote, unquote, urlsplit

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from models.errors import BadConfiguration, EventRefused, SinkUnavailable
from services.events import Event
from services.sinks import Target
from services.sinks.https import STRUCTURED

_PORT = 8883
_ANSWER_S, _GOODBYE_S = 15.0, 2.0
_AT_ONCE = 20  # what a broker at most gets again when the connection breaks
_LARGEST = 1 + 4 + 268_435_455  # bytes of a packet, where the broker sets no limit

_TOPIC_INVALID, _TOO_LARGE, _PAYLOAD_INVALID = 0x90, 0x95, 0x99
# What is the event's own fault; all else is the address's, the rights' or the moment's.
_REFUSED = frozenset({_TOPIC_INVALID, _TOO_LARGE, _PAYLOAD_INVALID})

# Mosquitto answers a message above its `message_size_limit` with a code that MQTT has for other
# packets only. paho would take such an answer for a broken connection, at every attempt.
_KNOWN_IN = [PacketTypes.CONNACK, PacketTypes.PUBACK, PacketTypes.DISCONNECT]
ReasonCode.names = {**ReasonCode.names, _TOO_LARGE: {"Packet too large": _KNOWN_IN}}

_STRUCTURED = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's own
_STRUCTURED.ContentType = STRUCTURED
_STRUCTURED.PayloadFormatIndicator = 1  # UTF-8
_PLAIN = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's own


@dataclass(frozen=True, slots=True)
class Broker:
    """Where messages go.

    Attributes:
        host, port: of the broker.
        prefix: first levels of every topic.
        user, password: None where the broker asks for none.
        tls: None leaves the connection unencrypted.
    """

    host: str
    port: int
    prefix: str
    user: str | None
    password: str | None = field(repr=False)
    tls: ssl.SSLContext | None

    @property
    def status(self) -> str:
        """The topic that says whether this sink is connected."""
        return f"{self.prefix}/status"

    def topic(self, event: Event) -> str:
        """Where an event is published."""
        place = event.source.split("/")[2::2]  # /territories/T/sites/S
        asset = event.subject.removeprefix(":".join(("urn:vigie", *place, "")))
        levels = (quote(level, safe=":") for level in (*place, asset, event.type))
        return "/".join((self.prefix, *levels))


class Message(NamedTuple):
    """What is published in one packet."""

    topic: str
    payload: bytes
    properties: Properties
    retain: bool

    @property
    def size_bytes(self) -> int:
        """Of the packet at QoS 1 (MQTT 5.0, section 3.3)."""
        properties = self.properties.pack()  # type: ignore[no-untyped-call]  # paho's own
        rest = 2 + len(self.topic.encode()) + 2 + len(properties) + len(self.payload)
        return 1 + math.ceil(rest.bit_length() / 7) + rest


class Connection:
    """One connection to a broker.

    It never comes back by itself: paho would repeat what was not acknowledged behind the back of
    the outbox, which repeats it, too.

    Attributes:
        lost: why it is no more; empty while it stands.
        at_once: messages that the broker takes without having acknowledged them.
        largest_bytes: of a packet that the broker takes.

    Raises (every method):
        SinkUnavailable: the broker is away, silent, or refuses the connection.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._changed = threading.Condition()
        self._answers: dict[int, ReasonCode] = {}
        self.lost, self.at_once, self.largest_bytes = "", 0, _LARGEST
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            f"vigie{secrets.token_hex(8)}",  # 23 letters and digits are what any broker must take
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        self._client.username = broker.user
        self._client.password = broker.password
        self._client.will_set(broker.status, b"offline", qos=1, retain=True)
        self._client.on_connect = self._on_connect
        self._client.on_publish = self._on_publish
        self._client.on_disconnect = self._on_disconnect
        if broker.tls is not None:
            self._client.tls_set_context(broker.tls)
        try:
            self._client.connect(broker.host, broker.port)
        except OSError as error:
            told = error.strerror or type(error).__name__
            raise SinkUnavailable(f"{broker.host}: {told}") from None
        self._client.loop_start()
        self._wait(lambda: self.at_once > 0)

    def publish(self, message: Message) -> int:
        """Publish, with `at_once` unanswered ones at most; gives the packet's number."""
        topic, payload, properties, retain = message
        return self._client.publish(topic, payload, 1, retain, properties).mid

    def answer(self, number: int) -> ReasonCode:
        """Wait for what the broker says of a packet; it says so once."""
        self._wait(lambda: number in self._answers)
        return self._answers.pop(number)

    def close(self) -> None:
        """Go offline."""
        # The broker then publishes the last will.
        reason = ReasonCode(PacketTypes.DISCONNECT, "Disconnect with will message")
        self._client.disconnect(reason)
        with self._changed:
            self._changed.wait_for(lambda: self.lost, _GOODBYE_S)
        self._cut("closed")

    def _wait(self, done: Callable[[], bool]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: done() or self.lost, _ANSWER_S)
            if done():
                return
        self._cut("no answer")
        raise SinkUnavailable(f"{self._broker.host}: {self.lost}")

    def _cut(self, why: str) -> None:
        """Let paho's thread end, whatever it waits for."""
        self.lost = self.lost or why
        if (sock := self._client.socket()) is not None:
            with suppress(OSError):  # the thread has closed it meanwhile
                # Not SSLSocket.shutdown, which takes the session from under a thread that reads.
                socket.socket.shutdown(cast(socket.socket, sock), socket.SHUT_RDWR)

    def _on_connect(
        self, _: Client, __: Any, ___: ConnectFlags, reason: ReasonCode, told: Properties | None
    ) -> None:
        with self._changed:
            if reason.is_failure:
                self.lost = str(reason)
            else:
                self.at_once = min(_AT_ONCE, getattr(told, "ReceiveMaximum", _AT_ONCE))
                self.largest_bytes = getattr(told, "MaximumPacketSize", _LARGEST)
            self._changed.notify()

    def _on_publish(
        self, _: Client, __: Any, number: int, reason: ReasonCode, ___: Properties
    ) -> None:
        with self._changed:
            self._answers[number] = reason
            self._changed.notify()

    def _on_disconnect(
        self, _: Client, __: Any, how: DisconnectFlags, reason: ReasonCode, ___: Properties | None
    ) -> None:
        with self._changed:
            by_broker = how.is_disconnect_packet_from_server
            self.lost = self.lost or (str(reason) if by_broker else "connection lost")
            self._changed.notify()


class Publisher:
    """Publishes events to an MQTT broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._connection: Connection | None = None

    def send(self, events: Sequence[Event]) -> None:
        """See `services.sinks.Sink`.

        An event goes when the last one of its asset is acknowledged: it is never there before one
        that the broker refused for now.
        """
        if self._connection is None or self._connection.lost:
            self._connection = self._connected()
        connection = self._connection
        underway: dict[str, tuple[Event, int]] = {}  # by asset, the oldest first
        try:
            for event in events:
                topic, payload = self._broker.topic(event), event.json_line().encode()
                message = Message(topic, payload, _STRUCTURED, retain=False)
                size, largest = message.size_bytes, connection.largest_bytes
                room = connection.at_once if size <= largest else 1
                while len(underway) >= room or event.subject in underway:
                    self._settle(connection, underway)
                if size > largest:
                    raise EventRefused(event.id, f"{size} bytes, the broker takes {largest}")
                underway[event.subject] = event, connection.publish(message)
            while underway:
                self._settle(connection, underway)
        except (EventRefused, SinkUnavailable):
            # No late answer shall be taken for that of a later packet with the same number.
            while underway and not connection.lost:
                connection.answer(underway.popitem()[1][1])
            raise

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def _connected(self) -> Connection:
        connection = Connection(self._broker)
        online = Message(self._broker.status, b"online", _PLAIN, retain=True)
        answer = connection.answer(connection.publish(online))
        if answer.is_failure:
            connection.close()
            raise SinkUnavailable(f"{self._broker.host}, {online.topic}: {answer}")
        return connection

    def _settle(self, connection: Connection, underway: dict[str, tuple[Event, int]]) -> None:
        """Wait for the answer to the oldest event."""
        event, number = underway.pop(next(iter(underway)))
        answer = connection.answer(number)
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
    host = parts.hostname or ""
    try:
        host.encode("idna")
        port = parts.port or port
    except ValueError:
        host = ""
    if not host or parts.query:
        raise BadConfiguration(f"give {parts.scheme}://host:port/prefix")
    prefix = unquote(parts.path).strip("/") or "vigie"
    if not prefix.isprintable() or "+" in prefix or "#" in prefix or prefix.startswith("$"):
        raise BadConfiguration(f"{prefix}: topics begin without + and #, and not with $")
    user, password = (x if x is None else unquote(x) for x in (parts.username, parts.password))
    return Broker(host, port, prefix, user, password, tls)


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
