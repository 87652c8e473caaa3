"""Heights above ground on a grid, with how sure they are, whatever measured them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.ground import Ground

GRID_M = 0.5
"""Side of the cells that heights are told for."""

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
