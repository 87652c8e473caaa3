"""Batches: an immutable manifest in the store says what to do, so that any process can go on.

The batch's id is derived from its manifest: submitting the same images for the same site, models
and purposes again gives the same batch.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from mimetypes import guess_type
from pathlib import Path

from pydantic import ValidationError

from models.errors import BadConfiguration, BatchError, NoSuchObject, ObjectExists
from services.catalog import Catalog, Ledger
from services.event_types import Declared, completed, quarantined, recorded
from services.events import Event, Wire
from services.items import Item
from services.judgement import FOUND, found
from services.judging import judged_again
from services.manifest import Manifest
from services.opening import purposes_of
from services.outcome import Outcome
from services.record import Record
from services.references import References
from services.sites import Site
from services.status import State
from services.storage import Store
from services.tiles import LIMITS, split


def files_below(folder: Path) -> list[Path]:
    """Every file below `folder`, sorted, hidden ones left out.

    Raises:
        BadConfiguration: there is none.
    """
    found = sorted(p for p in folder.rglob("*") if p.is_file())
    seen = [p for p in found if not any(n.startswith(".") for n in p.relative_to(folder).parts)]
    if not seen:
        raise BadConfiguration(f"no files in {folder}")
    return seen


def upload(
    store: Store,
    folder: Path,
    prefix: str = "",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """Put every file below `folder` into the inbox under its relative path; gives the keys.

    A file that is there already is not sent again; one that is too large for a picture counts as
    there where its size is. Hidden files are left out.

    Raises:
        BadConfiguration: no such folder, nothing in it, or a key that holds other content.
    """
    if not folder.is_dir():
        raise BadConfiguration(f"{folder} is not a folder of pictures")
    files = files_below(folder)
    keys = []
    for number, path in enumerate(files, 1):
        key = prefix + path.relative_to(folder).as_posix()
        if not _put(store, key, path):
            raise BadConfiguration(
                f"the inbox holds another picture under {key}: choose another --prefix"
            )
        keys.append(key)
        progress(number, len(files))
    return keys


def _put(store: Store, key: str, path: Path) -> bool:
    """Whether the inbox holds this file under its key now."""
    kind = guess_type(path.name)[0] or "application/octet-stream"
    if (size_bytes := path.stat().st_size) > LIMITS.max_bytes:  # a raster, if anything
        with suppress(NoSuchObject):
            return store.head("inbox", key).size_bytes == size_bytes
        store.put_file("inbox", key, path, kind)
        return True
    data = path.read_bytes()
    try:
        store.put("inbox", key, data, kind, only_if_absent=True)
    except ObjectExists:
        return store.get("inbox", key)[0] == data
    return True


def submit(
    store: Store,
    catalog: Catalog,
    site: Site,
    purposes: Sequence[str],
    models: Sequence[str],
    keys: Iterable[str] | None = None,
    prefix: str = "",
) -> tuple[str, Manifest]:
    """Write the manifest of a batch and record it.

    Args:
        store: where the images are.
        catalog: where the batch is recorded.
        site: whose images they are.
        purposes: what is asked of them, each declared by the site.
        models: what will judge them.
        keys: the images; all of the inbox under `prefix` when None.
        prefix: start of the keys.

    Raises:
        PurposeRefused: the site does not declare one of the purposes.
        BadConfiguration: a camera's reference is not in the store.
        BatchError: no images.
    """
    asked = purposes_of(site, purposes)
    References(store, site).check()
    listed = {info.key: info for info in store.list("inbox", prefix)}
    chosen = sorted(listed if keys is None else keys)
    if missing := [key for key in chosen if key not in listed]:
        raise BatchError(f"{len(missing)} keys are not in the inbox, the first {missing[0]!r}")
    if not chosen:
        raise BatchError(f"no images in the inbox under {prefix!r}: submit a folder of pictures")
    manifest = Manifest(
        site=site.model_dump(mode="json"),
        purposes=tuple(sorted(purposes)),
        models=tuple(models),
        items=tuple(
            part
            for info in (listed[key] for key in chosen)
            for item in [Item(key=info.key, etag=info.etag)]
            for part in split(store, site, item, info.size_bytes, asked)
        ),
    )
    data = manifest.model_dump_json().encode()
    with suppress(ObjectExists):  # submitted before: its content is its name
        store.put("batches", _path(manifest.batch), data, "application/json", only_if_absent=True)
    body = {"purposes": list(manifest.purposes), "models": list(models), "site": site.name}
    catalog.add_batch(manifest.batch, site.source, len(manifest.items), body)
    return manifest.batch, manifest


def read_manifest(store: Store, batch: str) -> Manifest:
    """The manifest of a batch.

    Raises:
        BatchError: there is none, or it was changed.
    """
    try:
        manifest = Manifest.model_validate_json(store.get("batches", _path(batch))[0])
    except (NoSuchObject, ValidationError) as error:
        raise BatchError(f"no manifest of batch {batch}: submit it again") from error
    if manifest.batch != batch:
        raise BatchError(f"the manifest of batch {batch} was changed: submit it again")
    return manifest


def _path(batch: str) -> str:
    return f"{batch}/manifest.json"


class ShardResult(Wire):
    """What a worker writes when a shard is done. Writing it, once, is the commit."""

    outcomes: tuple[Outcome, ...]


def shard_path(batch: str, shard: int) -> str:
    """Where the result of a shard lies in the `batches` bucket."""
    return f"{batch}/shards/{shard:06d}.json"


def commit_shard(store: Store, batch: str, shard: int, outcomes: Sequence[Outcome]) -> None:
    """Write a shard's result unless another worker was first."""
    data = ShardResult(outcomes=tuple(outcomes)).model_dump_json().encode()
    path = shard_path(batch, shard)
    with suppress(ObjectExists):  # done twice, committed once: the first result stands
        store.put("batches", path, data, "application/json", only_if_absent=True)


def read_shard(store: Store, batch: str, shard: int) -> tuple[Outcome, ...]:
    """The committed outcomes of a shard."""
    data, _ = store.get("batches", shard_path(batch, shard))
    return ShardResult.model_validate_json(data).outcomes


def committed_shards(store: Store, batch: str) -> Iterator[int]:
    """Numbers of the shards that are done."""
    for info in store.list("batches", f"{batch}/shards/"):
        yield int(info.key.rpartition("/")[2].removesuffix(".json"))


def check_models(manifest: Manifest, models: Sequence[str]) -> None:
    """Refuse to go on with a batch under other models than it was submitted for.

    Raises:
        BatchError: they differ.
    """
    if sorted(manifest.models) != sorted(models):
        raise BatchError(
            f"batch {manifest.batch} was submitted for {', '.join(sorted(manifest.models))}, but "
            f"this installation has {', '.join(sorted(models))}: submit the images again"
        )


def close(catalog: Catalog, batch: str, manifest: Manifest) -> int:
    """Judge a finished batch and put its events into the outbox; gives how many are new.

    Raises:
        BatchError: some images are not done yet.
    """
    outcomes = catalog.outcomes(batch)
    if len(outcomes) != len(manifest.items):
        raise BatchError(f"{len(manifest.items) - len(outcomes)} images of {batch} are not done")
    site = manifest.read_site()
    seen = [o for outcome in outcomes for o in outcome.observations]
    counts = dict(catalog.counts(batch))
    last = max(outcome.captured_at for outcome in outcomes)

    def judging(ledger: Ledger) -> list[Event]:
        events = list(_facts(outcomes, site))

        def known(place: str) -> bool:
            return any(ledger.record(place, quantity).state.level for quantity in FOUND)

        for event in list(found([o for o in seen if o.quantity in FOUND], known, site.source)):
            state = State(status="raised", level=1, since=event.time, last_known_at=event.time)
            ledger.keep(event.subject, event.data["quantity"], Record(state=state))
            events.append(event)
        touched = {(o.asset, o.quantity) for o in seen}
        events += judged_again(
            ledger, site, manifest.purposes, lambda asset, quantity, _: (asset, quantity) in touched
        )
        return [*events, completed(batch, counts, last, site.source, _declared(site))]

    return catalog.judge(batch, judging)


def look_for_silence(store: Store, catalog: Catalog, now: datetime) -> int:
    """Tell of views and assets of which nothing came for too long; gives how many events are new.

    Sites are taken as they were when the last of their finished batches was submitted.

    Raises:
        BatchError: there is no manifest of such a batch; told once all other sites were looked at.
    """
    last = {row.source: row.batch for row in reversed(catalog.batches()) if row.finished}
    fresh, missing = 0, None
    for batch in last.values():
        try:
            site = read_manifest(store, batch).read_site()
        except BatchError as error:
            missing = missing or error
            continue

        def judging(ledger: Ledger, site: Site = site) -> list[Event]:
            def overdue(_: str, __: str, record: Record) -> bool:
                return record.due is not None and record.due < now

            return list(judged_again(ledger, site, tuple(site.purposes), overdue, now))

        fresh += catalog.judge(batch, judging)
    if missing:
        raise missing
    return fresh


def _declared(site: Site) -> dict[str, Declared]:
    return {
        name: Declared(
            legal_basis=purpose.legal_basis,
            images_days=purpose.retention_days.images,
            events_days=purpose.retention_days.events,
            notice=purpose.notice,
        )
        for name, purpose in site.purposes.items()
    }


def _facts(outcomes: Sequence[Outcome], site: Site) -> Iterator[Event]:
    """What was observed and what was set aside, in the order of capture."""
    for outcome in sorted(outcomes, key=lambda o: (o.captured_at, o.key)):
        for observation in outcome.observations:
            if observation.quantity not in FOUND:
                yield recorded(observation, site.source)
        if outcome.reason is not None:
            at, why = outcome.captured_at, outcome.reason
            yield quarantined(outcome.work, outcome.key, why, at, site.source)
