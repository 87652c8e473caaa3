"""How high vegetation stands, from pictures taken from straight above.

Nothing is detected: what is told is a `HeightMap`, cell by cell. Pictures are looked at on a grid
of `GRID_M`, whatever their resolution, in squares that overlap and are blended: no seam shows.
"""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from models.backends import Backend, Precision, best_backend, runner
from models.card import SHIPPED, Card, read_card
from models.detections import Detections
from models.errors import BadAnswer, BadImage
from models.heights import GRID_M, OVERLAP_CELLS, HeightMap, ramp
from models.redaction import RedactedFrame

MAX_GSD_M = 0.65
"""Of coarser pictures nothing is told: a small tree is one pixel."""

_FLOOR_M = 0.1  # nothing is known better: LiDAR, which heights were learned from, is not


class Look(NamedTuple):
    """What the network says of a picture, cell by cell.

    Attributes:
        covers: float32 (C, H, W), probabilities of what covers the ground.
        metres: float32 (H, W) above ground.
        spread: float32 (H, W), mean absolute error in metres as the network believes it.
    """

    covers: NDArray[np.float32]
    metres: NDArray[np.float32]
    spread: NDArray[np.float32]


class VegetationDetector:
    """`RedactedFrame` from straight above → `HeightMap`."""

    def __init__(
        self,
        name: str = "vegetation",
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
        self.card: Card = read_card(name, folder)
        self._run = runner(self.card, folder, cache, backend or best_backend(), precision)

    @property
    def model(self) -> str:
        """`vegetation@digest`."""
        return self.card.model

    @property
    def names(self) -> tuple[str, ...]:
        """None: nothing is told as an object."""
        return ()

    def __call__(self, frame: RedactedFrame) -> Detections:
        """No object. Heights are told by `heights`."""
        return Detections.empty((), (frame.pixels.shape[0], frame.pixels.shape[1]))

    def heights(self, frame: RedactedFrame, valid: NDArray[np.bool_] | None = None) -> HeightMap:
        """Heights on a grid from the picture's upper left corner, cells of `GRID_M` or nearly so.

        Args:
            frame: a picture from straight above, with `ground`.
            valid: bool (H, W) of its pixels, false where there is nothing to see; all when None.
                What was covered is not analysed either.

        Raises:
            BadImage: no_ground, too_coarse.
            BadAnswer: not_finite.
        """
        if frame.ground is None or frame.gsd_m is None:
            raise BadImage("no_ground", "heights need a georeferenced picture")
        if frame.gsd_m > MAX_GSD_M:
            raise BadImage("too_coarse", f"{frame.gsd_m:.2f} m a pixel, at most {MAX_GSD_M}")
        height, width = frame.pixels.shape[:2]
        seen = np.ones((height, width), np.uint8) if valid is None else valid.astype(np.uint8)
        for region in frame.regions:
            left, top, right, bottom = region.box
            seen[top:bottom, left:right] = 0
        scale = GRID_M / frame.gsd_m
        rows, columns = (max(1, round(side / scale)) for side in (height, width))
        how = cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
        cells = np.asarray(cv2.resize(frame.pixels, (columns, rows), interpolation=how), np.uint8)
        whole = cv2.resize(seen * 255, (columns, rows), interpolation=cv2.INTER_AREA)
        known = np.asarray(whole) == 255
        look = self.look(cells)
        sigma = self.sigma(look.spread)
        return HeightMap(
            np.where(known, look.metres, 0).astype(np.float32),
            np.where(known, sigma, 0).astype(np.float32),
            np.where(known, 1 - look.covers[0], 0).clip(0, 1).astype(np.float32),
            known,
            frame.ground.part(0, 0, width / columns, height / rows),
        )

    def sigma(self, spread: NDArray[np.float32]) -> NDArray[np.float32]:
        """One standard deviation in metres: 1.645 of it hold nine true heights of ten.

        By the calibration of the card.
        """
        slope, _ = self.card.calibration.get("spread", (1.0, 0.0))
        return np.asarray(np.hypot(slope * spread, _FLOOR_M), np.float32)

    def look(self, cells: NDArray[np.uint8]) -> Look:
        """The network's raw answer for uint8 (H, W, 3), cells of `GRID_M`.

        Raises:
            BadAnswer: not_finite.
        """
        side = self.card.architecture.input_px
        height, width = cells.shape[:2]
        channels = len(self.card.architecture.names) + 2
        total = np.zeros((channels, height, width), np.float32)
        weights = np.zeros((height, width), np.float32)
        for top in _starts(height, side):
            for left in _starts(width, side):
                part = cells[top : top + side, left : left + side]
                below, right = side - part.shape[0], side - part.shape[1]
                square = cv2.copyMakeBorder(part, 0, below, 0, right, cv2.BORDER_REFLECT_101)
                answer = self._both_ways(np.asarray(square, np.uint8))
                rows, columns = part.shape[:2]
                weight = np.outer(
                    ramp(side, top > 0, top + side < height)[:rows],
                    ramp(side, left > 0, left + side < width)[:columns],
                )
                here = np.s_[top : top + rows, left : left + columns]
                total[:, *here] += answer[:, :rows, :columns] * weight
                weights[here] += weight
        total /= weights
        if not np.isfinite(total).all():
            raise BadAnswer("not_finite", f"output of {self.model}")
        return Look(total[:-2], total[-2], total[-1])

    def _both_ways(self, square: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Mean of what the network says of a square and of its mirror image, (C + 2, S, S)."""
        seen = self._answer(square)
        mirrored = self._answer(np.ascontiguousarray(square[:, ::-1]))[..., ::-1]
        return np.asarray((seen + mirrored) / 2, np.float32)

    def _answer(self, square: NDArray[np.uint8]) -> NDArray[np.float32]:
        logits, metres, log_spread = (np.asarray(a[0], np.float32) for a in self._run(square[None]))
        odds = np.exp(logits - logits.max(0))
        return np.concatenate([odds / odds.sum(0), metres, np.exp(log_spread)])


def _starts(length: int, side: int) -> range:
    """Where squares of a side begin: at even distances, so that they do not hang on the length."""
    return range(0, max(1, length - OVERLAP_CELLS), side - OVERLAP_CELLS)


def load(cache: Path | None = None, precision: Precision = "int8") -> VegetationDetector:
    """The shipped detector.

    Raises:
        BadWeights: its weights are missing or damaged.
    """
    return VegetationDetector(cache=cache, precision=precision)
