"""Files that GDAL reads piece by piece through Python, from wherever a piece may be had."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Protocol

from rasterio.abc import MultiByteRangeResourceContainer

from models.errors import BadImage, VigieError

_CHUNK_BYTES = 1 << 17
_CHUNKS = 64  # 8 MiB of what was read last: directories, and blocks that two windows share
_GAP_BYTES = 1 << 18  # one request with what lies between is quicker than two


class Ranges(Protocol):
    """Bytes that can be had range by range.

    Attributes:
        size_bytes: how many there are.
    """

    @property
    def size_bytes(self) -> int: ...  # noqa: D102 - see the class

    def read(self, start: int, end: int) -> bytes:
        """The bytes from `start` to before `end`, within the size."""


class RangedFile:
    """`Ranges` as the file object that GDAL asks.

    GDAL knows of no error but its own: one of ours is noted and zeros are handed out, so whoever
    reads through it calls `check` before trusting what was read.
    """

    def __init__(self, source: Ranges) -> None:
        self._source = source
        self._at = 0
        self._chunks: OrderedDict[int, bytes] = OrderedDict()
        self._error: VigieError | None = None

    def check(self) -> None:
        """Raise what went wrong since the file was opened.

        Raises:
            StorageError: the store failed.
            BadImage: truncated, where a read went beyond the end; changed_since_submission.
        """
        if self._error is not None:
            raise self._error

    def read(self, size: int = -1) -> bytes:
        """From where it stands, as a file does: fewer bytes at the end."""
        end = self._source.size_bytes if size < 0 else self._at + size
        end = min(end, self._source.size_bytes)
        chunks = range(self._at // _CHUNK_BYTES, -(-end // _CHUNK_BYTES))
        data = b"".join(self._chunk(number) for number in chunks)
        begin = self._at - chunks.start * _CHUNK_BYTES
        data = data[begin : begin + max(end - self._at, 0)]
        self._at += len(data)
        return data

    def get_byte_ranges(self, offsets: Sequence[int], sizes: Sequence[int]) -> list[bytes]:
        """Many pieces at once; neighbours come in one request."""
        wanted = sorted((o, o + s) for o, s in zip(offsets, sizes, strict=True))
        got = {start: self._fetch(start, end) for start, end in _joined(wanted)}
        pieces = []
        for offset, size in zip(offsets, sizes, strict=True):
            start = max(s for s in got if s <= offset)
            pieces.append(got[start][offset - start : offset - start + size])
        return pieces

    def seek(self, offset: int, whence: int = 0) -> int:
        """As a file does."""
        self._at = offset + (0, self._at, self._source.size_bytes)[whence]
        return self._at

    def tell(self) -> int:
        """As a file does."""
        return self._at

    def close(self) -> None:
        """Nothing is held open."""

    def __enter__(self) -> "RangedFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _chunk(self, number: int) -> bytes:
        if number not in self._chunks:
            start = number * _CHUNK_BYTES
            end = min(start + _CHUNK_BYTES, self._source.size_bytes)
            self._chunks[number] = self._fetch(start, end)
            if len(self._chunks) > _CHUNKS:
                self._chunks.popitem(last=False)
        self._chunks.move_to_end(number)
        return self._chunks[number]

    def _fetch(self, start: int, end: int) -> bytes:
        """Exactly as many bytes as asked for: GDAL copies that many."""
        if end > self._source.size_bytes:
            self._error = self._error or BadImage("truncated", f"{end} bytes and more expected")
        elif self._error is None:
            try:
                return self._source.read(start, end)
            except VigieError as error:
                self._error = error
        return bytes(end - start)


class OneFile(MultiByteRangeResourceContainer):  # type: ignore[misc]  # rasterio has no types
    """A file system that holds one file, so that nothing beside it is ever looked for.

    Args:
        name: of the file.
        source: its bytes.
    """

    def __init__(self, name: str, source: Ranges) -> None:
        self.file = RangedFile(source)
        self._name, self._size_bytes = name, source.size_bytes

    def open(self, path: str, mode: str = "r", **_: object) -> RangedFile:  # noqa: D102
        if path != self._name or mode not in ("r", "rb"):
            raise FileNotFoundError(path)
        return self.file

    def isfile(self, path: str) -> bool:  # noqa: D102
        return path == self._name

    def isdir(self, path: str) -> bool:  # noqa: D102
        return False

    def ls(self, path: str) -> list[str]:  # noqa: D102
        return []

    def mtime(self, path: str) -> int:  # noqa: D102
        return 0

    def size(self, path: str) -> int:  # noqa: D102
        return self._size_bytes

    def rm(self, path: str) -> None:  # noqa: D102
        raise PermissionError(path)


def _joined(wanted: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    start, end = wanted[0]
    for low, high in wanted[1:]:
        if low > end + _GAP_BYTES:
            yield start, end
            start, end = low, high
        end = max(end, high)
    yield start, end
