"""Redact or detect on plain pictures: files, folders, or prefixes of any S3 bucket.

One `Line` of JSON a picture has this form, on which other programs rely::

    {"file", "status" ("redacted" | "quarantined"), "reason", "width", "height",
     "regions": [{"label", "score", "box": [x1, y1, x2, y2]}],
     "detections": [{"label", "score", "box"}], "dirty": probability}

Boxes are px of the oriented image, regions the areas actually covered, margin included;
`detections` and `dirty` stand there where a detector was asked. In a file name that is no UTF-8,
`\\udcXX` stands for each byte XX that is none.
"""

import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, cast
from urllib.parse import urlsplit

from models.errors import (
    BadConfiguration,
    BadImage,
    NoSuchObject,
    Reasoned,
    RedactionFailed,
    StorageError,
)
from services.audit import Journal, Witness
from services.batches import files_below
from services.settings import Settings
from services.storage import Bucket, Store
from services.tiles import LIMITS
from serving.sight import See, Seen

_S3 = "s3://"
_ROW = ("status", "reason", "width", "height")


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture to look at.

    Attributes:
        name: as the user would write it: a path, or s3://BUCKET/KEY.
        read: its bytes; BadImage where it is too large, OSError or StorageError where there is
            none to be had.
        write: puts a redacted one in its place at the target, or takes away what stands there
            where there is none; None where nothing is written.
    """

    name: str
    read: Callable[[], bytes]
    write: Callable[[bytes | None], None] | None


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


def _write(target: Path, data: bytes | None) -> None:
    """Write a file, all of it or nothing: a kill leaves what was there, and a hidden draft.

    Without data a file that stands there goes: it may show what was to be covered this time.
    """
    target = target.resolve()  # what a link names is replaced, not the link
    draft = target.with_name(f".vigie-{secrets.token_hex(8)}")
    try:
        if data is None:
            if target.is_file():
                target.unlink()
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and not target.is_file():
            target.write_bytes(data)  # a device or a pipe
            return
        try:
            with draft.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise BadConfiguration(f"cannot write {target}: {error.strerror}") from error


def _put(store: _Anywhere, bucket: Bucket, key: str, data: bytes | None) -> None:
    if data is None:
        store.delete(bucket, key)
    else:
        store.put(bucket, key, data, "image/jpeg")


def look_at(
    pictures: Sequence[Picture],
    see: See,
    witness: Witness,
    journal: Journal | None = None,
    *,
    detecting: bool = False,
) -> Iterator[dict[str, Any]]:
    """Process the pictures one by one; gives one JSON-ready dict each.

    A picture that cannot be read or covered, or takes too long, is reported as quarantined and
    written nowhere; what an earlier run wrote for it is taken away. The journal says how many there
    are before the first one is written, and what became of each once it is: a run that is cut off
    never says more than is there, and `services.audit.verify` counts what is missing.

    Args:
        pictures: what to look at.
        see: looks at one; where it is in another process, it may fail as `services.apart` says.
        witness: who answers.
        journal: gets an entry a picture.
        detecting: whether to tell what detectors found.

    Raises:
        BadConfiguration: an output cannot be written.
        CatalogError: the journal cannot be written.
        StorageError: the store refuses an output, or went away.
    """
    run = secrets.token_hex(6)
    for number, picture in enumerate(pictures):
        seen = _seen(picture, see)
        outcome = seen.outcome
        if journal is not None and number == 0:
            journal.append(witness.begun(run, outcome.redactor, len(pictures)))
        if picture.write is not None:
            picture.write(seen.encoded)
        if journal is not None:
            journal.append(witness.entry(outcome, run))
        shown = outcome.model_dump(mode="json", exclude={"detections": {"__all__": {"states"}}})
        row = {"file": picture.name} | {name: shown[name] for name in _ROW}
        row["regions"] = [asdict(region) for region in seen.regions]
        if detecting and seen.encoded is not None:
            row |= {"detections": shown["detections"]} | outcome.facts
        yield row


def _seen(picture: Picture, see: See) -> Seen:
    """What became of a picture, for which only a failing store raises."""
    data, refused = b"", None
    try:
        data = picture.read()
    except NoSuchObject:
        refused = "unreadable:NoSuchObject"  # deleted after it was listed
    except StorageError:
        raise
    except Reasoned as error:
        refused = error.reason
    except OSError as error:
        refused = f"unreadable:{type(error).__name__}"
    except Exception as error:  # noqa: BLE001 - one bad picture never stops a folder
        refused = f"internal_error:{type(error).__name__}"
    try:
        return see(picture.name, data, refused)
    except RedactionFailed as error:  # it took too long, or its process with it
        return see(picture.name, data, error.reason)
