"""Heights above ground on a grid, with how sure they are, whatever measured them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.ground import Ground

GRID_M = 0.5
"""Side of the cells that heights are told for."""

OVERLAP_CELLS = 96
"""By which pieces of a map overlap, large or small: what is told near a border is worth less."""

_BORDER = OVERLAP_CELLS // 4  # cells that count for nothing where another piece has them

LOW_M = 0.5
"""Heights under it are `low`, not a number: neither a picture nor LiDAR tells them apart."""


@dataclass(frozen=True, slots=True, eq=False)
class HeightMap:
    """Height above ground of what stands on a piece of land.

    Attributes:
        metres: float32 (H, W) above ground, ≥ 0; 0 where not valid.
        sigma: float32 (H, W) one standard deviation in metres, > 0; 0 where not valid.
        vegetation: float32 (H, W) in [0, 1], probability of vegetation of any height, grass
            too; 0 where not valid.
        valid: bool (H, W), false where nothing was analysed: no data, covered, clouds, shadow. Not
            analysed is never low.
        ground: where the grid lies; its cells are `GRID_M` wide unless the map is of other origin.

    Raises:
        ValueError: when any of the above does not hold.
    """

    metres: NDArray[np.float32]
    sigma: NDArray[np.float32]
    vegetation: NDArray[np.float32]
    valid: NDArray[np.bool_]
    ground: Ground

    def __post_init__(self) -> None:
        expected: dict[str, tuple[NDArray[Any], type[np.generic]]] = {
            "metres": (self.metres, np.float32),
            "sigma": (self.sigma, np.float32),
            "vegetation": (self.vegetation, np.float32),
            "valid": (self.valid, np.bool_),
        }
        for name, (array, dtype) in expected.items():
            if array.dtype != dtype or array.ndim != 2 or array.shape != self.valid.shape:
                shape = self.valid.shape
                raise ValueError(f"{name}: {array.dtype}{array.shape}, expected {dtype}{shape}")
        known = self.valid
        # NaN compares false, so it is refused here too.
        if not (self.metres[known] >= 0).all() or not (self.sigma[known] > 0).all():
            raise ValueError("heights must be ≥ 0 and sigma > 0 where valid")
        if not ((self.vegetation >= 0) & (self.vegetation <= 1)).all():
            raise ValueError("vegetation outside [0, 1]")
        if self.metres[~known].any() or self.sigma[~known].any() or self.vegetation[~known].any():
            raise ValueError("0 where not valid")


def ramp(length: int, before: bool = True, after: bool = True) -> NDArray[np.float64]:
    """How much each cell along one side of a piece counts, in [0, 1]: less where a neighbour does.

    What neighbours count adds up to one where they overlap by `OVERLAP_CELLS`. Pieces of pieces,
    blended so, say what pieces of the whole say.

    Args:
        length: cells.
        before: a neighbour overlaps the beginning.
        after: a neighbour overlaps the end.
    """
    inward = (np.arange(length) + 0.5 - _BORDER) / (OVERLAP_CELLS - 2 * _BORDER)
    counted = np.ones(length)
    if before:
        counted = np.minimum(counted, inward)
    if after:
        counted = np.minimum(counted, inward[::-1])
    return np.asarray(counted.clip(0, 1), np.float64)
