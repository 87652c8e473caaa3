"""libtiff takes memory for a whole tile of a TIFF, however small the picture is."""

import struct
import zlib
from datetime import UTC, datetime

import pytest

from models.errors import BadImage
from models.frame import Frame, Limits, decode
from tests import hostile

SHORT, LONG, SLONG8 = 3, 4, 17


def read(data: bytes, limits: Limits | None = None) -> Frame:
    return decode(
        "k", data, source="cam", stored_at=datetime(2026, 3, 1, tzinfo=UTC), limits=limits
    )


def directory(*tags: tuple[int, int, int]) -> bytes:
    """A TIFF's header and its one directory of tags, types and values."""
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4)


def tiled(*sides: tuple[int, int, int]) -> bytes:
    """A picture of 32×32 px in one grey tile of 64×64, with what it says of the tile's sides."""
    tile = zlib.compress(bytes([90]) * 64 * 64)
    tags = [(256, LONG, 32), (257, LONG, 32), (258, SHORT, 8), (259, SHORT, 8), (262, SHORT, 1)]
    tags += [(277, SHORT, 1), *sides, (324, LONG, 0), (325, LONG, len(tile))]
    tags[-2] = (324, LONG, len(directory(*tags)))
    return directory(*tags) + tile


@pytest.mark.parametrize("kind", [SHORT, LONG])
def test_tiles_that_reach_beyond_the_picture_are_read(kind: int) -> None:
    data = tiled((322, kind, 64), (323, kind, 64))
    assert (read(data).pixels == 90).all()
    assert read(data, Limits(max_pixels=64 * 64)).pixels.shape == (32, 32, 3)
    with pytest.raises(BadImage, match="too_many_pixels: tiles of 64×64"):
        read(data, Limits(max_pixels=64 * 64 - 1))


def test_huge_tiles_of_a_small_picture_are_refused() -> None:
    with pytest.raises(BadImage, match="too_many_pixels: tiles of 100000×100000"):
        read(tiled((322, LONG, 100_000), (323, LONG, 100_000)))


def test_sides_that_decoders_do_not_read_alike_are_refused() -> None:
    """Pillow skips what is of type SLONG8 and takes the second pair; libtiff takes the first."""
    huge = tiled((322, SLONG8, 8), (323, SLONG8, 8), (322, LONG, 64), (323, LONG, 64))
    with pytest.raises(BadImage, match="damaged: sides of tiles"):
        read(huge)


def test_exif_that_speaks_of_tiles_makes_no_bad_picture() -> None:
    exif = b"Exif\0\0" + directory((322, LONG, 100_000), (323, SLONG8, 8))
    assert read(hostile.save(hostile.scene(), "JPEG", exif=exif)).pixels.size
