"""A connection to an MQTT 5 broker that never comes back by itself, and what goes over it."""

import math
import secrets
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, cast

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from models.errors import SinkUnavailable

_ANSWER_S, _GOODBYE_S = 15.0, 2.0
# A broker with Nagle's algorithm, such as Mosquitto, keeps its next answer until TCP acknowledges
# the last, which Linux puts off for 40 ms where there is nothing to send.
_QUICKLY: int | None = getattr(socket, "TCP_QUICKACK", None)
_WAITING = 500  # messages that paho holds: it must never be out of work, and never fill memory
_LARGEST = 1 + 4 + 268_435_455  # bytes of a packet, where the broker sets no limit

IN_FLIGHT = 20
"""Messages on their way: what a broker at most gets again when the connection breaks."""

TOO_LARGE = 0x95
"""What a broker says of a message above its limit."""

# Mosquitto answers a message above its `message_size_limit` with a code that MQTT has for other
# packets only. paho would take such an answer for a broken connection, at every attempt.
_KNOWN_IN = [PacketTypes.CONNACK, PacketTypes.PUBACK, PacketTypes.DISCONNECT]
ReasonCode.names = {**ReasonCode.names, TOO_LARGE: {"Packet too large": _KNOWN_IN}}


class Packed(Properties):
    """Properties that stay as they are: packing them anew takes as long as sending a message."""

    @cached_property
    def _bytes(self) -> bytes:
        return cast(bytes, super().pack())  # type: ignore[no-untyped-call]  # paho's own

    def pack(self) -> bytes:
        """What paho puts into a packet."""
        return self._bytes


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


class Message(NamedTuple):
    """What is published in one packet."""

    topic: str
    payload: bytes
    properties: Packed
    retain: bool

    @property
    def size_bytes(self) -> int:
        """Of the packet at QoS 1 (MQTT 5.0, section 3.3)."""
        properties = len(self.properties.pack())
        rest = 2 + len(self.topic.encode()) + 2 + properties + len(self.payload)
        return 1 + math.ceil(rest.bit_length() / 7) + rest


class Connection:
    """One connection to a broker.

    It never comes back by itself: paho would repeat what was not acknowledged behind the back of
    the outbox, which repeats it, too.

    Attributes:
        lost: why it is no more; empty while it stands.
        at_once: messages that may be published before an answer came.
        largest_bytes: of a packet that the broker takes.

    Raises (every method):
        SinkUnavailable: the broker is away, silent, or refuses the connection.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._changed = threading.Condition()
        self._answers: dict[int, ReasonCode] = {}
        self._awaited = 0
        self.lost, self.at_once, self.largest_bytes = "", 0, _LARGEST
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            f"vigie{secrets.token_hex(8)}",  # 23 letters and digits are what any broker must take
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        self._client.max_inflight_messages = IN_FLIGHT
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
        """Publish; gives the packet's number."""
        topic, payload, properties, retain = message
        return self._client.publish(topic, payload, 1, retain, properties).mid

    def answers(self, numbers: Sequence[int]) -> list[ReasonCode]:
        """Wait for what the broker says of packets, the oldest first; it says so once."""
        self._awaited = numbers[-1]
        self._wait(lambda: all(number in self._answers for number in numbers))
        return [self._answers.pop(number) for number in numbers]

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
                most = getattr(told, "ReceiveMaximum", IN_FLIGHT)
                self.at_once = most if most < IN_FLIGHT else _WAITING
                self.largest_bytes = getattr(told, "MaximumPacketSize", _LARGEST)
            self._changed.notify()

    def _on_publish(
        self, _: Client, __: Any, number: int, reason: ReasonCode, ___: Properties
    ) -> None:
        with self._changed:
            self._answers[number] = reason
            # Answers come in the order of the packets (MQTT 5.0, section 4.6). To wake the other
            # thread for each would take longer than to send the next.
            if self._awaited in self._answers:
                self._changed.notify()
            elif _QUICKLY is not None and (sock := self._client.socket()) is not None:
                cast(socket.socket, sock).setsockopt(socket.IPPROTO_TCP, _QUICKLY, 1)

    def _on_disconnect(
        self, _: Client, __: Any, how: DisconnectFlags, reason: ReasonCode, ___: Properties | None
    ) -> None:
        with self._changed:
            by_broker = how.is_disconnect_packet_from_server
            self.lost = self.lost or (str(reason) if by_broker else "connection lost")
            self._changed.notify()
