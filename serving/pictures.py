"""Redact or detect on plain files and folders, without a store.

One `Line` of JSON a picture has this form, on which other programs rely::

    {"file", "status" ("redacted" | "quarantined"), "reason", "width", "height",
     "regions": [{"label", "score", "box": [x1, y1, x2, y2]}],
     "detections": [{"label", "score", "box"}], "dirty": probability}

Boxes are px of the oriented image, regions the areas actually covered, margin included;
`detections` and `dirty` stand there where a detector was asked.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.errors import BadConfiguration, BadImage, RedactionFailed
from services.batches import files_below
from services.outcome import described
from services.pipeline import LIMITS, Eyes


def pictures_in(source: Path, target: Path | None) -> list[tuple[Path, Path | None]]:
    """The files to read, each with the file to write.

    A file goes to a file, or into a folder that exists; a folder's files keep their relative
    paths, and what is written is always JPEG.

    Raises:
        BadConfiguration: nothing to read, or the target would overwrite its source.
    """
    if source.is_dir():
        if target is not None and target.is_file():
            raise BadConfiguration(f"{target} is a file, but {source} is a folder")
        pairs = [
            (p, target / _jpeg(p.relative_to(source)) if target else None)
            for p in files_below(source)
        ]
    elif source.is_file():
        inside = target / _jpeg(Path(source.name)) if target and target.is_dir() else target
        pairs = [(source, inside)]
    else:
        raise BadConfiguration(f"{source}: no such file or folder")
    originals = {p.resolve() for p, _ in pairs}
    if any(out is not None and out.resolve() in originals for _, out in pairs):
        raise BadConfiguration("the output would overwrite an original: choose another folder")
    return pairs


def _jpeg(path: Path) -> Path:
    """`a.jpg` stays, `a.png` becomes `a.png.jpg`: two pictures never share a name."""
    return path if path.suffix.lower() in (".jpg", ".jpeg") else path.with_name(path.name + ".jpg")


def look_at(pairs: list[tuple[Path, Path | None]], eyes: Eyes) -> Iterator[dict[str, Any]]:
    """Process the pictures one by one; gives one JSON-ready dict each.

    A picture that cannot be read or covered is reported as quarantined and written nowhere.

    Raises:
        BadConfiguration: an output cannot be written.
    """
    for source, target in pairs:
        try:
            if source.stat().st_size > LIMITS.max_bytes:
                raise BadImage("too_many_bytes")
            now = datetime.now(UTC)
            frame, detections = eyes.see(source.name, source.read_bytes(), stored_at=now)
        except (BadImage, RedactionFailed) as error:
            yield _row(source, error.reason)
            continue
        except OSError as error:
            yield _row(source, f"unreadable:{type(error).__name__}")
            continue
        except Exception as error:  # noqa: BLE001 - one bad picture never stops a folder
            yield _row(source, f"internal_error:{type(error).__name__}")
            continue
        if target is not None:
            _write(target, frame.encoded)
        seen = described(frame, detections)
        row = _row(source, None) | {"width": seen["width"], "height": seen["height"]}
        row["regions"] = [region.model_dump(mode="json") for region in seen["regions"]]
        if eyes.detectors:
            row["detections"] = [
                found.model_dump(mode="json", exclude={"states"}) for found in seen["detections"]
            ]
            row |= seen["facts"]
        yield row


def _row(source: Path, reason: str | None) -> dict[str, Any]:
    return {
        "file": str(source),
        "status": "redacted" if reason is None else "quarantined",
        "reason": reason,
        "width": 0,
        "height": 0,
        "regions": [],
    }


def _write(target: Path, data: bytes) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    except OSError as error:
        raise BadConfiguration(f"cannot write {target}: {error.strerror}") from error
