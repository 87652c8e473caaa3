"""The height of grass at a printed gauge: how much of a known pattern it hides.

Centimetre by centimetre the gauge is compared with what was printed (`models.markers`). What of its
contrast is left tells the share that nothing hides; a step through these shares is where the grass
ends. How far below the tips of the blades one sees past them depends on how uneven they are and how
steeply the camera looks down: both are measured, and a linear fit on drawn grass
(`benchmarks/drawn_gauge.py`) makes the height of them.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.light import DARK_LEVEL
from models.markers import (
    CELL_CM,
    CELLS,
    HEIGHT_CM,
    PX_PER_CM,
    READABLE,
    WIDTH_CM,
    Floats,
    Found,
    Missing,
    Pixels,
    find_gauge,
    looking_down,
)
from models.redaction import Region

_MIN_CELLS = 3
_MOST_LEAN = math.tan(math.radians(30))  # to the side, as the picture shows it
_LEAST_DOWN = -0.1  # a camera looks down at the foot, unless the gauge has fallen on its back
_AROUND = 0.15  # of an outline's longer side, searched around it
_MORE_PX = 3  # rows above and below a centimetre that are compared with it
_SHADE = 0.3  # of the light: what is darker is not taken for shade
_PAPER = 0.75  # quantile of what is printed white: how bright the paper is between the blades
_NOISE = 0.25  # of shares, as the scale of a Laplace distribution of what does not fit a step
_DIRT = 0.5  # how much less hidden shares count that grass does not explain
_HEIGHTS_CM = np.arange(-8, HEIGHT_CM - 2, 0.5)
_SPREADS_CM = np.array([0.3, 0.6, 1, 1.5, 2, 3, 4, 5.5, 7.5, 10])
# Of 1, the step's height, its spread and the tangent of the angle (benchmarks/drawn_gauge.py).
_HEIGHT = (-0.011, 0.78, 1.245, 4.608)
# Half of the 90 % interval, of 1, the step's height, spread and misfit, the tangent, and cm a px.
_HALF = (0.0, 0.027, 0.244, 23.34, 2.103, 2.251)

Outline = NDArray[np.float32]

_SETTINGS = (
    (CELLS, CELL_CM, WIDTH_CM, PX_PER_CM, READABLE),
    (_MIN_CELLS, DARK_LEVEL, _AROUND, _MORE_PX, _SHADE, _PAPER, _NOISE, _DIRT),
    (_MOST_LEAN, _LEAST_DOWN),
    (_HEIGHT, _HALF),
)
MODEL = f"gauge@{hashlib.sha256(repr(_SETTINGS).encode()).hexdigest()[:16]}"
"""name@digest of all that decides what is read."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What a gauge says.

    Attributes:
        height_cm: of the grass, ≥ 0: half of the blades around the gauge are higher. None where
            it cannot be told.
        low_cm, high_cm: 90 % interval; None as above.
        confidence: 0 to 1, correlation of the readable cells with what was printed; 0 as above.
        cells: how many cells are readable, 0 to 12.
        outline: float32 (4, 2) px, the whole gauge in the picture, clockwise from its upper left
            corner; None where it is not found.
        reason: why there is no height: `dark`; `no_gauge`; `two_gauges`, a marker in two places;
            `upside_down`; `not_upright`, where it leans or has fallen over; `too_few_cells`, fewer
            than three; `obstructed`, where the print shows below what hides it, as it never does
            below grass; `out_of_view`, where the picture ends above the grass, or a cover lies
            where the grass ends. Else None.
    """

    height_cm: float | None
    low_cm: float | None
    high_cm: float | None
    confidence: float
    cells: int
    outline: Outline | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """Where on a gauge the grass ends, as the camera sees it.

    Attributes:
        height_cm: where half of the gauge is hidden.
        spread_cm: scale of the logistic function of height that the free share is.
        misfit: mean distance of the shares from it, 0 to 1; hidden ones above it count half.
        down: tangent of the angle at which the camera looks down.
        px_cm: how much of the gauge a px shows there, upwards, cm.
    """

    height_cm: float
    spread_cm: float
    misfit: float
    down: float
    px_cm: float

    def for_height(self) -> Floats:
        """What the height of grass is linear in, (4,)."""
        return np.array([1.0, self.height_cm, self.spread_cm, self.down])

    def for_half(self) -> Floats:
        """What half of the interval is linear in, (6,)."""
        steep = max(self.down, 0.0)
        return np.array([1.0, self.height_cm, self.spread_cm, self.misfit, steep, self.px_cm])


def read_gauge(
    pixels: Pixels, outline: Outline | None = None, covers: Sequence[Region] = ()
) -> Reading:
    """The height of the grass before a gauge that stands upright with its foot on the ground.

    Args:
        pixels: uint8 (H, W, 3) RGB, a camera's whole picture: its width tells the focal length.
        outline: (N, 2) px around where the gauge is; the whole picture is searched when None.
        covers: what redaction covered, which hides the gauge as grass would.
    """
    seen = look(pixels, outline, covers)
    if isinstance(seen, Reading):
        return seen
    return told(*seen)


def told(step: Step, found: Found, corner: Floats) -> Reading:
    """The height, of what `look` saw."""
    height = max(0.0, float(step.for_height() @ _HEIGHT))
    half = float(step.for_half() @ _HALF)
    readable = found.alike >= READABLE
    return Reading(
        height,
        max(0.0, height - half),
        height + half,
        float(found.alike[readable].mean()),
        int(readable.sum()),
        (found.outline() + corner).astype(np.float32),
        None,
    )


def look(
    pixels: Pixels, outline: Outline | None = None, covers: Sequence[Region] = ()
) -> tuple[Step, Found, Floats] | Reading:
    """As `read_gauge`: the step, the gauge, and px of the corner of what was searched for it."""
    grey, corner = _searched(pixels, outline)
    if not grey.size:
        return _unknown("out_of_view")
    if grey.mean() < DARK_LEVEL:
        return _unknown("dark")
    boxes = [np.asarray(region.box) - np.tile(corner, 2) for region in covers]
    found = find_gauge(grey, boxes)
    if isinstance(found, Missing):
        return _unknown(found.reason, found.cells)
    whole = (found.outline() + corner).astype(np.float32)
    readable = int((found.alike >= READABLE).sum())
    to_px = np.array([[1, 0, corner[0]], [0, 1, corner[1]], [0, 0, 1]]) @ found.to_px
    size_wh = pixels.shape[1], pixels.shape[0]
    if reason := _unreadable(found, looking_down(to_px, size_wh, 0.0)):
        return _unknown(reason, readable, whole)
    free = _free(found)
    height, spread, misfit = _step(free)
    if reason := _hidden(found, free, height, spread):
        return _unknown(reason, readable, whole)
    down = looking_down(to_px, size_wh, height)
    return Step(height, spread, misfit, down, found.px_cm(height)), found, corner


def _unknown(reason: str, cells: int = 0, outline: Outline | None = None) -> Reading:
    return Reading(None, None, None, 0.0, cells, outline, reason)


def _unreadable(found: Found, down_at_foot: float) -> str | None:
    outline = found.outline()
    right, down = outline[2:].mean(0) - outline[:2].mean(0)  # from its head to its foot
    if down < 0:
        return "upside_down"
    if abs(right) > _MOST_LEAN * down:
        return "not_upright"
    if (found.alike >= READABLE).sum() < _MIN_CELLS:
        return "too_few_cells"
    return "not_upright" if down_at_foot < _LEAST_DOWN else None


def _hidden(found: Found, free: Floats, height: float, spread: float) -> str | None:
    """Why a step tells nothing of grass."""
    low, high = max(0, int(height - spread)), max(1, math.ceil(height + spread))
    if (found.alike[: low // CELL_CM] >= READABLE).any():
        return "obstructed"
    return "out_of_view" if np.isnan(free[low:high]).any() else None


def _searched(pixels: Pixels, outline: Outline | None) -> tuple[Pixels, Floats]:
    """The part to search, grey, and where in the picture its upper left corner is, px."""
    x1, y1, x2, y2 = 0, 0, pixels.shape[1], pixels.shape[0]
    if outline is not None:
        low, high = outline.min(0), outline.max(0)
        grown = _AROUND * float((high - low).max())
        x1, y1 = np.maximum(low - grown, 0).astype(int).tolist()
        x2, y2 = np.maximum(np.ceil(high + grown), 0).astype(int).tolist()
    part = pixels[y1:y2, x1:x2]
    grey = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY) if part.size else part[..., 0]
    return np.asarray(grey, np.uint8), np.array([x1, y1], np.float64)


def _free(found: Found) -> Floats:
    """Share (108,) of each centimetre, from the ground up, that is free; NaN out of view.

    Grass of any colour leaves of the print's contrast the share that it does not hide, whether its
    blades are wider or narrower than a px. Shade takes contrast too, but dims the paper as well.
    """
    contrast, paper = np.full((2, HEIGHT_CM), np.nan)
    for cm in range(HEIGHT_CM):
        end = (HEIGHT_CM - cm) * PX_PER_CM
        rows = slice(max(0, end - PX_PER_CM - _MORE_PX), end + _MORE_PX)
        seen, printed = found.strip[rows].astype(np.float64), found.printed[rows]
        if seen.min() < 0:
            continue
        print_only = printed - printed.mean()
        contrast[cm] = (seen * print_only).sum() / np.square(print_only).sum()
        paper[cm] = np.quantile(seen[printed > 0.8 * printed.max()], _PAPER)
    readable = np.repeat(found.alike >= READABLE, CELL_CM)
    usual, lit = (np.nanquantile(one[readable], 0.6) for one in (contrast, paper))
    light = np.clip(paper / lit, _SHADE, 1.05)
    return np.asarray(np.clip(contrast / (usual * light), -0.2, 1.05), np.float64)


def _step(free: Floats) -> tuple[float, float, float]:
    """Height and spread in cm of the step that fits best, and how badly it fits.

    Dirt makes shares that fit no step: absolute distances do not give way to a few of them. It
    hides the print like grass, while nothing looks like the print where grass hides it.
    """
    known = ~np.isnan(free)
    middles = np.arange(HEIGHT_CM)[known] + 0.5
    above = middles - _HEIGHTS_CM[:, None, None]
    model = 0.5 * (1 + np.tanh(above / (2 * _SPREADS_CM[:, None])))  # (heights, spreads, cm)
    more = free[known] - model
    apart = np.where(more > 0, more, -_DIRT * more).sum(-1)
    weights = np.exp((apart.min() - apart) / _NOISE)
    weights /= weights.sum()
    height = float((weights * _HEIGHTS_CM[:, None]).sum())
    spread = float((weights * _SPREADS_CM).sum())
    return height, spread, float(apart.min()) / len(middles)
