"""A picture for a heat network to learn from, with what is known of it and what is not."""

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import BadConfiguration

Boxes = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """A picture and what is known of it.

    Attributes:
        path: picture file; None where `pixels` are given.
        pixels: uint8 (H, W, 3) RGB, or None until `read`.
        boxes: float32 (N, 4) xyxy px.
        labels: int64 (N,) index into the classes of a task.
        ignored: float32 (M, 4) xyxy px, where a class teaches nothing.
        ignored_labels: int64 (M,) the class it holds for.
        taught: bool (C,), whether a class teaches anything here outside its own boxes.
        covered: whether some of it was redacted.
    """

    path: Path | None
    boxes: Boxes
    labels: NDArray[np.int64]
    ignored: Boxes
    ignored_labels: NDArray[np.int64]
    taught: NDArray[np.bool_]
    pixels: NDArray[np.uint8] | None = None
    covered: bool = False

    def read(self) -> "Labelled":
        """The same with its pixels.

        Raises:
            BadConfiguration: the file is no picture.
        """
        if self.pixels is not None:
            return self
        image = cv2.imread(str(self.path), cv2.IMREAD_COLOR)
        if image is None:
            raise BadConfiguration(f"cannot read the training picture {self.path}")
        return replace(self, pixels=np.ascontiguousarray(image[..., ::-1]))
