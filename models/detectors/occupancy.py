"""People and vehicles, to be counted: person, bicycle, car, motorcycle, bus, truck.

They are counted on stills and never followed: what leaves a picture is a number. Large pictures are
looked at twice: reduced, and at full size for what is small in them.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.backends import Precision
from models.card import SHIPPED, Card
from models.counting import GROUPS, group_of, standing_for
from models.detections import Detections
from models.parts import suppress
from models.redaction import RedactedFrame
from models.runtime import Runtime
from models.stalls import Outline, Stalls

_LARGE_PX = 900  # long side from which a picture is also looked at at full size
_SAME_IOU = 0.6  # of two kinds of vehicle at one place, or of one thing on two levels


class OccupancyDetector:
    """`RedactedFrame` → people and vehicles."""

    def __init__(
        self,
        *,
        folder: Path = SHIPPED,
        stalls: Path = SHIPPED,
        cache: Path | None = None,
        precision: Precision = "int8",
    ) -> None:
        """Load the weights.

        Args:
            folder: where those of people and vehicles lie.
            stalls: where those of the look of parking stalls lie.
            cache: folder for the exported networks; a private temporary one when None.
            precision: numbers on CPU.

        Raises:
            BadWeights: missing, damaged or foreign weights.
        """
        self._runtime = Runtime("occupancy", folder=folder, cache=cache, precision=precision)
        self._stalls = Stalls(folder=stalls, cache=cache, precision=precision)
        groups = [list(GROUPS).index(group_of(name)) for name in self.names]
        self._groups = np.array(groups, np.int64)

    @property
    def card(self) -> Card:
        """What the weights are."""
        return self._runtime.card

    @property
    def model(self) -> str:
        """`occupancy@digest` of both networks."""
        both = self.card.model, self._stalls.card.model
        return f"occupancy@{hashlib.sha256(repr(both).encode()).hexdigest()[:12]}"

    @property
    def names(self) -> tuple[str, ...]:
        """Object classes."""
        return self.card.architecture.names

    def __call__(self, frame: RedactedFrame) -> Detections:
        """Detect at the thresholds of the model card."""
        return self.detect(frame.pixels)

    def taken(self, frame: RedactedFrame, outlines: Sequence[Outline]) -> NDArray[np.float32]:
        """Probabilities (N,) that a vehicle stands in each parking stall, by its look alone.

        Args:
            frame: the picture.
            outlines: float32 (4, 2) px, or more corners, of each stall.

        Raises:
            BadAnswer: not_finite.
        """
        return self._stalls(frame.pixels, outlines)

    def detect(self, pixels: NDArray[np.uint8], min_score: float | None = None) -> Detections:
        """People and vehicles in an image uint8 (H, W, 3) RGB of any size.

        Args:
            pixels: the image.
            min_score: one threshold for all classes (an evaluation wants nearly all); the card's
                when None.

        Raises:
            BadAnswer: not_finite.
        """
        found = self._runtime.detect(pixels, min_score)
        if max(pixels.shape[:2]) >= _LARGE_PX:
            small = self._runtime.detect_at_full_size(pixels, min_score)
            found = Detections(
                np.concatenate([found.boxes, small.boxes]),
                np.concatenate([found.scores, small.scores]),
                np.concatenate([found.labels, small.labels]),
                self.names,
                found.size_hw,
            )
        # A van that looks like a car and like a lorry is one vehicle.
        groups = self._groups[found.labels]
        best = suppress(found.boxes, found.scores, groups, _SAME_IOU)
        made = found.where(np.isin(np.arange(len(found)), best))
        return standing_for(made, self.card.calibration)


def load(cache: Path | None = None, precision: Precision = "int8") -> OccupancyDetector:
    """The shipped occupancy detector.

    Raises:
        BadWeights: its weights are missing or damaged.
    """
    return OccupancyDetector(cache=cache, precision=precision)
