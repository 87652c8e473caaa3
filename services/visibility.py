"""Whether a picture shows anything at all: what cannot be seen is unknown."""

import cv2
import numpy as np
from numpy.typing import NDArray
from shapely import Polygon, box, make_valid

from models.light import DARK_LEVEL, level

# Fog, or a wall before the lens: of a picture's blocks all but a tenth have a smaller standard
# deviation. Of 144 real pictures none has; with fog that lets a tenth of their light through all.
_BLANK_SPREAD = 8.0
_BLOCK_PX, _LOOKED_AT_PX = 16, 640


def blank(pixels: NDArray[np.uint8], hidden: NDArray[np.bool_] | None = None) -> str | None:
    """Why a picture uint8 (H, W, 3) RGB shows nothing: `dark`, or `blank` as in fog; None else.

    What is `hidden` (H, W) is no light: the grey of a private zone is as bright by night.
    """
    if level(pixels, np.ones(pixels.shape[:2], bool) if hidden is None else ~hidden) < DARK_LEVEL:
        return "dark"
    height, width = pixels.shape[:2]
    size_wh = [max(1, side * _LOOKED_AT_PX // max(height, width)) for side in (width, height)]
    small = cv2.resize(pixels, size_wh, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    rows, columns = (side // _BLOCK_PX for side in grey.shape)
    blocks = grey[: rows * _BLOCK_PX, : columns * _BLOCK_PX]
    spreads = blocks.reshape(rows, _BLOCK_PX, columns, _BLOCK_PX).std((1, 3))
    return "blank" if spreads.size and np.percentile(spreads, 90) < _BLANK_SPREAD else None


def dark(
    pixels: NDArray[np.uint8],
    outline: NDArray[np.float32],
    least: float = 0.5,
    *,
    valid: NDArray[np.bool_] | None = None,
    hidden: NDArray[np.bool_] | None = None,
) -> str | None:
    """Why nothing is known of an outline (N, 2) px: `dark`, `out_of_view`; None else.

    Of one that is hidden whole its light is not known: others say whether what hides it matters.

    Args:
        pixels: uint8 (H, W, 3) of the picture.
        outline: what is looked at.
        least: share of it that the picture must show.
        valid: bool (H, W), where the picture has data; everywhere where None.
        hidden: bool (H, W), what is covered, see `View.hidden`; nothing where None.
    """
    height, width = pixels.shape[:2]
    drawn = make_valid(Polygon(outline))
    if drawn.intersection(box(0, 0, width, height)).area < least * drawn.area:
        return "out_of_view"
    x1, y1 = np.clip(outline.min(0), 0, [width, height]).astype(int)
    x2, y2 = np.clip(np.ceil(outline.max(0)), 0, [width, height]).astype(int)
    inside = np.zeros((y2 - y1, x2 - x1), np.uint8)
    if not inside.size:
        return None
    cv2.fillPoly(inside, [np.round(outline - [x1, y1]).astype(np.int32)], 1)
    part, shown = np.s_[y1:y2, x1:x2], inside > 0
    if valid is not None and (shown & valid[part]).sum() < least * shown.sum():
        return "out_of_view"
    if hidden is not None:
        shown &= ~hidden[part]
    return "dark" if shown.any() and level(pixels[part], shown) < DARK_LEVEL else None
