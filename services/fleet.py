"""The line on Ray: one single-threaded actor a core works through a batch's shards.

A shard's result object in the store is its commit, written once, so any run of any process goes
on where the last one stopped. A shard that takes its worker down is run again alone, then image by
image, and the image that does it every time is quarantined. Nothing else here imports Ray.
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from models.errors import BatchError, VigieError
from services import batches
from services.batches import Manifest
from services.catalog import Catalog
from services.outcome import Outcome
from services.pipeline import Item, Line, open_line
from services.settings import Settings
from services.sites import Site
from services.storage import Store

_IN_FLIGHT = 2  # shards per worker: one running, one ready
_OBJECT_STORE_BYTES = 200 * 1024**2  # only keys and outcomes travel


@dataclass(frozen=True, slots=True)
class Shard:
    """A group of images and how it is to be run.

    Attributes:
        number: its place in the manifest.
        items: its images.
        suspect: it was running when a worker died, so it runs alone.
    """

    number: int
    items: tuple[Item, ...]
    suspect: bool = False


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
    try:
        ray.init(logging_level="ERROR", **options)
    except (RayError, ConnectionError, RuntimeError, ValueError) as error:
        raise BatchError(f"Ray at {address or 'this machine'} does not start: {error}") from error
    return count


def stop() -> None:
    """Leave the cluster; a local one ends."""
    ray.shutdown()


@dataclass(slots=True)
class _Run:
    """The driver's side of one batch: what waits, what runs where, what came back."""

    workers: list[Any]
    waiting: deque[Shard]
    running: dict[Any, tuple[Any, Shard]] = field(default_factory=dict)

    def feed(self) -> None:
        """Hand out shards, two to a worker; a suspect runs when nothing else does."""
        loads = {id(worker): 0 for worker in self.workers}
        for worker, _ in self.running.values():
            loads[id(worker)] += 1
        while self.waiting:
            shard = self.waiting[0]
            alone = shard.suspect or any(s.suspect for _, s in self.running.values())
            if alone and self.running:
                return
            worker = min(self.workers, key=lambda w: loads[id(w)])
            if loads[id(worker)] >= _IN_FLIGHT:
                return
            self.waiting.popleft()
            loads[id(worker)] += 1
            self.running[worker.process.remote(shard.items)] = (worker, shard)

    def fail(self, shard: Shard) -> Shard | None:
        """After its worker died: queue the shard again; gives it back when it is to blame."""
        if not shard.suspect:
            self.waiting.append(Shard(shard.number, shard.items, suspect=True))
        elif len(shard.items) > 1:
            self.waiting.extend(Shard(shard.number, (i,), suspect=True) for i in shard.items)
        else:
            return shard
        return None


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
    store = Store.connect(settings)
    line = open_line(
        store, manifest.read_site(), manifest.purposes, settings
    )  # also exports the networks, once
    batches.check_models(manifest, line.eyes.models)
    shards = [Shard(n, items) for n, items in enumerate(manifest.shards)]
    committed = set(batches.committed_shards(store, batch))
    for number in sorted(committed):
        _take_in(catalog, batch, batches.read_shard(store, batch, number), progress)
    pending: dict[int, dict[str, Outcome]] = {}
    waiting: deque[Shard] = deque()
    for shard in shards:
        if shard.number in committed:
            continue
        # The same work may be done already, in another batch: its outcome holds here too.
        works = {item.key: line.work(item) for item in shard.items}
        known = catalog.done(list(works.values()))
        done = {key: known[work] for key, work in works.items() if work in known}
        pending[shard.number] = done
        rest = tuple(item for item in shard.items if item.key not in done)
        if rest:
            waiting.append(Shard(shard.number, rest))
        else:
            _commit(store, catalog, batch, shards[shard.number], done, progress)
    if waiting:
        _work(batch, manifest, settings, catalog, line, _Plan(shards, pending, waiting), progress)
    return batches.close(catalog, batch, manifest)


@dataclass(frozen=True, slots=True)
class _Plan:
    shards: list[Shard]
    pending: dict[int, dict[str, Outcome]]
    waiting: deque[Shard]


def _work(
    batch: str,
    manifest: Manifest,
    settings: Settings,
    catalog: Catalog,
    line: Line,
    plan: _Plan,
    progress: Callable[[Sequence[Outcome]], None],
) -> None:
    count = min(start(settings.workers), len(plan.waiting))
    # Ray would restart a dead worker, but tell tasks that reach it meanwhile the same as the one
    # that killed it. A new worker in its place keeps blame exact.
    remote = ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(_Worker)

    def hire(number: int) -> list[Any]:
        hired = [remote.remote(settings, line.site, manifest.purposes) for _ in range(number)]
        try:
            _answer([worker.prepare.remote() for worker in hired])
        except RayActorError as error:
            raise BatchError("a worker died while it loaded its models: run again") from error
        return hired

    run = _Run(hire(count), plan.waiting)
    try:
        while run.waiting or run.running:
            run.feed()
            ready, _ = ray.wait(list(run.running), num_returns=1)
            worker, shard = run.running.pop(ready[0])
            try:
                outcomes = _answer(ready[0])
            except RayActorError:
                if worker in run.workers:
                    run.workers.remove(worker)
                    run.workers += hire(1)
                guilty = run.fail(shard)
                if guilty is None:
                    continue
                outcomes = [line.quarantine(guilty.items[0], "worker_died")]
            done = plan.pending[shard.number]
            done |= {outcome.key: outcome for outcome in outcomes}
            whole = plan.shards[shard.number]
            if len(done) == len(whole.items):
                _commit(line.store, catalog, batch, whole, done, progress)
    finally:
        for worker in run.workers:
            ray.kill(worker)


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


def _commit(
    store: Store,
    catalog: Catalog,
    batch: str,
    shard: Shard,
    done: dict[str, Outcome],
    progress: Callable[[Sequence[Outcome]], None],
) -> None:
    batches.commit_shard(store, batch, shard.number, [done[item.key] for item in shard.items])
    _take_in(catalog, batch, batches.read_shard(store, batch, shard.number), progress)


def _take_in(
    catalog: Catalog,
    batch: str,
    outcomes: Sequence[Outcome],
    progress: Callable[[Sequence[Outcome]], None],
) -> None:
    catalog.take_in(batch, outcomes)
    progress(outcomes)
