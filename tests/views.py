"""A fixed camera for tests: the head of its site file, a drawn view, and what becomes of it."""

import cv2
import numpy as np

SIZE_WH = (640, 480)
SITE_HEAD = """
territory: t
site: s
name: Quai
time_zone: Europe/Paris
purposes:
  waste:
    legal_basis: public_task
    retention_days: {images: 30, events: 365}
    notice: https://www.example.org
"""


def street(seed=0, size_wh=SIZE_WH):
    """A drawn wall of windows and signs: full of corners, none like another."""
    rng = np.random.default_rng(seed)
    width, height = size_wh
    pixels = np.full((height, width, 3), 150, np.uint8)
    for _ in range(160):
        x, y = rng.integers(0, width), rng.integers(0, height)
        w, h = rng.integers(8, 70, 2)
        colour = rng.integers(20, 235, 3).tolist()
        cv2.rectangle(pixels, (int(x), int(y)), (int(x + w), int(y + h)), colour, -1)
    return cv2.GaussianBlur(pixels, (0, 0), 0.8)


def moved(pixels, *, scale=1.0, degrees=0.0, shift=(0, 0)):
    height, width = pixels.shape[:2]
    affine = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale)
    affine[:, 2] += shift
    return cv2.warpAffine(pixels, affine, (width, height), borderMode=cv2.BORDER_REFLECT), affine
