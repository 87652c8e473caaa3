"""Where a picture was taken; when, `test_frame.py` asks."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from models.capture import Position, read_position, read_tags
from models.frame import decode
from tests import hostile


def position_in(data: bytes) -> Position | None:
    return decode("a.jpg", data, source="a", stored_at=datetime(2026, 3, 1, tzinfo=UTC)).position


def located(latitude: tuple[float, ...], longitude: tuple[float, ...], ns: str, ew: str) -> bytes:
    block = Image.Exif()
    block.get_ifd(0x8825).update({1: ns, 2: latitude, 3: ew, 4: longitude})
    return hostile.save(hostile.scene(), "JPEG", exif=block)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_position_is_coarse_in_every_format(kind: str) -> None:
    block = Image.Exif()
    block.get_ifd(0x8825).update({1: "N", 2: (47.0, 43.0, 43.7), 3: "W", 4: (3.0, 21.0, 22.3)})
    data = hostile.save(hostile.scene(), kind, exif=block.tobytes())
    assert position_in(data) == (-3.35625, 47.72875)


def test_southern_and_eastern_positions_have_their_signs() -> None:
    found = position_in(located((21.0, 6.0, 53.0), (55.0, 32.0, 11.0), "S", "E"))
    assert found == (55.53625, -21.11475)


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)), ((91.0, 0.0, 0.0), (3.0, 0.0, 0.0)), ((47.0,), (3.0,))],
)
def test_what_can_be_no_position_is_none(
    latitude: tuple[float, ...], longitude: tuple[float, ...]
) -> None:
    assert position_in(located(latitude, longitude, "N", "E")) is None


@given(st.binary(max_size=200))
def test_a_damaged_gps_directory_is_no_position_and_no_error(noise: bytes) -> None:
    head = b"II*\0\x08\0\0\0" + b"\x01\0" + b"\x25\x88\x04\0\x01\0\0\0\x1a\0\0\0" + bytes(4)
    tiff = head + noise
    position = read_position(tiff, read_tags(tiff))
    assert position is None or (abs(position[0]) <= 180 and abs(position[1]) <= 90)
