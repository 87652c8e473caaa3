"""Find personal data: faces, plates, heads, people and vehicles, in one pass of one network.

The network looks at the picture tile by tile at full detail (small pictures enlarged), then at a
quarter of it for what is larger than the network's view. What it sees around a find counts: plates
hang on vehicles and faces belong to people.
"""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.backends import Backend, Precision
from models.card import SHIPPED
from models.errors import BadAnswer, RedactionFailed
from models.heat_runtime import HeatRuntime
from models.redaction import Box, Region

_FINE_PX = 1280
_STEP = 4  # within one level sizes from 6 to some 300 px are found
_NMS_IOU = 0.6  # a find that only half overlaps another may be the one that is whole
_BELONGS_TO = {"face": "person", "plate": "vehicle"}
_ALONE = 0.2  # the score of what surrounds a find that belongs to nothing
_REACH = 0.1  # of its sides, by which a person or a vehicle may be larger than its box


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
        self._runtime = HeatRuntime(
            name,
            folder=folder,
            cache=cache,
            backend=backend,
            precision=precision,
            fine_px=_FINE_PX,
            step=_STEP,
            nms_iou=_NMS_IOU,
        )
        self.card = self._runtime.card
        self._names = self.card.architecture.names
        self.thresholds = {
            name: self.card.min_score[name] if min_score is None else min_score
            for name in self._names
        }
        self._sure = np.array([self.thresholds[name] for name in self._names], np.float32)
        around = [name in _BELONGS_TO.values() for name in self._names]
        # Belonging lowers a score, and what something belongs to counts from `_ALONE` on.
        self._floors = np.where(around, np.minimum(self._sure, _ALONE), self._sure).tolist()
        context = (_BELONGS_TO, _ALONE, _REACH)
        thresholds = self._sure.tolist()
        settings = repr((self.card.model, thresholds, self._runtime.settings, context))
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
        try:
            boxes, scores, labels = self._runtime.find(pixels, self._floors, areas)
        except BadAnswer as error:
            raise RedactionFailed(error.reason, error.detail) from error
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
