"""From the outbox to the sinks: at least once, in order, each sink at its own pace.

Ids are deterministic, so a consumer that sees an event twice drops the second by its id. A sink
that fails waits and tries again, longer each time; it holds up no other. An event that a sink
refuses for good is set aside with its reason, and the next ones go on.
"""

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from itertools import islice
from typing import cast
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from models import plugins
from models.errors import BadConfiguration, CatalogError, EventRefused, SinkUnavailable
from services import sinks
from services.database import PAGE
from services.event_types import EVENT_WITHDRAWN, OBSERVATION_RECORDED
from services.events import TYPE_PREFIX, Event
from services.outbox import Outbox
from services.settings import Settings
from services.sinks import Sink, Target

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 60.0
_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Subscription:
    """Which events go where: a sink's URL, its fragment holding what is wanted.

    `#type=vigie.waste.*&site=quai-nord&purpose=waste`; each may come several times.

    Attributes:
        name: the URL without what is secret in it: what cursors and messages call it.
        target: for the sink.
        types: patterns of types, all where empty.
        sites: of a territory, all where empty.
        purposes: all where empty; else events of no purpose do not go either.
    """

    name: str
    target: Target
    types: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()

    def wants(self, event: Event) -> bool:
        """Whether an event goes there; a withdrawal goes where what it takes back went."""
        kinds, quantity, any_purpose = [event.type], str(event.data.get("quantity", "")), False
        if event.type == EVENT_WITHDRAWN:
            kinds.append(str(event.data["type"]))
            quantity = kinds[-1].removeprefix(TYPE_PREFIX)
            any_purpose = kinds[-1] == OBSERVATION_RECORDED  # whose type names none
        purpose = quantity.partition(".")[0]
        return (
            (not self.types or any(fnmatchcase(k, one) for k in kinds for one in self.types))
            and (not self.sites or event.source.rpartition("/")[2] in self.sites)
            and (not self.purposes or any_purpose or purpose in self.purposes)
        )

    def open(self) -> Sink:
        """Open the sink.

        Raises:
            UnknownPlugin: no sink serves this scheme.
            BadConfiguration: the sink refuses its URL.
        """
        scheme = urlsplit(self.target.url).scheme.replace("-", "_")
        return cast(Sink, plugins.load(sinks, scheme).open_sink(self.target))


def subscription(url: str, settings: Settings) -> Subscription:
    """Read a sink's URL.

    Raises:
        BadConfiguration: it cannot be read.
    """
    try:
        parts = urlsplit(url)
        asked = parse_qsl(parts.fragment, strict_parsing=True) if parts.fragment else []
    except ValueError as error:
        raise BadConfiguration(f"a sink's URL: {error}") from None
    wanted: dict[str, tuple[str, ...]] = {"type": (), "site": (), "purpose": ()}
    options = {}
    for key, value in asked:
        if key in wanted:
            wanted[key] += (value,)
        else:
            options[key] = value
    # A query may hold a token: two that differ are told apart by their digests.
    query = hashlib.sha256(parts.query.encode()).hexdigest()[:8] if parts.query else ""
    name = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query))
    bare = urlunsplit(parts._replace(fragment=""))
    secret = settings.webhook_secret
    signing_key = None if secret is None else secret.get_secret_value().encode()
    target = Target(bare, options, signing_key)
    return Subscription(name, target, wanted["type"], wanted["site"], wanted["purpose"])


@dataclass(slots=True)
class Delivered:
    """What became of one sink's events.

    Attributes:
        sink: its name.
        sent: events that it took.
        refused: events that it refused for good.
        error: why it was given up for now; empty where it has all.
    """

    sink: str
    sent: int = 0
    refused: int = 0
    error: str = ""


def deliver(
    outbox: Outbox,
    urls: Iterable[str],
    settings: Settings,
    *,
    patience_s: float = 20.0,
    until: threading.Event | None = None,
    progress: Callable[[Delivered], None] = lambda _: None,
) -> list[Delivered]:
    """Send the outbox to each sink from where it stopped; all at the same time.

    Args:
        outbox: whose events.
        urls: of the sinks, see `Subscription`.
        settings: of this process.
        patience_s: how long in a row a sink may fail before it is given up for now.
        until: where given, go on with what comes until it is set, and give nothing up.
        progress: called after each call to a sink.

    Raises:
        UnknownPlugin: no sink serves a scheme.
        BadConfiguration: a URL is wrong.
        CatalogError: the record is away, unless `until` is given: then it is waited for.
    """
    wanted = [subscription(url, settings) for url in urls]
    if not wanted:
        return []
    with ExitStack() as stack:
        # All are opened first: a wrong URL is told before anything is sent.
        opened = [(one, stack.enter_context(closing(one.open()))) for one in wanted]
        couriers = [_Courier(outbox, *pair, patience_s, until, progress) for pair in opened]
        with ThreadPoolExecutor(len(couriers), "sink") as pool:
            return list(pool.map(_Courier.run, couriers))


@dataclass(slots=True)
class _Courier:
    """Serves one sink."""

    outbox: Outbox
    wanted: Subscription
    sink: Sink
    patience_s: float
    until: threading.Event | None
    progress: Callable[[Delivered], None]
    done: Delivered = field(init=False)
    waiting: list[tuple[int, Event]] = field(default_factory=list)
    passed: int = 0

    def __post_init__(self) -> None:
        self.done = Delivered(self.wanted.name)

    def run(self) -> Delivered:
        failed_at, wait_s = None, _FIRST_WAIT_S
        while True:
            try:
                some = self._round()
                failed_at, wait_s, self.done.error = None, _FIRST_WAIT_S, ""
                if not some and self._ends(_POLL_S):
                    return self.done
            except CatalogError as error:
                if self.until is None:
                    raise
                self.done.error = str(error)
                if self._ends(_POLL_S):
                    return self.done
            except SinkUnavailable as error:
                self.done.error = str(error)
                now = time.monotonic()
                if error.sent:
                    failed_at, wait_s = None, _FIRST_WAIT_S
                failed_at = failed_at or now
                pause = error.after_s or wait_s * random.uniform(0.5, 1.0)  # noqa: S311
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
                gone = now + pause - failed_at > self.patience_s
                if (self.until is None and gone) or (self._ends(pause) and self.until):
                    return self.done
            finally:
                self.progress(self.done)

    def _ends(self, pause_s: float) -> bool:
        """Wait; whether that was the end."""
        if self.until is not None:
            return self.until.wait(pause_s)
        if self.done.error:
            time.sleep(pause_s)
        return True

    def _round(self) -> bool:
        """Send what comes next; whether there was something."""
        if not self.waiting:
            after = self.outbox.cursor(self.done.sink)
            some = list(islice(self.outbox.events(after), PAGE))
            if not some:
                return False
            self.passed = some[-1][0]
            self.waiting = [(at, event) for at, event in some if self.wanted.wants(event)]
        _send(self.outbox, self.done, self.sink, self.waiting)
        self.outbox.advance(self.done.sink, self.passed)
        return True


def _send(outbox: Outbox, done: Delivered, sink: Sink, waiting: list[tuple[int, Event]]) -> None:
    """Send events; those that are refused are set aside, what arrived waits no longer."""
    while waiting:
        sent = 0
        try:
            sink.send([event for _, event in waiting])
            sent = len(waiting)
        except SinkUnavailable as error:
            sent = error.sent
            if sent:
                outbox.advance(done.sink, waiting[sent - 1][0])
            raise
        except EventRefused as error:
            sent = next(i for i, (_, event) in enumerate(waiting) if event.id == error.event)
            outbox.bury(done.sink, waiting[sent][0], error.reason)
            done.refused += 1
            del waiting[sent]
        finally:
            done.sent += sent
            del waiting[:sent]


def redeliver(outbox: Outbox, url: str, settings: Settings) -> Delivered:
    """Send once more what a sink refused; what it takes is forgotten.

    Raises:
        SinkUnavailable: it is away.
        UnknownPlugin, BadConfiguration: see `deliver`.
    """
    wanted = subscription(url, settings)
    done = Delivered(wanted.name)
    with closing(wanted.open()) as sink:
        for letter in outbox.dead(wanted.name):
            try:
                sink.send([letter.event])
            except EventRefused:
                done.refused += 1
                continue
            outbox.revive(wanted.name, letter.position)
            done.sent += 1
    return done


def replay(outbox: Outbox, url: str, settings: Settings, since: datetime) -> Delivered:
    """Send again, with the same ids, what was recorded from `since` on; cursors stay.

    Raises:
        SinkUnavailable: it is away.
        UnknownPlugin, BadConfiguration: see `deliver`.
    """
    wanted = subscription(url, settings)
    done = Delivered(wanted.name)
    upto = outbox.cursor(wanted.name)
    with closing(wanted.open()) as sink:
        for page in _pages(outbox.events(since=since)):
            going = [(at, event) for at, event in page if at <= upto and wanted.wants(event)]
            _send(outbox, done, sink, going)
    return done


def _pages(
    events: Iterator[tuple[int, Event]],
) -> Iterator[list[tuple[int, Event]]]:
    while some := list(islice(events, PAGE)):
        yield some
