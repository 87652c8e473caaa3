"""Redact or detect on plain pictures: files, folders, or prefixes of any S3 bucket.

One `Line` of JSON a picture has this form, on which other programs rely::

    {"file", "status" ("redacted" | "quarantined"), "reason", "width", "height",
     "regions": [{"label", "score", "box": [x1, y1, x2, y2]}],
     "detections": [{"label", "score", "box"}], "dirty": probability}

Boxes are px of the oriented image, regions the areas actually covered, margin included;
`detections` and `dirty` stand there where a detector was asked. In a file name that is no UTF-8,
`\\udcXX` stands for each byte XX that is none.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, cast
from urllib.parse import urlsplit

from models.errors import BadConfiguration, BadImage, NoSuchObject, Reasoned, StorageError
from services.audit import Journal, Witness
from services.batches import files_below
from services.eyes import Eyes
from services.outcome import Outcome, described
from services.settings import Settings
from services.storage import Bucket, Store
from services.tiles import LIMITS

_S3 = "s3://"
_ROW = ("status", "reason", "width", "height", "regions")


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture to look at.

    Attributes:
        name: as the user would write it: a path, or s3://BUCKET/KEY.
        read: its bytes; BadImage where it is too large, OSError or StorageError where there is
            none to be had.
        write: puts a redacted one in its place at the target; None where nothing is written.
    """

    name: str
    read: Callable[[], bytes]
    write: Callable[[bytes], None] | None


def pictures_in(source: str, target: str | None, settings: Settings) -> list[Picture]:
    """What to read, and where to write it.

    Either may be a path or s3://BUCKET/PREFIX, of the server that the settings name. A file goes to
    a file, or into a folder that exists; what a folder or prefix holds keeps its relative names
    below the target, and what is written is always JPEG.

    Raises:
        BadConfiguration: nothing to read, the target would overwrite its source, or two pictures
            would be written to one place.
        StorageError: the store does not answer.
    """
    found = _objects(source, settings) if source.startswith(_S3) else _files(Path(source))
    if target is None:
        return [Picture(_told(name), read, None) for name, _, read in found]
    single = not source.startswith(_S3) and Path(source).is_file()
    names, relatives, reads = zip(*found, strict=True) if found else ((), (), ())
    if target.startswith(_S3):
        bucket, prefix = _bucket(target)
        store = _Anywhere(settings.endpoint, "")
        keys = [_told(_below(prefix, relative)) for relative in relatives]
        outputs = [f"{_S3}{bucket}/{key}" for key in keys]
        writes = [partial(_put, store, bucket, key) for key in keys]
    else:
        paths = _targets(Path(target), relatives, single)
        outputs = [str(path.resolve()) for path in paths]
        writes = [partial(_write, path) for path in paths]
    originals = {name if name.startswith(_S3) else str(Path(name).resolve()) for name in names}
    if originals & set(outputs):
        raise BadConfiguration("the output would overwrite an original: choose another folder")
    written: dict[str, str] = {}
    for name, output in zip(names, outputs, strict=True):
        if (other := written.setdefault(output, name)) != name:
            told = f"{_told(other)} and {_told(name)} would both be written to {_told(output)}"
            raise BadConfiguration(f"{told}: rename one, or redact them into two folders")
    return [Picture(_told(name), *one) for name, *one in zip(names, reads, writes, strict=True)]


def _told(name: str) -> str:
    """A name that may be no UTF-8, as text that may be written anywhere."""
    return name.encode(errors="backslashreplace").decode()


class _Anywhere(Store):
    """Any bucket of the server, by its full name."""

    def bucket_name(self, bucket: str) -> str:
        return bucket


Found = list[tuple[str, PurePosixPath, Callable[[], bytes]]]  # name, relative path, read


def _files(source: Path) -> Found:
    if source.is_dir():
        paths = [(path, path.relative_to(source)) for path in files_below(source)]
    elif source.is_file():
        paths = [(source, Path(source.name))]
    else:
        raise BadConfiguration(f"{source}: no such file or folder")
    return [(str(path), PurePosixPath(below), partial(_read, path)) for path, below in paths]


def _objects(source: str, settings: Settings) -> Found:
    bucket, prefix = _bucket(source)
    store = _Anywhere(settings.endpoint, "")
    folder = prefix.rpartition("/")[0]
    found: Found = []
    for info in store.list(bucket, prefix):
        below = PurePosixPath(info.key.removeprefix(folder).lstrip("/"))
        if ".." in below.parts:
            raise BadConfiguration(f"{_S3}{bucket}/{info.key}: a key with '..' names no file")
        read = partial(_get, store, bucket, info.key)
        found.append((f"{_S3}{bucket}/{info.key}", below, read))
    if not found:
        raise BadConfiguration(f"{source}: no object there")
    return found


def _bucket(url: str) -> tuple[Bucket, str]:
    parts = urlsplit(url)
    if not parts.netloc or parts.query or parts.fragment:
        raise BadConfiguration(f"{url}: write s3://BUCKET/PREFIX")
    return cast(Bucket, parts.netloc), parts.path.lstrip("/")


def _below(prefix: str, relative: PurePosixPath) -> str:
    name = str(_jpeg(relative))
    return f"{prefix.rstrip('/')}/{name}" if prefix else name


def _targets(target: Path, relatives: Iterable[PurePosixPath], single: bool) -> list[Path]:
    if single and not target.is_dir():
        return [target]
    if target.is_file():
        raise BadConfiguration(f"{target} is a file, but the source is no single file")
    return [target / _jpeg(relative) for relative in relatives]


def _jpeg(path: PurePosixPath) -> PurePosixPath:
    """`a.jpg` stays, `a.png` becomes `a.png.jpg`."""
    return path if path.suffix.lower() in (".jpg", ".jpeg") else path.with_name(path.name + ".jpg")


def _read(path: Path) -> bytes:
    if path.stat().st_size > LIMITS.max_bytes:
        raise BadImage("too_many_bytes")
    return path.read_bytes()


def _get(store: _Anywhere, bucket: Bucket, key: str) -> bytes:
    return store.get(bucket, key, LIMITS.max_bytes)[0]


def _write(target: Path, data: bytes) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    except OSError as error:
        raise BadConfiguration(f"cannot write {target}: {error.strerror}") from error


def _put(store: _Anywhere, bucket: Bucket, key: str, data: bytes) -> None:
    store.put(bucket, key, data, "image/jpeg")


def look_at(
    pictures: Iterable[Picture], eyes: Eyes, witness: Witness, journal: Journal | None = None
) -> Iterator[dict[str, Any]]:
    """Process the pictures one by one; gives one JSON-ready dict each.

    A picture that cannot be read or covered is reported as quarantined and written nowhere. What
    becomes of a picture stands in the journal before the picture stands at its target.

    Raises:
        BadConfiguration: an output cannot be written.
        CatalogError: the journal cannot be written.
        StorageError: the store refuses an output, or went away.
    """
    for picture in pictures:
        outcome, encoded = _seen(picture, eyes, witness)
        if journal is not None:
            journal.append(witness.entry(outcome))
        if encoded is not None and picture.write is not None:
            picture.write(encoded)
        shown = outcome.model_dump(mode="json", exclude={"detections": {"__all__": {"states"}}})
        row = {"file": picture.name} | {name: shown[name] for name in _ROW}
        if eyes.detectors and encoded is not None:
            row |= {"detections": shown["detections"]} | outcome.facts
        yield row


def _seen(picture: Picture, eyes: Eyes, witness: Witness) -> tuple[Outcome, bytes | None]:
    """What became of a picture, and the redacted JPEG if there is one."""
    data, now = b"", datetime.now(UTC)
    try:
        data = picture.read()
        name = picture.name.rpartition("/")[2]
        frame, detections = eyes.see(name, data, stored_at=now)
        outcome = Outcome(
            key=picture.name,
            work="",
            status="redacted",
            captured_at=frame.captured_at,
            sha256=frame.digest,
            **eyes.testimony(witness, data),
            **described(frame, detections),
        )
        return outcome, frame.encoded
    except NoSuchObject:
        reason = "unreadable:NoSuchObject"  # deleted after it was listed
    except StorageError:
        raise
    except Reasoned as error:
        reason = error.reason
    except OSError as error:
        reason = f"unreadable:{type(error).__name__}"
    except Exception as error:  # noqa: BLE001 - one bad picture never stops a folder
        reason = f"internal_error:{type(error).__name__}"
    outcome = Outcome(
        key=picture.name,
        work="",
        status="quarantined",
        reason=reason,
        captured_at=now,
        **eyes.testimony(witness, data),
    )
    return outcome, None
