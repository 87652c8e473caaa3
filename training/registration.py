"""How far aerial pictures and the heights that LiDAR measured are apart.

Pictures taken from the side of what they show displace it by metres, tall trees the most, and their
georeference is off by as much again. So heights are moved to where the picture shows them: by a
field of shifts, found where heights that a network sees in the picture are most like those measured
(normalised cross-correlation), smooth over a hundred metres. Shifts are found once, by a network
that half a training taught, and kept beside the code: `keep` writes them.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

STEP = 128
"""Cells between the shifts of a field."""

_KEPT = Path(__file__).with_name("shifts.json")
_REACH = 44  # cells, 22 m: as far as is looked
_BLOCK = 192  # cells, compared at once
_APART = 16  # cells by which one shift may differ from what holds for the whole picture
_SPREAD = 1.0  # steps over which neighbours speak for each other

Field = NDArray[np.float32]
"""float32 (h, w, 2): rows and columns by which heights lie beyond what the picture shows."""


def field_between(seen: NDArray[np.float32], measured: NDArray[np.float32]) -> Field:
    """The shifts between heights (H, W) seen in a picture and measured ones, NaN where unknown."""
    height, width = seen.shape
    rows, columns = (max(1, round(side / STEP)) for side in seen.shape)
    # The square root: one tall tree shall not outweigh a row of small ones.
    guide = np.sqrt(seen)
    target = np.sqrt(np.nan_to_num(measured, nan=0)).astype(np.float32)
    target = np.pad(target, _REACH, mode="reflect")
    likeness = np.zeros((rows, columns, 2 * _REACH + 1, 2 * _REACH + 1), np.float32)
    for row in range(rows):
        for column in range(columns):
            top, left = (
                int(np.clip((i + 0.5) * side / count - _BLOCK / 2, 0, max(0, side - _BLOCK)))
                for i, count, side in ((row, rows, height), (column, columns, width))
            )
            block = guide[top : top + _BLOCK, left : left + _BLOCK]
            below, right = top + block.shape[0] + 2 * _REACH, left + block.shape[1] + 2 * _REACH
            if block.std() > 0:
                like = cv2.matchTemplate(target[top:below, left:right], block, cv2.TM_CCOEFF_NORMED)
                # A block of trees says more than one of lawn.
                likeness[row, column] = np.nan_to_num(like) * block.std()
    flat = likeness.reshape(rows, columns, -1)
    layers = [flat[..., i] for i in range(flat.shape[2])]
    smooth = np.stack([cv2.GaussianBlur(layer, (0, 0), _SPREAD) for layer in layers], -1)
    # Where few trees stand, what holds for the whole picture decides.
    overall = flat.mean((0, 1))
    smooth += overall
    size = likeness.shape[2:]
    best, most = (np.stack(np.unravel_index(a.argmax(-1), size), -1) for a in (smooth, overall))
    lost = np.abs(best - most).max(-1, keepdims=True) > _APART
    return (np.where(lost, most, best) - _REACH).astype(np.float32)


def moved(measured: NDArray[np.float32], field: Field) -> NDArray[np.float32]:
    """Measured heights (H, W) where the picture shows them; NaN beyond the border."""
    height, width = measured.shape
    shifts = [cv2.resize(field[..., i], (width, height)) for i in (0, 1)]
    rows, columns = np.indices((height, width), np.float32) + np.stack(shifts)
    return np.asarray(
        cv2.remap(measured, columns, rows, cv2.INTER_NEAREST, borderValue=float("nan")),
        np.float32,
    )


def kept() -> Mapping[str, Field]:
    """The fields that were found, by the name of the file of heights."""
    found = json.loads(_KEPT.read_text(encoding="utf-8"))
    return {name: np.array(field, np.float32) for name, field in found.items()}


def keep(fields: Mapping[str, Field]) -> None:
    """Write fields for all trainings to come, a line each."""
    lines = (
        f"  {json.dumps(name)}: {json.dumps(field.astype(int).tolist())}"
        for name, field in sorted(fields.items())
    )
    _KEPT.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
