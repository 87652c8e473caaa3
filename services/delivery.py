"""From the outbox to the sinks: at least once, in order, each sink at its own pace.

Ids are deterministic, so a consumer that sees an event twice drops the second by its id.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Protocol, cast
from urllib.parse import urlsplit

from models import plugins
from services import sinks
from services.catalog import Catalog
from services.events import Event

_AT_ONCE = 500  # what a sink gets in one call, and at most gets again after a crash


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
    waiting, sent = catalog.events(catalog.cursor(url)), 0
    while some := list(islice(waiting, _AT_ONCE)):
        sink.send([event for _, event in some])
        catalog.advance(url, some[-1][0])
        sent += len(some)
    return sent
