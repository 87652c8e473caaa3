"""From the outbox to the sinks: at least once, in order, each sink at its own pace.

Ids are deterministic, so a consumer that sees an event twice drops the second by its id.
"""

from collections.abc import Sequence
from typing import Protocol, cast
from urllib.parse import urlsplit

from models import plugins
from services import sinks
from services.catalog import Catalog
from services.events import Event


class Sink(Protocol):
    """Somewhere events go. `send` returns when they are safely there, or raises."""

    def send(self, events: Sequence[Event]) -> None: ...  # noqa: D102 - see the class


def deliver(catalog: Catalog, url: str) -> int:
    """Send the outbox to the sink at `url` from where it stopped; gives how many events went.

    Raises:
        UnknownPlugin: no sink serves this scheme.
        BadConfiguration: the sink refuses its URL, or cannot be written.
    """
    sink = cast(Sink, plugins.load(sinks, urlsplit(url).scheme).open_sink(url))
    position, sent = catalog.cursor(url), 0
    while rows := catalog.events(position):
        sink.send([event for _, event in rows])
        position = rows[-1][0]
        catalog.advance(url, position)
        sent += len(rows)
    return sent
