"""What is found tile by tile is what is found in the whole picture."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models import personal, tiling
from models.personal import STRIDE_PX, PersonalData
from models.redaction import LABELS, Region

Pixels = NDArray[np.uint8]
Marks = list[tuple[int, int, int, int, str]]

SLOT_PX = 72  # one mark in each: no two share a cell of the network
TILE_PX, OVERLAP_PX = 176, 80
LOGIT = {"face": 1.5, "plate": 2.0, "vehicle": 2.5}
COLOUR = {"face": (255, 0, 0), "plate": (0, 255, 0), "vehicle": (0, 0, 255)}
INSET_PX = 0.3  # so that no side lies where rounding could tip it


def local(square: Pixels) -> list[NDArray[np.float32]]:
    """A network that sees marks, and only those that lie within what it is shown."""
    h, w = (side // STRIDE_PX for side in square.shape[1:3])
    logits = np.full((1, len(LABELS), h, w), -20, np.float32)
    log_sizes, offsets = (np.zeros((1, 2 * len(LABELS), h, w), np.float32) for _ in range(2))
    shown = square[0].any(axis=2)
    height, width = (np.flatnonzero(shown.any(axis)).max() + 1 for axis in (1, 0))
    for name, colour in COLOUR.items():
        label = LABELS.index(name)
        mask = (np.abs(square[0].astype(int) - colour).max(2) < 60).astype(np.uint8)
        for x, y, wide, tall, _ in cv2.connectedComponentsWithStats(mask)[2][1:].tolist():
            if x == 0 or y == 0 or x + wide == width or y + tall == height:
                continue
            centre = np.array([y + tall / 2, x + wide / 2]) / STRIDE_PX
            row, column = np.floor(centre).astype(int)
            both = slice(2 * label, 2 * label + 2)
            logits[0, label, row, column] = LOGIT[name]
            sides = np.array([tall, wide]) - 2 * INSET_PX
            log_sizes[0, both, row, column] = np.log(sides / STRIDE_PX)
            offsets[0, both, row, column] = centre - [row + 0.5, column + 0.5]
    return [logits, log_sizes, offsets]


@pytest.fixture(scope="module")
def locate() -> Iterator[PersonalData]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(personal, "runner", lambda *_: local)
        yield PersonalData(min_score=0.15)


@st.composite
def marked(draw: st.DrawFn) -> tuple[Pixels, Marks]:
    """A picture of some tiles, and the marks in it: plates and faces, some of them on vehicles."""
    rows, columns = draw(st.integers(1, 6)), draw(st.integers(1, 7))
    ends = draw(st.integers(0, 31)), draw(st.integers(0, 31))
    pixels = np.full((rows * SLOT_PX + ends[0], columns * SLOT_PX + ends[1], 3), 90, np.uint8)
    slots = st.tuples(st.integers(0, rows - 1), st.integers(0, columns - 1))
    marks: Marks = []
    for row, column in draw(st.lists(slots, max_size=12, unique=True)):
        name = draw(st.sampled_from(sorted(COLOUR)))
        wide, tall = draw(st.integers(6, 60)), draw(st.integers(6, 60))
        x = column * SLOT_PX + draw(st.integers(2, SLOT_PX - wide - 2))
        y = row * SLOT_PX + draw(st.integers(2, SLOT_PX - tall - 2))
        pixels[y : y + tall, x : x + wide] = COLOUR[name]
        marks.append((x, y, wide, tall, name))
        if name == "vehicle" and min(wide, tall) > 30:
            pixels[y + 12 : y + 20, x + 8 : x + 22] = COLOUR["plate"]
            marks.append((x + 8, y + 12, 14, 8, "plate"))
    return pixels, marks


def finds(locate: PersonalData, pixels: Pixels, tile_px: int, *areas: object) -> set[Region]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiling, "TILE_PX", tile_px)
        patch.setattr(tiling, "OVERLAP_PX", OVERLAP_PX)
        patch.setattr(tiling, "COARSE_PX", 200)
        patch.setattr(personal, "_FINE_PX", 1)  # nothing is enlarged
        return set(locate(pixels, *areas))


@given(marked())
@settings(max_examples=60)
def test_tiles_find_what_the_whole_shows(locate: PersonalData, drawn: tuple[Pixels, Marks]) -> None:
    pixels, marks = drawn
    whole = finds(locate, pixels, 10_000)
    assert finds(locate, pixels, TILE_PX) == whole
    boxes = {(region.box, region.label) for region in whole}
    assert boxes >= {((x, y, x + w, y + h), name) for x, y, w, h, name in marks}


@given(marked(), st.data())
@settings(max_examples=60)
def test_an_area_finds_what_the_whole_shows_there(
    locate: PersonalData, drawn: tuple[Pixels, Marks], data: st.DataObject
) -> None:
    pixels, marks = drawn
    alone = [mark for mark in marks if mark[4] != "vehicle"]
    if not alone:
        return
    x, y, w, h, name = data.draw(st.sampled_from(alone))
    there = finds(locate, pixels, TILE_PX, [(x + w // 2, y, x + w + 4, y + h // 2)])
    assert ((x, y, x + w, y + h), name) in {(region.box, region.label) for region in there}
