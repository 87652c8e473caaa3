"""The printed gauge of grass: how it looks, and finding it in a picture.

It is a column of square markers (ArUco; Garrido-Jurado et al., Pattern Recognition 2014).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

CELLS, CELL_CM, WIDTH_CM = 12, 9, 10
"""Cells of the gauge, from the ground up, their height, and the width of the gauge."""
HEIGHT_CM = CELLS * CELL_CM
PX_PER_CM = 6
"""Of a gauge seen squarely."""
READABLE = 0.6
"""Correlation with what was printed from which a cell is readable."""

_MARKER_CM = 8.1
_LARGE_PX, _CLOSE_PX_PER_CM, _MAX_SCALE = 4.2e6, 8.0, 4.0  # of the search
_LENS_PX = 0.7  # blur of a camera
# The focal length of a usual lens (55°) in widths of the picture, how far from it others are, and
# how far from square a gauge may come out.
_FOCAL, _FOCAL_SPREAD, _SQUARE = 0.95, 0.25, 0.015

Pixels = NDArray[np.uint8]
Strip = NDArray[np.float32]
Floats = NDArray[np.float64]
Marker = tuple[int, Floats]
"""The cell that it says it is, and its corners (4, 2) px, clockwise from its upper left one."""

_TO_CM = np.array(
    [
        [1 / PX_PER_CM, 0, 0.5 / PX_PER_CM - WIDTH_CM / 2],
        [0, -1 / PX_PER_CM, HEIGHT_CM - 0.5 / PX_PER_CM],
        [0, 0, 1],
    ]
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


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A gauge in a picture.

    Attributes:
        to_px: float64 (3, 3), from cm on the gauge (to the right of its middle, up from the
            ground) to px.
        strip: float32 (648, 60), the gauge as seen squarely, 6 px a cm, the ground at its end;
            −1 where it is outside the picture or covered.
        printed: float32 (648, 60) in [0, 1], what the strip would be if nothing hid it.
        alike: float64 (12,) correlation of each cell with what was printed; −1 for cells that are
            not wholly in view.
    """

    to_px: Floats
    strip: Strip
    printed: Strip
    alike: Floats

    def outline(self) -> Floats:
        """Corners (4, 2) px of the whole gauge, clockwise from its upper left one."""
        half = WIDTH_CM / 2
        corners = np.array([[-half, HEIGHT_CM], [half, HEIGHT_CM], [half, 0.0], [-half, 0.0]])
        return _through(self.to_px, corners)

    def px_cm(self, height_cm: float) -> float:
        """Centimetres of the gauge, upwards, that a px shows at a height."""
        ends = _through(self.to_px, np.array([[0.0, height_cm - 0.5], [0.0, height_cm + 0.5]]))
        return 1 / float(np.linalg.norm(ends[1] - ends[0]))


class Missing(NamedTuple):
    """No gauge: why, `no_gauge`, `two_gauges` or `too_few_cells`, and how many cells were read."""

    reason: str
    cells: int


def find_gauge(grey: Pixels, covers: Sequence[Floats] = ()) -> Found | Missing:
    """Look for the gauge in uint8 (H, W); two of its markers must agree on where it is.

    What lies in `covers`, boxes xyxy px, is taken for outside the picture.
    """
    seen = _markers(grey)
    markers = dict(seen)  # of one that was seen twice, the closer look
    if _in_two_places(seen):
        return Missing("two_gauges", len(markers))
    to_px, cells = _pose(markers) if len(markers) > 1 else (None, [])
    if to_px is None:
        return Missing("too_few_cells" if markers else "no_gauge", len(markers))
    low, high = min(cells) * CELL_CM, (max(cells) + 1) * CELL_CM
    ends = _through(to_px, np.array([[0.0, low], [0.0, high]]))
    px_per_cm = float(np.linalg.norm(ends[1] - ends[0])) / (high - low)
    printed = _printed(px_per_cm)
    if px_per_cm > PX_PER_CM:  # taking fewer px alone would give aliases
        grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), 0.4 * px_per_cm / PX_PER_CM), np.uint8)
    to_px = _aligned(grey, to_px, cells, printed)
    strip = _squarely(grey, to_px)
    covered = np.zeros_like(grey)
    for box in covers:
        x1, y1, x2, y2 = np.maximum(box, 0).astype(int)
        covered[y1:y2, x1:x2] = 1
    strip[_squarely(covered, to_px) > 0] = -1
    return Found(to_px, strip, printed, _cells_alike(strip, printed))


def looking_down(to_px: Floats, size_wh: tuple[int, int], height_cm: float) -> float:
    """Tangent of the angle at which the camera looks down at a gauge that stands upright.

    The focal length is the one by which the gauge comes out square, near that of a usual lens.

    Args:
        to_px: of `Found`, to px of the camera's whole picture.
        size_wh: px of that.
        height_cm: where on the gauge it looks.
    """
    width, height = size_wh
    best = (math.inf, 0.0)
    for share in np.geomspace(0.6, 1.6, 40):
        back = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, share * width]])
        right, up, foot = (back @ to_px).T
        lengths = float(np.linalg.norm(right)), float(np.linalg.norm(up))
        askew = float(right @ up) / (lengths[0] * lengths[1])
        uneven = math.log(lengths[0] / lengths[1])
        unusual = math.log(share / _FOCAL) / _FOCAL_SPREAD
        cost = (askew**2 + uneven**2) / _SQUARE**2 + unusual**2
        ray = foot + height_cm * up
        sine = -math.copysign(1, ray[2]) * float(ray @ up) / float(np.linalg.norm(ray) * lengths[1])
        best = min(best, (cost, sine))
    return math.tan(math.asin(best[1]))


def _markers(grey: Pixels) -> list[Marker]:
    """All that look like markers: a look at all, then a closer one where they are."""
    found = _seen(grey, 1.0)
    if len(dict(found)) < 2 and grey.size <= _LARGE_PX:
        found += _seen(grey, 2.0)
    if not found:
        return found
    quads = [quad for _, quad in found]
    corners, side = np.concatenate(quads), _side_px(quads)
    reach = side / _MARKER_CM * np.array([HEIGHT_CM / 2, HEIGHT_CM])
    x1, y1 = np.maximum(corners.min(0) - reach, 0).astype(int)
    x2, y2 = np.ceil(corners.max(0) + reach).astype(int)
    scale = float(np.clip(_CLOSE_PX_PER_CM * _MARKER_CM / side, 1.0, _MAX_SCALE))
    closer = _seen(np.ascontiguousarray(grey[y1:y2, x1:x2]), scale)
    return found + [(cell, quad + np.array([x1, y1])) for cell, quad in closer]


def _in_two_places(markers: Sequence[Marker]) -> bool:
    """Whether a cell was seen in two places, further apart than a marker is long."""
    return any(
        cell == other and np.linalg.norm((here - there).mean(0)) > _side_px([here, there])
        for (cell, here), (other, there) in combinations(markers, 2)
    )


def _side_px(quads: Iterable[Floats]) -> float:
    return float(np.median([np.linalg.norm(quad[0] - quad[3]) for quad in quads]))


def _seen(grey: Pixels, scale: float) -> list[Marker]:
    size = round(grey.shape[1] * scale), round(grey.shape[0] * scale)
    large = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    quads, codes, _ = _detector().detectMarkers(large)
    return [
        (code, (quad.reshape(4, 2).astype(np.float64) + 0.5) / scale - 0.5)
        for quad, code in zip(quads, [] if codes is None else codes.ravel().tolist(), strict=True)
        if code < CELLS
    ]


def _pose(markers: dict[int, Floats]) -> tuple[Floats | None, list[int]]:
    """From cm on the gauge to px, and the cells that agree on it."""
    half, gap = _MARKER_CM / 2, (CELL_CM - _MARKER_CM) / 2
    flat = [
        (x, y)
        for cell in markers
        for low, high in [(cell * CELL_CM + gap, (cell + 1) * CELL_CM - gap)]
        for x, y in ((-half, high), (half, high), (half, low), (-half, low))
    ]
    seen = np.concatenate(list(markers.values()))
    apart_px = max(1.5, 0.12 * _side_px(markers.values()))
    to_px, fits = cv2.findHomography(np.array(flat), seen, cv2.RANSAC, apart_px)
    if to_px is None:
        return None, []
    agree = fits.reshape(-1, 4).all(1)
    cells = [cell for cell, fit in zip(markers, agree, strict=True) if fit]
    return (to_px, cells) if len(cells) > 1 else (None, [])


def _through(to_px: Floats, points: Floats) -> Floats:
    """Points (N, 2) of the gauge in cm → px."""
    return np.asarray(cv2.perspectiveTransform(points[None], to_px)[0], np.float64)


def _printed(px_per_cm: float) -> Strip:
    """The pattern as unsharp as it is in a picture."""
    size = WIDTH_CM * PX_PER_CM, HEIGHT_CM * PX_PER_CM
    small = cv2.resize(sheet(2 * PX_PER_CM), size, interpolation=cv2.INTER_AREA)
    sigma = max(0.3, _LENS_PX * PX_PER_CM / px_per_cm)
    return np.asarray(cv2.GaussianBlur(small.astype(np.float32) / 255, (0, 0), sigma), np.float32)


def _squarely(grey: Pixels, to_px: Floats) -> Strip:
    size = WIDTH_CM * PX_PER_CM, HEIGHT_CM * PX_PER_CM
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    strip = cv2.warpPerspective(
        grey.astype(np.float32), to_px @ _TO_CM, size, flags=how, borderValue=-1
    )
    return np.asarray(strip, np.float32)


def _cells_alike(strip: Strip, printed: Strip) -> Floats:
    pairs = zip(*(np.split(one[::-1], CELLS) for one in (strip, printed)), strict=True)
    return np.array(
        [
            np.corrcoef(one.ravel(), other.ravel())[0, 1] if one.min() >= 0 < one.std() else -1.0
            for one, other in pairs
        ]
    )


def _aligned(grey: Pixels, to_px: Floats, cells: list[int], printed: Strip) -> Floats:
    """Lay all that is alike onto the pattern, from cell to cell (ECC; Evangelidis, PAMI 2008)."""
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-5)
    used = set(range(min(cells), max(cells) + 1))
    for _ in range(CELLS):
        strip = _squarely(grey, to_px)
        counts = np.repeat(np.arange(CELLS)[::-1], CELL_CM * PX_PER_CM)
        mask = (strip >= 0) & np.isin(counts, list(used))[:, None]
        warp = np.eye(3, dtype=np.float32)
        try:
            _, warp = cv2.findTransformECC(
                printed, strip, warp, cv2.MOTION_HOMOGRAPHY, stop, mask.astype(np.uint8), 3
            )
        except cv2.error:  # nothing to hold on to: the markers' corners stand
            return to_px
        to_px = to_px @ _TO_CM @ warp.astype(np.float64) @ np.linalg.inv(_TO_CM)
        alike = _cells_alike(_squarely(grey, to_px), printed)
        near = set(range(min(used) - 1, max(used) + 2)) & set(range(CELLS))
        grown = {cell for cell in near if alike[cell] >= READABLE} | set(cells)
        if grown == used:
            break
        used = grown
    return to_px
