"""What a drawn scene is: pixels and everything that is true about them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.scenes.camera import Floats

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Stall:
    """A marked parking stall: float32 (4, 2) corners in px, and whether a car stands in it."""

    polygon: Floats
    occupied: bool


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A drawn picture and everything that is true about it.

    Attributes:
        pixels: uint8 (H, W, 3) RGB.
        boxes: float32 (N, 4) xyxy px, half-open: the tight visible extent of each object. Objects
            of which less than a fifth is visible are left out.
        labels: container, waste (one heap is one object), car, plate, person, face, tree, …
        states: clean, minor_litter, side_waste, overflow or unknown (mostly hidden) for a
            container; None for others.
        ids: asset ids, where the object is an asset.
        dirty: waste is to be seen; a little litter, which is not labelled, is not dirt.
        owner: int16 (H, W), index of the object seen at each pixel, −1 for none. Parts (a plate,
            a face) belong to the part, and to the whole's box.
        night: taken by night.
        height_m: float32 (H, W) metres above ground, for aerial scenes; else None.
        stalls: id → parking stall.
    """

    pixels: Pixels
    boxes: Floats
    labels: tuple[str, ...]
    states: tuple[str | None, ...]
    ids: tuple[str | None, ...]
    dirty: bool
    owner: NDArray[np.int16]
    night: bool
    height_m: Floats | None
    stalls: dict[str, Stall]
