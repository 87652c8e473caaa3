"""How far a lawn has grown since it was mown, from pictures alone: an index, never centimetres.

Grown blades stand: their edges run upright in the picture, where those of a mown lawn run anywhere,
whatever the light. By day they are greener too, compared with the rest of the picture, so that the
tint of the light does not count. Both are compared with a picture of the lawn just mown.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.light import DARK_LEVEL
from models.redaction import Region

_BLANK = 0.004  # change of brightness from px to px, as a share, under which nothing is seen
_EDGE_PX = 2.0  # blur before edges are taken: finer ones are the sensor's noise
_STRONG = 0.9  # quantile of edges: stronger ones are shadows and things lying there
_GREY = 0.02  # logarithm of green to red and blue under which a picture has no colours
# What lawns gain from 4 to about 25 cm, in logarithms, as training/scenes draws them; weights.
_UPRIGHT, _GREENER = 0.25, 0.11
_BY_EDGES = 0.8
_SETTINGS = (DARK_LEVEL, _BLANK, _EDGE_PX, _STRONG, _GREY, _UPRIGHT, _GREENER, _BY_EDGES)
MODEL = f"growth@{hashlib.sha256(repr(_SETTINGS).encode()).hexdigest()[:16]}"
"""name@digest of all that decides the index."""

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Growth:
    """What became of a lawn.

    Attributes:
        index: 0 as just mown, about 1 clearly grown; None where it cannot be told.
        reason: why not: `dark`; `out_of_view`, or covered; `blank`, nothing to be seen, as in fog.
            Else None.
    """

    index: float | None
    reason: str | None


def growth_index(
    references: Sequence[Pixels],
    pixels: Pixels,
    outline: NDArray[np.float32],
    affine: Floats | None = None,
    covers: Sequence[Region] = (),
) -> Growth:
    """Compare a lawn with itself when it was just mown.

    Args:
        references: uint8 (H, W, 3) RGB, one at least, the camera's pictures of the lawn just mown,
            in the camera's own size. A picture is compared with the one that is as colourful: by
            infrared light with one by infrared light.
        pixels: uint8 (h, w, 3) RGB, the picture to judge, of any size.
        outline: float32 (N, 2) px of the lawn in the references.
        affine: float64 (2, 3) from px of the references to those of the picture, both in the
            camera's own size (`models.registration.Sight`); None where nothing moved.
        covers: what redaction covered in the picture; it does not count.
    """
    height, width = references[0].shape[:2]
    inside = np.zeros((height, width), np.uint8)
    cv2.fillPoly(inside, [np.round(outline).astype(np.int32)], 1)
    now = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    free = np.ones_like(inside)
    scale_xy = np.array([width / pixels.shape[1], height / pixels.shape[0]])
    for region in covers:
        x1, y1, x2, y2 = np.maximum(np.multiply(region.box, np.tile(scale_xy, 2)), 0)
        free[int(y1) : math.ceil(y2), int(x1) : math.ceil(x2)] = 0
    if affine is not None:
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        free = np.asarray(cv2.warpAffine(free, affine, (width, height), flags=how), np.uint8)
        now = np.asarray(cv2.warpAffine(now, affine, (width, height), flags=how), np.uint8)
    colour = _colour(now)
    mown = min(references, key=lambda reference: abs(_colour(reference) - colour))
    lawn = (inside & free) > 0
    if not lawn.any():
        return Growth(None, "out_of_view")
    if min(now[lawn].mean(), mown[lawn].mean()) < DARK_LEVEL:
        return Growth(None, "dark")
    edges = [_upright(picture, lawn) for picture in (mown, now)]
    if edges[0] is None or edges[1] is None:
        return Growth(None, "blank")
    index = (edges[1] - edges[0]) / _UPRIGHT
    green = [_green(picture, lawn) for picture in (mown, now)]
    if green[0] is not None and green[1] is not None:
        index = _BY_EDGES * index + (1 - _BY_EDGES) * (green[1] - green[0]) / _GREENER
    return Growth(float(index), None)


def _colour(pixels: Pixels) -> float:
    return float((pixels.max(2) - pixels.min(2)).mean())


def _upright(pixels: Pixels, lawn: NDArray[np.bool_]) -> float | None:
    """How much stronger upright edges are than level ones, as a logarithm; None without edges."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    # Logarithms: dim light makes all edges weaker, but not their share.
    soft = cv2.GaussianBlur(np.log(grey + 10), (0, 0), _EDGE_PX)
    across, down = (np.abs(cv2.Sobel(soft, cv2.CV_32F, *way))[lawn] / 8 for way in ((1, 0), (0, 1)))
    strength = np.hypot(across, down)
    usual = strength <= np.quantile(strength, _STRONG)
    if strength[usual].mean() < _BLANK:
        return None
    return 0.5 * math.log(np.square(across[usual]).mean() / np.square(down[usual]).mean())


def _green(pixels: Pixels, lawn: NDArray[np.bool_]) -> float | None:
    """How much greener the lawn is than the rest, as a logarithm; None in a grey picture."""
    red, green, blue = np.moveaxis(np.log(pixels.astype(np.float32) + 10), -1, 0)
    excess = green - 0.5 * (red + blue)
    if lawn.all() or np.abs(excess[lawn]).mean() < _GREY:
        return None
    return float(excess[lawn].mean() - np.median(excess[~lawn]))
