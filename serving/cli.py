"""The command line: `vigie COMMAND`. Heavy libraries are imported by the commands that need them.

Exit codes: 0 done; 1 done, but some pictures were quarantined by `redact` or `detect`; 2 wrong
usage; else the error's own (`models.errors`). Errors are one line on standard error.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from models.card import SHIPPED
from models.errors import VigieError
from services.settings import Settings
from serving.audit_cli import audit, quarantine
from serving.events_cli import Sinks, events, sinks_of, tell
from serving.gauge_cli import gauge
from serving.terminal import Batch, Json, err, out, progress_bar, say, table_of

_TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Imagery in object storage → personal data covered → events for the town's platform.",
)
app.add_typer(audit, name="audit")
app.add_typer(quarantine, name="quarantine")
app.add_typer(events, name="events")
app.add_typer(gauge, name="gauge")


def main() -> None:
    """Entry point of the `vigie` command."""
    try:
        app()
    except VigieError as error:
        err.print("vigie:", style="red", end=" ")
        err.print(str(error), highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        err.print("vigie: stopped; run the same command again to go on")
        sys.exit(130)


@app.command()
def up(as_json: Json = False) -> None:
    """Start the embedded S3 server on loopback, or check the one that VIGIE_S3_ENDPOINT names.

    Makes the buckets and proves that the server honours conditional puts.

        vigie up
    """
    from services import embedded  # noqa: PLC0415
    from services.storage import Store  # noqa: PLC0415

    settings = Settings()
    endpoint = settings.endpoint if settings.s3_endpoint else embedded.up(settings.state_dir)
    store = Store(endpoint, settings.s3_prefix)
    store.ensure_buckets()
    store.probe()
    say({"endpoint": endpoint.url}, as_json, f"object store ready at {endpoint.url}")


@app.command()
def down(as_json: Json = False) -> None:
    """Stop the embedded S3 server; what it holds stays.

    vigie down
    """
    from services import embedded  # noqa: PLC0415

    embedded.down(Settings().state_dir)
    say({"endpoint": None}, as_json, "object store stopped")


@app.command()
def submit(
    site: Annotated[Path, typer.Argument(help="Site file, e.g. examples/port-quay.yaml.")],
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of pictures to upload; else the inbox is taken.")
    ] = None,
    prefix: Annotated[str, typer.Option(help="Start of the object keys.")] = "",
    purpose: Annotated[
        list[str] | None, typer.Option(help="Purpose, may be repeated; all declared by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a batch of a folder of pictures, or of what already lies in the inbox.

    vigie submit examples/port-quay.yaml pictures/

    vigie submit examples/port-quay.yaml --prefix quai-nord/cam-01/
    """
    from services import batches  # noqa: PLC0415
    from services.catalog import Catalog  # noqa: PLC0415
    from services.opening import open_line  # noqa: PLC0415
    from services.sites import load_site  # noqa: PLC0415
    from services.storage import Store  # noqa: PLC0415

    settings, place = Settings(), load_site(site)
    purposes = purpose or list(place.purposes)
    store, catalog = Store.connect(settings), Catalog(settings.catalog_url)
    line = open_line(store, place, purposes, settings)
    keys = None
    if folder is not None:
        with progress_bar(as_json) as bar:
            task = bar.add_task("uploading", total=None)
            keys = batches.upload(
                store,
                folder,
                prefix,
                lambda done, total: bar.update(task, completed=done, total=total),
            )
    batch, manifest = batches.submit(store, catalog, place, purposes, line.models, keys, prefix)
    say(
        {"batch": batch, "images": len(manifest.items), "purposes": list(manifest.purposes)},
        as_json,
        f"batch {batch}: {len(manifest.items)} images. Next: vigie run {batch}",
    )


@app.command()
def run(
    batch: Batch,
    sink: Sinks = None,
    as_json: Json = False,
) -> None:
    """Process a batch on Ray, judge it, deliver its events. Run again to go on after a stop.

    A sink that is away gets its events with the next run, or from `vigie events deliver`.

        vigie run 3fa2 --sink file:///data/events.jsonl
    """
    from services import batches, delivery, fleet  # noqa: PLC0415
    from services.catalog import Catalog  # noqa: PLC0415
    from services.storage import Store  # noqa: PLC0415

    settings = Settings()
    catalog = Catalog(settings.catalog_url)
    batch = catalog.batch(batch).batch
    manifest = batches.read_manifest(Store.connect(settings), batch)
    with progress_bar(as_json) as bar:
        task = bar.add_task("processing", total=len(manifest.items))
        try:
            fresh = fleet.run(
                batch,
                manifest,
                settings,
                catalog,
                lambda outcomes: bar.advance(task, len(outcomes)),
            )
        finally:
            fleet.stop()
    delivered = delivery.deliver(catalog.outbox, sinks_of(sink, settings), settings)
    tell(delivered)
    sent = sum(one.sent for one in delivered)
    counts = dict(catalog.counts(batch))
    told = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
    say(
        {"batch": batch, "counts": counts, "new_events": fresh, "delivered": sent},
        as_json,
        f"batch {batch}: {told}; {fresh} new events, {sent} delivered. Next: vigie report {batch}",
    )


@app.command()
def status(
    batch: Annotated[str | None, typer.Argument(help="Batch id; all batches without.")] = None,
    as_json: Json = False,
) -> None:
    """List batches and how far they are.

    vigie status
    """
    from services.catalog import Catalog  # noqa: PLC0415

    catalog = Catalog(Settings().catalog_url)
    rows = [catalog.batch(batch)] if batch else catalog.batches()
    if as_json:
        for row in rows:
            say(_batch_facts(row) | {"counts": dict(catalog.counts(row.batch))}, True, "")
        return
    table = table_of("batch", "site", "submitted", "finished", "images", "redacted", "quarantined")
    for row in rows:
        counts = catalog.counts(row.batch)
        facts = [str(fact or "–") for fact in _batch_facts(row).values()]
        table.add_row(*facts, str(counts["redacted"]), str(counts["quarantined"]))
    out.print(table)


def _batch_facts(row: Any) -> dict[str, Any]:
    return {
        "batch": row.batch,
        "site": row.source,
        "submitted": row.submitted,
        "finished": row.finished,
        "images": row.images,
    }


@app.command()
def assets(
    as_json: Json = False,
) -> None:
    """Show what is known of every asset now: condition, status, why unknown, since when, last seen.

    vigie assets
    """
    from services.catalog import Catalog  # noqa: PLC0415

    catalog, now = Catalog(Settings().catalog_url), datetime.now(UTC)
    names = ("asset", "condition", "status", "reason", "level", "since (UTC)", "last seen (UTC)")
    table = table_of(*names)
    for asset, condition, record in catalog.states():
        state = record.state
        status, reason = (f(now, record.stale) for f in (state.status_at, state.reason_at))
        times = [
            "–" if t is None else t.strftime("%Y-%m-%d %H:%M")
            for t in (state.since, state.last_known_at)
        ]
        if as_json:
            facts = state.model_dump(mode="json", include={"level", "since", "last_known_at"})
            told = {"asset": asset, "condition": condition, "status": status, "reason": reason}
            say(told | facts, True, "")
        else:
            name = asset.split(":", 4)[-1]
            table.add_row(name, condition, status, reason or "–", str(state.level), *times)
    if not as_json:
        out.print(table)


@app.command()
def silence(sink: Sinks = None, as_json: Json = False) -> None:
    """Tell of cameras and assets of which no picture came for too long. Run it every few minutes.

    vigie silence --sink https://hub.example.org/hook
    """
    from services import batches, delivery  # noqa: PLC0415
    from services.catalog import Catalog  # noqa: PLC0415
    from services.storage import Store  # noqa: PLC0415

    settings = Settings()
    catalog = Catalog(settings.catalog_url)
    try:
        fresh = batches.look_for_silence(Store.connect(settings), catalog, datetime.now(UTC))
    finally:  # what was told of other sites goes out, whatever fails
        delivered = delivery.deliver(catalog.outbox, sinks_of(sink, settings), settings)
        tell(delivered)
    sent = sum(one.sent for one in delivered)
    told = f"{fresh} new events, {sent} delivered"
    say({"new_events": fresh, "delivered": sent}, as_json, told)


@app.command()
def report(
    batch: Batch,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="HTML file.")] = None,
    as_json: Json = False,
) -> None:
    """Write one self-contained HTML file: counts, pictures, observations, quarantine, timings.

    vigie report 3fa2 -o report.html
    """
    from services.catalog import Catalog  # noqa: PLC0415
    from services.storage import Store  # noqa: PLC0415
    from serving.report import write_report  # noqa: PLC0415

    settings = Settings()
    catalog = Catalog(settings.catalog_url)
    batch = catalog.batch(batch).batch
    path = output or Path(f"vigie-{batch}.html")
    write_report(path, batch, catalog, Store.connect(settings))
    say({"report": str(path)}, as_json, f"report: {path}")


@app.command()
def statistics(
    batch: Annotated[
        str | None, typer.Argument(help="Batch id, or an unambiguous start of it.")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(help="All batches instead: captured from this time, UTC, on.", formats=_TIMES),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(help="And before this time, UTC.", formats=_TIMES)
    ] = None,
    site: Annotated[Path | None, typer.Option(help="Only assets of this site file.")] = None,
    purpose: Annotated[str, typer.Option(help="Whose quantities.")] = "occupancy",
    as_json: Json = False,
) -> None:
    """Show quarter-hours of what was counted: mean, peak and how much is unknown, for open data.

    vigie statistics 3fa2 --json > quarter-hours.jsonl

    vigie statistics --since 2026-06-12 --until 2026-06-13 --site site.yaml --json
    """
    from services.catalog import Catalog  # noqa: PLC0415
    from services.sites import load_site  # noqa: PLC0415
    from services.statistics import first_looks, quarter_hours, without_gaps  # noqa: PLC0415

    if (batch is None) == (since is None):
        raise typer.BadParameter("either a batch, or --since and a time")
    if batch and until:
        raise typer.BadParameter("--until goes with --since, not with a batch")
    catalog = Catalog(Settings().catalog_url)
    observed: Iterable[Any]
    if since is None:
        outcomes = catalog.outcomes(catalog.batch(batch or "").batch)
        observed = (o for one in outcomes for o in one.observations)
    else:
        end = until and until.replace(tzinfo=UTC)
        observed = first_looks(catalog.observed(purpose, since.replace(tzinfo=UTC), end))
    if site is not None:
        known = {asset.id for asset in load_site(site).assets}
        observed = (o for o in observed if o.asset in known)
    columns = "start (UTC)", "asset", "quantity", "pictures", "mean", "90 %", "peak", "unknown"
    table = table_of(*columns)
    for row in without_gaps(quarter_hours(observed, purpose)):
        if as_json:
            sys.stdout.write(row.model_dump_json() + "\n")
            continue
        mean, low, high, peak = (
            "–" if v is None else f"{v:g}" for v in (row.mean, row.low, row.high, row.peak)
        )
        start, asset = row.start.strftime("%Y-%m-%d %H:%M"), row.asset.split(":", 4)[-1]
        told = [str(row.pictures), mean, f"{low} – {high}", peak, f"{row.unknown:.0%}"]
        table.add_row(start, asset, row.quantity, *told)
    if not as_json:
        out.print(table)


@app.command()
def references(batch: Batch, as_json: Json = False) -> None:
    """Propose reference pictures for fixed cameras: their cleanest and emptiest views of a batch.

    Look at them, then put them into the site file: a camera that has references notices that it was
    moved or covered, and compares places with what they should look like.

        vigie references 3fa2
    """
    from services import batches  # noqa: PLC0415
    from services.catalog import Catalog  # noqa: PLC0415
    from services.references import propose  # noqa: PLC0415
    from services.storage import Store  # noqa: PLC0415

    settings = Settings()
    catalog = Catalog(settings.catalog_url)
    batch = catalog.batch(batch).batch
    site = batches.read_manifest(Store.connect(settings), batch).read_site()
    proposed = propose(site, catalog.outcomes(batch))
    text = "\n".join(
        f"  - id: {camera}\n    references:\n" + "\n".join(f"      - {key}" for key in keys)
        for camera, keys in proposed.items()
    )
    say(proposed, as_json, text or "no pictures of a fixed camera in this batch")


@app.command()
def redact(
    source: Annotated[str, typer.Argument(help="Picture, folder, or s3://BUCKET/PREFIX.")],
    target: Annotated[str, typer.Argument(help="File, folder, or s3://BUCKET/PREFIX to write.")],
    cover: Annotated[
        str, typer.Option(help="Of face, plate, head, person, vehicle; commas between.")
    ] = "face,plate",
    style: Annotated[
        Literal["mosaic", "solid", "blur"], typer.Option(help="How; blur is weaker.")
    ] = "mosaic",
    lossless: Annotated[
        bool, typer.Option("--lossless", help="Keep JPEG blocks that no cover touches as they are.")
    ] = False,
    audit_file: Annotated[
        Path | None, typer.Option("--audit", help="Journal that gets one sealed entry a picture.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Cover personal data in pictures. Exit code 1 when one was quarantined.

    vigie redact street.jpg street-redacted.jpg

    vigie redact pictures/ redacted/ --cover face,plate,head --style solid --json

    vigie redact s3://archive/quay/2026/ s3://public/quay/
    """
    redaction = {"style": style, "cover": cover.split(","), "lossless": lossless}
    _look(source, target, (), as_json, redaction, audit_file)


@app.command()
def detect(
    name: Annotated[str, typer.Argument(help="Detector, e.g. waste.")],
    source: Annotated[str, typer.Argument(help="Picture, folder, or s3://BUCKET/PREFIX.")],
    as_json: Json = False,
) -> None:
    """Find objects in pictures, after covering personal data in memory.

    People and cycles are never listed: of them only counts are kept, in a site's outlines.

    vigie detect waste pictures/ --json
    """
    _look(source, None, (name,), as_json)


def _look(
    source: str,
    target: str | None,
    detectors: Sequence[str],
    as_json: bool,
    redaction: dict[str, Any] | None = None,
    audit_file: Path | None = None,
) -> None:
    from services.apart import Apart  # noqa: PLC0415
    from services.audit import Journal, Witness  # noqa: PLC0415
    from serving.pictures import look_at, pictures_in  # noqa: PLC0415
    from serving.sight import open_sight  # noqa: PLC0415

    settings = Settings()
    pictures = pictures_in(source, target, settings)
    witness = Witness(settings.operator, "", settings.key("audit"))
    journal = Journal(audit_file, witness.key) if audit_file else None
    opened = partial(open_sight, detectors, settings, witness, redaction)
    table = table_of("file", "status", "covered", *(["found", "dirty"] if detectors else []))
    quarantined = 0
    with closing(Apart(opened, settings.image_timeout_s)) as see, progress_bar(as_json) as bar:
        rows = look_at(pictures, see, witness, journal, detecting=bool(detectors))
        for row in bar.track(rows, total=len(pictures), description="looking"):
            quarantined += row["status"] == "quarantined"
            if as_json:
                sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
                sys.stdout.flush()
            else:
                table.add_row(*_look_cells(row, bool(detectors)))
    if not as_json:
        out.print(table)
    if quarantined:
        err.print(f"vigie: {quarantined} of {len(pictures)} quarantined, nothing written for them")
        raise typer.Exit(1)


def _look_cells(row: dict[str, Any], detecting: bool) -> Iterable[str]:
    yield row["file"]
    yield row["reason"] or row["status"]
    yield _tally(row["regions"])
    if detecting:
        yield _tally(row.get("detections", []))
        yield f"{row['dirty']:.2f}" if "dirty" in row else "–"


def _tally(found: list[dict[str, Any]]) -> str:
    labels = [one["label"] for one in found]
    return ", ".join(f"{labels.count(name)} {name}" for name in sorted(set(labels))) or "–"


@app.command()
def demo(
    images: Annotated[Path | None, typer.Argument(help="Folder of pictures.")] = None,
    folder: Annotated[Path, typer.Option(help="Where results go.")] = Path("build/demo"),
) -> None:
    """Run a batch from end to end: store, redaction, detection, events, report.

    Pictures are those of the folder; without one, a small town is drawn.

        vigie demo

        vigie demo pictures/
    """
    from serving.demo import run_demo  # noqa: PLC0415

    run_demo(images, folder, out)


@app.command()
def train(
    name: Annotated[str, typer.Argument(help="Detector, e.g. waste.")],
    data: Annotated[Path, typer.Option(help="Data folder of the task.")],
    folder: Annotated[
        Path, typer.Option(help="Checkpoints, weights and card; resumed where it stopped.")
    ] = Path("build/train"),
    epochs: Annotated[int | None, typer.Option(help="Fewer epochs, for a trial.")] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(help="Leave a source of the data out, to measure on a place never seen."),
    ] = None,
    start: Annotated[
        Path | None, typer.Option(help="Folder of weights to go on from, e.g. models/weights.")
    ] = None,
    device: Annotated[str, typer.Option(help="torch device.")] = "cpu",
) -> None:
    """Train a detector, choose its thresholds on validation, write weights and card.

    vigie train waste --data data/waste

    vigie train privacy --data data

    vigie train waste --data data/waste --without amsterdam --folder build/elsewhere
    """
    from training.run import train_and_evaluate  # noqa: PLC0415

    card = train_and_evaluate(
        name,
        data,
        folder / name,
        epochs=epochs,
        without=without or (),
        start=start,
        device=device,
        progress=out.print,
    )
    out.print(f"{card.model} in {folder / name}")


@app.command()
def evaluate(
    name: Annotated[str, typer.Argument(help="Detector, e.g. waste.")],
    data: Annotated[Path, typer.Option(help="Data folder of the task.")],
    split: Annotated[str, typer.Option(help="val, or test once at the end.")] = "val",
    batch: Annotated[
        str | None, typer.Option(help="Score what this batch found instead of running anew.")
    ] = None,
    weights: Annotated[
        Path, typer.Option(help="Folder of the weights and their card; those that ship by default.")
    ] = SHIPPED,
    report: Annotated[
        Path | None, typer.Option(help="Write a page with figures, curves and the worst errors.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score a detector with bootstrap intervals, by source, day and night.

    vigie evaluate waste --data data/waste --report build/waste.html

    vigie evaluate waste --data data/waste --weights build/train/waste

    vigie evaluate waste --data data/waste --batch 3fa2
    """
    from serving.evaluation import evaluate_detector, write_evaluation  # noqa: PLC0415

    evaluation = evaluate_detector(name, data, split, Settings(), batch=batch, folder=weights)
    if report is not None:
        write_evaluation(report, evaluation)
    figures = evaluation.figures
    if as_json:
        say(figures, True, "")
        return
    table = table_of("images", "figure", "value", "95 % interval", "n")
    for group, values in figures.items():
        for figure, (value, low, high, count) in values.items():
            table.add_row(group, figure, f"{value:.3f}", f"{low:.3f} – {high:.3f}", str(count))
    out.print(table)


if __name__ == "__main__":
    main()
