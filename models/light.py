"""How much light a picture shows."""

import cv2
import numpy as np
from numpy.typing import NDArray

DARK_LEVEL = 14.0
"""Mean of 0 to 255 under which nothing can be said."""


def level(pixels: NDArray[np.uint8], where: NDArray[np.bool_]) -> float:
    """Mean of uint8 (H, W, 3) pixels where a mask (H, W) says so, 0 where it does so nowhere."""
    return float(np.mean(cv2.mean(pixels, where.astype(np.uint8))[:3]))
