"""`vigie gauge`: print the gauge of grass, read it in pictures."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from models.errors import BadConfiguration, Reasoned
from services.settings import Settings
from serving.terminal import Json, err, out, say, table_of

gauge = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="""Print the gauge by which a fixed camera tells the height of grass, or read it.

    vigie gauge print gauge.pdf
    """,
)


@gauge.command("print")
def print_gauge(
    target: Annotated[Path, typer.Argument(help="PDF to write: three pages of A4.")],
    as_json: Json = False,
) -> None:
    """Write the gauge at its true size: how to mount it, and four strips to cut and stack.

    vigie gauge print gauge.pdf
    """
    from serving.gauge_sheets import write_pdf  # noqa: PLC0415

    try:
        write_pdf(target)
    except OSError as error:
        raise BadConfiguration(f"cannot write {target}: {error.strerror}") from error
    say({"pdf": str(target)}, as_json, f"gauge: {target}. Print it at 100 %")


@gauge.command("read")
def read(
    source: Annotated[str, typer.Argument(help="Picture, folder, or s3://BUCKET/PREFIX.")],
    as_json: Json = False,
) -> None:
    """Tell the height of grass at the gauge in whole pictures of a fixed camera, after redaction.

    Exit code 1 when a picture cannot be opened or covered.

        vigie gauge read meadow.jpg

        vigie gauge read pictures/ --json
    """
    quarantined = 0
    table = table_of("file", "height", "90 %", "cells", "reason")
    for row in _readings(source, Settings()):
        quarantined += row["status"] == "quarantined"
        if as_json:
            say(row, True, "")
            continue
        height, low, high = row["height_cm"], row["low_cm"], row["high_cm"]
        told = ["–", "–"] if height is None else [f"{height:.1f} cm", f"{low:.1f} – {high:.1f}"]
        table.add_row(row["file"], *told, str(row["cells"]), row["reason"] or "")
    if not as_json:
        out.print(table)
    if quarantined:
        err.print(f"vigie: {quarantined} quarantined")
        raise typer.Exit(1)


def _readings(source: str, settings: Settings) -> Iterator[dict[str, Any]]:
    from models.gauge import read_gauge  # noqa: PLC0415
    from services.opening import open_eyes  # noqa: PLC0415
    from serving.pictures import pictures_in  # noqa: PLC0415

    pictures = pictures_in(source, None, settings)
    eyes = open_eyes((), settings)
    for picture in pictures:
        row = {"file": picture.name, "status": "redacted", "reason": None}
        row |= dict.fromkeys(("height_cm", "low_cm", "high_cm", "confidence")) | {"cells": 0}
        try:
            name = picture.name.rpartition("/")[2]
            frame, _ = eyes.see(name, picture.read(), stored_at=datetime.now(UTC))
        except (Reasoned, OSError) as error:
            reason = error.reason if isinstance(error, Reasoned) else "unreadable"
            yield row | {"status": "quarantined", "reason": reason}
            continue
        reading = read_gauge(frame.pixels, covers=frame.regions)
        yield row | {name: getattr(reading, name) for name in row if hasattr(reading, name)}
