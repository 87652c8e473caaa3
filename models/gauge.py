"""The height of grass at a printed gauge: how much of a known pattern it hides.

The gauge is a column of square markers (ArUco; Garrido-Jurado et al., Pattern Recognition 2014).
Those that can be read tell where it is and how the camera looks at it; then the picture is compared
with what was printed, centimetre by centimetre, and the share that is free is explained by grass of
some height, evenness and density, seen obliquely from above.
"""

import hashlib
import math
from dataclasses import dataclass
from functools import cache
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

CELLS, CELL_CM, WIDTH_CM = 12, 9, 10
"""Cells of the gauge, from the ground up, their height, and the width of the gauge."""
HEIGHT_CM = CELLS * CELL_CM
READ_THROUGH_CM = 10
"""The height of grass is up to where so much of it hides half of what is behind, seen level."""

_MARKER_CM = 8.1
_MIN_CELLS = 3
_ALIKE = 0.6  # correlation with the pattern from which a cell is readable
_DARK_LEVEL = 14.0  # mean of 0 to 255 under which nothing can be said
_AROUND = 0.15  # of an outline's longer side, searched around it
_LARGE_PX, _CLOSE_PX_PER_CM, _MAX_SCALE = 4.2e6, 8.0, 4.0  # of the search for markers
_PX_PER_CM = 6  # of the gauge seen squarely
_BLUR_PX = 0.7  # of a camera
_WINDOW_CM = 1.2  # up and down, compared together
# What a lens of about 55° would have, as a share of the picture's width, and how far from it.
_FOCAL, _FOCAL_SPREAD, _SQUARE = 0.95, 0.25, 0.015
_DEPTH_CM = 50  # of grass before the gauge
_DENSITIES = (0.08, 0.15, 0.25, 0.4, 0.7)  # width of blades in cm for each cm² of ground
_SPREADS_CM = (0.7, 1.2, 2.0, 3.0, 4.5, 6.5, 9.0)  # of the blades' heights, as a logistic's scale
_NOISE, _WEIGHT, _FLOOR_CM = 0.12, 0.5, 0.8  # fitted by benchmarks/drawn_gauge.py

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]
Outline = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a gauge says.

    Attributes:
        height_cm: of the grass, ≥ 0; None where it cannot be told.
        low_cm, high_cm: 90 % interval; None as above.
        confidence: 0 to 1, how much like the print the readable cells look; 0 as above.
        cells: how many cells are readable, 0 to 12.
        outline: float32 (4, 2) px, the gauge in the picture, clockwise from its upper left corner;
            None where it is not found.
        reason: why there is no height: dark, no_gauge, too_few_cells, out_of_view; else None.
    """

    height_cm: float | None
    low_cm: float | None
    high_cm: float | None
    confidence: float
    cells: int
    outline: Outline | None
    reason: str | None
    debug: object = None


def read_gauge(pixels: Pixels, outline: Outline | None = None) -> Reading:
    """The height of the grass before a gauge that stands upright with its foot on the ground.

    Args:
        pixels: uint8 (H, W, 3) RGB, the camera's whole picture: its width tells the focal length.
        outline: (N, 2) px around where the gauge is; the whole picture is searched when None.
    """
    grey, corner = _searched(pixels, outline)
    if not grey.size:
        return _unknown("out_of_view")
    if grey.mean() < _DARK_LEVEL:
        return _unknown("dark")
    found = _markers(grey)
    to_px, cells = _pose(found) if len(found) > 1 else (None, [])
    if to_px is None:
        return _unknown("too_few_cells" if found else "no_gauge", len(found))
    px_per_cm = _scale(to_px, cells)
    printed = _printed(px_per_cm)
    to_px = _aligned(grey, to_px, cells, printed, px_per_cm)
    strip = _squarely(grey, to_px, px_per_cm)
    whole = _through(to_px, np.array(_BOARD, np.float64)) + corner
    alike = _cells_alike(strip, printed)
    readable = np.flatnonzero(alike >= _ALIKE)
    if len(readable) < _MIN_CELLS:
        return _unknown("too_few_cells", len(readable), whole.astype(np.float32))
    shift = np.array([[1, 0, corner[0]], [0, 1, corner[1]], [0, 0, 1]])
    middle = (readable.min() + 0.5) * CELL_CM
    downward = _downward(shift @ to_px, pixels.shape[1::-1], middle)
    free = _free(strip, printed, readable)
    return Reading(0,0,0,float(alike[readable].mean()),len(readable),whole.astype(np.float32),None,dict(free=free,tan=downward,strip=strip,alike=alike,cells=cells,ppc=px_per_cm,readable=readable))


_BOARD = (
    (-WIDTH_CM / 2, HEIGHT_CM),
    (WIDTH_CM / 2, HEIGHT_CM),
    (WIDTH_CM / 2, 0),
    (-WIDTH_CM / 2, 0),
)


@cache
def sheet(px_per_cm: int) -> Pixels:
    """The gauge as printed, uint8 (108·px, 10·px): 0 ink, 255 paper; the ground is at its end."""
    paper = np.full((HEIGHT_CM * px_per_cm, WIDTH_CM * px_per_cm), 255, np.uint8)
    side = round(_MARKER_CM * px_per_cm)
    left = (paper.shape[1] - side) // 2
    for cell in range(CELLS):
        top = (CELLS - cell - 1) * CELL_CM * px_per_cm + (CELL_CM * px_per_cm - side) // 2
        marker = cv2.aruco.generateImageMarker(_codes(), cell, side)
        paper[top : top + side, left : left + side] = marker
    paper.setflags(write=False)
    return paper


@cache
def _codes() -> cv2.aruco.Dictionary:
    return cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)


@cache
def _detector() -> cv2.aruco.ArucoDetector:
    settings = cv2.aruco.DetectorParameters()
    settings.minMarkerPerimeterRate = 0.005  # a gauge is small in a picture
    settings.adaptiveThreshWinSizeMax = 43
    settings.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    return cv2.aruco.ArucoDetector(_codes(), settings)


def _unknown(reason: str, cells: int = 0, outline: Outline | None = None) -> Reading:
    return Reading(None, None, None, 0.0, cells, outline, reason)


def _searched(pixels: Pixels, outline: Outline | None) -> tuple[Pixels, Floats]:
    """The part to search, grey, and where in the picture its upper left corner is, px."""
    x1, y1, x2, y2 = 0, 0, *pixels.shape[1::-1]
    if outline is not None:
        low, high = outline.min(0), outline.max(0)
        grown = _AROUND * float((high - low).max())
        x1, y1 = np.maximum(low - grown, 0).astype(int).tolist()
        x2, y2 = np.maximum(np.ceil(high + grown), 0).astype(int).tolist()
    part = pixels[y1:y2, x1:x2]
    grey = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY) if part.size else part[..., 0]
    return np.asarray(grey, np.uint8), np.array([x1, y1], np.float64)


def _markers(grey: Pixels) -> dict[int, Floats]:
    """Cell → corners (4, 2) px of its marker: a look at all, then a closer one where they are."""
    found = _seen(grey, 1.0)
    if len(found) < 2 and grey.size <= _LARGE_PX:
        found |= _seen(grey, 2.0)
    if not found:
        return found
    corners = np.concatenate(list(found.values()))
    side = float(np.median([np.linalg.norm(quad[0] - quad[3]) for quad in found.values()]))
    reach = side / _MARKER_CM * np.array([HEIGHT_CM / 2, HEIGHT_CM])
    x1, y1 = np.maximum(corners.min(0) - reach, 0).astype(int)
    x2, y2 = np.ceil(corners.max(0) + reach).astype(int)
    scale = float(np.clip(_CLOSE_PX_PER_CM * _MARKER_CM / side, 1.0, _MAX_SCALE))
    closer = _seen(np.ascontiguousarray(grey[y1:y2, x1:x2]), scale)
    return found | {cell: quad + [x1, y1] for cell, quad in closer.items()}


def _seen(grey: Pixels, scale: float) -> dict[int, Floats]:
    size = round(grey.shape[1] * scale), round(grey.shape[0] * scale)
    large = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    quads, codes, _ = _detector().detectMarkers(large)
    return {
        code: (quad.reshape(4, 2).astype(np.float64) + 0.5) / scale - 0.5
        for quad, code in zip(quads, [] if codes is None else codes.ravel().tolist(), strict=True)
        if code < CELLS
    }


def _pose(found: dict[int, Floats]) -> tuple[Floats | None, list[int]]:
    """From cm on the gauge (to the right of its middle, up) to px, and the cells that agree."""
    half, gap = _MARKER_CM / 2, (CELL_CM - _MARKER_CM) / 2
    flat = np.array(
        [
            (x, y)
            for cell in found
            for low, high in [(cell * CELL_CM + gap, (cell + 1) * CELL_CM - gap)]
            for x, y in ((-half, high), (half, high), (half, low), (-half, low))
        ]
    )
    seen = np.concatenate(list(found.values()))
    side = float(np.median([np.linalg.norm(quad[0] - quad[3]) for quad in found.values()]))
    to_px, fits = cv2.findHomography(flat, seen, cv2.RANSAC, max(1.5, 0.12 * side))
    if to_px is None:
        return None, []
    agree = fits.reshape(-1, 4).all(1)
    cells = [cell for cell, fit in zip(found, agree, strict=True) if fit]
    return (to_px, cells) if len(cells) > 1 else (None, [])


def _through(to_px: Floats, points: Floats) -> Floats:
    """Points (N, 2) of the gauge in cm → px."""
    return np.asarray(cv2.perspectiveTransform(points[None], to_px)[0], np.float64)


def _scale(to_px: Floats, cells: list[int]) -> float:
    """Px a cm, along the gauge where its cells were found."""
    low, high = min(cells) * CELL_CM, (max(cells) + 1) * CELL_CM
    foot, top = _through(to_px, np.array([[0.0, low], [0.0, high]]))
    return float(np.linalg.norm(top - foot)) / (high - low)


def _printed(px_per_cm: float) -> NDArray[np.float32]:
    """The pattern float32 (648, 60), as unsharp as it is in the picture."""
    size = WIDTH_CM * _PX_PER_CM, HEIGHT_CM * _PX_PER_CM
    small = cv2.resize(sheet(2 * _PX_PER_CM), size, interpolation=cv2.INTER_AREA)
    sigma = max(0.3, _BLUR_PX * _PX_PER_CM / px_per_cm)
    return np.asarray(cv2.GaussianBlur(small.astype(np.float32), (0, 0), sigma), np.float32)


_TO_CM = np.array(
    [
        [1 / _PX_PER_CM, 0, 0.5 / _PX_PER_CM - WIDTH_CM / 2],
        [0, -1 / _PX_PER_CM, HEIGHT_CM - 0.5 / _PX_PER_CM],
        [0, 0, 1],
    ]
)


def _squarely(grey: Pixels, to_px: Floats, px_per_cm: float) -> NDArray[np.float32]:
    """The gauge float32 (648, 60) as seen squarely; −1 where it is outside the picture."""
    if px_per_cm > _PX_PER_CM:  # warping alone would give aliases
        grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), 0.4 * px_per_cm / _PX_PER_CM), np.uint8)
    strip = cv2.warpPerspective(
        grey.astype(np.float32),
        to_px @ _TO_CM,
        (WIDTH_CM * _PX_PER_CM, HEIGHT_CM * _PX_PER_CM),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderValue=-1,
    )
    return np.asarray(strip, np.float32)


def _cells_alike(strip: NDArray[np.float32], printed: NDArray[np.float32]) -> Floats:
    """Correlation (12,) of each cell with what was printed; −1 where it is not wholly in view."""
    pairs = zip(*(np.split(one[::-1], CELLS) for one in (strip, printed)), strict=True)
    return np.array(
        [
            np.corrcoef(one.ravel(), other.ravel())[0, 1] if one.min() >= 0 and one.std() else -1.0
            for one, other in pairs
        ]
    )


def _aligned(
    grey: Pixels,
    to_px: Floats,
    cells: list[int],
    printed: NDArray[np.float32],
    px_per_cm: float,
) -> Floats:
    """Lay all that is alike onto the pattern, from cell to cell (ECC; Evangelidis, PAMI 2008)."""
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-5)
    used = set(range(min(cells), max(cells) + 1))
    for _ in range(CELLS):
        strip = _squarely(grey, to_px, px_per_cm)
        mask = strip >= 0
        tall = CELL_CM * _PX_PER_CM
        for cell in set(range(CELLS)) - used:
            mask[len(mask) - (cell + 1) * tall : len(mask) - cell * tall] = False
        warp = np.eye(3, dtype=np.float32)
        try:
            _, warp = cv2.findTransformECC(
                printed, strip, warp, cv2.MOTION_HOMOGRAPHY, stop, mask.astype(np.uint8), 3
            )
        except cv2.error:  # nothing to hold on to: the markers' corners stand
            return to_px
        to_px = to_px @ _TO_CM @ warp.astype(np.float64) @ np.linalg.inv(_TO_CM)
        alike = _cells_alike(_squarely(grey, to_px, px_per_cm), printed)
        near = set(range(min(used) - 1, max(used) + 2)) & set(range(CELLS))
        grown = {cell for cell in near if alike[cell] >= _ALIKE} | set(cells)
        if grown == used:
            break
        used = grown
    return to_px


def _downward(to_px: Floats, size_wh: tuple[int, int], height_cm: float) -> float:
    """Tangent of the angle at which the camera looks down at the gauge; the gauge is upright.

    The focal length is the one by which the gauge becomes square, about that of a usual lens.
    """
    width, height = size_wh
    best = (math.inf, 0.0)
    for share in np.geomspace(0.6, 1.5, 40) * 1.0:
        focal = share * width
        inverse = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, focal]]) / focal
        right, up, foot = (inverse @ to_px).T
        lengths = np.linalg.norm(right), np.linalg.norm(up)
        askew = right @ up / (lengths[0] * lengths[1])
        uneven = math.log(lengths[0] / lengths[1])
        cost = (askew**2 + uneven**2) / _SQUARE**2 + (math.log(share / _FOCAL) / _FOCAL_SPREAD) ** 2
        ray = foot + height_cm * up
        sine = -float(np.sign(ray[2]) * ray @ up / (np.linalg.norm(ray) * lengths[1]))
        best = min(best, (float(cost), sine))
    return math.tan(math.asin(best[1]))


def _free(strip: NDArray[np.float32], printed: NDArray[np.float32], readable: NDArray[np.intp]) -> Floats:
    """Share (108,) of each centimetre from the ground up that nothing hides; NaN out of view."""
    inside = strip >= 0
    window = np.ones(2 * round(_WINDOW_CM * _PX_PER_CM) + 1)
    one, other = np.where(inside, strip, 0).astype(np.float64), printed * inside
    count, i, t, ii, tt, it = (
        np.convolve(part.sum(1), window, "same")
        for part in (inside, one, other, one**2, other**2, one * other)
    )
    count = np.maximum(count, 1)
    spread = (ii - i**2 / count) * (tt - t**2 / count)
    alike = (it - i * t / count) / np.sqrt(np.maximum(spread, 4 * count**2))
    alike[~inside.all(1)] = np.nan
    alike = alike[::-1].reshape(HEIGHT_CM, _PX_PER_CM).mean(1)
    best = alike.reshape(CELLS, CELL_CM)[readable]
    alike = alike / np.quantile(best, 0.75)
    return alike
