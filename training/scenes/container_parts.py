"""Parts that street containers share: walls, signs, and what bursts out of them."""

from dataclasses import dataclass

import cv2
import numpy as np

from training.scenes import rubbish, solids, texture
from training.scenes.camera import Floats, floats
from training.scenes.canvas import Canvas
from training.scenes.scene import Pixels
from training.scenes.solids import Light, Pose
from training.scenes.texture import Colour

PX_PER_M = 150
_PAPERS: tuple[Colour, ...] = ((236, 236, 232), (236, 204, 60), (70, 130, 190), (240, 240, 240))
_RED, _WHITE = (204, 40, 45, 255), (228, 224, 220, 255)


@dataclass(frozen=True, slots=True)
class Builder:
    """Draws the parts of one container where it stands."""

    canvas: Canvas
    light: Light
    rng: np.random.Generator
    pose: Pose
    owner: int

    def panel(
        self,
        wide: float,
        tall: float,
        colour: Colour,
        *,
        ribs: int = 0,
        dirt: float,
        rust: float = 0,
    ) -> Pixels:
        """The texture of a wall of wide × tall metres."""
        height, width = max(8, round(tall * PX_PER_M)), max(8, round(wide * PX_PER_M))
        return texture.panel(self.rng, height, width, colour, ribs=ribs, dirt=dirt, rust=rust)

    def end(self, colour: Colour, outline: list[tuple[float, float]], ribs: int = 0) -> Pixels:
        """An end wall cut to an outline of (y, z), over its bounding rectangle, RGBA."""
        points = floats(outline)
        low, high = points.min(0), points.max(0)
        wide, tall = (float(side) for side in high - low)
        pixels = self.panel(wide, tall, colour, ribs=ribs, dirt=0.7)
        flat = np.column_stack([points[:, 0] - low[0], high[1] - points[:, 1]]) * PX_PER_M
        mask = np.zeros(pixels.shape[:2], np.uint8)
        cv2.fillPoly(mask, [flat.round().astype(np.int32)], 255)
        return texture.with_opacity(pixels, mask)

    def face(
        self, corners: tuple[Colour, Colour, Colour], pixels: Pixels, *, two_sided: bool = False
    ) -> None:
        """A rectangle from its top left, top right and bottom left corners."""
        solids.face(
            self.canvas, self.light, self.pose, corners, pixels, self.owner, two_sided=two_sided
        )

    def box(
        self,
        at: tuple[float, float],
        size: Colour,
        textures: tuple[Pixels, Pixels, Pixels],
        *,
        foot: float = 1.0,
        base: float = 0.0,
    ) -> None:
        """A cuboid at x, y; see `solids.box`."""
        pose = self.pose.beside(*at, self.pose.angle)
        solids.box(self.canvas, self.light, pose, size, textures, self.owner, foot=foot, base=base)

    def lathe(
        self,
        profile: list[tuple[float, float]],
        colour: Floats,
        *,
        gloss: float = 0.1,
        around: int = 28,
        at: Colour = (0, 0, 0),
    ) -> None:
        """A body of revolution; see `solids.lathe`."""
        pose = self.pose.beside(at[0], at[1], self.pose.angle, at[2])
        solids.lathe(
            self.canvas, self.light, pose, profile, colour, self.owner, gloss=gloss, around=around
        )

    def prism(
        self, wide: float, outline: list[tuple[float, float]], ends: Pixels, strips: list[Pixels]
    ) -> None:
        """An outline of (y, z), front foot first and over the top to the back, drawn out in x."""
        x = wide / 2
        low, high = np.min(outline, 0).tolist(), np.max(outline, 0).tolist()
        left = ((-x, high[0], high[1]), (-x, low[0], high[1]), (-x, high[0], low[1]))
        right = ((x, low[0], high[1]), (x, high[0], high[1]), (x, low[0], low[1]))
        self.face(left, np.ascontiguousarray(ends[:, ::-1]))
        self.face(right, ends)
        edges = list(zip(outline, outline[1:], strips, strict=False))
        for (y1, z1), (y2, z2), strip in reversed(edges):
            self.face(((-x, y2, z2), (x, y2, z2), (-x, y1, z1)), strip)

    def contents(self, heap: int, area: tuple[float, float, float], count: int) -> None:
        """Bags and cartons over an opening of (wide, deep) m at a height of m, back to front."""
        wide, deep, height = area
        shade = self.light.on(floats([0, -0.5, 0.86]))
        for y in np.sort(self.rng.uniform(-0.5, 0.35, count))[::-1]:
            x, turn = self.rng.uniform(-0.36, 0.36) * wide, self.rng.uniform(0, 2 * np.pi)
            pose = self.pose.beside(float(x), float(y) * deep, float(turn), height)
            if self.rng.random() < 0.75:
                across = float(self.rng.uniform(0.42, 0.66)) * min(1.0, wide + 0.2)
                foot = floats([pose.s, pose.t, pose.z - 0.3 * across])
                self.canvas.billboard(foot, across, rubbish.bag(self.rng), heap, shade=shade)
            else:
                rubbish.carton(self.canvas, self.light, self.rng, pose, heap, 0.8)

    def label(self, pixels: Pixels, at: tuple[float, float], size: tuple[float, float]) -> None:
        """A printed label at and of shares of the width and height of `pixels`, in place."""
        height, width = pixels.shape[:2]
        x, y = round(at[0] * width), round(at[1] * height)
        wide, tall = round(size[0] * width), round(size[1] * height)
        paper = _PAPERS[self.rng.integers(len(_PAPERS))]
        cv2.rectangle(pixels, (x, y), (x + wide, y + tall), paper, -1)
        texture.print_lines(self.rng, pixels[y : y + tall, x : x + wide], (50, 54, 60))


def dark() -> Pixels:
    """The texture of an opening."""
    return texture.to_pixels(texture.plain((20, 20, 19), 8, 8))


def chevrons(pixels: Pixels, x: int, y: int, wide: int, tall: int) -> None:
    """Red and white warning stripes pointing down, in place."""
    cv2.rectangle(pixels, (x, y), (x + wide, y + tall), _WHITE, -1)
    step, half = tall / 3.0, wide / 2
    for k in range(-1, 4):
        top = y + k * step
        upper = [(x, top), (x + half, top + half), (x + wide, top)]
        lower = [(px, py + step * 0.5) for px, py in reversed(upper)]
        band = np.array(upper + lower)
        band[:, 1] = band[:, 1].clip(y, y + tall)
        cv2.fillPoly(pixels, [band.astype(np.int32)], _RED, cv2.LINE_AA)


def no_parking(pixels: Pixels, x: int, y: int, radius: int) -> None:
    """A struck-out E in a red ring, in place."""
    cv2.circle(pixels, (x, y), radius, _WHITE, -1, cv2.LINE_AA)
    cv2.circle(pixels, (x, y), round(radius * 0.86), _RED, max(1, radius // 5), cv2.LINE_AA)
    scale, reach = radius / 16, round(radius * 0.6)
    at, weight = (round(x - 9 * scale), round(y + 10 * scale)), max(1, round(2.6 * scale))
    cv2.putText(pixels, "E", at, cv2.FONT_HERSHEY_SIMPLEX, scale, (30, 30, 32), weight, cv2.LINE_AA)
    start, end = (x - reach, y - reach), (x + reach, y + reach)
    cv2.line(pixels, start, end, _RED, max(1, radius // 6), cv2.LINE_AA)
