"""Find personal data: faces, plates, heads, people and vehicles, in one pass of one network.

The network looks at the picture tile by tile at full detail (small pictures enlarged), then at a
quarter of it for what is larger than the network's view. What it sees around a find counts: plates
hang on vehicles and faces belong to people.
"""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.backends import EXPORT, SIZE_MULTIPLE_PX, Backend, Precision, best_backend, runner
from models.card import SHIPPED, read_card
from models.errors import RedactionFailed
from models.parts import suppress
from models.redaction import Box, Region
from models.tiling import LIMITS, tiles

STRIDE_PX = 4
"""Pixels between the cells of the network's heat maps."""

_FINE_PX = 1280
_STEP = 4  # within one level sizes from 6 to some 300 px are found
_NMS_IOU = 0.6  # a find that only half overlaps another may be the one that is whole
_AROUND = np.ones((3, 3), np.uint8)
_BELONGS_TO = {"face": "person", "plate": "vehicle"}
_ALONE = 0.2  # the score of what surrounds a find that belongs to nothing
_REACH = 0.1  # of its sides, by which a person or a vehicle may be larger than its box
_MAX_CANDIDATES = 30_000  # some 3,000 objects; beyond, suppression takes minutes

Found = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]


class PersonalData:
    """A locator of all that may have to be covered. It never sees less than what is published.

    Attributes:
        card: what the weights are.
    """

    def __init__(
        self,
        name: str = "privacy",
        *,
        folder: Path = SHIPPED,
        cache: Path | None = None,
        backend: Backend | None = None,
        precision: Precision = "int8",
        min_score: float | None = None,
    ) -> None:
        """Load weights.

        Args:
            name: of the weights.
            folder: where weights and card lie.
            cache: folder for the exported network; a private temporary one when None.
            backend: where to run; the best there is when None.
            precision: numbers on CPU; f32 for the same result on every machine.
            min_score: one threshold for all labels (an evaluation wants nearly all); the card's
                when None.

        Raises:
            BadWeights: missing, damaged or foreign weights.
        """
        self.card = read_card(name, folder)
        backend = backend or best_backend()
        self._run = runner(self.card, folder, cache, backend, precision)
        self._names = self.card.architecture.names
        self.thresholds = {
            name: self.card.min_score[name] if min_score is None else min_score
            for name in self._names
        }
        self._sure = np.array([self.thresholds[name] for name in self._names], np.float32)
        around = [name in _BELONGS_TO.values() for name in self._names]
        # Belonging lowers a score, and what something belongs to counts from `_ALONE` on.
        floors = np.where(around, np.minimum(self._sure, _ALONE), self._sure)
        self._floors = np.log(floors / (1 - floors))[:, None, None]
        context = (_BELONGS_TO, _ALONE, _REACH)
        pyramid = (_FINE_PX, _STEP, *LIMITS, _NMS_IOU)
        thresholds = self._sure.tolist()
        settings = repr((self.card.model, thresholds, backend, precision, EXPORT, pyramid, context))
        self._digest = hashlib.sha256(settings.encode()).hexdigest()

    @property
    def model(self) -> str:
        """name@digest of the weights and of everything else that decides what is found."""
        return f"{self.card.name}@{self._digest[:16]}"

    def __call__(
        self, pixels: NDArray[np.uint8], areas: Sequence[Box] | None = None
    ) -> list[Region]:
        """What is found in uint8 (H, W, 3) RGB pixels, best first, boxes clipped to the picture.

        Args:
            pixels: the picture.
            areas: only what touches these boxes is asked for; None for the whole picture.

        Raises:
            RedactionFailed: not_finite, too_many_found.
        """
        found: list[Found] = []
        for tile in tiles(pixels, areas, fine_px=_FINE_PX, step=_STEP):
            boxes, scores, labels = self._look(tile.pixels)
            boxes += np.array([tile.left, tile.top] * 2, np.float32)
            found.append((boxes / np.float32(tile.scale), scores, labels))
        if not found:
            return []
        boxes, scores, labels = (np.concatenate(parts) for parts in zip(*found, strict=True))
        if len(boxes) > _MAX_CANDIDATES:
            raise RedactionFailed("too_many_found", f"{len(boxes)} candidates")
        if not len(boxes):
            return []
        kept = suppress(boxes, scores, labels, _NMS_IOU)
        boxes, scores, labels = boxes[kept], scores[kept], labels[kept]
        scores = scores * self._belonging(boxes, scores, labels)
        sure = np.flatnonzero(scores >= self._sure[labels])
        height, width = pixels.shape[:2]
        return [
            region_of(boxes[i], self._names[labels[i]], float(scores[i]), height, width)
            for i in sure[np.argsort(-scores[sure], kind="stable")]
        ]

    def _belonging(
        self, boxes: NDArray[np.float32], scores: NDArray[np.float32], labels: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """For each find the best score of what it may belong to; 1 where that means nothing."""
        belonging = np.ones_like(scores)
        middles = (boxes[:, :2] + boxes[:, 2:]) / 2
        for name, around in _BELONGS_TO.items():
            mine = labels == self._names.index(name)
            best = np.full(int(mine.sum()), _ALONE, np.float32)
            for i in np.flatnonzero(labels == self._names.index(around)):
                reach = _REACH * (boxes[i, 2:] - boxes[i, :2])
                low, high = boxes[i, :2] - reach, boxes[i, 2:] + reach
                inside = ((middles[mine] >= low) & (middles[mine] <= high)).all(1)
                best = np.where(inside, np.maximum(best, scores[i]), best)
            belonging[mine] = best
        return belonging

    def _look(self, tile: NDArray[np.uint8]) -> Found:
        """Boxes float32 (N, 4) xyxy px of the tile, scores and labels (N,).

        CenterNet (arXiv 1904.07850, section 4): each heat above the threshold that
        is the highest of its 3×3 cells is a centre, refined by its offset; sizes are
        logarithms in strides.
        """
        height, width = tile.shape[:2]
        padded_hw = (-(-side // SIZE_MULTIPLE_PX) * SIZE_MULTIPLE_PX for side in (height, width))
        square = np.zeros((1, *padded_hw, 3), np.uint8)
        square[0, :height, :width] = tile
        logits, log_sizes, offsets = (part[0] for part in self._run(square))
        # A score that is no number is above no threshold: unchecked, it would hide a face.
        if not all(np.isfinite(part).all() for part in (logits, log_sizes, offsets)):
            raise RedactionFailed("not_finite", "output of the network that finds personal data")
        highest = np.stack([cv2.dilate(heat, _AROUND) for heat in logits])
        labels, rows, columns = np.nonzero((logits >= self._floors) & (logits == highest))
        scores = 1 / (1 + np.exp(-logits[labels, rows, columns].astype(np.float64)))
        sizes = log_sizes.reshape(-1, 2, *log_sizes.shape[1:])[labels, :, rows, columns]  # (N, 2)
        shifts = offsets.reshape(-1, 2, *offsets.shape[1:])[labels, :, rows, columns]
        half_hw = np.exp(np.minimum(sizes, 12.0).astype(np.float64)) * STRIDE_PX / 2
        centres_yx = (np.stack([rows, columns], 1) + shifts + 0.5) * STRIDE_PX
        corners = np.concatenate([centres_yx - half_hw, centres_yx + half_hw], 1)  # y1 x1 y2 x2
        return corners[:, [1, 0, 3, 2]].astype(np.float32), scores.astype(np.float32), labels


def region_of(
    box: NDArray[np.float32], label: str, score: float, height: int, width: int
) -> Region:
    """A box in whole px of the picture, at least one, even where it lies beside the picture."""
    x1, y1 = (
        min(max(math.floor(v), 0), side - 1)
        for v, side in zip(box[:2], (width, height), strict=True)
    )
    x2, y2 = min(max(math.ceil(box[2]), x1 + 1), width), min(max(math.ceil(box[3]), y1 + 1), height)
    return Region((x1, y1, x2, y2), label, min(score, 1.0))
