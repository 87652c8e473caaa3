"""`file:///path/events.jsonl`: one CloudEvent a line, appended and flushed to disk."""

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from models.errors import BadConfiguration
from services.events import Event


class FileSink:
    """Appends events to a JSON-lines file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, events: Sequence[Event]) -> None:
        """Append, and return when the disk has it.

        Raises:
            BadConfiguration: the file cannot be written.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as lines:
                lines.writelines(event.json_line() + "\n" for event in events)
                lines.flush()
                os.fsync(lines.fileno())
        except OSError as error:
            raise BadConfiguration(
                f"cannot write events to {self._path}: {error.strerror}"
            ) from error


def open_sink(url: str) -> FileSink:
    """The sink of a `file:` URL.

    Raises:
        BadConfiguration: the URL names no file on this machine.
    """
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise BadConfiguration(f"{url}: give file:///path/events.jsonl")
    return FileSink(Path(unquote(parts.path)))
