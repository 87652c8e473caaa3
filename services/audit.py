"""The audit: an entry an image, chained so that none can be changed, added or dropped unseen.

    hash = SHA-256(previous hash as 64 hex digits ‖ canonical JSON of {"entry", "position"})
    seal = HMAC-SHA256(audit key, "seal" ‖ 0 ‖ hash)

Canonical JSON has sorted keys, no spaces, and ASCII only. Anyone can check the hashes; who holds
the secret also checks the seals, which nobody else can forge. Cutting off the newest entries shows
where someone noted a later `head`, the hash of the last entry.

An image's entry comes with its result, after a worker has published the picture. So a batch has an
entry of its own before its first picture: what is cut off and never resumed is known to be missing.

An entry holds no crop, no position and no name: objects and originals stand there as HMACs, so that
a presumed one can be confirmed by who holds the secret, and none can be read out of it.
"""

import fcntl
import hashlib
import hmac
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal

from pydantic import ValidationError

from models.errors import CatalogError
from services.events import Instant, Wire
from services.outcome import Outcome

GENESIS = "0" * 64
_TAIL_BYTES = 1 << 16  # an entry has less than 2 kB
_BEGINNING = b'{"position": '  # of every line


class Entry(Wire):
    """What became of one image, or that a batch begins, and who answers for it.

    Attributes:
        time: when it was processed, UTC.
        operator: who answers for it.
        site: /territories/…/sites/….
        batch: id of the batch, or of a run of `vigie redact`.
        object: HMAC of the object key.
        original: HMAC of the sha256 of the original's bytes; empty where they could not be read.
        covered: label → size bin → number of areas, binned by the height in px of what was found
            there: `<6`, `6-11`, `12-23`, `24-47`, `>=48`.
        redactor: name@digest.
        thresholds: label → score from which it is covered.
        outcome: where the image ended; `begun` for a batch.
        reason: why it was quarantined.
        redacted_sha256: of the redacted object, by which the platform knows it.
        images: how many the batch that begins has.
    """

    time: Instant
    operator: str
    site: str
    batch: str
    object: str
    original: str
    covered: dict[str, dict[str, int]]
    redactor: str
    thresholds: dict[str, float]
    outcome: Literal["redacted", "quarantined", "begun"]
    reason: str | None
    redacted_sha256: str | None
    images: int | None = None


class Link(Wire):
    """An entry in its place in the chain.

    Attributes:
        position: 1, 2, 3, ….
        previous: hash of the link before, 64 zeros for the first.
        entry: an `Entry` as JSON; raw, so that entries of any version keep their hash.
        hash: of all of the above, hex.
        seal: HMAC of the hash, hex.
    """

    position: int
    previous: str
    entry: dict[str, Any]
    hash: str
    seal: str


@dataclass(frozen=True, slots=True)
class Witness:
    """Who answers for the images of a site, and the key that seals what is said of them.

    Attributes:
        operator: who answers.
        site: /territories/…/sites/….
        key: `Settings.key("audit")`.
    """

    operator: str
    site: str
    key: bytes = field(repr=False)

    def original(self, data: bytes) -> str:
        """HMAC of the sha256 of an original; empty for no bytes."""
        return _keyed(self.key, "original", hashlib.sha256(data).digest()) if data else ""

    def begun(self, batch: str, redactor: str, images: int) -> Entry:
        """What the audit says of a batch before any of its images can be published."""
        return Entry(
            time=datetime.now(UTC),
            operator=self.operator,
            site=self.site,
            batch=batch,
            object="",
            original="",
            covered={},
            redactor=redactor,
            thresholds={},
            outcome="begun",
            reason=None,
            redacted_sha256=None,
            images=images,
        )

    def entry(self, outcome: Outcome, batch: str = "") -> Entry:
        """What the audit says of an outcome."""
        return Entry(
            time=outcome.processed_at,
            operator=self.operator,
            site=self.site,
            batch=batch,
            object=_keyed(self.key, "object", outcome.key.encode(errors="surrogatepass")),
            original=outcome.original,
            covered=outcome.covered,
            redactor=outcome.redactor,
            thresholds=outcome.thresholds,
            outcome=outcome.status,
            reason=outcome.reason,
            redacted_sha256=outcome.sha256,
        )


def linked(entry: Entry, last: Link | None, key: bytes) -> Link:
    """The link that holds `entry` after `last`."""
    position, previous = (last.position + 1, last.hash) if last else (1, GENESIS)
    body = entry.model_dump(mode="json")
    digest = _hash(previous, position, body)
    seal = _keyed(key, "seal", bytes.fromhex(digest))
    return Link(position=position, previous=previous, entry=body, hash=digest, seal=seal)


@dataclass(frozen=True, slots=True)
class Verdict:
    """An intact chain: number of entries, hash of the last, and whether seals were checked.

    `missing` tells how many images of each batch have no entry, though some may be published.
    """

    entries: int
    head: str
    seals_checked: bool
    missing: Mapping[str, int]


def verify(links: Iterable[Link], key: bytes | None = None, head: str | None = None) -> Verdict:
    """Check every hash and, with the key, every seal.

    Args:
        links: the whole chain, from the first entry.
        key: `Settings.key("audit")`; None checks the hashes only.
        head: a hash noted earlier, which must still be in the chain.

    Raises:
        CatalogError: the chain is broken; the message names the first bad position.
    """
    position, previous, missing = 0, GENESIS, Counter[str]()
    met = head in (None, GENESIS)
    for link in links:
        position += 1
        if link.position != position:
            raise CatalogError(f"audit entry {position} is missing")
        if link.previous != previous:
            raise CatalogError(f"audit entry {position} does not follow the one before it")
        if link.hash != _hash(previous, position, link.entry):
            raise CatalogError(f"audit entry {position} was changed")
        if key is not None and not hmac.compare_digest(
            link.seal.encode(), _keyed(key, "seal", bytes.fromhex(link.hash)).encode()
        ):
            raise CatalogError(
                f"audit entry {position} does not bear this installation's seal: it was rewritten, "
                "or VIGIE_SECRET is another one"
            )
        images = link.entry.get("images")
        missing[str(link.entry.get("batch"))] += images if isinstance(images, int) else -1
        previous = link.hash
        met = met or previous == head
    if not met:
        raise CatalogError(
            f"audit entry {position + 1} is missing: the noted head is not among the first "
            f"{position}, so entries were cut off or replaced"
        )
    return Verdict(position, previous, key is not None, +missing)


class Journal:
    """An audit in a file of JSON lines, for work that has no catalog.

    Args:
        path: the file, made (mode 0600) by the first entry.
        key: `Settings.key("audit")`.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self._path, self._key = path, key

    def append(self, entry: Entry) -> Link:
        """Add an entry; it is on the disk when this returns. Processes may append at once.

        Raises:
            CatalogError: the file cannot be written, or its last line is no entry.
        """
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                link = linked(entry, self._last(file), self._key)
                file.write(line_of(link).encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise CatalogError(f"audit {self._path}: {error.strerror}") from error
        return link

    def _last(self, file: BinaryIO) -> Link | None:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        lines = file.read().splitlines(keepends=True)
        torn = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        if torn and not _is_torn(torn):
            raise CatalogError(f"audit {self._path}: its last line is no entry")
        last = _parsed(lines[-1], self._path, "its last line") if lines else None
        file.truncate(size - len(torn))
        return last


def line_of(link: Link) -> str:
    """One line of JSON, as exported and as journals hold it."""
    return json.dumps(link.model_dump()) + "\n"


def read_links(path: Path) -> Iterator[Link]:
    """The chain in an exported file or a journal.

    Raises:
        CatalogError: it cannot be read, or a line is no entry, or unfinished.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                where = f"line {number}, audit entry {number},"
                if _is_torn(line):
                    raise CatalogError(
                        f"audit {path}: {where} is unfinished: its writing was cut off. The next "
                        "entry of the journal takes its place; in a copy, copy again"
                    )
                yield _parsed(line, path, where)
    except OSError as error:
        raise CatalogError(f"audit {path}: {error.strerror}") from error


def _is_torn(line: bytes) -> bool:
    """Whether a kill or a power cut left this of an entry, be it all but the end of its line.

    Its `append` never returned, so nothing relies on it.
    """
    begun = len(line) < _TAIL_BYTES and _BEGINNING.startswith(line[: len(_BEGINNING)])
    return begun and not line.endswith(b"\n")


def _parsed(line: bytes, path: Path, where: str) -> Link:
    try:
        return Link.model_validate_json(line)
    except ValidationError:
        raise CatalogError(f"audit {path}: {where} is no entry") from None


def _hash(previous: str, position: int, entry: dict[str, Any]) -> str:
    body = {"entry": entry, "position": position}
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256((previous + canonical).encode()).hexdigest()


def _keyed(key: bytes, what: str, message: bytes) -> str:
    # `what` keeps the uses apart. Without it, a file submitted as an image could be made such that
    # the HMAC of its digest is the seal of a forged entry.
    return hmac.new(key, what.encode() + b"\0" + message, hashlib.sha256).hexdigest()
