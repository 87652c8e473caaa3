"""Cover personal data for good. Privacy is a type: only `redact` makes a `RedactedFrame`."""

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import InitVar, dataclass
from datetime import datetime
from typing import Literal, Protocol, get_args

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from models.errors import BadConfiguration, BadImage, RedactionFailed
from models.frame import EOI, SOS, Frame, Ground, TimeSource, jpeg_segments

Style = Literal["mosaic", "solid", "blur"]
Box = tuple[int, int, int, int]
Polygon = Sequence[tuple[float, float]]

_MARGIN = 0.3  # of the box's sides, on each side: detectors cut chins, ears and hair
_MIN_MARGIN_PX = 4
_ZONE_MARGIN_PX = 8  # cameras sway
# A JPEG codes 16×16 px together when it halves its colours. Covers end on that grid: a block that
# straddled the edge would still hold, around the cover, frequencies of what is under it.
_GRID_PX = 16
_CELLS = 4  # mosaic cells across the short side of what was found: a face keeps 4 or 5
_NOISE = 32  # grey levels: hides which of many known faces would give the same means
_FILL = 127
_FAR_PX = 1e6  # beyond it OpenCV's fixed-point coordinates overflow
_JFIF, _SOF0, _DHT, _DQT = 0xE0, 0xC0, 0xC4, 0xDB
_SEAL = object()


@dataclass(frozen=True, slots=True)
class Region:
    """Part of a picture that holds, or held, personal data.

    `box` is x1, y1, x2, y2 in px of the oriented picture, half-open; `label` face, plate or
    private_zone; `score` the confidence in [0, 1].
    """

    box: Box
    label: str
    score: float


class Locator(Protocol):
    """Finds one kind of personal data."""

    @property
    def model(self) -> str:
        """name@digest of everything that decides what is found."""

    def __call__(self, pixels: NDArray[np.uint8]) -> list[Region]:
        """The regions to cover in uint8 (H, W, 3) RGB pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class RedactedFrame:
    """A still picture without personal data. Made by `redact` alone.

    Attributes:
        key, source, captured_at, time_source, ground: as in the original `Frame`.
        pixels: uint8 (H, W, 3) RGB, read-only.
        regions: the areas covered, margin included, within the picture.
        redactor: name@digest of what located and covered them.
        encoded: JPEG of `pixels`, without any metadata.
        digest: sha256 of `encoded`, hexadecimal.

    Raises:
        TypeError: when constructed, or changed by `dataclasses.replace`, anywhere else.
    """

    key: str
    pixels: NDArray[np.uint8]
    source: str
    captured_at: datetime
    time_source: TimeSource
    ground: Ground | None
    regions: tuple[Region, ...]
    redactor: str
    encoded: bytes
    digest: str
    seal: InitVar[object] = None

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("only redact() makes a RedactedFrame")


def redact(
    frame: Frame,
    found: Sequence[Region],
    *,
    redactor: str,
    style: Style = "mosaic",
    zones: Sequence[Polygon] = (),
    quality: int = 90,
) -> RedactedFrame:
    """Cover every region and every private zone, and encode what is left.

    Each box grows by 0.3 of its sides (4 px at least), then to the 16 px grid of the JPEG, and is
    clipped to the picture. `mosaic` puts means of coarse cells there, with fresh noise of ±32 grey
    levels on each mean; `solid` one grey. `blur` is weaker: blurred faces can be recognised again
    by machines (arXiv 2506.12344). Zones are always solid.

    Args:
        frame: the original.
        found: what to cover.
        redactor: name@digest of what found them.
        style: how regions are covered.
        zones: polygons in px of the oriented picture, grown by 8 px and to the 16 px grid.
        quality: of the JPEG, 1 to 100.

    Raises:
        RedactionFailed: bad_region, bad_zone, unknown_style, unclean_output.
    """
    if style not in _STYLES:
        raise RedactionFailed("unknown_style", style)
    height, width = frame.pixels.shape[:2]
    boxes = [_covered_box(region, height, width) for region in found]
    masks = [_zone_mask(zone, height, width) for zone in zones]

    pixels = frame.pixels.copy()
    # Zones come before the boxes, so that no mean holds a trace of them, and after them, so that
    # they stay solid. Boxes that overlap average what earlier ones left: no original pixel
    # contributes to two means, whose difference could be told apart.
    for mask in masks:
        pixels[mask] = _FILL
    for region, (x1, y1, x2, y2) in zip(found, boxes, strict=True):
        short = min(region.box[2] - region.box[0], region.box[3] - region.box[1])
        cell_px = max(_GRID_PX, math.ceil(short / _CELLS))
        pixels[y1:y2, x1:x2] = _STYLES[style](pixels[y1:y2, x1:x2], cell_px)
    for mask in masks:
        pixels[mask] = _FILL
    pixels.setflags(write=False)

    encoded: bytes = simplejpeg.encode_jpeg(pixels, quality, "RGB", "420")
    verify_bare(encoded)
    return RedactedFrame(
        key=frame.key,
        pixels=pixels,
        source=frame.source,
        captured_at=frame.captured_at,
        time_source=frame.time_source,
        ground=frame.ground,
        regions=(
            *(Region(b, r.label, r.score) for b, r in zip(boxes, found, strict=True)),
            *(Region(_bounds(mask), "private_zone", 1.0) for mask in masks),
        ),
        redactor=redactor,
        encoded=encoded,
        digest=hashlib.sha256(encoded).hexdigest(),
        seal=_SEAL,
    )


def verify_bare(encoded: bytes) -> None:
    """Make sure that a JPEG holds one baseline picture and nothing else.

    Raises:
        RedactionFailed: unclean_output, where it holds EXIF, XMP, a profile, a comment, a
            thumbnail, anything after its end, or cannot be parsed.
    """
    end = 0
    try:
        for marker, start, end in jpeg_segments(encoded):
            bare_jfif = marker == _JFIF and (
                end - start == 14
                and encoded.startswith(b"JFIF\0", start)
                and encoded[start + 12 : end] == b"\0\0"  # the size of its thumbnail
            )
            if not bare_jfif and marker not in (_SOF0, _DHT, _DQT, SOS, EOI):
                raise RedactionFailed("unclean_output", f"segment {marker:#x}")
    except BadImage as error:
        raise RedactionFailed("unclean_output", error.reason) from error
    if end != len(encoded):
        raise RedactionFailed("unclean_output", "bytes after the end")


class Redactor:
    """Locate and cover: from a `Frame` to a `RedactedFrame`, or an error; nothing in between."""

    def __init__(self, locators: Sequence[Locator], *, style: Style = "mosaic") -> None:
        """Combine locators (faces, plates) under one style.

        Raises:
            BadConfiguration: no locator, or an unknown style.
        """
        if not locators:
            raise BadConfiguration("a redactor without locators would publish faces")
        if style not in _STYLES:
            raise BadConfiguration(f"no style {style!r}; known: {', '.join(get_args(Style))}")
        self._locators = tuple(locators)
        self._style: Style = style

    @property
    def model(self) -> str:
        """name@digest: changes with weights, thresholds, style and the geometry of covers."""
        models = [locate.model for locate in self._locators]
        geometry = (_MARGIN, _MIN_MARGIN_PX, _ZONE_MARGIN_PX, _GRID_PX, _CELLS, _NOISE, _FILL)
        digest = hashlib.sha256(repr((models, self._style, geometry)).encode()).hexdigest()
        names = "+".join(model.split("@")[0] for model in models)
        return f"{names}+{self._style}@{digest[:16]}"

    def __call__(self, frame: Frame, zones: Sequence[Polygon] = ()) -> RedactedFrame:
        """Cover what the locators find, and the private zones of the view (polygons in px).

        Raises:
            RedactionFailed: whatever went wrong. The frame must not be published.
        """
        try:
            found = [region for locate in self._locators for region in locate(frame.pixels)]
            return redact(frame, found, redactor=self.model, style=self._style, zones=zones)
        except RedactionFailed:
            raise
        except Exception as error:
            raise RedactionFailed("redactor_error", type(error).__name__) from error


def _covered_box(region: Region, height: int, width: int) -> Box:
    x1, y1, x2, y2 = region.box
    # Comparisons with NaN are false, so it fails here too.
    sound = -math.inf < x1 < x2 < math.inf and -math.inf < y1 < y2 < math.inf
    if not (sound and 0 <= region.score <= 1):
        raise RedactionFailed("bad_region", f"{region.label} {region.box} {region.score}")
    left, right = _grown(x1, x2, width)
    top, bottom = _grown(y1, y2, height)
    if left >= right or top >= bottom:
        raise RedactionFailed("bad_region", f"{region.label} {region.box} outside the picture")
    return left, top, right, bottom


def _grown(start: float, stop: float, size: int) -> tuple[int, int]:
    margin = max(_MARGIN * (stop - start), _MIN_MARGIN_PX)
    first = math.floor((start - margin) / _GRID_PX) * _GRID_PX
    last = math.ceil((stop + margin) / _GRID_PX) * _GRID_PX
    return max(first, 0), min(last, size)


def _zone_mask(zone: Polygon, height: int, width: int) -> NDArray[np.bool_]:
    """Bool (H, W): the polygon, its margin, and the rest of every grid block they touch."""
    points = np.asarray(zone, np.float64)
    if points.ndim != 2 or points.shape[0] < 3 or points.shape[1] != 2:
        raise RedactionFailed("bad_zone", "a polygon needs three points x, y")
    if not (np.abs(points) < _FAR_PX).all():
        raise RedactionFailed("bad_zone", "not finite, or far outside the picture")
    rows, columns = -(-height // _GRID_PX), -(-width // _GRID_PX)
    mask = np.zeros((rows * _GRID_PX, columns * _GRID_PX), np.uint8)
    outline = points.round().astype(np.int32)
    cv2.fillPoly(mask, [outline], 1)
    cv2.polylines(mask, [outline], True, 1, thickness=2 * _ZONE_MARGIN_PX + 1)
    blocks = mask.reshape(rows, _GRID_PX, columns, _GRID_PX).any(axis=(1, 3))
    if not blocks.any():
        raise RedactionFailed("bad_zone", "outside the picture")
    whole = blocks.repeat(_GRID_PX, axis=0).repeat(_GRID_PX, axis=1)
    return whole[:height, :width]


def _bounds(mask: NDArray[np.bool_]) -> Box:
    xs, ys = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1


def _mosaic(area: NDArray[np.uint8], cell_px: int) -> NDArray[np.uint8]:
    """Means of cells of at least `cell_px` a side (or the whole side), with noise.

    Noise per pixel would average out: each mean gets its own, from the operating system, so that
    it can be neither reproduced nor taken off.
    """
    rows, columns = (
        np.linspace(0, side, max(1, side // cell_px) + 1).astype(np.intp) for side in area.shape[:2]
    )
    sums = np.add.reduceat(area, rows[:-1], axis=0, dtype=np.int64)
    sums = np.add.reduceat(sums, columns[:-1], axis=1)  # (rows, columns, 3)
    heights, widths = np.diff(rows), np.diff(columns)
    means = sums // (heights[:, None, None] * widths[:, None])
    noise = np.frombuffer(os.urandom(means.size), np.uint8) % (2 * _NOISE) - np.int64(_NOISE)
    noisy = means + noise.reshape(means.shape)
    cells: NDArray[np.uint8] = noisy.clip(0, 255).astype(np.uint8)
    return cells.repeat(heights, axis=0).repeat(widths, axis=1)


def _solid(area: NDArray[np.uint8], _cell_px: int) -> NDArray[np.uint8]:
    return np.full_like(area, _FILL)


def _blur(area: NDArray[np.uint8], cell_px: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.GaussianBlur(area, (0, 0), cell_px), np.uint8)


_STYLES: dict[Style, Callable[[NDArray[np.uint8], int], NDArray[np.uint8]]] = {
    "mosaic": _mosaic,
    "solid": _solid,
    "blur": _blur,
}
