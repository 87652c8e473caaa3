"""A pinhole camera over a street.

World frame, in metres: s along the street, t across it (away from the camera), z up; the camera
stands at s = t = 0.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]

NEAR_M = 0.25  # what is nearer is not drawn


def floats(values: ArrayLike) -> Floats:
    """Values as a float32 array."""
    return np.asarray(values, np.float32)


@dataclass(frozen=True)
class Camera:
    """A pinhole camera `height_m` above the ground; angles in radians, `pitch` down.

    `yaw` turns it along the street (+s), `focal_px` holds for the final picture of `size_hw` px.
    """

    size_hw: tuple[int, int]
    focal_px: float
    height_m: float
    pitch: float
    yaw: float = 0.0
    roll: float = 0.0

    @cached_property
    def axes(self) -> Floats:
        """float32 (3, 3): right, down and forward as rows, in world coordinates."""
        sin, cos = np.sin, np.cos
        forward = np.array(
            [sin(self.yaw) * cos(self.pitch), cos(self.yaw) * cos(self.pitch), -sin(self.pitch)]
        )
        right = np.array([cos(self.yaw), -sin(self.yaw), 0.0])
        down = np.cross(forward, right)
        level, tilt = cos(self.roll), sin(self.roll)
        rows = [level * right + tilt * down, level * down - tilt * right, forward]
        return np.asarray(rows, np.float32)

    def depth(self, points: Floats) -> Floats:
        """Metres along the optical axis of points (N, 3)."""
        return np.asarray((points - [0, 0, self.height_m]) @ self.axes[2], np.float32)

    def project(self, points: Floats) -> Floats:
        """Points (N, 3) in front of the camera → px (N, 2)."""
        x, y, z = self.axes @ (points - [0, 0, self.height_m]).T
        z = np.maximum(z, NEAR_M)
        height, width = self.size_hw
        return np.stack(
            [width / 2 + self.focal_px * x / z, height / 2 + self.focal_px * y / z], 1
        ).astype(np.float32)

    def ground(self, x_px: Floats, y_px: Floats) -> tuple[Floats, Floats, Floats]:
        """s, t and depth in metres where the rays through pixels meet the ground.

        Depth is infinite for rays that never do.
        """
        height, width = self.size_hw
        rays = np.stack(
            [
                (x_px - width / 2) / self.focal_px,
                (y_px - height / 2) / self.focal_px,
                np.ones_like(x_px),
            ],
            -1,
        )
        rays = rays @ self.axes  # (…, 3) world directions, 1 m along the optical axis
        with np.errstate(divide="ignore"):
            depth = np.where(rays[..., 2] < -1e-4, -self.height_m / rays[..., 2], np.inf)
        reach = np.where(np.isfinite(depth), depth, 0)
        return (
            (rays[..., 0] * reach).astype(np.float32),
            (rays[..., 1] * reach).astype(np.float32),
            depth.astype(np.float32),
        )

    def at(self, x_px: float, y_px: float) -> tuple[float, float]:
        """s and t in metres of the ground seen at a pixel below the horizon."""
        s, t, _ = self.ground(floats([x_px]), floats([y_px]))
        return float(s[0]), float(t[0])
