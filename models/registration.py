"""A fixed camera's known view: found again or lost, how far it moved, and what changed where.

Reference pictures of the view, by day and by night, are compared by what stays when the light
changes: corners (ORB, Rublee et al., ICCV 2011) tell whether and how the view is there, histograms
of gradients (HOG, Dalal and Triggs, CVPR 2005) and colours beside each other what looks different.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from models.light import DARK_LEVEL, level
from models.redaction import Region

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

_LONG_PX = 960
_CORNERS = 1500
_RATIO = 0.8  # of the best to the second best match (Lowe, IJCV 2004, section 7.1)
_MISS = 0.004  # of the diagonal, that a matched corner may lie off
_MIN_MATCHES = 14  # that agree on one movement; chance gives up to eight
_MAX_SHIFT = 0.1  # of the diagonal, at any corner of the picture
_PATCH_PX, _CELL_PX, _TURNS = 96, 16, 9
_AROUND = 0.25  # of an outline's sides, looked at around it
_FAINT = 0.15  # of the mean contrast of a patch: weaker blocks hardly count
_NOISE = 10.0  # of 0 to 255, added to levels: in the dark colours are noise
_TINTED = 0.25  # of the logarithm of a colour channel over the mean of all: another colour
_SETTINGS = (
    (_LONG_PX, _CORNERS, _RATIO, _MISS, _MIN_MATCHES, _MAX_SHIFT, DARK_LEVEL),
    (_PATCH_PX, _CELL_PX, _TURNS, _AROUND, _FAINT, _NOISE, _TINTED),
)
MODEL = f"registration@{hashlib.sha256(repr(_SETTINGS).encode()).hexdigest()[:16]}"
"""name@digest of all that decides what is seen, but for the references."""


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What became of a known view in one picture.

    Attributes:
        state: seen; dark, where nothing can be said; lost, where the camera was moved or covered.
        affine: float64 (2, 3), from the references' px to the picture's, both in the camera's own
            size; None unless seen.
        matches: corners that agree with it.
    """

    state: Literal["seen", "dark", "lost"]
    affine: Floats | None
    matches: int


class Change(NamedTuple):
    """How much a place differs from the most similar reference: 0 the same, 1 nothing alike.

    Attributes:
        edges: of the place and what lies around it, as far as no covers hide it.
        colour: share of its upper half, and just above, in another colour than light explains: what
            lies on it, or an opened lid. None where covers hide most of that.
    """

    edges: float
    colour: float | None


class _Look(NamedTuple):
    """What a place looks like: in and around an outline, as a square of `_PATCH_PX`.

    Attributes:
        blocks: (N, 4 × _TURNS) histograms of gradients of blocks of 2×2 cells, row by row.
        weights: (N,) how much there is in each, 1 in the mean.
        tint: (_PATCH_PX, _PATCH_PX, 3) logarithms of the colours, each px with mean zero.
        free: bool (_PATCH_PX, _PATCH_PX), what no cover hides.
    """

    blocks: Floats
    weights: Floats
    tint: Floats
    free: NDArray[np.bool_]


class KnownView:
    """Reference pictures of one fixed camera."""

    def __init__(self, references: Sequence[Pixels], size_wh: tuple[int, int]) -> None:
        """Find the corners of the references.

        Args:
            references: uint8 (H, W, 3) RGB, redacted, of any size, one at least.
            size_wh: px, the camera's own size, in which outlines are drawn.
        """
        self._size_wh = size_wh
        self._references = [np.asarray(cv2.resize(r, size_wh), np.uint8) for r in references]
        self._corners = [_corners(r, ()) for r in self._references]
        self._expected: dict[bytes, list[_Look]] = {}

    @property
    def references(self) -> Sequence[Pixels]:
        """The references, uint8 (H, W, 3) RGB in the camera's own size."""
        return self._references

    def find(self, pixels: Pixels, covers: Sequence[Region] = ()) -> Sight:
        """Look for the view in uint8 (H, W, 3) RGB pixels; what is covered there does not count."""
        if level(pixels, _free(pixels, covers)) < DARK_LEVEL:
            return Sight("dark", None, 0)
        scale = self._size_wh[0] / pixels.shape[1], self._size_wh[1] / pixels.shape[0]
        boxes = [np.multiply(region.box, (*scale, *scale)) for region in covers]
        current = _corners(np.asarray(cv2.resize(pixels, self._size_wh), np.uint8), boxes)
        found = [_aligned(known, current, self._size_wh) for known in self._corners]
        affine, matches = max(found, key=lambda one: one[1])
        width, height = self._size_wh
        if affine is None or _farthest(affine, width, height) > _MAX_SHIFT * math.hypot(
            width, height
        ):
            return Sight("lost", None, matches)
        return Sight("seen", affine, matches)

    def change(
        self,
        pixels: Pixels,
        sight: Sight,
        outline: NDArray[np.float32],
        covers: Sequence[Region] = (),
    ) -> Change:
        """How much a place has changed.

        Args:
            pixels: uint8 (H, W, 3) RGB.
            sight: what `find` said of them; seen.
            outline: float32 (N, 2) px of the references, in the camera's own size.
            covers: of redaction in these pixels, whose colours are no change.
        """
        assert sight.affine is not None
        scale = pixels.shape[1] / self._size_wh[0], pixels.shape[0] / self._size_wh[1]
        here = np.diag(scale) @ sight.affine
        current = _described(pixels, outline, here, covers)
        place = outline.tobytes()
        if place not in self._expected:  # a camera's few assets, the same in every picture
            still = np.eye(2, 3)
            self._expected[place] = [_described(r, outline, still) for r in self._references]
        unlike = [_unlike(expected, current) for expected in self._expected[place]]
        edges, colours = zip(*unlike, strict=True)
        known = [colour for colour in colours if colour is not None]
        return Change(min(edges), min(known, default=None))


def _free(pixels: Pixels, covers: Sequence[Region]) -> NDArray[np.bool_]:
    """What (H, W) no cover hides, whose grey would be light by night."""
    free = np.ones(pixels.shape[:2], bool)
    for x1, y1, x2, y2 in (region.box for region in covers):
        free[max(y1, 0) : y2, max(x1, 0) : x2] = False
    return free


def _corners(pixels: Pixels, covers: Sequence[Floats]) -> tuple[NDArray[np.float32], Pixels]:
    """Corners (N, 2) px, and their descriptors (N, 32)."""
    height, width = pixels.shape[:2]
    scale = _LONG_PX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    grey = cv2.cvtColor(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    grey = cv2.createCLAHE(3.0, (8, 8)).apply(grey)
    free = np.full(grey.shape, 255, np.uint8)
    for x1, y1, x2, y2 in covers:
        free[int(y1 * scale) : math.ceil(y2 * scale), int(x1 * scale) : math.ceil(x2 * scale)] = 0
    orb = cv2.ORB_create(_CORNERS, fastThreshold=8)  # type: ignore[attr-defined]
    points, described = orb.detectAndCompute(grey, free)
    at = np.array([point.pt for point in points], np.float32).reshape(-1, 2) / np.float32(scale)
    return at, np.zeros((0, 32), np.uint8) if described is None else described


def _aligned(
    known: tuple[NDArray[np.float32], Pixels],
    current: tuple[NDArray[np.float32], Pixels],
    size_wh: tuple[int, int],
) -> tuple[Floats | None, int]:
    """The shift, turn and scale on which most corners agree, and how many do."""
    if len(known[1]) < 2 or len(current[1]) < 2:
        return None, 0
    pairs = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(known[1], current[1], k=2)
    good = [best for best, second in pairs if best.distance < _RATIO * second.distance]
    if len(good) < _MIN_MATCHES:
        return None, len(good)
    affine, agree = cv2.estimateAffinePartial2D(
        known[0][[m.queryIdx for m in good]],
        current[0][[m.trainIdx for m in good]],
        ransacReprojThreshold=_MISS * math.hypot(*size_wh),
    )
    matches = 0 if affine is None else int(agree.sum())
    return (affine if matches >= _MIN_MATCHES else None), matches


def _farthest(affine: Floats, width: int, height: int) -> float:
    """How far, in px, the corner of the picture that moves most moves."""
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
    moved = corners @ affine[:, :2].T + affine[:, 2]
    return float(np.hypot(*(moved - corners).T).max())


def _described(
    pixels: Pixels,
    outline: NDArray[np.float32],
    to_pixels: Floats,
    covers: Sequence[Region] = (),
) -> _Look:
    low, high = outline.min(0).astype(np.float64), outline.max(0).astype(np.float64)
    grown = (high - low) * _AROUND
    low, size = low - grown, np.maximum(high - low + 2 * grown, 1)
    # From px of the patch to the references', and from there to the picture's.
    to_outline = np.array([[size[0] / _PATCH_PX, 0, low[0]], [0, size[1] / _PATCH_PX, low[1]]])
    linear = to_pixels[:, :2] @ to_outline[:, :2]
    shift = to_pixels[:, :2] @ to_outline[:, 2] + to_pixels[:, 2]
    shrink = float(np.sqrt(abs(np.linalg.det(linear))))
    height, width = pixels.shape[:2]
    free = np.full((height, width), 255, np.uint8)
    for x1, y1, x2, y2 in (region.box for region in covers):
        free[max(y1, 0) : y2, max(x1, 0) : x2] = 0
    # The asset's part of the picture is enough, and what blurring reaches around it.
    ends = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * _PATCH_PX @ linear.T + shift
    reach = math.ceil(2 * shrink) + 2
    left, top = np.clip(np.floor(ends.min(0)) - reach, 0, [width - 1, height - 1]).astype(int)
    right, bottom = np.ceil(ends.max(0) + reach).astype(int)
    part = np.s_[top : max(bottom, top + 1), left : max(right, left + 1)]
    pixels, free = pixels[part], free[part]
    shift = shift - [left, top]
    if shrink > 1:  # warping alone would give aliases
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), 0.5 * shrink), np.uint8)
    square, seen = (
        cv2.warpAffine(
            plane,
            np.concatenate([linear, shift[:, None]], 1),
            (_PATCH_PX, _PATCH_PX),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        for plane in (pixels, free)
    )
    logs = np.log(cv2.GaussianBlur(square, (0, 0), 1.0) + _NOISE)
    patch = cv2.cvtColor(square, cv2.COLOR_RGB2GRAY)
    dx, dy = (cv2.Sobel(patch, cv2.CV_64F, *order) for order in ((1, 0), (0, 1)))
    strength = np.hypot(dx, dy)
    # Unsigned: a shadow's edge that turns over at noon stays the same.
    turn = (np.arctan2(dy, dx) % np.pi) / np.pi * _TURNS
    lower = np.floor(turn).astype(np.intp) % _TURNS
    upper_share = turn - np.floor(turn)
    count = _PATCH_PX // _CELL_PX
    row, column = np.indices(patch.shape) // _CELL_PX
    cell = (row * count + column) * _TURNS
    cells = np.bincount(
        np.concatenate([(cell + lower).ravel(), (cell + (lower + 1) % _TURNS).ravel()]),
        np.concatenate([(strength * (1 - upper_share)).ravel(), (strength * upper_share).ravel()]),
        count * count * _TURNS,
    ).reshape(count, count, _TURNS)
    corners = cells[:-1, :-1], cells[:-1, 1:], cells[1:, :-1], cells[1:, 1:]
    blocks = np.asarray(np.concatenate(corners, 2), np.float64).reshape(-1, 4 * _TURNS)
    weights = blocks.sum(1)
    tint = logs - logs.mean(2, keepdims=True)
    known = cv2.erode(seen, np.ones((5, 5), np.uint8)) == 255  # beside a cover JPEG blends colours
    return _Look(blocks, weights / max(float(weights.mean()), 1e-9), tint, known)


def _unlike(one: _Look, other: _Look) -> Change:
    # A shadow darkens, and hardly tints; a lamp tints the whole place.
    outside = round(_PATCH_PX * _AROUND / (1 + 2 * _AROUND))
    place = np.s_[outside:-outside, outside:-outside]
    top = np.s_[outside // 2 : _PATCH_PX // 2, outside:-outside]
    free = one.free & other.free
    tinted = one.tint - other.tint
    if free[place].any():
        tinted -= np.median(tinted[place][free[place]], 0)
    changed = np.abs(tinted).max(2) > _TINTED
    colour = float(changed[top][free[top]].mean()) if free[top].mean() > 0.5 else None
    weights = np.maximum(one.weights, other.weights)
    weights = np.where((weights < _FAINT) | _covered(free), 0, weights)
    if not weights.any():
        return Change(0.0, colour)
    alike = (one.blocks * other.blocks).sum(1)
    lengths = np.linalg.norm(one.blocks, axis=1) * np.linalg.norm(other.blocks, axis=1)
    unlike = 1 - alike / np.maximum(lengths, 1e-9)
    return Change(float((unlike * weights).sum() / weights.sum()), colour)


def _covered(free: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of which blocks (N,) of a patch covers hide a part: their edges are no change."""
    count = _PATCH_PX // _CELL_PX
    whole = np.asarray(free.reshape(count, _CELL_PX, count, _CELL_PX).all((1, 3)))
    blocks = whole[:-1, :-1] & whole[:-1, 1:] & whole[1:, :-1] & whole[1:, 1:]
    return np.asarray(~blocks.ravel())
