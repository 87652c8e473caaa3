"""Blocks that no cover touches keep their coefficients; the others hold nothing of the original."""

import importlib.util
import io
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import piexif
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from models import lossless
from models.errors import BadConfiguration, BadImage
from models.frame import Frame, decode
from models.jpeg import SOS, jpeg_segments
from models.plan import plan_of
from models.redaction import RedactedFrame, Redactor, Region, redact, verify_bare
from tests import hostile

jpeglib = pytest.importorskip("jpeglib", reason="the extra `lossless` is not installed")

NOW = datetime(2026, 3, 1, tzinfo=UTC)
FACE = Region((70, 40, 90, 60), "face", 0.9)
HOSTILE = {name: data for name, data, _ in hostile.draw_all() if name.endswith(".jpg")}
SUBSAMPLING = {"4:4:4": (8, 8), "4:2:2": (8, 16), "4:2:0": (16, 16), "grey": (8, 8)}  # MCU (H, W)


def save(pixels: NDArray[np.uint8], kind: str = "4:2:0", **options: object) -> bytes:
    image = Image.fromarray(pixels)
    if kind == "grey":
        return hostile.save(image.convert("L"), "JPEG", **options)
    return hostile.save(image, "JPEG", subsampling=kind, **options)


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth enough for a JPEG, and nowhere the same twice."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


def frame_of(data: bytes) -> Frame:
    return decode("a.jpg", data, source="cam", stored_at=NOW)


def kept(data: bytes, *found: Region, **options: object) -> RedactedFrame:
    made = redact(frame_of(data), found, redactor="test@0", original=data, **options)
    verify_bare(made.encoded)
    return made


def coefficients(data: bytes) -> list[NDArray[np.int16]]:
    """By jpeglib's own reader: (rows, columns, 8, 8) of each component."""
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(data)
        file.flush()
        jpeg = jpeglib.read_dct(file.name)
        planes = [jpeg.Y, jpeg.Cb, jpeg.Cr] if jpeg.has_chrominance else [jpeg.Y]
        return [plane.copy() for plane in planes]


def touched(made: RedactedFrame, component: NDArray[np.int16], kind: str) -> NDArray[np.bool_]:
    """Bool (rows, columns): the blocks of a component in MCUs that a cover touches."""
    mcu_h, mcu_w = SUBSAMPLING[kind]
    height, width = made.pixels.shape[:2]
    rows, columns = component.shape[:2]
    whole = (rows, columns) == (-(-height // 8), -(-width // 8))  # luma, or not subsampled
    result = np.zeros((rows, columns), bool)
    for i in range(rows):
        for j in range(columns):
            y = i * 8 // mcu_h * mcu_h if whole else i * mcu_h
            x = j * 8 // mcu_w * mcu_w if whole else j * mcu_w
            result[i, j] = any(
                r.box[0] < x + mcu_w and x < r.box[2] and r.box[1] < y + mcu_h and y < r.box[3]
                for r in made.regions
            )
    return result


@given(
    st.sampled_from(sorted(SUBSAMPLING)),
    st.integers(16, 130),
    st.integers(16, 130),
    st.integers(20, 95),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 120), st.integers(0, 120), st.integers(1, 40)), max_size=3),
    st.integers(0, 100),
)
def test_outside_bit_identical_and_inside_nothing_of_the_original(
    kind: str,
    height: int,
    width: int,
    quality: int,
    progressive: bool,
    where: list[tuple[int, int, int]],
    seed: int,
) -> None:
    pixels = noise(height, width, seed)
    data = save(pixels, kind, quality=quality, progressive=progressive)
    found = [
        Region((min(x, width - 1), min(y, height - 1), x + side, y + side), "face", 0.9)
        for x, y, side in where
    ]
    found = [r for r in found if r.box[0] < r.box[2] and r.box[1] < r.box[3]]
    made = kept(data, *found)
    assert made.lossless
    before, after = coefficients(data), coefficients(made.encoded)
    for one, other in zip(before, after, strict=True):
        mask = touched(made, one, kind)
        assert np.array_equal(one[~mask], other[~mask])

    # The same file over another picture under the covers: the result is the same, byte for byte.
    plan = plan_of((height, width), found, [], "mosaic")
    grid = plan.covered.repeat(16, axis=0).repeat(16, axis=1)[:height, :width]
    swapped = np.where(grid[..., None], noise(height, width, seed + 1), pixels)
    theirs = save(swapped, kind, quality=quality, progressive=progressive)
    decoded = simplejpeg.decode_jpeg(theirs, "RGB")
    assert lossless.splice(theirs, decoded, made.pixels, plan.covered) == made.encoded


@pytest.mark.parametrize("kind", sorted(SUBSAMPLING))
def test_what_is_covered_shows_the_cover(kind: str) -> None:
    data = save(noise(136, 200), kind, quality=90)
    made = kept(data, FACE, style="solid")
    assert made.lossless
    shown = simplejpeg.decode_jpeg(made.encoded)
    x1, y1, x2, y2 = made.regions[0].box
    inside = shown[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1]  # chroma of neighbours smooths the edge
    assert np.abs(inside.astype(int) - 127).max() <= 2
    frame = frame_of(data)
    far = np.ones(shown.shape[:2], bool)
    far[max(0, y1 - 2) : y2 + 2, max(0, x1 - 2) : x2 + 2] = False
    assert np.array_equal(shown[far], frame.pixels[far])


def test_a_mosaic_keeps_its_colours() -> None:
    for kind in ("4:4:4", "4:2:2", "4:2:0"):
        made = kept(save(noise(136, 200), kind, quality=95), FACE)
        x1, y1, x2, y2 = made.regions[0].box
        shown = simplejpeg.decode_jpeg(made.encoded)[y1:y2, x1:x2].astype(int)
        assert np.abs(shown - made.pixels[y1:y2, x1:x2]).mean() < 4


def test_restart_markers_and_odd_tables_are_read() -> None:
    tables = [[*range(1, 65)], [*range(64, 0, -1)]]
    data = save(noise(70, 90), "4:2:0", qtables=tables, restart_marker_blocks=3)
    assert b"\xff\xdd" in data
    made = kept(data, Region((20, 20, 40, 40), "face", 0.9))
    assert made.lossless
    opened = Image.open(io.BytesIO(made.encoded))
    assert list(opened.quantization[0]) == tables[0]
    assert list(opened.quantization[1]) == tables[1]


def test_zones_and_several_rounds_are_spliced_from_the_original() -> None:
    class Twice:
        model = "twice@1"
        thresholds = {"face": 0.5, "plate": 0.5}  # noqa: RUF012 - read only
        calls = 0

        def __call__(self, pixels: object, areas: object = None) -> list[Region]:
            self.calls += 1
            return [[FACE], [Region((100, 40, 120, 60), "face", 0.5)], []][min(self.calls, 3) - 1]

    data = save(noise(136, 200), "4:2:0", quality=80)
    zone = [(10.0, 100.0), (40.0, 100.0), (40.0, 130.0)]
    made = Redactor([Twice()], lossless=True)(frame_of(data), [zone], original=data)
    assert made.lossless
    assert len(made.regions) == 3
    for one, other in zip(coefficients(data), coefficients(made.encoded), strict=True):
        mask = touched(made, one, "4:2:0")
        assert mask.any()
        assert np.array_equal(one[~mask], other[~mask])
    assert not Redactor([Twice()])(frame_of(data), [zone], original=data).lossless
    assert not Redactor([Twice()], lossless=True)(frame_of(data), [zone]).lossless


def _turned() -> bytes:
    block = hostile.exif({"0th": {piexif.ImageIFD.Orientation: 6}})
    return save(noise(136, 200), exif=block)


def _rgb() -> bytes:
    return save(noise(136, 200), "4:4:4", keep_rgb=True)


def _coarse() -> bytes:
    """Tables of 16 bits, which baseline cannot hold."""
    return save(noise(136, 200), "4:4:4", qtables=[[300] * 64, [300] * 64])


@pytest.mark.parametrize(
    "data",
    [
        _turned(),
        _rgb(),
        _coarse(),
        hostile.save(hostile.scene().convert("CMYK"), "JPEG"),
        hostile.save(hostile.scene(), "PNG"),
        hostile.save(hostile.scene(), "WEBP"),
    ],
    ids=["turned", "rgb", "coarse", "cmyk", "png", "webp"],
)
def test_where_it_cannot_be_done_the_picture_is_encoded_anew(data: bytes) -> None:
    made = kept(data, FACE, style="solid")
    assert not made.lossless
    assert made.encoded == redact(frame_of(data), [FACE], redactor="t@0", style="solid").encoded


class Contrast:
    """A locator that finds a face where there is contrast."""

    model = "contrast@0"
    thresholds = {"face": 0.5, "plate": 0.5}  # noqa: RUF012 - read only

    def __call__(self, pixels: NDArray[np.uint8], areas: object = None) -> list[Region]:
        seen = pixels[64:128, 64:128].std() > 30
        return [Region((64, 64, 128, 128), "face", 0.9)] if seen else []


@pytest.mark.parametrize("trusting", [False, True])
def test_a_table_that_changes_between_scans_shows_nothing_that_was_not_looked_at(
    monkeypatch: pytest.MonkeyPatch, trusting: bool
) -> None:
    """Decoders keep the first table, libjpeg's coefficients come with the last."""
    faint = (128 + (noise(256, 256).astype(float) - 128) * 0.1).astype(np.uint8)
    data = save(faint, "4:4:4", progressive=True, quality=95)
    last = [start for marker, start, _ in jpeg_segments(data) if marker == SOS][-1] - 4
    tables = b"".join(b"\xff\xdb\0\x43" + bytes([i]) + bytes([20]) * 64 for i in (0, 1))
    changed = data[:last] + tables + data[last:]
    frame = frame_of(changed)
    assert Contrast()(frame.pixels) == []
    if trusting:  # the proof alone
        monkeypatch.setattr(lossless, "_DQT", 0)
    made = Redactor([Contrast()], lossless=True)(frame, original=changed)
    assert Contrast()(simplejpeg.decode_jpeg(made.encoded, "RGB")) == []


def test_the_file_of_another_picture_is_never_used() -> None:
    frame, other = frame_of(save(noise(136, 200))), save(noise(136, 200, seed=1))
    made = redact(frame, [FACE], redactor="test@0", original=other, style="solid")
    assert not made.lossless
    assert made.encoded == redact(frame, [FACE], redactor="test@0", style="solid").encoded


@pytest.mark.parametrize("name", HOSTILE)
def test_no_hostile_file_ends_the_process_or_leaves_metadata(name: str) -> None:
    """Nor does one whose pixels are claimed to be what a tolerant reader would make of it."""
    data = HOSTILE[name]
    try:
        frame = frame_of(data)
    except BadImage:
        guess = np.asarray(hostile.scene())
        grid = plan_of((136, 200), [FACE], [], "mosaic").covered
        assert lossless.splice(data, guess, guess, grid) is None
        return
    made = redact(frame, [FACE], redactor="test@0", original=data)
    verify_bare(made.encoded)
    assert hostile.SECRET not in made.encoded


@given(st.data())
def test_damaged_files_end_no_process(draw: st.DataObject) -> None:
    data = bytearray(save(noise(64, 80), "4:2:0", progressive=draw.draw(st.booleans())))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(2, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        frame = frame_of(bytes(data))
    except BadImage:
        return
    found = [Region((0, 0, 8, 8), "face", 0.9)]
    made = redact(frame, found, redactor="test@0", original=bytes(data))
    verify_bare(made.encoded)


def test_the_original_is_never_written_to_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = save(noise(136, 200))
    kept(data, FACE)  # the library is loaded by now
    opened: list[object] = []
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    monkeypatch.setattr(os, "open", lambda path, *_: opened.append(path))
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert kept(data, FACE).lossless
    assert opened == []
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_without_the_library_it_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadConfiguration, match="jpeglib"):
        lossless.require()
