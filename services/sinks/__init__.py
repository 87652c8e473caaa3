"""Sinks: one file each, named by the scheme of the URL they serve.

A module offers `open_sink(target) -> Sink`. What a sink must know beside its address stands in the
URL's fragment, which never leaves this machine: `https://hub.example/hook#mode=batched`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

from models.errors import BadConfiguration
from services.events import Event

THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
"""Hosts to which events may go unencrypted: nobody listens in."""


class Sink(Protocol):
    """Somewhere events go."""

    def send(self, events: Sequence[Event]) -> None:
        """Return when all `events` are safely there; those of one asset arrive in their order.

        A call may repeat what an earlier one sent: receivers drop repeats by id.

        Raises:
            SinkUnavailable: not all are there, it says how many; the others may be sent later.
            EventRefused: one never will be; all before it are there.
        """

    def close(self) -> None:
        """Let go of connections."""


@runtime_checkable
class Remembering(Protocol):
    """A sink that keeps what is so now, not what happened: what it had before counts."""

    def remember(self, events: Sequence[Event]) -> None:
        """Take note of what was sent before this sink was opened: the youngest of a quantity."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a sink sends.

    Attributes:
        url: without its fragment.
        options: of the fragment, those for the sink alone.
        signing_key: signs what is sent, where the sink signs; None leaves it unsigned.
    """

    url: str
    options: Mapping[str, str] = field(default_factory=dict)
    signing_key: bytes | None = field(default=None, repr=False)

    def option(self, name: str, choices: Iterable[str]) -> str:
        """The option called `name`, the first choice where it is not given.

        Raises:
            BadConfiguration: it is none of the choices.
        """
        known = list(choices)
        value = self.options.get(name, known[0])
        if value not in known:
            raise BadConfiguration(f"#{name}={value}: one of {', '.join(known)}")
        return value

    def only(self, *names: str) -> None:
        """Refuse options that the sink does not take.

        Raises:
            BadConfiguration: there are others.
        """
        if others := set(self.options) - set(names):
            told = ", ".join(("type", "site", "purpose", *names))
            raise BadConfiguration(f"#{sorted(others)[0]}=…: this sink takes {told}")


def server_of(place: str, form: str) -> tuple[str, int | None]:
    """Host, and port where one is named.

    Args:
        place: `user:password@host:port`, of a URL.
        form: what a URL of this sink looks like.

    Raises:
        BadConfiguration: no server can have this name or port; they may be part of a password that
            was not percent-encoded, and are not repeated.
    """
    try:
        parts = urlsplit(f"//{place}")
        host, port = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError:
        host, port = "", None
    if not host or port == 0:
        raise BadConfiguration(f"give {form}")
    return host, port
