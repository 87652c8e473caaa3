"""Cover parts of a picture so that nothing of them is left: the pixels."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from models.plan import GRID_PX, Blocks, Patch, Plan, block_span

Sample = TypeVar("Sample", np.uint8, np.uint16)

_NOISE = 32  # grey levels of 255
_FILL = 127  # grey level of 255
_LUMA = np.array([0.299, 0.587, 0.114])  # of red, green and blue (ITU-R BT.601)
PAINT = ("surroundings", _NOISE, _FILL, "recoloured")
"""Whatever decides what covers look like: part of a redactor's digest."""


def cover(pixels: NDArray[Sample], plan: Plan, noise_key: bytes) -> NDArray[Sample]:
    """A copy of the picture with all that the plan says covered.

    `mosaic` and `solid` are non-interfering: what they put under a cover is a function of the
    pixels outside all covers, of the covers' geometry and of the key. Two pictures that differ
    under the covers only give the same result. `mosaic` fills the covered blocks from their
    surroundings (pull-push: Gortler et al., The Lumigraph, SIGGRAPH 1996), then gives each of its
    cells the mean of that, plus noise of −32 to 31 grey levels per cell and channel, to look like
    what it is: a cover. The noise hangs on the key and on what is outside, so the same work gives
    the same bytes. Where nothing is uncovered, it starts from grey.

    Decoders of a JPEG that halves its colours smooth them over the next pixel, so the pixels around
    a cover know a little of what is under it. They keep their brightness, and take the colours that
    the filling gives their blocks.

    `blur` is weaker: a Gaussian of what is covered, and blurred faces can be recognised again by
    machines (arXiv 2506.12344). Boxes that overlap are blurred in turn.

    Args:
        pixels: uint8 or uint16 (H, W, C); H, W and C at least 1. It stays as it is.
        plan: what to cover, for a picture of this size.
        noise_key: secret of whoever redacts; any length.
    """
    level = int(np.iinfo(pixels.dtype).max) // 255  # steps of the samples in one of 255
    grey = np.full((*plan.solid.shape, pixels.shape[2]), _FILL * level, pixels.dtype)
    if plan.style == "blur":
        blurred = pixels.copy()
        # Before the blur, so that it spreads no trace of solid areas; after, so that they stay so.
        _paint(blurred, plan.solid, grey)
        for one in plan.patches:
            _blur(blurred, one)
        _paint(blurred, plan.solid, grey)
        return blurred

    picture = pixels.copy()
    _paint(picture, plan.covered, grey)
    # From here on nothing reads `pixels`: what was under the covers is gone.
    apart = ~_near(plan.covered)
    field = _filled(_block_means(picture).astype(np.float64), apart, _FILL * level)
    if pixels.shape[2] == len(_LUMA):
        under = _in_px(plan.covered, picture)
        _recolour(picture, _near(under) & ~under, field)
    if plan.style == "mosaic":
        colours = _mosaic(field, plan.covered, plan.patches, noise_key, level)
        _paint(picture, plan.covered & ~plan.solid, _samples(colours, picture))
    return picture


def _mosaic(
    field: NDArray[np.float64],
    covered: Blocks,
    patches: Sequence[Patch],
    noise_key: bytes,
    level: int,
) -> NDArray[np.float64]:
    """The colour of every block, (rows, columns, C), from those that fill the covered ones."""
    content = hashlib.sha256(repr((field.shape, level)).encode())
    content.update(field.tobytes())
    content.update(covered.tobytes())
    seed = hmac.digest(noise_key, content.digest(), "sha256")
    stream = np.frombuffer(hashlib.shake_256(seed).digest(covered.size), np.uint8)
    noise = (stream % (2 * _NOISE) - np.float64(_NOISE)).reshape(covered.shape) * level
    colours = np.zeros_like(field)
    for one in patches:
        span = block_span(one.box)
        area = field[span]
        rows, columns = (
            np.linspace(0, side, max(1, side // one.cell_blocks) + 1).astype(np.intp)
            for side in area.shape[:2]
        )
        sums = np.add.reduceat(np.add.reduceat(area, rows[:-1], axis=0), columns[:-1], axis=1)
        heights, widths = np.diff(rows), np.diff(columns)
        cells = sums / (heights[:, None, None] * widths[:, None])
        # One noise a cell: noise a pixel would average out.
        cells += noise[span][np.ix_(rows[:-1], columns[:-1])][..., None]
        colours[span] = cells.repeat(heights, axis=0).repeat(widths, axis=1)
    return colours


def _filled(values: NDArray[np.float64], known: Blocks, default: float) -> NDArray[np.float64]:
    """`values` (rows, columns, C) where known; elsewhere what surrounds them, smoothly."""
    if known.all():
        return values
    if not known.any():
        return np.full_like(values, default)
    rows, columns = known.shape
    # Pull: means of the known ones among 2×2, until no hole is left.
    pad = (0, rows % 2), (0, columns % 2)
    weights = np.pad(known.astype(np.float64), pad)[..., None]
    sums = np.pad(np.where(known[..., None], values, 0), (*pad, (0, 0)))
    quads = (weights.shape[0] // 2, 2, weights.shape[1] // 2, 2, -1)
    counts = weights.reshape(quads).sum(axis=(1, 3))
    means = sums.reshape(quads).sum(axis=(1, 3)) / np.maximum(counts, 1)
    coarse = _filled(means, counts[..., 0] > 0, default)
    # Push: holes take the coarser level.
    finer = _doubled(_doubled(coarse, 0), 1)[:rows, :columns]
    return np.where(known[..., None], values, finer)


def _doubled(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Twice as many samples along one axis, linear between the centres."""
    last = values.shape[axis] - 1
    at = np.arange(last + 1)
    before, after = (
        0.75 * values + 0.25 * values.take(near.clip(0, last), axis) for near in (at - 1, at + 1)
    )
    shape = [side * (1 + (i == axis)) for i, side in enumerate(values.shape)]
    return np.stack([before, after], axis + 1).reshape(shape)


def _block_means(picture: NDArray[Sample]) -> NDArray[Sample]:
    """(rows, columns, C); the last row and column repeat to fill up blocks that the border cuts."""
    height, width, channels = picture.shape
    rows, columns = -(-height // GRID_PX), -(-width // GRID_PX)
    below, beside = rows * GRID_PX - height, columns * GRID_PX - width
    whole = picture
    if below or beside:
        whole = cv2.copyMakeBorder(picture, 0, below, 0, beside, cv2.BORDER_REPLICATE)
    means = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(means, picture.dtype).reshape(rows, columns, channels)


def _blur(pixels: NDArray[Sample], one: Patch) -> None:
    x1, y1, x2, y2 = one.box
    area = pixels[y1:y2, x1:x2]
    area[...] = cv2.GaussianBlur(area, (0, 0), one.cell_blocks * GRID_PX).reshape(area.shape)


def _near(where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """These and what touches them."""
    return np.asarray(cv2.dilate(where.astype(np.uint8), np.ones((3, 3), np.uint8)), np.bool_)


def _in_px(blocks: Blocks, pixels: NDArray[Sample]) -> NDArray[np.bool_]:
    """Bool (H, W): the pixels of these blocks."""
    height, width = pixels.shape[:2]
    return blocks.repeat(GRID_PX, axis=0).repeat(GRID_PX, axis=1)[:height, :width]


def _recolour(
    pixels: NDArray[Sample], where: NDArray[np.bool_], colours: NDArray[np.float64]
) -> None:
    """Give pixels (H, W) the colours of their blocks, in place; they keep their brightness."""
    ys, xs = np.nonzero(where)
    colour = colours[ys // GRID_PX, xs // GRID_PX]
    brighter = pixels[ys, xs] @ _LUMA - colour @ _LUMA
    pixels[ys, xs] = _samples(colour + brighter[:, None], pixels)


def _samples(values: NDArray[np.float64], like: NDArray[Sample]) -> NDArray[Sample]:
    return values.round().clip(0, np.iinfo(like.dtype).max).astype(like.dtype)


def _paint(pixels: NDArray[Sample], blocks: Blocks, colours: NDArray[Sample]) -> None:
    """Give each of these blocks its colour, in place."""
    for row, column in np.argwhere(blocks).tolist():
        y, x = row * GRID_PX, column * GRID_PX
        pixels[y : y + GRID_PX, x : x + GRID_PX] = colours[row, column]
