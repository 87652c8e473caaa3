"""`vigie events`: read them, deliver them, send them again."""

import signal
import sys
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from models.errors import BadConfiguration
from services.settings import Settings
from serving.terminal import Json, err, out, say, table_of

events = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="""Show events, follow them, deliver them to sinks, send them again.

    vigie events list --type overflow
    """,
)

Sinks = Annotated[
    list[str] | None,
    typer.Option("--sink", help="Where events go, e.g. file:///data/events.jsonl; VIGIE_SINKS."),
]
Kind = Annotated[str | None, typer.Option("--type", help="Only types that hold this text.")]
Asset = Annotated[str | None, typer.Option(help="Only this asset: its URN, or the id in it.")]


@events.command("list")
def list_events(
    batch: Annotated[str | None, typer.Option(help="Only this batch.")] = None,
    asset: Asset = None,
    kind: Kind = None,
    after: Annotated[int, typer.Option(help="Only positions above this one.")] = 0,
    as_json: Json = False,
) -> None:
    """Show events: a table, or CloudEvents one a line.

    vigie events list --asset C-042 --type overflow

    vigie events list --json | jq .subject
    """
    from services.catalog import Catalog  # noqa: PLC0415

    catalog = Catalog(Settings().catalog_url)
    chosen = catalog.batch(batch).batch if batch else None
    table = table_of("position", "time (UTC)", "type", "subject", "value")
    for position, event in catalog.outbox.events(after, batch=chosen, subject=asset):
        if kind and kind not in event.type:
            continue
        if as_json:
            sys.stdout.write(event.json_line() + "\n")
        else:
            table.add_row(str(position), *event_cells(event))
    if not as_json:
        out.print(table)


@events.command()
def tail(asset: Asset = None, kind: Kind = None, as_json: Json = False) -> None:
    """Show events as they come, until it is stopped.

    vigie events tail --type overflow
    """
    from services.catalog import Catalog  # noqa: PLC0415

    outbox = Catalog(Settings().catalog_url).outbox
    after, stop = outbox.last(), _stopped()
    while not stop.is_set():
        some, after = outbox.wait(after, 1.0, subject=asset)
        for _, event in some:
            if kind and kind not in event.type:
                continue
            if as_json:
                sys.stdout.write(event.json_line() + "\n")
                sys.stdout.flush()
            else:
                out.print("  ".join(event_cells(event)), highlight=False, soft_wrap=True)


@events.command("deliver")
def deliver_events(
    sink: Sinks = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what comes, until it is stopped.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Send each sink what it does not have yet. A sink that is away holds up no other.

    vigie events deliver --sink https://hub.example.org/hook

    vigie events deliver --follow
    """
    from services import delivery  # noqa: PLC0415
    from services.catalog import Catalog  # noqa: PLC0415

    settings = Settings()
    done = delivery.deliver(
        Catalog(settings.catalog_url).outbox,
        sinks_of(sink, settings),
        settings,
        until=_stopped() if follow else None,
        progress=_news() if follow else lambda _: None,
    )
    _result(done, as_json)


def _news() -> Callable[[Any], None]:
    """Says once that a sink fails, and once that it goes on."""
    known: dict[str, str] = {}

    def told(one: Any) -> None:
        if one.error != known.get(one.sink, ""):
            known[one.sink] = one.error
            err.print(f"vigie: {one.sink}: {one.error or 'goes on'}", highlight=False)

    return told


@events.command()
def contract(
    folder: Annotated[Path, typer.Argument(help="Where to write; made where it is not there.")],
) -> None:
    """Write what events hold: JSON Schemas, examples, and the AsyncAPI document of all channels.

    vigie events contract docs/events
    """
    from services.contract import documents  # noqa: PLC0415

    made = documents()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in made.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadConfiguration(f"cannot write to {folder}: {error.strerror}") from error
    out.print(f"{len(made)} documents in {folder}", highlight=False, soft_wrap=True)


@events.command()
def dead(as_json: Json = False) -> None:
    """Show the events that sinks refused for good, and why.

    vigie events dead
    """
    from services.catalog import Catalog  # noqa: PLC0415

    table = table_of("sink", "position", "type", "subject", "refused (UTC)", "reason")
    for letter in Catalog(Settings().catalog_url).outbox.dead():
        event = letter.event
        facts = {
            "sink": letter.sink,
            "position": letter.position,
            "type": event.type,
            "subject": event.subject,
            "refused": letter.refused,
            "reason": letter.reason,
        }
        if as_json:
            say(facts, True, "")
        else:
            table.add_row(*(str(fact) for fact in facts.values()))
    if not as_json:
        out.print(table)


@events.command()
def redeliver(sink: Sinks = None, as_json: Json = False) -> None:
    """Send once more the events that sinks refused.

    vigie events redeliver --sink https://hub.example.org/hook
    """
    from services import delivery  # noqa: PLC0415
    from services.catalog import Catalog  # noqa: PLC0415

    settings = Settings()
    outbox = Catalog(settings.catalog_url).outbox
    urls = sinks_of(sink, settings)
    _result([delivery.redeliver(outbox, url, settings) for url in urls], as_json)


@events.command()
def replay(
    since: Annotated[
        datetime,
        typer.Option(
            help="Events recorded from this time, UTC, on.",
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
        ),
    ],
    sink: Sinks = None,
    as_json: Json = False,
) -> None:
    """Send again, with the same ids, what a sink was sent before: it may have lost them.

    vigie events replay --since 2026-06-12 --sink https://hub.example.org/hook
    """
    from services import delivery  # noqa: PLC0415
    from services.catalog import Catalog  # noqa: PLC0415

    settings = Settings()
    outbox = Catalog(settings.catalog_url).outbox
    start, urls = since.replace(tzinfo=UTC), sinks_of(sink, settings)
    _result([delivery.replay(outbox, url, settings, start) for url in urls], as_json)


def sinks_of(chosen: list[str] | None, settings: Settings) -> list[str]:
    """The sinks that a command names, else those that are configured."""
    return chosen or settings.sinks.split()


def tell(done: Iterable[Any]) -> bool:
    """Say, on standard error, which sinks do not have all; whether there are any."""
    behind = False
    for one in done:
        if one.error:
            behind = True
            err.print(f"vigie: {one.sink}: {one.error}; its events wait", highlight=False)
        if one.refused:
            told = f"{one.refused} events refused: vigie events dead"
            err.print(f"vigie: {one.sink}: {told}", highlight=False)
    return behind


def _result(done: list[Any], as_json: bool) -> None:
    if not done:
        raise typer.BadParameter("no sink: give --sink URL, or set VIGIE_SINKS")
    for one in done:
        facts = {"sink": one.sink, "sent": one.sent, "refused": one.refused, "error": one.error}
        say(facts, as_json, f"{one.sink}: {one.sent} events sent")
    if tell(done):
        raise typer.Exit(69)


def _stopped() -> threading.Event:
    """Set when this process is asked to end."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def event_cells(event: Any) -> list[str]:
    """Time, type, subject and value of an event for a table."""
    value = event.data.get("value", event.data.get("reason", event.data.get("counts", "")))
    told = event.data.get("reason") or ("–" if value is None else value)
    time = event.time.strftime("%Y-%m-%d %H:%M")
    kind = event.type.removeprefix("vigie.").rpartition(".")[0]
    subject = event.subject.split(":", 4)[-1]  # the asset without territory and site
    return [time, kind, subject, str(told)]
