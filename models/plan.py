"""What gets covered in a picture: regions, their margins, and the grid that covers end on.

The grid has blocks of 16 px. A JPEG codes 16×16 px together when it halves its colours: a block
that straddled the edge of a cover would still hold, around it, frequencies of what is under it.
The last row and column of blocks may be smaller.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import RedactionFailed

Style = Literal["mosaic", "solid", "blur"]
Box = tuple[int, int, int, int]
Polygon = Sequence[tuple[float, float]]
Blocks = NDArray[np.bool_]  # (rows, columns) of the grid

GRID_PX = 16
PRIVATE_ZONE = "private_zone"
_MARGIN = 0.3  # of the box's sides, on each side: detectors cut chins, ears and hair
_MIN_MARGIN_PX = 4
_ZONE_MARGIN_PX = 8  # cameras sway
_CELLS = 4  # mosaic cells across the short side of what was found
_FAR_PX = 1e6  # beyond it OpenCV's fixed-point coordinates overflow
GEOMETRY = (GRID_PX, _MARGIN, _MIN_MARGIN_PX, _ZONE_MARGIN_PX, _CELLS)
"""Whatever decides which pixels are covered: part of a redactor's digest."""


@dataclass(frozen=True, slots=True)
class Region:
    """Part of a picture that holds, or held, personal data.

    `box` is x1, y1, x2, y2 in px of the oriented picture, half-open; `label` one of `LABELS` or
    private_zone; `score` the confidence in [0, 1]. `found_px` is the height of what was found,
    where the box of what covers it is larger; None where the box itself was found.
    """

    box: Box
    label: str
    score: float
    found_px: int | None = field(default=None, compare=False)

    @property
    def height_px(self) -> int:
        """Height of what was found."""
        return self.box[3] - self.box[1] if self.found_px is None else self.found_px


@dataclass(frozen=True, slots=True)
class Patch:
    """One covered box, with its margin, on the grid, within the picture.

    Attributes:
        box: x1, y1, x2, y2 in px, half-open.
        cell_blocks: side of its mosaic cells, in blocks of the grid.
    """

    box: Box
    cell_blocks: int


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What gets covered in one picture, and how. Made by `plan_of`.

    Attributes:
        size_hw: height and width of the picture, px.
        style: of the patches.
        regions: all that is covered, margins included, within the picture.
        patches: what is covered in the style.
        solid: bool (rows, columns), the blocks that become grey whatever the style.
    """

    size_hw: tuple[int, int]
    style: Style
    regions: tuple[Region, ...]
    patches: tuple[Patch, ...]
    solid: Blocks

    @property
    def covered(self) -> Blocks:
        """All blocks that are covered."""
        return self.solid | _box_blocks([one.box for one in self.patches], self.size_hw)

    @property
    def opaque(self) -> Blocks:
        """The blocks that are covered with what does not depend on their original."""
        return self.solid if self.style == "blur" else self.covered

    def share(self, region: Region, blocks: Blocks) -> float:
        """The part, in [0, 1], of a region's area within the picture that lies in these blocks.

        Raises:
            RedactionFailed: bad_region.
        """
        _patch(region, self.size_hw)
        x1, y1, x2, y2 = region.box
        rows = _overlaps_px(y1, y2, self.size_hw[0])
        columns = _overlaps_px(x1, x2, self.size_hw[1])
        area = float(rows.sum() * columns.sum())
        return float(rows @ blocks @ columns) / area if area else 1.0

    def widened(self, found: Sequence[Region]) -> "Plan":
        """With each find, its margin, and the boxes of the regions it touches, in solid grey.

        Raises:
            RedactionFailed: bad_region.
        """
        wider = []
        for region in found:
            boxes = [_patch(region, self.size_hw).box]
            boxes += [
                other.box
                for other in self.regions
                if other.label != PRIVATE_ZONE and _touch(other.box, region.box)
            ]
            x1, y1, x2, y2 = zip(*boxes, strict=True)
            union = min(x1), min(y1), max(x2), max(y2)
            wider.append(Region(union, region.label, region.score, region.height_px))
        solid = self.solid | _box_blocks([region.box for region in wider], self.size_hw)
        return replace(self, regions=(*self.regions, *wider), solid=solid)


def plan_of(
    size_hw: tuple[int, int], found: Sequence[Region], zones: Sequence[Polygon], style: Style
) -> Plan:
    """Cover every region in this style and every zone in grey.

    Regions grow by 0.3 of their sides (4 px at least), zones by 8 px, then all to the grid.

    Args:
        size_hw: height and width of the picture, px, at least 1.
        found: boxes may reach beyond the picture.
        zones: polygons, points x, y in px.
        style: of the regions.

    Raises:
        RedactionFailed: unknown_style; bad_region, where a box is empty, not finite or outside the
            picture, or a score is outside [0, 1]; bad_zone, where a polygon has under three
            points, is not finite, or lies outside the picture.
    """
    if style not in get_args(Style):
        raise RedactionFailed("unknown_style", style)
    patches = tuple(_patch(region, size_hw) for region in found)
    grey = [_zone_blocks(zone, size_hw) for zone in zones]
    regions = (
        *(
            Region(p.box, r.label, r.score, r.height_px)
            for p, r in zip(patches, found, strict=True)
        ),
        *(Region(_bounds(blocks, size_hw), PRIVATE_ZONE, 1.0) for blocks in grey),
    )
    solid = _box_blocks([one.box for one in patches] if style == "solid" else [], size_hw)
    for blocks in grey:
        solid |= blocks
    return Plan(size_hw, style, regions, patches, solid)


def block_span(box: Box) -> tuple[slice, slice]:
    """Rows and columns of the blocks that a box (px, within the picture) touches."""
    x1, y1, x2, y2 = box
    return (
        slice(y1 // GRID_PX, -(-y2 // GRID_PX)),
        slice(x1 // GRID_PX, -(-x2 // GRID_PX)),
    )


def _patch(region: Region, size_hw: tuple[int, int]) -> Patch:
    x1, y1, x2, y2 = region.box
    # Comparisons with NaN are false, so it fails here too.
    sound = -math.inf < x1 < x2 < math.inf and -math.inf < y1 < y2 < math.inf
    if not (sound and 0 <= region.score <= 1):
        raise RedactionFailed("bad_region", f"{region.label} {region.box} {region.score}")
    top, bottom = _grown(y1, y2, size_hw[0])
    left, right = _grown(x1, x2, size_hw[1])
    if left >= right or top >= bottom:
        raise RedactionFailed("bad_region", f"{region.label} {region.box} outside the picture")
    cell_px = min(x2 - x1, y2 - y1) / _CELLS
    return Patch((left, top, right, bottom), math.ceil(cell_px / GRID_PX))


def _zone_blocks(zone: Polygon, size_hw: tuple[int, int]) -> Blocks:
    """The blocks that a polygon, its margin included, touches."""
    points = np.asarray(zone, np.float64)
    if points.ndim != 2 or points.shape[0] < 3 or points.shape[1] != 2:
        raise RedactionFailed("bad_zone", "a polygon needs three points x, y")
    if not (np.abs(points) < _FAR_PX).all():
        raise RedactionFailed("bad_zone", "not finite, or far outside the picture")
    rows, columns = _grid_shape(size_hw)
    mask = np.zeros((rows * GRID_PX, columns * GRID_PX), np.uint8)
    outline = points.round().astype(np.int32)
    cv2.fillPoly(mask, [outline], 1)
    cv2.polylines(mask, [outline], True, 1, thickness=2 * _ZONE_MARGIN_PX + 1)
    blocks: Blocks = mask.reshape(rows, GRID_PX, columns, GRID_PX).max(axis=(1, 3)) > 0
    if not blocks.any():
        raise RedactionFailed("bad_zone", "outside the picture")
    return blocks


def _box_blocks(boxes: Sequence[Box], size_hw: tuple[int, int]) -> Blocks:
    blocks = np.zeros(_grid_shape(size_hw), np.bool_)
    for box in boxes:
        blocks[block_span(box)] = True
    return blocks


def _bounds(blocks: Blocks, size_hw: tuple[int, int]) -> Box:
    xs, ys = np.flatnonzero(blocks.any(axis=0)), np.flatnonzero(blocks.any(axis=1))
    right, bottom = (int(xs[-1]) + 1) * GRID_PX, (int(ys[-1]) + 1) * GRID_PX
    left, top = int(xs[0]) * GRID_PX, int(ys[0]) * GRID_PX
    return left, top, min(right, size_hw[1]), min(bottom, size_hw[0])


def _overlaps_px(start: float, stop: float, side_px: int) -> NDArray[np.float64]:
    """How many px from start to stop lie in each row (or column) of blocks."""
    edges = np.append(np.arange(0, side_px, GRID_PX), side_px).astype(np.float64)
    return (np.minimum(stop, edges[1:]) - np.maximum(start, edges[:-1])).clip(0)


def _touch(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _grown(start: float, stop: float, side_px: int) -> tuple[int, int]:
    margin = max(_MARGIN * (stop - start), _MIN_MARGIN_PX)
    first = math.floor((start - margin) / GRID_PX) * GRID_PX
    last = math.ceil((stop + margin) / GRID_PX) * GRID_PX
    return max(first, 0), min(last, side_px)


def _grid_shape(size_hw: tuple[int, int]) -> tuple[int, int]:
    return -(-size_hw[0] // GRID_PX), -(-size_hw[1] // GRID_PX)
