"""`file:///path/events.jsonl`: one CloudEvent a line, appended and flushed to disk.

From `#rotate_mb=N` (100 by default) megabytes on, the file is set aside under the time of that,
`events.20260612T074000.000000Z.jsonl`, and a new one begins. Nothing is deleted.
"""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from models.errors import BadConfiguration, SinkUnavailable
from services.events import Event
from services.sinks import Target


class FileSink:
    """Appends events to a JSON-lines file."""

    def __init__(self, path: Path, rotate_bytes: int) -> None:
        self._path, self._rotate_bytes = path, rotate_bytes

    def send(self, events: Sequence[Event]) -> None:
        """See `services.sinks.Sink`; returns when the disk has them."""
        lines = "".join(event.json_line() + "\n" for event in events).encode()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.exists() and self._path.stat().st_size >= self._rotate_bytes:
                self._path.rename(self._aside())
            with self._path.open("ab") as file:
                _drop_half_a_line(self._path, file.fileno())
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise SinkUnavailable(
                f"cannot write events to {self._path}: {error.strerror}"
            ) from error

    def close(self) -> None:
        """Nothing is kept open."""

    def _aside(self) -> Path:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        return self._path.with_suffix(f".{stamp}{self._path.suffix}")


def _drop_half_a_line(path: Path, file: int) -> None:
    """Cut what a killed process left without its end: it was not told as sent, and comes again."""
    size = os.fstat(file).st_size
    with path.open("rb") as lines:
        end = size
        while end > 0:
            start = max(0, end - 65_536)
            lines.seek(start)
            found = lines.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
    if end < size:
        os.ftruncate(file, end)


def open_sink(target: Target) -> FileSink:
    """The sink of a `file:` URL.

    Raises:
        BadConfiguration: the URL names no file on this machine.
    """
    target.only("rotate_mb")
    parts = urlsplit(target.url)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise BadConfiguration("give file:///path/events.jsonl")
    megabytes = target.options.get("rotate_mb", "100")
    if not megabytes.isdecimal() or int(megabytes) == 0:
        raise BadConfiguration(f"#rotate_mb={megabytes}: a whole number of megabytes")
    return FileSink(Path(unquote(parts.path)), int(megabytes) * 1_000_000)
