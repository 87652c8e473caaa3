import copy
import dataclasses
import hashlib
import io
import math
import pickle
from datetime import UTC, datetime
from typing import get_args

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from models.errors import RedactionFailed
from models.frame import Frame, decode
from models.jpeg import jpeg_segments
from models.plan import GRID_PX, plan_of
from models.redaction import RedactedFrame, Region, Style, redact, verify_bare
from tests import hostile

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HEIGHT, WIDTH = 136, 200
Box = tuple[int, int, int, int]


def frame_of(pixels: NDArray[np.uint8]) -> Frame:
    pixels.setflags(write=False)
    return Frame("inbox/a.jpg", pixels, "cam", NOW, "object")


def noise(seed: int = 0) -> NDArray[np.uint8]:
    """Pixels of which no two neighbours are alike."""
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def cover(frame: Frame, *boxes: Box, **options: object) -> RedactedFrame:
    found = [Region(box, "face", 0.9) for box in boxes]
    return redact(frame, found, redactor="test@0", **options)


def covered(redacted: RedactedFrame) -> NDArray[np.bool_]:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for region in redacted.regions:
        x1, y1, x2, y2 = region.box
        mask[y1:y2, x1:x2] = True
    return mask


def apart(redacted: RedactedFrame) -> NDArray[np.bool_]:
    """What borders on no cover: the colours of what does are not its own."""
    return cv2.dilate(covered(redacted).astype(np.uint8), np.ones((3, 3), np.uint8)) == 0


@st.composite
def boxes(draw: st.DrawFn, max_side: int = 150) -> Box:
    x1, y1 = draw(st.integers(-20, WIDTH - 1)), draw(st.integers(-20, HEIGHT - 1))
    x2 = draw(st.integers(max(x1, 0) + 1, max(x1, 0) + max_side))
    y2 = draw(st.integers(max(y1, 0) + 1, max(y1, 0) + max_side))
    return x1, y1, x2, y2


STYLES = st.sampled_from(get_args(Style))


def test_only_redact_makes_a_redacted_frame() -> None:
    made = cover(frame_of(noise()), (40, 40, 60, 60))
    values = {f.name: getattr(made, f.name) for f in dataclasses.fields(made)}
    with pytest.raises(TypeError, match="only redact"):
        RedactedFrame(**values)
    with pytest.raises(TypeError, match="only redact"):
        RedactedFrame(**values, seal=object())
    with pytest.raises(TypeError, match="only redact"):
        dataclasses.replace(made, pixels=noise())
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.pixels = noise()  # type: ignore[misc]


def test_a_redacted_frame_travels_between_processes() -> None:
    made = cover(frame_of(noise()), (40, 40, 60, 60))
    for other in (pickle.loads(pickle.dumps(made)), copy.copy(made)):
        assert np.array_equal(other.pixels, made.pixels)
        assert (other.regions, other.encoded) == (made.regions, made.encoded)


def test_what_is_encoded_is_what_the_pixels_show() -> None:
    made = cover(frame_of(np.array(hostile.scene())), (40, 40, 60, 60))
    assert np.abs(simplejpeg.decode_jpeg(made.encoded).astype(int) - made.pixels).mean() < 6


def test_a_redacted_frame_keeps_what_is_not_personal() -> None:
    frame = frame_of(noise())
    made = cover(frame, (40, 40, 60, 60))
    for name in ("key", "source", "captured_at", "time_source", "ground"):
        assert getattr(made, name) == getattr(frame, name)
    assert made.redactor == "test@0"
    assert made.digest == hashlib.sha256(made.encoded).hexdigest()
    assert not made.pixels.flags.writeable
    assert not made.lossless


@given(st.lists(boxes(), max_size=4), STYLES)
def test_everything_outside_is_unchanged(found: list[Box], style: Style) -> None:
    frame = frame_of(noise())
    made = cover(frame, *found, style=style)
    outside = apart(made)
    assert np.array_equal(made.pixels[outside], frame.pixels[outside])


@given(
    st.lists(boxes(), min_size=1, max_size=4),
    st.sampled_from(["mosaic", "solid"]),
    st.binary(max_size=40),
    st.booleans(),
    st.integers(1, 1000),
)
def test_nothing_published_depends_on_what_is_covered(
    found: list[Box], style: Style, noise_key: bytes, zone: bool, seed: int
) -> None:
    """Two pictures that differ under the covers only give the same file, byte for byte."""
    options = {
        "style": style,
        "noise_key": noise_key,
        "zones": [[(60.0, 40.0), (120.0, 40.0), (90.0, 100.0)]] if zone else [],
    }
    frame = frame_of(noise())
    first = cover(frame, *found, **options)
    plan = plan_of(
        (HEIGHT, WIDTH), [Region(b, "face", 0.9) for b in found], options["zones"], style
    )
    under = plan.covered.repeat(GRID_PX, axis=0).repeat(GRID_PX, axis=1)[:HEIGHT, :WIDTH, None]
    other = np.where(under, noise(seed), frame.pixels)
    assert not np.array_equal(other, frame.pixels)
    second = cover(frame_of(other), *found, **options)
    assert second.encoded == first.encoded
    assert np.array_equal(second.pixels, first.pixels)
    assert second.regions == first.regions


@pytest.mark.parametrize("quality", [50, 90])
def test_colours_that_a_jpeg_coded_with_what_is_covered_are_not_published(quality: int) -> None:
    """Beside covers two originals differ by the rounding of a level, whatever their covers hide."""
    smooth = cv2.GaussianBlur(noise(), (0, 0), 2)
    made = []
    for hidden in ((60, 40, 35), (230, 180, 150)):
        pixels = smooth.copy()
        pixels[32:96, 64:128] = hidden  # all that is covered
        original = simplejpeg.encode_jpeg(pixels, quality, "RGB", "420")
        frame = decode("a.jpg", original, source="cam", stored_at=NOW)
        made.append(cover(frame, (84, 53, 108, 83), style="solid"))
    assert made[0].regions[0].box == (64, 32, 128, 96)
    assert np.abs(made[0].pixels.astype(int) - made[1].pixels).max() <= 1


def test_the_same_work_gives_the_same_file_and_another_key_another_one() -> None:
    box = (50, 50, 90, 90)
    first, again, other = (
        cover(frame_of(noise()), box, noise_key=key).encoded for key in (b"a", b"a", b"b")
    )
    assert first == again
    assert first != other
    own = [cover(frame_of(noise()), box).encoded for _ in range(2)]
    assert own[0] == own[1]
    assert own[0] not in (first, other)


@given(boxes(), STYLES)
def test_box_and_margin_are_covered_to_the_border(box: Box, style: Style) -> None:
    frame = frame_of(noise())
    made = cover(frame, box, style=style)
    x1, y1, x2, y2 = made.regions[0].box
    margin_x, margin_y = max(4, 0.3 * (box[2] - box[0])), max(4, 0.3 * (box[3] - box[1]))
    assert 0 <= x1 <= max(0, box[0] - margin_x)
    assert 0 <= y1 <= max(0, box[1] - margin_y)
    assert min(WIDTH, box[2] + margin_x) <= x2 <= WIDTH
    assert min(HEIGHT, box[3] + margin_y) <= y2 <= HEIGHT
    same = (made.pixels[y1:y2, x1:x2] == frame.pixels[y1:y2, x1:x2]).all(axis=2)
    assert same.mean() < 0.02  # by chance a mean may hit an original colour
    for line in (same[0], same[-1], same[:, 0], same[:, -1]):
        assert line.mean() < 0.3


@pytest.mark.parametrize("side", range(1, 13))
@pytest.mark.parametrize("corner", [(0, 0), (WIDTH, 0), (0, HEIGHT), (WIDTH, HEIGHT), (90, 70)])
def test_tiny_boxes_are_covered(side: int, corner: tuple[int, int]) -> None:
    x, y = min(corner[0], WIDTH - side), min(corner[1], HEIGHT - side)
    made = cover(frame_of(noise()), (x, y, x + side, y + side), style="solid")
    assert (made.pixels[y : y + side, x : x + side] == 127).all()
    assert covered(made).sum() >= 64


def test_zones_are_solid_grown_and_never_mixed_into_a_mosaic() -> None:
    zone = [(60.0, 40.0), (120.0, 40.0), (90.0, 100.0)]
    frame = frame_of(noise())
    made = cover(frame, (80, 60, 110, 90), zones=[zone])
    assert (made.pixels[40:100, 88:92] == 127).all()
    assert (made.pixels[33:47, 60:120] == 127).all()  # grown by 8 px
    zone_region = made.regions[-1]
    assert zone_region.label == "private_zone"
    x1, y1, x2, y2 = zone_region.box
    assert x1 <= 52
    assert y1 <= 32
    assert x2 >= 128
    assert y2 >= 108
    outside = apart(made)
    assert outside.any()
    assert np.array_equal(made.pixels[outside], frame.pixels[outside])


def test_a_zone_at_the_border_reaches_the_last_row_and_column() -> None:
    zone = [(150.0, 100.0), (400.0, 100.0), (400.0, 300.0), (150.0, 300.0)]
    made = cover(frame_of(noise()), zones=[zone])
    assert (made.pixels[100:, 150:] == 127).all()
    assert made.regions[0].box[2:] == (WIDTH, HEIGHT)


@pytest.mark.parametrize(
    "zone",
    [
        [],
        [(1.0, 1.0), (50.0, 50.0)],
        [(1.0, 1.0), (50.0, 50.0), (math.nan, 4.0)],
        [(1.0, 1.0), (50.0, 50.0), (math.inf, 4.0)],
        [(1.0, 1.0), (50.0, 50.0), (1e12, 4.0)],
        [(500.0, 500.0), (600.0, 500.0), (600.0, 600.0)],
    ],
)
def test_a_zone_that_cannot_be_covered_fails(zone: list[tuple[float, float]]) -> None:
    with pytest.raises(RedactionFailed, match="bad_zone"):
        cover(frame_of(noise()), zones=[zone])


@pytest.mark.parametrize(
    "region",
    [
        Region((10, 10, 10, 20), "face", 0.5),
        Region((20, 10, 10, 20), "face", 0.5),
        Region((math.nan, 10, 20, 20), "face", 0.5),  # type: ignore[arg-type]
        Region((10, 10, math.inf, 20), "face", 0.5),  # type: ignore[arg-type]
        Region((-math.inf, 10, 20, 20), "face", 0.5),  # type: ignore[arg-type]
        Region((10, 10, 20, 20), "face", math.nan),
        Region((10, 10, 20, 20), "face", math.inf),
        Region((10, 10, 20, 20), "face", -0.1),
        Region((900, 10, 920, 20), "face", 0.5),
    ],
)
def test_a_region_that_cannot_be_covered_fails(region: Region) -> None:
    good = Region((10, 10, 20, 20), "face", 0.5)
    with pytest.raises(RedactionFailed, match="bad_region"):
        redact(frame_of(noise()), [good, region], redactor="test@0")


def test_an_unknown_style_fails() -> None:
    with pytest.raises(RedactionFailed, match="unknown_style"):
        cover(frame_of(noise()), style="sepia")


@pytest.mark.parametrize(
    "name", [name for name, _, outcome in hostile.draw_all() if outcome == hostile.REDACTED]
)
def test_no_metadata_survives(name: str) -> None:
    data = next(data for other, data, _ in hostile.draw_all() if other == name)
    frame = decode(name, data, source="cam", stored_at=NOW)
    made = cover(frame, (0, 0, 30, 30))
    markers = [marker for marker, _, _ in jpeg_segments(made.encoded)]
    assert set(markers) <= {0xE0, 0xDB, 0xC0, 0xC4, 0xDA, 0xD9}
    assert made.encoded.count(b"\xff\xd8\xff") == 1  # no thumbnail
    assert hostile.SECRET not in made.encoded
    reopened = Image.open(io.BytesIO(made.encoded))
    assert set(reopened.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert not reopened.getexif()
    assert reopened.size == frame.pixels.shape[1::-1]


JPEG = hostile.save(hostile.scene(), "JPEG")


@pytest.mark.parametrize(
    "unclean",
    [
        hostile.insert(JPEG, 0xE1, b"Exif\0\0" + bytes(20)),
        hostile.insert(JPEG, 0xE2, b"ICC_PROFILE\0"),
        hostile.insert(JPEG, 0xFE, b"comment"),
        hostile.insert(JPEG, 0xE0, b"JFXX\0\x10"),
        hostile.insert(JPEG, 0xE0, b"JFIF\0\1\1\0\0\1\0\1\1\1abc"),
        JPEG + b"\0",
        JPEG + JPEG,
        JPEG[:-2],
    ],
)
def test_output_with_anything_else_than_a_picture_fails(
    unclean: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify_bare(JPEG)
    with pytest.raises(RedactionFailed, match="unclean_output"):
        verify_bare(unclean)
    monkeypatch.setattr(simplejpeg, "encode_jpeg", lambda *_: unclean)
    with pytest.raises(RedactionFailed, match="unclean_output"):
        cover(frame_of(noise()))
