"""What the commands have in common: where they write, tables, progress bars, JSON."""

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

# Into a pipe go whole lines: nobody can widen a program's window. File names may look like markup.
out = Console(width=None if sys.stdout.isatty() else 1000, markup=False, emoji=False)
err = Console(stderr=True, markup=False, emoji=False)

Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, for programs.")]
Batch = Annotated[str, typer.Argument(help="Batch id, or an unambiguous start of it.")]


def say(data: dict[str, Any], as_json: bool, text: str) -> None:
    """One line for people, or one of JSON."""
    if as_json:
        sys.stdout.write(json.dumps(data, ensure_ascii=False) + "\n")
        sys.stdout.flush()
    else:
        out.print(text, highlight=False, soft_wrap=True)


def progress_bar(quiet: bool) -> Progress:
    """A bar on standard error, none where a program reads."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=err,
        disable=quiet,
    )


def table_of(*columns: str) -> Table:
    """An empty table."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
