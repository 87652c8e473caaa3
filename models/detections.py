"""One result type for every detector: a struct of arrays, validated at birth."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NO_STATES: NDArray[np.float32] = np.zeros((0, 0), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """What a detector found in one image of `size_hw` pixels.

    Attributes:
        boxes: float32 (N, 4), xyxy px of the oriented image, half-open, 0 ≤ x1 < x2 ≤ W.
        scores: float32 (N,) in [0, 1].
        labels: int64 (N,), index into `names`.
        names: class names.
        size_hw: image height and width in px.
        states: float32 (N, S), rows sum to 1: the state of each object. (N, 0) where the detector
            knows no states.
        state_names: the S state names.
        image_scores: facts about the whole image, name → probability.
        counted: float32 (N, 2): how many real objects each stands for, and the variance of that;
            one and zero where nobody measured it.
        missed: group → variance of how many of it are there beside all finds (`models.counting`).

    Raises:
        ValueError: when any of the above does not hold.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    size_hw: tuple[int, int]
    states: NDArray[np.float32] = field(default_factory=lambda: _NO_STATES)
    state_names: tuple[str, ...] = ()
    image_scores: Mapping[str, float] = field(default_factory=dict)
    counted: NDArray[np.float32] = field(default_factory=lambda: _NO_STATES)
    missed: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.boxes)
        if not self.state_names and self.states.shape != (n, 0):
            object.__setattr__(self, "states", np.zeros((n, 0), np.float32))
        if self.counted is _NO_STATES:
            object.__setattr__(self, "counted", np.tile(np.array([1, 0], np.float32), (n, 1)))
        expected: dict[str, tuple[NDArray[Any], type[np.generic], tuple[int, ...]]] = {
            "boxes": (self.boxes, np.float32, (n, 4)),
            "scores": (self.scores, np.float32, (n,)),
            "labels": (self.labels, np.int64, (n,)),
            "states": (self.states, np.float32, (n, len(self.state_names))),
            "counted": (self.counted, np.float32, (n, 2)),
        }
        for name, (array, dtype, shape) in expected.items():
            if array.dtype != dtype or array.shape != shape:
                raise ValueError(f"{name}: {array.dtype}{array.shape}, expected {dtype}{shape}")
        height, width = self.size_hw
        x1, y1, x2, y2 = self.boxes.T
        inside = (x1 >= 0) & (x1 < x2) & (x2 <= width) & (y1 >= 0) & (y1 < y2) & (y2 <= height)
        if not inside.all():  # NaN compares false, so it is refused here too
            raise ValueError(f"{int((~inside).sum())} boxes empty or outside {width}×{height} px")
        if not ((self.scores >= 0) & (self.scores <= 1)).all():
            raise ValueError("scores outside [0, 1]")
        if n and not ((self.labels >= 0) & (self.labels < len(self.names))).all():
            raise ValueError(f"labels outside the {len(self.names)} names")
        if n and self.state_names and not np.allclose(self.states.sum(1), 1, atol=1e-3):
            raise ValueError("states must sum to 1")

    @classmethod
    def empty(cls, names: tuple[str, ...], size_hw: tuple[int, int]) -> "Detections":
        """No object found in an image of `size_hw` px."""
        return cls(
            np.zeros((0, 4), np.float32),
            np.zeros(0, np.float32),
            np.zeros(0, np.int64),
            names,
            size_hw,
        )

    def __len__(self) -> int:
        return len(self.boxes)

    def where(self, keep: NDArray[np.bool_]) -> "Detections":
        """The detections for which `keep` (N,) is true."""
        return Detections(
            self.boxes[keep],
            self.scores[keep],
            self.labels[keep],
            self.names,
            self.size_hw,
            self.states[keep],
            self.state_names,
            self.image_scores,
            self.counted[keep],
            self.missed,
        )

    def named(self, name: str) -> "Detections":
        """The detections of one class."""
        return self.where(self.labels == self.names.index(name))
