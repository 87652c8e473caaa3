"""When and where a picture was taken: EXIF tags, the time in its key, or when it was stored."""

import math
import struct
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

from models.errors import BadImage

TimeSource = Literal["exif", "key", "object"]
Tags = dict[int, int | str]
Position = tuple[float, float]
"""Longitude and latitude in degrees (WGS 84)."""

CELL_DEGREES = 0.0005
"""No position is known more finely: some 55 m from south to north."""

ORIENTATION = 0x0112
TILE_SIDES = 322, 323
"""Width and length of a TIFF's tiles, in px."""

_GPS_IFD = 0x8825
_EXIF_IFD, _TIME_ORIGINAL, _OFFSET_ORIGINAL = 0x8769, 0x9003, 0x9011
_STRIP_OFFSETS, _TILE_OFFSETS = 273, 324
_MAX_STRIPS = 2**18  # Pillow holds a Python object for each strip or tile of a TIFF

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
"""What comes before was told by a clock that was never set: there were no digital cameras."""
_CLOCK_ERROR = timedelta(days=1)  # a camera set to another zone may be ahead of the store


def read_tags(tiff: bytes) -> Tags:
    """Short, long and text tags of the first and the EXIF directory (TIFF 6.0, section 2).

    What cannot be read is left out: a damaged EXIF block does not make a bad picture.

    Raises:
        BadImage: damaged, where a TIFF claims more strips than memory should be spent on.
    """
    tags: Tags = {}
    order = _order(tiff)
    with suppress(struct.error):
        (directory,) = struct.unpack_from(order + "I", tiff, 4)
        for _ in range(2):
            for tag, kind, count, value in _entries(tiff, directory):
                if tag in (_STRIP_OFFSETS, _TILE_OFFSETS) and count > _MAX_STRIPS:
                    raise BadImage("damaged", f"{count} strips")
                if kind == 2:
                    (at,) = struct.unpack(order + "I", value)
                    text = value[:count] if count <= 4 else tiff[at : at + min(count, 64)]
                    tags.setdefault(tag, text.split(b"\0")[0].decode("ascii", "replace").strip())
                elif kind in (3, 4) and count == 1:
                    tags.setdefault(tag, *struct.unpack_from(order + "xxHI"[kind - 1], value))
                elif tag in TILE_SIDES:
                    tags.setdefault(tag, "")  # of types that decoders do not agree about
            following = tags.get(_EXIF_IFD)
            if not isinstance(following, int):
                break
            directory = following
    return tags


def _order(tiff: bytes) -> str:
    return "<" if tiff[:2] == b"II" else ">"


def _entries(tiff: bytes, directory: int) -> Iterator[tuple[int, int, int, bytes]]:
    """Tag, type, count and value or offset of each entry; struct.error where they are cut off."""
    order = _order(tiff)
    (entries,) = struct.unpack_from(order + "H", tiff, directory)
    for entry in range(directory + 2, directory + 2 + 12 * entries, 12):
        yield struct.unpack_from(order + "HHI4s", tiff, entry)


def read_position(tiff: bytes, tags: Tags) -> Position | None:
    """Middle of the cell of `CELL_DEGREES` that the GPS tags lie in (EXIF 3.0, section 4.6.7).

    None where there are none, or none that can be a place. 0° 0° is what receivers say that know
    nothing.
    """
    directory = tags.get(_GPS_IFD)
    if not isinstance(directory, int):
        return None
    order = _order(tiff)
    signs: dict[int, bytes] = {}
    degrees: dict[int, float] = {}
    with suppress(struct.error, ZeroDivisionError):
        for tag, kind, count, value in _entries(tiff, directory):
            if tag in (1, 3) and kind == 2:
                signs[tag + 1] = value[:1]
            elif tag in (2, 4) and (kind, count) == (5, 3):
                d, one, m, sixty, s, last = struct.unpack_from(
                    order + "6I", tiff, *struct.unpack(order + "I", value)
                )
                degrees[tag] = d / one + m / sixty / 60 + s / last / 3600
    if set(degrees) != {2, 4} or set(signs) != {2, 4}:
        return None
    latitude = degrees[2] * (-1 if signs[2] == b"S" else 1)
    longitude = degrees[4] * (-1 if signs[4] == b"W" else 1)
    if abs(latitude) > 90 or abs(longitude) > 180 or not (latitude or longitude):
        return None
    x, y = ((math.floor(v / CELL_DEGREES) + 0.5) * CELL_DEGREES for v in (longitude, latitude))
    return round(x, 6), round(y, 6)


def time_of(
    tags: Tags, key_time: datetime | None, zone: tzinfo, stored_at: datetime
) -> tuple[datetime, TimeSource]:
    """The first time that can be believed, in UTC, and where it comes from.

    EXIF's DateTimeOriginal comes first, without an offset of its own as local time in `zone`, then
    `key_time` (aware). A time before 1990 or more than a day after `stored_at` (aware) is not
    believed.
    """

    def believed(moment: datetime) -> bool:
        return EARLIEST <= moment <= stored_at + _CLOCK_ERROR

    for moment in _exif_times(tags, zone):
        if believed(moment):
            return moment.astimezone(UTC), "exif"
    if key_time is not None and believed(key_time):
        return key_time.astimezone(UTC), "key"
    return stored_at.astimezone(UTC), "object"


def _exif_times(tags: Tags, zone: tzinfo) -> Iterator[datetime]:
    text, offset = tags.get(_TIME_ORIGINAL), tags.get(_OFFSET_ORIGINAL)
    with suppress(ValueError):
        zone = datetime.strptime(str(offset), "%z").tzinfo or zone
    with suppress(ValueError):
        yield datetime.strptime(str(text), "%Y:%m:%d %H:%M:%S").replace(tzinfo=zone)
