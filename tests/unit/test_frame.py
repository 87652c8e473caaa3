import io
import struct
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
import piexif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from models.errors import BadImage
from models.frame import Frame, Limits, decode
from models.jpeg import jpeg_segments
from tests import hostile

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # of hostile TIFF

STORED = datetime(2026, 3, 1, 12, tzinfo=UTC)
INPUTS = {name: (data, expected) for name, data, expected in hostile.draw_all()}
GOOD = [name for name, (_, expected) in INPUTS.items() if expected == hostile.REDACTED]


def read(data: bytes, key: str = "inbox/cam/picture.jpg", **options: object) -> Frame:
    return decode(key, data, source="cam", stored_at=STORED, **options)


def taken(text: str, offset: str | None = None) -> bytes:
    tags: dict[int, object] = {piexif.ExifIFD.DateTimeOriginal: text.encode()}
    if offset is not None:
        tags[0x9011] = offset.encode()
    block = Image.Exif()
    block.get_ifd(0x8769).update({tag: value.decode() for tag, value in tags.items()})
    return hostile.save(hostile.scene(), "JPEG", exif=block)


@pytest.mark.parametrize("name", INPUTS)
def test_every_hostile_input_has_its_outcome(name: str) -> None:
    data, expected = INPUTS[name]
    if expected == hostile.REDACTED:
        frame = read(data)
        assert frame.pixels.dtype == np.uint8
        assert frame.pixels.ndim == 3
        assert frame.pixels.flags.c_contiguous
        assert not frame.pixels.flags.writeable
    else:
        with pytest.raises(BadImage) as caught:
            read(data)
        assert caught.value.reason == expected


def test_the_hostile_set_is_large_and_can_be_written(tmp_path: Path) -> None:
    written = hostile.write_all(tmp_path)
    assert len(written) >= 40
    assert {name for name, _ in written} == {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_that_of_pillow(orientation: int) -> None:
    data, _ = INPUTS[f"orientation_{orientation}.jpg"]
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    frame = read(data)
    assert frame.pixels.shape == upright.shape
    # Pillow's libjpeg may round colours another way.
    assert np.abs(frame.pixels.astype(int) - upright).max() <= 4


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_orientation_of_other_formats(suffix: str) -> None:
    frame = read(INPUTS[f"orientation_6.{suffix}"][0])
    expected = np.rot90(np.asarray(hostile.scene()), -1)
    assert frame.pixels.shape == expected.shape
    assert np.abs(frame.pixels.astype(int) - expected).mean() < 6  # WebP is lossy


def test_orientation_out_of_range_means_upright_and_exif_wins_over_xmp() -> None:
    width, height = hostile.scene().size
    assert read(INPUTS["orientation_9.jpg"][0]).pixels.shape == (height, width, 3)
    assert read(INPUTS["orientation_contradicting.jpg"][0]).pixels.shape == (width, height, 3)


@pytest.mark.parametrize("name", ["grey16.png", "grey16.tif", "grey16_deflate.tif"])
def test_sixteen_bits_are_scaled_not_clipped(name: str) -> None:
    row = read(INPUTS[name][0]).pixels[0, :, 0].astype(int)
    expected = np.asarray(hostile.grey16())[0] / 257
    assert np.abs(row - expected).max() <= 0.5
    assert row[0] == 0
    assert row[-1] == 255


def tiff16(order: Literal["<", ">"], exif_directory: bytes = b"") -> bytes:
    """One strip of 16-bit grey, in either byte order, with an EXIF directory behind it."""
    grey = np.asarray(hostile.grey16()).astype(order + "u2")
    height, width = grey.shape
    strip = 8 + 2 + 12 * 9 + 4
    tags = {256: width, 257: height, 258: 16, 259: 1, 262: 1, 273: strip, 277: 1}
    tags |= {279: grey.nbytes, 0x8769: strip + grey.nbytes}
    entries = b"".join(struct.pack(order + "HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    header = struct.pack(order + "2sHIH", b"II" if order == "<" else b"MM", 42, 8, len(tags))
    return header + entries + bytes(4) + grey.tobytes() + exif_directory


@pytest.mark.parametrize("order", "<>")
def test_sixteen_bit_tiff_is_read_in_its_byte_order(order: Literal["<", ">"]) -> None:
    assert np.array_equal(
        read(tiff16(order)).pixels, read(hostile.save(hostile.grey16(), "TIFF")).pixels
    )


@pytest.mark.parametrize("order", "<>")
def test_exif_time_of_a_tiff(order: Literal["<", ">"]) -> None:
    at = len(tiff16(order)) + 2 + 12
    directory = struct.pack(order + "HHHII", 1, 0x9003, 2, 20, at) + b"2025:06:01 12:00:00\0"
    frame = read(tiff16(order, directory))
    assert frame.captured_at == datetime(2025, 6, 1, 12, tzinfo=UTC)
    assert frame.time_source == "exif"


def test_white_is_zero_sixteen_bits_are_refused_rather_than_shown_as_a_negative() -> None:
    data = bytearray(hostile.save(hostile.grey16(), "TIFF"))
    at = data.index(b"\x06\x01\x03\0\x01\0\0\0\x01\0")  # photometric, short, one, black is zero
    data[at + 8] = 0
    with pytest.raises(BadImage, match="unsupported_samples"):
        read(bytes(data))


@pytest.mark.parametrize("name", ["cmyk_adobe.jpg", "cmyk.tif"])
def test_cmyk_keeps_its_colours(name: str) -> None:
    difference = read(INPUTS[name][0]).pixels.astype(int) - np.asarray(hostile.scene())
    assert np.abs(difference).mean() < 4


def test_cmyk_without_adobe_marker_holds_ink_not_light() -> None:
    light = read(INPUTS["cmyk_adobe.jpg"][0]).pixels
    ink = read(INPUTS["cmyk_no_adobe.jpg"][0]).pixels
    assert light[:20].mean() > 100
    assert ink.max() == 0  # the same numbers read as ink: full black


def test_transparency_is_laid_on_white() -> None:
    picture = hostile.scene()
    picture.putalpha(0)
    assert (read(hostile.save(picture, "PNG")).pixels == 255).all()


def test_colour_profiles_do_no_harm() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = read(hostile.save(hostile.scene(), "JPEG")).pixels
    tagged = read(hostile.save(hostile.scene(), "JPEG", icc_profile=profile)).pixels
    assert np.array_equal(plain, tagged)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(max_bytes=200), "too_many_bytes"),
        (Limits(max_pixels=200 * 136 - 1), "too_many_pixels"),
        (Limits(max_aspect=1.2), "extreme_aspect"),
        (Limits(min_side_px=137), "too_small"),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_limits(kind: str, limits: Limits, reason: str) -> None:
    data = hostile.save(hostile.scene(), kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert read(data, limits=Limits(len(data), 200 * 136, 200 / 136, 136)).pixels.size
    with pytest.raises(BadImage) as caught:
        read(data, limits=limits)
    assert caught.value.reason == reason


@pytest.mark.parametrize("name", ["bomb.png", "claims_65500.jpg", "claims_16384.webp"])
def test_bombs_take_no_memory_for_pixels(name: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BadImage, match="too_many_pixels"):
            read(INPUTS[name][0])
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"icc_profile": b"x" * 200}])
def test_webp_sizes_are_read_before_the_file_is_opened(options: dict[str, Any]) -> None:
    data = hostile.save(hostile.scene((301, 77)), "WEBP", **options)
    with pytest.raises(BadImage, match="301×77"):
        read(data, limits=Limits(max_pixels=10))


def test_a_crowd_of_segments_is_refused() -> None:
    jpeg = hostile.save(hostile.scene(), "JPEG")
    with pytest.raises(BadImage, match="damaged"):
        read(jpeg[:2] + b"\xff\xfe\x00\x02" * 100_000 + jpeg[2:])


def test_a_crowd_of_fill_bytes_is_read_in_one_pass() -> None:
    jpeg = hostile.save(hostile.scene(), "JPEG")
    filled = jpeg[:-2] + b"\xff" * 1_000_000 + jpeg[-2:]
    assert np.array_equal(read(filled).pixels, read(jpeg).pixels)
    with pytest.raises(BadImage, match="truncated"):
        read(jpeg[:-2] + b"\xff" * 1_000_000)


def test_a_crowd_of_strips_is_refused() -> None:
    directory = b"\x01\0" + b"\x11\x01\x04\0" + (2**24).to_bytes(4, "little") + bytes(8)
    with pytest.raises(BadImage, match="strips"):
        read(b"II*\0\x08\0\0\0" + directory)


def test_segments_end_where_the_picture_ends() -> None:
    jpeg = hostile.save(hostile.scene(), "JPEG", progressive=True)
    *_, (marker, start, end) = jpeg_segments(jpeg + b"trailing")
    assert (marker, start, end) == (0xD9, len(jpeg), len(jpeg))


PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("text", "offset", "expected"),
    [
        ("2025:07:14 10:00:00", "+02:00", datetime(2025, 7, 14, 8, tzinfo=UTC)),
        ("2025:07:14 10:00:00", "-05:00", datetime(2025, 7, 14, 15, tzinfo=UTC)),
        ("2025:07:14 10:00:00", None, datetime(2025, 7, 14, 8, tzinfo=UTC)),  # summer time
        ("2025:01:14 10:00:00", None, datetime(2025, 1, 14, 9, tzinfo=UTC)),
        ("2025:01:14 10:00:00", "soon", datetime(2025, 1, 14, 9, tzinfo=UTC)),
        ("2026:03:02 11:00:00", "+00:00", datetime(2026, 3, 2, 11, tzinfo=UTC)),  # a fast clock
    ],
)
def test_exif_time(text: str, offset: str | None, expected: datetime) -> None:
    frame = read(taken(text, offset), zone=PARIS)
    assert (frame.captured_at, frame.time_source) == (expected, "exif")
    assert frame.captured_at.tzinfo is UTC


@pytest.mark.parametrize(
    "text", ["2026:03:02 13:00:01", "1989:12:31 23:00:00", "0000:00:00 00:00:00", "yesterday", ""]
)
def test_exif_times_beyond_belief_fall_through(text: str) -> None:
    data = taken(text)
    assert read(data).time_source == "object"
    assert read(data).captured_at == STORED
    in_key = datetime(2025, 1, 1, 8, tzinfo=PARIS)
    named = read(data, key_time=in_key)
    assert (named.captured_at, named.time_source) == (datetime(2025, 1, 1, 7, tzinfo=UTC), "key")
    assert named.captured_at.tzinfo is UTC


@pytest.mark.parametrize("beyond_belief", [timedelta(days=2), timedelta(days=-20000)])
def test_a_key_time_beyond_belief_falls_through(beyond_belief: timedelta) -> None:
    frame = read(hostile.save(hostile.scene(), "JPEG"), key_time=STORED + beyond_belief)
    assert (frame.captured_at, frame.time_source) == (STORED, "object")


def test_the_object_time_is_given_in_utc() -> None:
    stored = STORED.astimezone(PARIS)
    data = hostile.save(hostile.scene(), "JPEG")
    frame = decode("k", data, source="cam", stored_at=stored)
    assert frame.captured_at.utcoffset() == timedelta(0)


def test_exif_time_of_other_formats() -> None:
    block = hostile.exif({"Exif": {piexif.ExifIFD.DateTimeOriginal: b"2025:06:01 12:00:00"}})
    for kind in ("JPEG", "PNG", "WEBP"):
        assert read(hostile.save(hostile.scene(), kind, exif=block)).time_source == "exif", kind


def only_bad_images(data: bytes) -> None:
    try:
        read(data, limits=Limits(max_pixels=10**6))
    except BadImage as error:
        assert error.reason.isidentifier()


@given(
    st.binary(max_size=400), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0"])
)
def test_random_bytes_give_a_frame_or_bad_image(data: bytes, magic: bytes) -> None:
    only_bad_images(magic + data)


@settings(max_examples=400)
@given(
    name=st.sampled_from(GOOD),
    changes=st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), max_size=8),
    near_start=st.booleans(),
    cut=st.none() | st.integers(0, 2**20),
)
def test_mutated_and_truncated_files_give_a_frame_or_bad_image(
    name: str, changes: list[tuple[int, int]], near_start: bool, cut: int | None
) -> None:
    data = bytearray(INPUTS[name][0])
    for at, value in changes:
        data[at % min(len(data), 300 if near_start else len(data))] = value
    only_bad_images(bytes(data if cut is None else data[: cut % len(data)]))
