"""A fixed camera for tests: the head of its site file, a drawn view, and what becomes of it.

And a GeoTIFF.
"""

import io

import cv2
import numpy as np
from PIL import Image, TiffImagePlugin

SIZE_WH = (640, 480)
_HEAD = """
territory: t
site: s
name: Quai
time_zone: Europe/Paris
purposes:
  {purpose}:
    legal_basis: public_task
    retention_days: {{images: 30, events: 365}}
    notice: https://www.example.org
"""
SITE_HEAD, OCCUPANCY_HEAD = (_HEAD.format(purpose=name) for name in ("waste", "occupancy"))
COUNTED = """
  - id: {id}
    purpose: occupancy
    kind: {kind}
    geometry: {{type: Point, coordinates: [-3.3, 47.7]}}
    views: {{cam: {outline}}}
    limits: {limits}
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


def geotiff(gsd=0.02, code=2154, *, raster=1, orientation=None, pixels=None) -> bytes:
    """A GeoTIFF with its upper left corner at a port in Brittany, if `code` is Lambert-93."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[33550] = (gsd, gsd, 0.0)
    tags[33922] = (0.0, 0.0, 0.0, 221_000.0, 6_758_000.0, 0.0)
    tags[34735] = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, raster, 3072, 0, 1, code)
    tags.tagtype[33550] = tags.tagtype[33922] = 12
    tags.tagtype[34735] = 3
    if orientation:
        tags[274] = orientation
    out = io.BytesIO()
    if pixels is None:
        pixels = np.full((40, 60, 3), (90, 120, 80), np.uint8)
    Image.fromarray(pixels).save(out, "TIFF", tiffinfo=tags)
    return out.getvalue()
