"""The line on Ray: one single-threaded actor a core works through a batch's shards.

A shard's result object in the store is its commit, written once, so any run of any process goes
on where the last one stopped. A shard that takes its worker down, or too much time, is run again
alone, then image by image; the image that does it every time is quarantined. Only here is Ray.
"""

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError

from models.errors import BatchError, VigieError
from services import batches, maps
from services.audit import Witness
from services.catalog import Catalog
from services.items import Item
from services.manifest import Manifest, Shard
from services.opening import open_line
from services.outcome import Outcome
from services.pipeline import Line
from services.settings import Settings
from services.sites import Site
from services.storage import Store

_DIED = RayActorError, OutOfMemoryError  # the second is what Ray's memory monitor ended
_STARTS = 3  # Ray waits 30 s for its node, which a busy machine may take
_IN_FLIGHT = 2  # shards per worker: one running, one ready
_OBJECT_STORE_BYTES = 200 * 1024**2  # only keys and outcomes travel


class _Worker:
    """One process of the fleet: a `Line`, kept warm."""

    def __init__(self, settings: Settings, site: Site, purposes: Sequence[str]) -> None:
        # Cores are shared out by worker; OpenCV would take all of them again.
        cv2.setNumThreads(1)
        self._open: Callable[[], Line] = lambda: open_line(
            Store.connect(settings), site, purposes, settings
        )
        self._line: Line | None = None

    def prepare(self) -> None:
        """Load the models; apart from the constructor, where Ray would hide an error."""
        self._line = self._open()

    def process(self, items: Sequence[Item]) -> list[Outcome]:
        assert self._line is not None
        return [self._line.process(item) for item in items]


def start(workers: int | None) -> int:
    """Join the cluster at `RAY_ADDRESS`, else start a local one; gives the number of workers.

    Raises:
        BatchError: the cluster does not answer.
    """
    count = workers or os.cpu_count() or 1
    if ray.is_initialized():
        return count
    options: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False}
    address = os.environ.get("RAY_ADDRESS")
    # Without an address Ray would join whatever cluster once ran on this machine.
    options |= {"address": address or "local"}
    if address is None:
        options |= {"num_cpus": count, "object_store_memory": _OBJECT_STORE_BYTES}
    for left in reversed(range(1 if address else _STARTS)):
        try:
            ray.init(logging_level="ERROR", **options)
            break
        except Exception as error:  # Ray raises just that where its node starts slowly
            ray.shutdown()
            if not left:
                told = f"Ray at {address or 'this machine'} does not start: {error}"
                raise BatchError(told) from error
    return count


def stop() -> None:
    """Leave the cluster; a local one ends."""
    ray.shutdown()


@dataclass(slots=True, eq=False)
class _Seat:
    """A worker as the driver sees it.

    Attributes:
        actor: the process.
        since_s: when the shard it is at began, on the monotonic clock.
        stuck: the shard that took too long, for which the worker was ended.
    """

    actor: Any
    since_s: float = 0.0
    stuck: Shard | None = None


@dataclass(slots=True)
class _Run:
    """The driver's side of one batch: what waits, what runs where, what came back.

    `running` is in the order of handing out, in which every worker does its shards.
    """

    seats: list[_Seat]
    waiting: deque[Shard]
    image_timeout_s: int
    running: dict[Any, tuple[_Seat, Shard]] = field(default_factory=dict)

    def feed(self) -> None:
        """Hand out shards, two to a worker; a suspect runs when nothing else does."""
        loads = Counter(id(seat) for seat, _ in self.running.values())
        while self.waiting:
            shard = self.waiting[0]
            alone = shard.suspect or any(s.suspect for _, s in self.running.values())
            if alone and self.running:
                return
            seat = min(self.seats, key=lambda s: loads[id(s)])
            if loads[id(seat)] >= _IN_FLIGHT:
                return
            if not loads[id(seat)]:
                seat.since_s = time.monotonic()
            self.waiting.popleft()
            loads[id(seat)] += 1
            self.running[seat.actor.process.remote(shard.items)] = (seat, shard)

    def next(self) -> tuple[Any, _Seat, Shard]:
        """The next shard that ends, well or with its worker; the one behind it begins."""
        while True:
            ready, _ = ray.wait(list(self.running), timeout=self._end_stuck())
            if ready:
                seat, shard = self.running.pop(ready[0])
                seat.since_s = time.monotonic()
                return ready[0], seat, shard

    def _end_stuck(self) -> float | None:
        """End each worker whose shard takes too long; gives the seconds until one may have to."""
        left_s = []
        for seat in self.seats:
            own = ((r, shard) for r, (s, shard) in self.running.items() if s is seat)
            reference, shard = next(own, (None, None))
            if shard is None or seat.stuck:
                continue
            left = seat.since_s + self.image_timeout_s * len(shard.items) - time.monotonic()
            if left <= 0 and not ray.wait([reference], timeout=0)[0]:
                seat.stuck = shard
                ray.kill(seat.actor)
            else:
                left_s.append(max(left, 0))
        return min(left_s, default=None)

    def fail(self, shard: Shard, stuck: bool) -> bool:
        """After its worker died: queue the shard again, or tell that its one image is to blame.

        A shard that was stuck is to blame as a whole, so its images run one by one at once.
        """
        if shard.suspect and len(shard.items) == 1:
            return True
        groups = [(item,) for item in shard.items] if shard.suspect or stuck else [shard.items]
        self.waiting.extend(Shard(shard.number, group, suspect=True) for group in groups)
        return False


@dataclass(frozen=True, slots=True)
class _Books:
    """Where what became of a batch's images is written down, shard by shard."""

    batch: str
    store: Store
    catalog: Catalog
    witness: Witness
    progress: Callable[[Sequence[Outcome]], None]
    shards: list[Shard]
    pending: dict[int, dict[str, Outcome]] = field(default_factory=dict)

    def add(self, number: int, outcomes: Iterable[Outcome]) -> None:
        """Note outcomes of a shard; the last of them commits it."""
        done = self.pending.setdefault(number, {})
        done |= {outcome.key: outcome for outcome in outcomes}
        items = self.shards[number].items
        if len(done) == len(items):
            batches.commit_shard(self.store, self.batch, number, [done[i.name] for i in items])
            self.take_in(number)

    def take_in(self, number: int) -> None:
        """Into the catalog, from the store: what was committed first is what counts."""
        outcomes = batches.read_shard(self.store, self.batch, number)
        self.catalog.take_in(self.batch, outcomes, self.witness)
        self.progress(outcomes)


def run(
    batch: str,
    manifest: Manifest,
    settings: Settings,
    catalog: Catalog,
    progress: Callable[[Sequence[Outcome]], None] = lambda outcomes: None,
) -> int:
    """Do what is not done yet of a batch, then judge it; gives how many events are new.

    Args:
        batch: its id.
        manifest: what it is.
        settings: how to reach the store, and how many workers.
        catalog: where outcomes and events go.
        progress: called with each group of outcomes, those of an earlier run first.

    Raises:
        StorageError: the store went away; what is committed stays, a rerun goes on.
        BatchError: the batch was submitted for other models.
    """
    settings = settings.with_secret()  # workers on other machines cannot read it from a file here
    store = Store.connect(settings)
    # This also exports the networks, once.
    line = open_line(store, manifest.read_site(), manifest.purposes, settings)
    batches.check_models(manifest, line.models)
    catalog.begin(batch, line.eyes.redactor.model, line.witness)
    shards = [Shard(n, items) for n, items in enumerate(manifest.shards)]
    books = _Books(batch, store, catalog, line.witness, progress, shards)
    committed = set(batches.committed_shards(store, batch))
    for number in sorted(committed):
        books.take_in(number)
    waiting: deque[Shard] = deque()
    drawn: list[Shard] = []  # maps wait for their windows
    for shard in shards:
        if shard.number in committed:
            continue
        # The same work may be done already, in another batch: its outcome holds here too.
        works = {line.work(item): item for item in shard.items}
        known = catalog.done(list(works))
        books.add(shard.number, known.values())
        if rest := tuple(item for work, item in works.items() if work not in known):
            queue = drawn if manifest.is_map(rest[0]) else waiting
            queue.append(Shard(shard.number, rest))
    if waiting:
        _work(manifest.purposes, settings, line, waiting, books)
    for shard in drawn:
        (item,) = shard.items
        books.add(shard.number, [maps.draw(line, catalog, item, manifest.windows[item.key])])
    return batches.close(catalog, batch, manifest)


def _work(
    purposes: Sequence[str], settings: Settings, line: Line, waiting: deque[Shard], books: _Books
) -> None:
    count = min(start(settings.workers), len(waiting))
    # Ray would restart a dead worker, but tell tasks that reach it meanwhile the same as the one
    # that killed it. A new worker in its place keeps blame exact.
    remote = ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(_Worker)

    def hire(number: int) -> list[_Seat]:
        hired = [remote.remote(settings, line.site, purposes) for _ in range(number)]
        try:
            _answer([actor.prepare.remote() for actor in hired])
        except _DIED as error:
            raise BatchError("a worker died while it loaded its models: run again") from error
        return [_Seat(actor) for actor in hired]

    run = _Run(hire(count), waiting, settings.image_timeout_s)
    try:
        while run.waiting or run.running:
            run.feed()
            reference, seat, shard = run.next()
            try:
                outcomes = _answer(reference)
            except _DIED:
                if seat in run.seats:
                    run.seats.remove(seat)
                    run.seats += hire(1)
                stuck = seat.stuck is shard
                if not run.fail(shard, stuck):
                    continue
                reason = "timed_out" if stuck else "worker_died"
                outcomes = [line.quarantine(shard.items[0], reason)]
            books.add(shard.number, outcomes)
    finally:
        for seat in run.seats:
            ray.kill(seat.actor)


def _answer(reference: Any) -> Any:
    """`ray.get`, but an error of ours comes out as itself.

    Raises:
        RayActorError: the worker died.
    """
    try:
        return ray.get(reference)
    except RayTaskError as error:
        if isinstance(error.cause, VigieError):
            raise error.cause from error
        raise BatchError(f"a worker failed: {type(error.cause).__name__}") from error
