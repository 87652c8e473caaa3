"""From a heat network's raw output on pictures of any size to boxes, scores and labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from models.backends import SIZE_MULTIPLE_PX, Backend, Precision, best_backend, runner
from models.card import SHIPPED, read_card
from models.errors import BadAnswer
from models.redaction import Box
from models.runtime import suppress
from models.tiling import LIMITS, tiles

STRIDE_PX = 4
"""Pixels between the cells of the network's heat maps."""

_AROUND = np.ones((3, 3), np.uint8)
_MAX_CANDIDATES = 30_000  # some 3,000 objects; beyond, suppression takes minutes


class Found(NamedTuple):
    """Boxes float32 (N, 4) xyxy px, not clipped; scores float32 (N,); labels int64 (N,)."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]


class HeatRuntime:
    """One heat network, ready to look at pictures level by level and tile by tile.

    Attributes:
        card: what the weights are.
        settings: all beside the weights that decides what is found.
    """

    def __init__(
        self,
        name: str,
        *,
        folder: Path = SHIPPED,
        cache: Path | None = None,
        backend: Backend | None = None,
        precision: Precision = "int8",
        fine_px: int,
        step: int,
        nms_iou: float,
    ) -> None:
        """Load the weights `name` of `folder`.

        Args:
            name: checkpoint name.
            folder: where it lies.
            cache: folder for the exported network; a private temporary one when None.
            backend: where to run; the best there is when None.
            precision: numbers on CPU.
            fine_px: small pictures are enlarged up to this long side, see `models.tiling.tiles`.
            step: between one level of detail and the next.
            nms_iou: from which of two boxes of a class the worse one goes.

        Raises:
            BadWeights: missing, damaged or foreign weights.
        """
        self.card = read_card(name, folder)
        backend = backend or best_backend()
        self._run = runner(self.card, folder, cache, backend, precision)
        self._fine_px, self._step, self._nms_iou = fine_px, step, nms_iou
        self.settings = (backend, precision, (fine_px, step, *LIMITS, nms_iou))

    def find(
        self,
        pixels: NDArray[np.uint8],
        floors: Sequence[float],
        areas: Sequence[Box] | None = None,
    ) -> Found:
        """What scores at least `floors`, by class, in uint8 (H, W, 3) RGB pixels.

        Args:
            pixels: the picture.
            floors: least score of each class, in (0, 1).
            areas: only what touches these boxes is asked for; None for the whole picture.

        Raises:
            BadAnswer: not_finite, too_many_found.
        """
        least = np.asarray(floors, np.float64)
        logits = np.log(least / (1 - least))[:, None, None]
        parts: list[Found] = []
        for tile in tiles(pixels, areas, fine_px=self._fine_px, step=self._step):
            found = self._look(tile.pixels, logits)
            boxes = (found.boxes + np.array([tile.left, tile.top] * 2)) / tile.scale
            parts.append(found._replace(boxes=boxes.astype(np.float32)))
        if not parts:
            return Found(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, int))
        found = Found(*(np.concatenate(part) for part in zip(*parts, strict=True)))
        if len(found.boxes) > _MAX_CANDIDATES:
            raise BadAnswer("too_many_found", f"{len(found.boxes)} candidates")
        if not len(found.boxes):
            return found
        best = suppress(*found, self._nms_iou)
        return Found(found.boxes[best], found.scores[best], found.labels[best])

    def _look(self, tile: NDArray[np.uint8], floors: NDArray[np.float64]) -> Found:
        """What is found in one tile, in px of it.

        CenterNet (arXiv 1904.07850, section 4): each heat above the threshold that
        is the highest of its 3×3 cells is a centre, refined by its offset; sizes are
        logarithms in strides.
        """
        height, width = tile.shape[:2]
        padded_hw = (-(-side // SIZE_MULTIPLE_PX) * SIZE_MULTIPLE_PX for side in (height, width))
        square = np.zeros((1, *padded_hw, 3), np.uint8)
        square[0, :height, :width] = tile
        logits, log_sizes, offsets = (part[0] for part in self._run(square))
        # A score that is no number is above no threshold: unchecked, it would hide an object.
        if not all(np.isfinite(part).all() for part in (logits, log_sizes, offsets)):
            raise BadAnswer("not_finite", f"output of {self.card.model}")
        highest = np.stack([cv2.dilate(heat, _AROUND) for heat in logits])
        labels, rows, columns = np.nonzero((logits >= floors) & (logits == highest))
        scores = 1 / (1 + np.exp(-logits[labels, rows, columns].astype(np.float64)))
        sizes = log_sizes.reshape(-1, 2, *log_sizes.shape[1:])[labels, :, rows, columns]  # (N, 2)
        shifts = offsets.reshape(-1, 2, *offsets.shape[1:])[labels, :, rows, columns]
        half_hw = np.exp(np.minimum(sizes, 12.0).astype(np.float64)) * STRIDE_PX / 2
        centres_yx = (np.stack([rows, columns], 1) + shifts + 0.5) * STRIDE_PX
        corners = np.concatenate([centres_yx - half_hw, centres_yx + half_hw], 1)  # y1 x1 y2 x2
        return Found(corners[:, [1, 0, 3, 2]].astype(np.float32), scores.astype(np.float32), labels)
