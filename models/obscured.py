"""Where a picture from straight above shows no ground: clouds, and shadows too deep to see in.

A rule, not a network. It knows what is nearly white and smooth, and what is nearly black, over
some metres: white roofs and snow count as cloud too, thin haze does not. It marks what was not
analysed, so what it marks in vain costs coverage and says nothing wrong.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

_COARSE_M = 0.5  # finer pictures are reduced to it: nothing smaller is asked for
_AROUND_M = 2.0
_CLOUD_M = 10.0  # across, at least: cars and lines are no clouds
_WHITE, _SMOOTH = 235, 6.0  # lowest mean of the darkest channel, highest standard deviation
_BLACK = 18  # highest mean of the brightest channel


def obscured(pixels: NDArray[np.uint8], gsd_m: float) -> NDArray[np.bool_]:
    """Where uint8 (H, W, 3) RGB pixels of this ground sampling distance show cloud or deep shadow.

    What is said of a px depends on what lies within some 12 m alone.
    """
    height, width = pixels.shape[:2]
    factor = max(1, int(_COARSE_M / gsd_m))
    if factor > 1:
        size_wh = max(1, width // factor), max(1, height // factor)
        pixels = np.asarray(cv2.resize(pixels, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
    gsd_m *= factor
    darkest, brightest = pixels.min(2), pixels.max(2)
    around = (_side(_AROUND_M, gsd_m),) * 2
    mean = np.asarray(cv2.boxFilter(darkest, cv2.CV_32F, around))
    variance = cv2.sqrBoxFilter(darkest, cv2.CV_32F, around) - mean**2
    white = ((mean >= _WHITE) & (variance <= _SMOOTH**2)).astype(np.uint8)
    square = np.ones((_side(_CLOUD_M, gsd_m),) * 2, np.uint8)
    cloud = np.asarray(cv2.morphologyEx(white, cv2.MORPH_OPEN, square)) > 0
    dark = np.asarray(cv2.boxFilter(brightest, cv2.CV_32F, around)) <= _BLACK
    # A mean over some metres falls short of an edge by half of them.
    found = cv2.dilate((cloud | dark).astype(np.uint8), np.ones(around, np.uint8))
    return np.asarray(cv2.resize(found, (width, height), interpolation=cv2.INTER_NEAREST)) > 0


def _side(width_m: float, gsd_m: float) -> int:
    """An odd number of px, so that it has a middle."""
    return max(1, round(width_m / gsd_m / 2) * 2 + 1)
