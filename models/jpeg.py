"""What a JPEG file is made of (ITU-T T.81, annex B)."""

import re
from collections.abc import Iterator

from models.errors import BadImage

APP1, APP14, SOS, EOI = 0xE1, 0xEE, 0xDA, 0xD9
_SOI = b"\xff\xd8"
# In scan data 0xFF is followed by 0 (stuffing), itself (fill) or a restart marker.
_WITHIN_SCAN = {0x00, 0xFF, *range(0xD0, 0xD8)}
_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
_MAX_SEGMENTS = 2000  # each costs time, even one of two bytes; cameras write fewer than 200


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Walk a JPEG file from after its SOI to its EOI (ITU-T T.81, annex B).

    Yields:
        marker code, start and end of the segment's payload in `data`; EOI last, its payload empty,
        so what lies behind its end does not belong to the picture.

    Raises:
        BadImage: truncated, damaged.
    """
    at = len(_SOI)
    for _ in range(_MAX_SEGMENTS):
        match = _MARKER.match(data, at)
        if match is None:
            raise BadImage("damaged" if data[at:].strip(b"\xff") else "truncated")
        marker, start = data[match.end() - 1], match.end()
        if marker == EOI:
            yield EOI, start, start
            return
        at = start + int.from_bytes(data[start : start + 2], "big")
        if at > len(data) or start + 2 > len(data):
            raise BadImage("truncated")
        if at < start + 2:
            raise BadImage("damaged", "segment length")
        yield marker, start + 2, at
        if marker == SOS:
            at = _scan_end(data, at)
    raise BadImage("damaged", f"more than {_MAX_SEGMENTS} segments")


def _scan_end(data: bytes, at: int) -> int:
    """Where the marker behind a scan begins. A search by pattern takes quadratic time on 0xFF's."""
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        if data[at + 1] not in _WITHIN_SCAN:
            return at
        at += 1
    raise BadImage("truncated")
