"""A map of heights as a picture for people: colours, legend, scale bar."""

import io
import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rasterio.enums import Resampling

from models.cells import NOT_ANALYSED
from models.heights import GRID_M, LOW_M

_LONG_PX = 1200
_LEAST_PX = 560  # wide, for the legend
_LEGEND_PX = 76  # below the map
_INK, _PAPER = (30, 34, 40), (255, 255, 255)
# In letters that the font at hand has: it knows no accents.
_WHAT = "hauteur / height"
_NOTHING = "sans mesure / not analysed"
_HATCH, _HATCH_PX = (205, 208, 212), 8
_STEPS_M = (LOW_M, 2, 5, 10, 15, 20, 30)
"""Limits of the colours, in metres; what is higher has the last one."""


def quicklook(heights: Any, colours: Any, title: str) -> bytes:
    """A PNG of a map, at most 1,200 px wide or high: vegetation coloured by its height.

    Heights have steps of viridis, which the colour-blind tell apart and which stays in order in
    grey. What is low, or no vegetation, shows the ground in grey; what was not analysed is hatched.

    Args:
        heights: open dataset of `models.cells.BANDS`.
        colours: open dataset of mean colours.
        title: written above the scale.
    """
    scale = min(1.0, _LONG_PX / max(heights.height, heights.width))
    size_hw = tuple(max(1, round(side * scale)) for side in (heights.height, heights.width))
    told = heights.read((1, 3), out_shape=(2, *size_hw), resampling=Resampling.nearest)
    ground = colours.read((1, 2, 3), out_shape=(3, *size_hw), resampling=Resampling.average)
    picture = _painted(told, ground)
    height, width = picture.shape[:2]
    enlarged = max(1, min(_LEAST_PX // width, _LONG_PX // height))
    picture = picture.repeat(enlarged, 0).repeat(enlarged, 1)
    return _png(picture, GRID_M / scale / enlarged, title)


def _painted(told: NDArray[np.uint16], ground: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) from heights in cm, vegetation in %, and mean colours."""
    centimetres, vegetation = told
    grey = np.asarray(cv2.cvtColor(ground.transpose(1, 2, 0), cv2.COLOR_RGB2GRAY))
    picture = np.repeat((110 + grey * (130 / 255)).astype(np.uint8)[..., None], 3, 2)
    step = np.digitize(centimetres / 100, _STEPS_M) - 1
    high = (step >= 0) & (vegetation >= 50)
    picture[high] = _palette()[step[high].clip(0, len(_STEPS_M) - 1)]
    unknown = centimetres == NOT_ANALYSED
    rows, columns = np.indices(unknown.shape)
    stripe = (rows + columns) % _HATCH_PX < 2
    picture[unknown] = _PAPER
    picture[unknown & stripe] = _HATCH
    return picture


def _palette() -> NDArray[np.uint8]:
    """uint8 (N, 3) RGB, from high to low contrast with the grey ground: dark is high."""
    levels = np.linspace(235, 0, len(_STEPS_M)).round().astype(np.uint8)
    mapped = np.asarray(cv2.applyColorMap(levels[:, None], cv2.COLORMAP_VIRIDIS))
    return np.asarray(mapped[:, 0, ::-1], np.uint8)


def _png(picture: NDArray[np.uint8], px_m: float, title: str) -> bytes:
    height, width = picture.shape[:2]
    sheet = Image.new("RGB", (max(width, _LEAST_PX), height + _LEGEND_PX), _PAPER)
    sheet.paste(Image.fromarray(picture), (0, 0))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    draw.text((8, height + 6), f"{title}  {_WHAT}", _INK, font)
    left, top = 8, height + 32
    for colour, step in zip(_palette().tolist(), _STEPS_M, strict=True):
        draw.rectangle((left, top, left + 31, top + 13), tuple(colour))
        draw.text((left, top + 15), f"{step:g}", _INK, font)
        left += 32
    draw.text((left + 2, top + 15), "m +", _INK, font)
    left += 40
    draw.rectangle((left, top, left + 31, top + 13), _PAPER, _INK)
    for x in range(left + 4, left + 31, _HATCH_PX):
        draw.line((x, top + 13, min(x + 13, left + 31), top), _HATCH, 2)
    draw.text((left, top + 15), _NOTHING, _INK, font)
    length_m = _round_m(140 * px_m)
    length_px = round(length_m / px_m)
    right = sheet.width - 12
    draw.rectangle((right - length_px, top + 6, right, top + 10), _INK)
    draw.text((right, top + 15), f"{length_m:g} m", _INK, font, anchor="ra")
    out = io.BytesIO()
    sheet.save(out, "PNG", optimize=True)
    return out.getvalue()


def _round_m(length_m: float) -> float:
    """The largest 1, 2 or 5 times a power of ten that is no longer."""
    power = 10 ** math.floor(math.log10(length_m))
    return float(max(step * power for step in (1, 2, 5) if step * power <= length_m))
