"""Whether a vehicle stands in a marked parking stall, by the look of the stall alone."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.backends import Backend, Precision, best_backend, runner
from models.card import SHIPPED, read_card
from models.errors import BadAnswer

PATCH_PX = 64
"""Side of the square that a stall is rectified to."""

_MARGIN = 0.12  # of the stall, around it: a vehicle is taller than the ground it stands on

Outline = NDArray[np.float32]


class Stalls:
    """Stalls of a picture → probability that each is taken.

    Attributes:
        card: what the weights are.
    """

    def __init__(
        self,
        name: str = "stalls",
        *,
        folder: Path = SHIPPED,
        cache: Path | None = None,
        backend: Backend | None = None,
        precision: Precision = "int8",
    ) -> None:
        """Load the weights `name` of `folder`.

        Raises:
            BadWeights: missing, damaged or foreign weights.
        """
        self.card = read_card(name, folder)
        self._run = runner(self.card, folder, cache, backend or best_backend(), precision)

    def __call__(
        self, pixels: NDArray[np.uint8], outlines: Sequence[Outline]
    ) -> NDArray[np.float32]:
        """Calibrated probabilities (N,) for outlines (4, 2), or of more corners, px.

        Raises:
            BadAnswer: not_finite.
        """
        patches = [rectified(pixels, outline) for outline in outlines]
        logits = np.array([self._run(patch[None])[0][0, 0] for patch in patches], np.float64)
        if not np.isfinite(logits).all():
            raise BadAnswer("not_finite", f"output of {self.card.model}")
        slope, offset = self.card.calibration.get("occupied", (1.0, 0.0))
        return (1 / (1 + np.exp(-slope * logits - offset))).astype(np.float32)


def rectified(
    pixels: NDArray[np.uint8], outline: Outline, margin: float = _MARGIN
) -> NDArray[np.uint8]:
    """The stall as a square uint8 (64, 64, 3), as if seen from straight above, with a margin.

    An outline that has not four corners is taken by the smallest rectangle around it.
    """
    corners = outline if len(outline) == 4 else cv2.boxPoints(cv2.minAreaRect(outline))
    side = 2 * PATCH_PX  # then halved by area, which leaves no aliases
    low, high = margin / (1 + 2 * margin) * side, (1 + margin) / (1 + 2 * margin) * side
    square = np.array([[low, low], [high, low], [high, high], [low, high]], np.float32)
    matrix = cv2.getPerspectiveTransform(_clockwise(np.asarray(corners, np.float32)), square)
    large = cv2.warpPerspective(pixels, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    patch = cv2.resize(large, (PATCH_PX, PATCH_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(patch, np.uint8)


def _clockwise(corners: Outline) -> Outline:
    """From the upper left corner on, clockwise in the picture."""
    middle = corners.mean(0)
    order = np.argsort(np.arctan2(*(corners - middle).T[::-1]), kind="stable")
    corners = corners[order]
    return np.roll(corners, -int(corners.sum(1).argmin()), axis=0)
