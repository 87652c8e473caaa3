import copy
import dataclasses
import hashlib
import io
import math
import os
import pickle
from datetime import UTC, datetime
from typing import get_args

import numpy as np
import pytest
import simplejpeg
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from models import redaction
from models.errors import BadConfiguration, RedactionFailed
from models.frame import Frame, decode, jpeg_segments
from models.redaction import RedactedFrame, Redactor, Region, Style, redact, verify_bare
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


@given(st.lists(boxes(), max_size=4), STYLES)
def test_everything_outside_is_unchanged(found: list[Box], style: Style) -> None:
    frame = frame_of(noise())
    made = cover(frame, *found, style=style)
    outside = ~covered(made)
    assert np.array_equal(made.pixels[outside], frame.pixels[outside])


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


@given(st.lists(boxes(), min_size=1, max_size=4), st.integers(1, 1000))
def test_solid_output_does_not_depend_on_what_is_covered(found: list[Box], seed: int) -> None:
    frame = frame_of(noise())
    first = cover(frame, *found, style="solid")
    inside = covered(first)
    other = np.where(inside[..., None], noise(seed), frame.pixels)
    assert cover(frame_of(other), *found, style="solid").encoded == first.encoded


@given(boxes(max_side=64), st.integers(0, 1000))
def test_mosaic_depends_on_nothing_but_means(box: Box, seed: int) -> None:
    """Move every pixel within its 16×16 cell: with the same noise the file stays the same."""
    assume(min(box[2] - box[0], box[3] - box[1]) <= 64)  # larger boxes have larger cells
    frame = frame_of(noise())
    shuffled = frame.pixels.copy()
    rng = np.random.default_rng(seed)
    for y in range(0, HEIGHT, 16):
        for x in range(0, WIDTH, 16):
            cell = shuffled[y : y + 16, x : x + 16]
            cell[...] = rng.permutation(cell.reshape(-1, 3)).reshape(cell.shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            os, "urandom", lambda size: bytes(range(256)) * (size // 256) + bytes(size % 256)
        )
        made = cover(frame, box)
        x1, y1, x2, y2 = made.regions[0].box
        # Where the picture ends inside a cell, the mosaic's cells leave the 16 px grid.
        assume((x2 - x1) % 16 == 0 and (y2 - y1) % 16 == 0)
        other = frame.pixels.copy()
        other[y1:y2, x1:x2] = shuffled[y1:y2, x1:x2]
        assert not np.array_equal(other, frame.pixels)
        assert cover(frame_of(other), box).encoded == made.encoded


@pytest.mark.parametrize("side", [5, 20, 40, 80, 110])
def test_a_face_keeps_at_most_five_cells_on_its_short_side(side: int) -> None:
    made = cover(frame_of(noise()), (10, 8, 10 + side, 8 + side))
    face = made.pixels[8 : 8 + side, 10 : 10 + side].astype(int)
    columns = 1 + np.abs(np.diff(face, axis=1)).any(axis=(0, 2)).sum()
    rows = 1 + np.abs(np.diff(face, axis=0)).any(axis=(1, 2)).sum()
    assert columns <= 5
    assert rows <= 5


def test_noise_is_fresh_bounded_and_constant_over_each_cell() -> None:
    frame = frame_of(np.full((HEIGHT, WIDTH, 3), 128, np.uint8))
    first, second = (cover(frame, (50, 50, 90, 90)).pixels for _ in range(2))
    assert not np.array_equal(first, second)
    assert np.abs(first.astype(int) - 128).max() <= 32
    assert len(np.unique(first)) > 5
    cell = first[48:64, 48:64]
    assert (cell == cell[0, 0]).all()


def test_overlapping_boxes_never_average_a_pixel_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of two boxes sees what the first left there, as if that were the picture."""
    monkeypatch.setattr(os, "urandom", lambda size: bytes([32]) * size)  # noise 0
    frame = frame_of(noise())
    first, second = (40, 40, 100, 100), (60, 20, 130, 90)
    both = cover(frame, first, second).pixels
    in_turn = cover(frame_of(cover(frame, first).pixels.copy()), second).pixels
    assert np.array_equal(both, in_turn)


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
    outside = ~covered(made)
    assert outside.any()
    assert np.array_equal(made.pixels[outside], frame.pixels[outside])

    inside = (made.pixels == 127).all(axis=2)
    other = frame_of(np.where(inside[..., None], noise(7), frame.pixels))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "urandom", lambda size: bytes([32]) * size)
        one, two = (cover(f, (80, 60, 110, 90), zones=[zone]) for f in (frame, other))
        assert one.encoded == two.encoded


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
    with pytest.raises(BadConfiguration, match="mosaic"):
        Redactor([Found()], style="sepia")  # type: ignore[arg-type]


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


class Found:
    """A locator that finds the same region everywhere."""

    def __init__(self, *regions: Region, model: str = "fixed@1") -> None:
        self.regions, self.model = list(regions), model

    def __call__(self, pixels: NDArray[np.uint8]) -> list[Region]:
        return self.regions


def test_a_redactor_covers_what_all_its_locators_find_and_the_zones() -> None:
    face, plate = Region((10, 10, 30, 30), "face", 0.9), Region((90, 90, 130, 110), "plate", 0.8)
    zone = [(150.0, 10.0), (190.0, 10.0), (190.0, 40.0)]
    redactor = Redactor([Found(face), Found(plate)], style="solid")
    made = redactor(frame_of(noise()), [zone])
    assert [region.label for region in made.regions] == ["face", "plate", "private_zone"]
    assert (made.pixels[10:30, 10:30] == 127).all()
    assert (made.pixels[90:110, 90:130] == 127).all()
    assert made.redactor == redactor.model


def test_the_model_names_locators_and_style() -> None:
    one, other = Found(model="centerface@1"), Found(model="centerface@2")
    models = {
        Redactor([one]).model,
        Redactor([other]).model,
        Redactor([one, other]).model,
        Redactor([one], style="solid").model,
    }
    assert len(models) == 4
    assert Redactor([one]).model == Redactor([one]).model
    assert all(model.startswith("centerface+") for model in models)


def test_a_redactor_without_locators_is_refused() -> None:
    with pytest.raises(BadConfiguration):
        Redactor([])


@pytest.mark.parametrize(
    "error", [ValueError, KeyError, MemoryError, RecursionError, RuntimeError, OSError]
)
def test_whatever_a_locator_raises_nothing_is_published(error: type[Exception]) -> None:
    class Broken(Found):
        def __call__(self, pixels: NDArray[np.uint8]) -> list[Region]:
            raise error("Marie Dupont, 3 rue de la Paix")

    with pytest.raises(RedactionFailed, match="redactor_error") as caught:
        Redactor([Found(), Broken()])(frame_of(noise()))
    assert "Dupont" not in str(caught.value)


@pytest.mark.parametrize("answer", [None, [None], [(1, 2, 3, 4)]])
def test_a_locator_that_answers_nonsense_publishes_nothing(answer: object) -> None:
    class Nonsense(Found):
        def __call__(self, pixels: NDArray[np.uint8]) -> list[Region]:
            return answer  # type: ignore[return-value]

    with pytest.raises(RedactionFailed):
        Redactor([Nonsense()])(frame_of(noise()))


def test_running_out_of_memory_while_covering_publishes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def exhausted(*_: object) -> NDArray[np.uint8]:
        raise MemoryError

    monkeypatch.setitem(redaction._STYLES, "mosaic", exhausted)
    with pytest.raises(RedactionFailed, match="MemoryError"):
        Redactor([Found(Region((1, 1, 9, 9), "face", 0.5))])(frame_of(noise()))
