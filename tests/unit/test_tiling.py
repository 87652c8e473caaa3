from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models import tiling


@given(
    st.integers(16, 1500), st.integers(16, 1500), st.sampled_from([(100, 20, 60), (320, 64, 100)])
)
def test_tiles_hold_every_pixel_of_every_level(
    width: int, height: int, settings: tuple[int, int, int]
) -> None:
    tile_px, overlap_px, coarse_px = settings
    pixels = np.zeros((height, width, 3), np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiling, "TILE_PX", tile_px)
        patch.setattr(tiling, "OVERLAP_PX", overlap_px)
        patch.setattr(tiling, "COARSE_PX", coarse_px)
        levels: dict[float, NDArray[np.bool_]] = {}
        for tile, left, top, scale in tiling.tiles(pixels, None, fine_px=200, step=2):
            size_hw = max(1, round(height * scale)), max(1, round(width * scale))
            seen = levels.setdefault(scale, np.zeros(size_hw, bool))
            assert max(tile.shape[:2]) <= tile_px
            seen[top : top + tile.shape[0], left : left + tile.shape[1]] = True
        spans = tiling.spans(width)
    assert all(seen.all() for seen in levels.values())
    assert 1 <= max(levels) <= 2  # never less detail than is published
    assert max(next(reversed(levels.values())).shape) <= coarse_px
    assert all(a.stop - b.start >= overlap_px - 1 for a, b in pairwise(spans))


@given(
    st.lists(
        st.tuples(
            *(st.integers(low, high) for low, high in ((0, 900), (0, 700), (1, 300), (1, 300)))
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from([0.25, 1.0, 1.4]),
)
def test_windows_hold_their_areas_and_have_few_shapes(
    areas: list[tuple[int, int, int, int]], scale: float
) -> None:
    boxes = [(x, y, x + w, y + h) for x, y, w, h in areas]
    size_wh = round(1200 * scale), round(1000 * scale)
    windows = tiling._windows(boxes, scale, size_wh)
    for x1, y1, x2, y2 in boxes:
        assert any(
            a <= max(x1 * scale - 64, 0)
            and b <= max(y1 * scale - 64, 0)
            and min(x2 * scale + 64, size_wh[0]) <= c
            and min(y2 * scale + 64, size_wh[1]) <= d
            for a, b, c, d in windows
        )
    for box in windows:
        for low, high, side in zip(box[:2], box[2:], size_wh, strict=True):
            assert 0 <= low < high <= side
            assert low % 32 == 0
            assert high == side or (high - low) % 128 == 0


def test_nothing_is_looked_at_beside_the_picture() -> None:
    assert not tiling._windows([(-50, 10, -1, 20), (5, 900, 6, 950)], 1.0, (800, 600))
