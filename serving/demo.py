"""The demo: a real batch from object storage through redaction and detection to events."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import simplejpeg
from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table

from services import batches, delivery, embedded, fleet
from services.catalog import Catalog
from services.opening import open_line
from services.settings import Settings
from services.sites import load_site
from services.storage import Store
from serving.events_cli import event_cells
from serving.report import write_report
from training import scenes
from training.dataset import read_waste

_ROOT = Path(__file__).parents[1]
_SITE = _ROOT / "examples" / "port-quay.yaml"
_DRAWN = 96
SEED = 7
_SHOWN = 12


def run_demo(images: Path | None, folder: Path, console: Console) -> None:
    """Run the demo on the pictures in `images`, else on real ones at hand, else on a drawn town.

    Everything is written below `folder`: pictures, the store's and the catalog's files, events
    and the report. What an earlier demo left there is removed.

    Raises:
        VigieError: whatever goes wrong.
    """
    folder = folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    state = folder / "state"
    settings = Settings(state_dir=state, catalog_url=f"sqlite:///{folder / 'catalog.sqlite'}")
    pictures = (
        images
        or _real_pictures(folder / "pictures")
        or _drawn_pictures(folder / "pictures", console)
    )
    began = time.monotonic()
    with _store(settings, console) as store:
        catalog = Catalog(settings.catalog_url)
        site = load_site(_SITE)
        with console.status("loading models"):
            line = open_line(store, site, ["waste"], settings)
        with Progress(console=console) as bar:
            task = bar.add_task("uploading", total=None)
            keys = batches.upload(
                store, pictures, "", lambda n, total: bar.update(task, completed=n, total=total)
            )
        batch, manifest = batches.submit(store, catalog, site, ["waste"], line.models, keys)
        console.print(f"batch {batch}: {len(keys)} pictures of {pictures}")
        with Progress(console=console) as bar:
            task = bar.add_task("read → decode → redact → detect", total=len(keys))
            try:
                fleet.run(
                    batch, manifest, settings, catalog, lambda done: bar.advance(task, len(done))
                )
            finally:
                fleet.stop()
        sink = folder / "events.jsonl"
        delivery.deliver(catalog.outbox, [f"file://{sink}"], settings)
        _show_events(catalog, batch, console)
        report = folder / "report.html"
        write_report(report, batch, catalog, store)
    counts = catalog.counts(batch)
    console.print(
        f"{counts['redacted']} redacted, {counts['quarantined']} quarantined "
        f"in {time.monotonic() - began:.0f} s"
    )
    console.print(f"events: {sink}\nreport: {report}", soft_wrap=True, highlight=False)


def _real_pictures(folder: Path) -> Path | None:
    """Links to the validation pictures of the waste data, where the data is at hand."""
    data = Path(os.environ.get("VIGIE_DATA", _ROOT.parent / "shared" / "data")) / "waste"
    if not (data / "val.json").exists():
        return None
    for sample in read_waste(data, "val"):
        assert sample.path is not None
        link = folder / sample.source / sample.path.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(sample.path.resolve())
    return folder


def _drawn_pictures(folder: Path, console: Console) -> Path:
    for key, scene in track(
        scenes.town(SEED, _DRAWN), total=_DRAWN, description="drawing a town", console=console
    ):
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(simplejpeg.encode_jpeg(scene.pixels, quality=90, colorsubsampling="444"))
    return folder


@contextmanager
def _store(settings: Settings, console: Console) -> Iterator[Store]:
    """The configured store, else an embedded one for as long as the demo runs."""
    own = settings.s3_endpoint is None
    with console.status("starting the object store"):
        endpoint = embedded.up(settings.state_dir) if own else settings.endpoint
        store = Store(endpoint, settings.s3_prefix)
        store.ensure_buckets()
        store.probe()
    console.print(f"object store at {endpoint.url}")
    try:
        yield store
    finally:
        if own:
            embedded.down(settings.state_dir)


def _show_events(catalog: Catalog, batch: str, console: Console) -> None:
    """A table of events: changes of state first, then the most sure observations."""
    events = [event for _, event in catalog.outbox.events(batch=batch)]
    loud = [e for e in events if not e.type.startswith("vigie.observation.")]
    quiet = [e for e in events if e.type.startswith("vigie.observation.") and e.data["value"]]
    quiet.sort(key=lambda e: -e.data["value"])
    table = Table("time (UTC)", "type", "subject", "value", box=None, header_style="bold")
    for event in [*loud[-_SHOWN:], *quiet[:_SHOWN]]:
        table.add_row(*event_cells(event))
    console.print(table)
    console.print(f"{len(events)} events in all")
