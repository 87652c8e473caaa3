"""Solid bodies under a sky: poses, lit boxes, surfaces of revolution, shadows on the ground."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.scenes.camera import Floats, floats
from training.scenes.canvas import Canvas
from training.scenes.scene import Pixels
from training.scenes.texture import Colour

UP = np.array([0, 0, 1], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """Daylight as drawn; night is made of it afterwards, by the optics.

    Attributes:
        towards_sun: unit vector (3,) in the world.
        sun: RGB strength of the sun, 0 under clouds or by night.
        sky: RGB strength of the light from everywhere.
    """

    towards_sun: Floats
    sun: Floats
    sky: Floats

    def on(self, normals: Floats) -> Floats:
        """RGB factors (…, 3) on surfaces with unit normals (…, 3)."""
        direct = np.maximum(normals @ self.towards_sun, 0)[..., None] * self.sun
        # Half of the sky is above a wall, and the ground sends back less.
        return np.asarray(direct + self.sky * (0.72 + 0.28 * normals[..., 2:3]), np.float32)


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a body stands: s, t, z in metres, turned by `angle` radians about the vertical.

    Bodies are described with x to their right, y to their back and z up, seen from their front.
    """

    s: float
    t: float
    angle: float = 0.0
    z: float = 0.0

    def turn(self, vectors: NDArray[np.floating] | tuple[float, float, float]) -> Floats:
        """Directions (…, 3) of the body in the world."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        matrix = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], np.float32)
        return np.asarray(np.asarray(vectors, np.float32) @ matrix.T, np.float32)

    def world(self, points: NDArray[np.floating] | tuple[float, float, float]) -> Floats:
        """Points (…, 3) of the body in the world."""
        return self.turn(points) + np.array([self.s, self.t, self.z], np.float32)

    def beside(self, x: float, y: float, angle: float = 0.0, z: float = 0.0) -> "Pose":
        """Where a point of the body is in the world, as a pose turned by `angle`."""
        s, t, up = self.world((x, y, z))
        return Pose(float(s), float(t), angle, float(up))


def face(
    canvas: Canvas,
    light: Light,
    pose: Pose,
    corners: tuple[Colour, Colour, Colour],
    texture: Pixels,
    owner: int,
    *,
    two_sided: bool = False,
    glow: float = 0.0,
) -> None:
    """A lit textured rectangle from its top left, top right and bottom left corners (body, m)."""
    left_top, right_top, left_bottom = (pose.world(corner) for corner in corners)
    across, down = right_top - left_top, left_bottom - left_top
    normal = np.cross(down, across)
    shade = light.on(floats(normal / max(float(np.linalg.norm(normal)), 1e-9)))
    canvas.face(left_top, across, down, texture, owner, shade=shade, glow=glow, two_sided=two_sided)


def box(
    canvas: Canvas,
    light: Light,
    pose: Pose,
    size: Colour,
    textures: tuple[Pixels, Pixels, Pixels],
    owner: int,
    *,
    foot: float = 1.0,
    base: float = 0.0,
) -> None:
    """A cuboid of (wide, deep, tall) m, its foot `foot` times as wide and deep as its top.

    `textures` are of front and back, of the sides, and of the top; `base` is its height above
    the ground.
    """
    wide, deep, tall = size
    x, y, top = wide / 2, deep / 2, base + tall
    fx, fy = x * foot, y * foot
    front, side, lid = textures
    sides = (
        ((-x, -y, top), (x, -y, top), (-fx, -fy, base), front),
        ((x, y, top), (-x, y, top), (fx, fy, base), front),
        ((-x, y, top), (-x, -y, top), (-fx, fy, base), side),
        ((x, -y, top), (x, y, top), (fx, -fy, base), side),
        ((-x, y, top), (x, y, top), (-x, -y, top), lid),
    )
    for left_top, right_top, left_bottom, texture in sides:
        face(canvas, light, pose, (left_top, right_top, left_bottom), texture, owner)


def surface(
    canvas: Canvas,
    light: Light,
    grid: Floats,
    colours: Floats,
    owner: int,
    *,
    gloss: float = 0.0,
) -> None:
    """A smooth closed surface: world points (rows, columns, 3), cells (rows − 1, columns − 1, 3).

    Cells that show their back are left out. Seen along rows and columns, a cell's front has
    columns to the right and rows down. `gloss` mirrors the sky above and the ground below.
    """
    quads = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], 2)
    quads = quads.reshape(-1, 4, 3)
    normals = np.cross(quads[:, 3] - quads[:, 1], quads[:, 2] - quads[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    view = quads.mean(1) - [0, 0, canvas.camera.height_m]
    view /= np.maximum(np.linalg.norm(view, axis=1, keepdims=True), 1e-9)
    facing = -(normals * view).sum(1)
    front = facing > 0
    colour = colours.reshape(-1, 3) * light.on(normals)
    if gloss:
        bounce = view + 2 * facing[:, None] * normals
        mirrored = np.clip(0.5 + 1.2 * bounce[:, 2:], 0.12, 1.0) * light.sky * 215
        share = gloss * (0.25 + 0.75 * (1 - facing[:, None].clip(0, 1)) ** 2)
        colour = colour + (mirrored - colour) * share
        glint = np.maximum((bounce * light.towards_sun).sum(1), 0) ** 40
        colour = colour + glint[:, None] * light.sun * 255 * gloss
    canvas.cells(quads[front].astype(np.float32), colour[front], owner)


def lathe(
    canvas: Canvas,
    light: Light,
    pose: Pose,
    profile: list[tuple[float, float]],
    colour: Floats,
    owner: int,
    *,
    gloss: float = 0.1,
    around: int = 28,
) -> None:
    """A body of revolution from (radius, height) m, top first.

    `colour` is one (3,) in 0–255, or one a ring and sector (len(profile) − 1, around, 3).
    """
    radius, height = np.array(profile, np.float32).T
    angle = np.linspace(0, 2 * np.pi, around + 1)
    grid = np.stack(
        [
            radius[:, None] * np.cos(angle),
            radius[:, None] * np.sin(angle),
            np.broadcast_to(height[:, None], (len(radius), around + 1)),
        ],
        -1,
    )
    colours = np.broadcast_to(colour, (len(radius) - 1, around, 3))
    surface(canvas, light, pose.world(grid), colours, owner, gloss=gloss)


class Shadows:
    """Shade on the ground, gathered before anything stands on it."""

    def __init__(self, canvas: Canvas, light: Light) -> None:
        self._camera = canvas.camera
        self._light = light
        height, width = canvas.camera.size_hw
        self.direct: Floats = np.zeros((height, width), np.float32)
        self.contact: Floats = np.zeros((height, width), np.float32)

    def _fill(self, layer: Floats, ground: Floats, strength: float) -> None:
        points = np.concatenate([ground, np.zeros((len(ground), 1), np.float32)], 1)
        if self._camera.depth(points).min() <= 0.3:
            return
        hull = cv2.convexHull(np.round(self._camera.project(points) * 16).astype(np.int32))
        mask = np.zeros(layer.shape, np.uint8)
        cv2.fillConvexPoly(mask, hull.clip(-(2**27), 2**27), 255, cv2.LINE_AA, 4)
        np.maximum(layer, mask.astype(np.float32) * (strength / 255), out=layer)

    def cast(self, pose: Pose, size: Colour) -> None:
        """The shadow of a cuboid of (wide, deep, tall) m, and the dark line at its foot."""
        wide, deep, tall = size
        x, y = wide / 2, deep / 2
        foot = pose.world(floats([[-x, -y, 0], [x, -y, 0], [x, y, 0], [-x, y, 0]]))[:, :2]
        self._fill(self.direct, np.concatenate([foot, foot + self.reach(tall)]), 1.0)
        centre = foot.mean(0)
        for grown, strength in ((1.25, 0.3), (1.1, 0.45), (1.0, 0.7)):
            self._fill(self.contact, centre + (foot - centre) * grown, strength)

    def reach(self, tall: float) -> Floats:
        """Where on the ground the shadow of a point `tall` m up lies, from its foot (2,)."""
        sun = self._light.towards_sun
        return np.asarray(-sun[:2] / max(float(sun[2]), 0.2) * tall, np.float32)

    def dapple(self, pose: Pose, leaves: Pixels, across_m: float, tall: float) -> None:
        """The shadow of a crown: an opacity sprite laid on the ground."""
        centre = np.array([pose.s, pose.t], np.float32) + self.reach(tall)
        half = across_m / 2
        square = centre + floats([[-half, half], [half, half], [half, -half], [-half, -half]])
        points = np.concatenate([square, np.zeros((4, 1), np.float32)], 1)
        if self._camera.depth(points).min() <= 0.3:
            return
        side = floats(leaves.shape[1::-1])
        corners = floats([[0, 0], [1, 0], [1, 1], [0, 1]]) * side
        matrix = cv2.getPerspectiveTransform(corners, self._camera.project(points))
        shade = cv2.warpPerspective(leaves, matrix, self.direct.shape[::-1])
        np.maximum(self.direct, shade.astype(np.float32) / 255, out=self.direct)

    def factors(self) -> Floats:
        """RGB factors (H, W, 3) on a ground drawn in full light."""
        soft = cv2.GaussianBlur(self.direct, (0, 0), 0.9)[..., None]
        near = cv2.GaussianBlur(self.contact, (0, 0), 2.0)[..., None]
        full = self._light.on(UP)
        shaded = 1 - soft * (1 - self._light.sky / full)
        return np.asarray(shaded * (1 - near), np.float32)
