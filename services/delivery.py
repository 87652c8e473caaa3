"""From the outbox to the sinks: at least once, in order, each sink at its own pace.

Ids are deterministic, so a consumer that sees an event twice drops the second by its id. A sink
that fails waits and tries again, longer each time; it holds up no other. An event that a sink
refuses for good is set aside with its reason, and the next ones go on.
"""

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from models.errors import CatalogError, EventRefused, SinkUnavailable, VigieError
from services.database import PAGE
from services.event_types import OBSERVATION_RECORDED
from services.events import Event
from services.outbox import Outbox
from services.settings import Settings
from services.sinks import Remembering, Sink
from services.subscription import Subscription, subscription

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 60.0
_POLL_S = 0.5


@contextmanager
def _mistakes_told() -> Iterator[None]:
    """A sink's mistake is its failure as well; what it says may hold what an event does."""
    try:
        yield
    except VigieError:
        raise
    except Exception as error:
        raise SinkUnavailable(f"unexpected {type(error).__name__} in this sink") from error


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
    memory: "_Memory" = field(init=False)

    def __post_init__(self) -> None:
        self.done = Delivered(self.wanted.name)
        self.memory = _Memory(self.outbox, self.wanted.name, self.sink)

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

    @_mistakes_told()
    def _round(self) -> bool:
        """Send what comes next; whether there was something."""
        if not self.waiting:
            after = self.outbox.cursor(self.done.sink)
            some = list(islice(self.outbox.events(after), PAGE))
            if not some:
                return False
            if after != self.passed:  # another process has served this sink
                self.memory = _Memory(self.outbox, self.wanted.name, self.sink, after)
            waiting = [(at, event) for at, event in some if self.wanted.wants(event)]
            self.memory.recall(waiting)
            self.passed, self.waiting = some[-1][0], waiting
        _send(self.outbox, self.done, self.sink, self.waiting)
        self.outbox.advance(self.done.sink, self.passed)
        return True


@dataclass(slots=True)
class _Memory:
    """Tells a sink that remembers what others sent it, up to a position."""

    outbox: Outbox
    name: str
    sink: Sink
    upto: int = 0
    known: set[tuple[str, str]] = field(default_factory=set)

    def recall(self, page: list[tuple[int, Event]]) -> None:
        """Tell it of the quantities in a page, each once."""
        if not isinstance(self.sink, Remembering) or not self.upto:
            return
        observed = {
            (event.subject, str(event.data["quantity"]))
            for _, event in page
            if event.type == OBSERVATION_RECORDED
        }
        for one in observed - self.known:
            self.sink.remember(self.outbox.newest(self.name, *one, self.upto))
            self.known.add(one)


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


@_mistakes_told()
def redeliver(outbox: Outbox, url: str, settings: Settings) -> Delivered:
    """Send once more what a sink refused; what it takes is forgotten.

    A sink that remembers is told of all that the same asset was told of since, too: else it would
    fall back to what was so then.

    Raises:
        SinkUnavailable: it is away, or failed.
        UnknownPlugin, BadConfiguration: see `deliver`.
    """
    wanted = subscription(url, settings)
    done = Delivered(wanted.name)
    upto = outbox.cursor(wanted.name)
    with closing(wanted.open()) as sink:
        letters = outbox.dead(wanted.name)
        refused = {letter.position for letter in letters}
        for letter in letters:
            told = [letter.event]
            if isinstance(sink, Remembering):
                told += [
                    event
                    for at, event in outbox.events(letter.position, subject=letter.event.subject)
                    if at <= upto and at not in refused and wanted.wants(event)
                ]
            try:
                sink.send(told)
            except EventRefused as error:
                if error.event == letter.event.id:
                    done.refused += 1
                    continue
            outbox.revive(wanted.name, letter.position)
            refused.discard(letter.position)
            done.sent += 1
    return done


@_mistakes_told()
def replay(outbox: Outbox, url: str, settings: Settings, since: datetime) -> Delivered:
    """Send again, with the same ids, what was recorded from `since` on; cursors stay.

    Raises:
        SinkUnavailable: it is away, or failed.
        UnknownPlugin, BadConfiguration: see `deliver`.
    """
    wanted = subscription(url, settings)
    done = Delivered(wanted.name)
    upto, memory = outbox.cursor(wanted.name), None
    with closing(wanted.open()) as sink:
        for page in _pages(outbox.events(since=since)):
            going = [(at, event) for at, event in page if at <= upto and wanted.wants(event)]
            memory = memory or _Memory(outbox, wanted.name, sink, page[0][0] - 1)
            memory.recall(going)
            _send(outbox, done, sink, going)
    return done


def _pages(
    events: Iterator[tuple[int, Event]],
) -> Iterator[list[tuple[int, Event]]]:
    while some := list(islice(events, PAGE)):
        yield some
