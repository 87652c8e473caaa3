"""House fronts with windows, doors and shops; walls and hedges."""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from training.scenes import texture
from training.scenes.camera import NEAR_M, Camera, Floats, floats
from training.scenes.canvas import Canvas
from training.scenes.scene import Pixels
from training.scenes.solids import Light
from training.scenes.texture import Colour, darker, noise

_PLASTERS: tuple[Colour, ...] = (
    (222, 212, 192),
    (206, 186, 156),
    (232, 228, 220),
    (186, 178, 168),
    (214, 196, 178),
    (176, 120, 100),
    (198, 204, 206),
    (160, 98, 76),
    (150, 152, 150),
)
_WOODS: tuple[Colour, ...] = (
    (62, 76, 96),
    (96, 56, 46),
    (54, 84, 70),
    (84, 66, 50),
    (210, 208, 202),
    (40, 42, 46),
)
_SIGNS: tuple[Colour, ...] = (
    (150, 40, 40),
    (30, 60, 110),
    (40, 90, 60),
    (34, 34, 38),
    (190, 150, 60),
)
_IRON: Colour = (36, 38, 42)
_PX_PER_M = 56


@dataclass(frozen=True, slots=True)
class Building:
    """A façade parallel to the street between s1 and s2, at t; `kind` house, wall or hedge."""

    kind: str
    s1: float
    s2: float
    t: float
    tall: float
    seed: int


@cache
def _brick() -> Floats:
    size = 256
    y, x = np.mgrid[:size, :size]
    row = y // 4
    across = x + 8 * (row % 2)
    tone = np.random.default_rng(3).normal(1, 0.12, (size, size))[row, across // 16]
    joint = (y % 4 == 0) | (across % 16 == 0)
    return np.where(joint, 1.12, tone).astype(np.float32)


class _Front:
    """A house front being painted, and how far each pixel is lit by night."""

    def __init__(self, rng: np.random.Generator, wide_m: float, tall_m: float) -> None:
        self.rng = rng
        self.height, self.width = round(tall_m * _PX_PER_M), round(wide_m * _PX_PER_M)
        self.wall = _PLASTERS[rng.integers(len(_PLASTERS))]
        self.frame = _WOODS[rng.integers(len(_WOODS))]
        self.trim = darker(self.wall, 1.1)
        self.pixels = texture.panel(rng, self.height, self.width, self.wall, dirt=0.35)
        self.lit: Pixels = np.zeros((self.height, self.width), np.uint8)
        if rng.random() < 0.3:
            repeats = (self.height // 256 + 1, self.width // 256 + 1)
            bricks = np.tile(_brick(), repeats)[: self.height, : self.width, None] * 0.9
            self.pixels = np.clip(self.pixels * bricks, 0, 255).astype(np.uint8)
        self.columns = max(1, int(wide_m / rng.uniform(2.0, 3.0)))
        self.window_w = int(min(self.width / self.columns * 0.5, 1.25 * _PX_PER_M))

    def column(self, index: int) -> int:
        """Left edge of the windows of a column, px."""
        return int((index + 0.5) * self.width / self.columns - self.window_w / 2)

    def rectangle(self, x1: int, y1: int, x2: int, y2: int, colour: Colour, line: int = -1) -> None:
        """A rectangle, filled unless it has a line width."""
        cv2.rectangle(self.pixels, (x1, y1), (x2, y2), colour, line)

    def window(self, x: int, y: int, h: int) -> None:
        """A window with its frame, curtains or blind; a third are lit by night."""
        w, rng, frame, pixels = self.window_w, self.rng, self.frame, self.pixels
        self.rectangle(x - 4, y - 4, x + w + 4, y + h + 5, darker(frame, 0.8))
        down = np.linspace(0, 1, h, dtype=np.float32)[:, None, None]
        sky = floats([112, 128, 142]) * rng.uniform(0.6, 1.2)
        pane = sky * (1 - down) + floats([44, 50, 56]) * down + rng.normal(0, 4, (h, 1, 1))
        pixels[y : y + h, x : x + w] = np.clip(pane, 0, 255)
        if rng.random() < 0.5:
            cloth, wide = floats([206, 200, 190]) * rng.uniform(0.6, 1), rng.uniform(0.15, 0.45)
            for start, end in ((0.0, wide), (1 - wide, 1.0)):
                pixels[y : y + h, x + int(start * w) : x + int(end * w)] = cloth
        if rng.random() < 0.22:
            pixels[y : y + int(h * rng.uniform(0.2, 0.9)), x : x + w] = darker(frame, 0.95)
        self.rectangle(x, y, x + w, y + h, frame, 3)
        cv2.line(pixels, (x + w // 2, y), (x + w // 2, y + h), frame, 3)
        if rng.random() < 0.3:
            self.lit[y : y + h, x : x + w] = rng.integers(110, 255)

    def upper_floors(self) -> None:
        """Rows of windows above the ground floor, some with balconies."""
        h, floor = int(self.rng.uniform(1.4, 1.9) * _PX_PER_M), round(2.9 * _PX_PER_M)
        balconies = self.rng.random() < 0.35
        for y in range(self.height - round(3.5 * _PX_PER_M) - floor, -floor // 3, -floor):
            top = y + int(0.55 * _PX_PER_M)
            for k in range(self.columns if top >= 6 else 0):
                left, right = self.column(k), self.column(k) + self.window_w
                self.rectangle(left - 9, top - 9, right + 9, top + h + 8, self.trim)
                self.window(left, top, h)
                sill = top + h + 6
                self.rectangle(left - 11, sill, right + 11, sill + 7, darker(self.trim, 0.75))
                if balconies:
                    rail = top + h // 2
                    self.rectangle(left - 12, rail, right + 12, rail + 1, _IRON)
                    for bar in range(left - 12, right + 12, 6):
                        self.rectangle(bar, rail, bar, top + h + 10, _IRON)
            self.rectangle(0, y + floor - 6, self.width, y + floor, self.trim)

    def shop(self) -> None:
        """A shop on the ground floor: its sign and its windows."""
        rng, base = self.rng, self.height - round(3.5 * _PX_PER_M)
        sign = _SIGNS[rng.integers(len(_SIGNS))]
        low = base + int(0.65 * _PX_PER_M)
        self.rectangle(8, base + 8, self.width - 8, low, sign)
        middle = self.pixels[base + 10 : low - 3, self.width // 5 : self.width * 4 // 5]
        texture.print_lines(rng, middle, (236, 232, 222))
        x, light = 12, int(rng.choice([0, 90, 170]))
        while x + _PX_PER_M < self.width - 12:
            wide = int(min(rng.uniform(1.0, 2.4) * _PX_PER_M, self.width - 12 - x))
            top = base + int(0.8 * _PX_PER_M)
            foot = self.height - int(rng.choice([0.02, 0.45]) * _PX_PER_M)
            self.pixels[top:foot, x : x + wide - 6] = _display(rng, foot - top, wide - 6)
            self.rectangle(x, top, x + wide - 6, foot, sign, 4)
            self.lit[top:foot, x : x + wide - 6] = light
            x += wide

    def ground_floor(self) -> None:
        """A door, windows, a plinth, sometimes a tag."""
        rng, w, tall = self.rng, self.window_w, int(2.5 * _PX_PER_M)
        door, top = int(rng.integers(0, self.columns)), self.height - tall
        for k in range(self.columns):
            x = self.column(k)
            if k == door:
                wood = _WOODS[rng.integers(len(_WOODS))]
                self.rectangle(x - 8, top - 8, x + w + 8, self.height, self.trim)
                self.rectangle(x, top, x + w, self.height, wood)
                for share in (0.12, 0.55):
                    y1, y2 = top + int(share * tall), top + int((share + 0.34) * tall)
                    self.rectangle(x + w // 6, y1, x + w * 5 // 6, y2, darker(wood, 0.7), 2)
            elif rng.random() < 0.85:
                self.window(x, self.height - int(2.6 * _PX_PER_M), int(1.5 * _PX_PER_M))
        plinth = self.height - int(0.4 * _PX_PER_M)
        self.rectangle(0, plinth, self.width, self.height, darker(self.wall, 0.7))
        if rng.random() < 0.35:
            reach = self.pixels[self.height - 2 * _PX_PER_M :]
            texture.scribble(rng, reach, texture.any_colour(rng), 5)


def _display(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """What a shop window shows: goods in the dark, the street mirrored over them."""
    inside = texture.panel(rng, height, width, (70, 66, 62), dirt=0.0)
    for _ in range(7):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        end = (x + int(rng.integers(8, 40)), y + int(rng.integers(8, 50)))
        cv2.rectangle(inside, (x, y), end, darker(texture.any_colour(rng), 0.8), -1)
    inside = cv2.GaussianBlur(inside, (0, 0), 4)
    grey = cv2.cvtColor(cv2.cvtColor(inside, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    inside = cv2.addWeighted(inside, 0.4, grey, 0.4, 0)
    slant = np.add.outer(np.arange(height), np.arange(width)) * 0.02 + rng.uniform(0, 6)
    mirror = np.clip(np.sin(slant) + 0.3 * np.sin(slant * 2.7), 0, 1) * 46
    mirror += np.linspace(40, 0, height)[:, None]
    return np.asarray(np.clip(inside + mirror[..., None], 0, 255), np.uint8)


def _in_sight(camera: Camera, building: Building) -> bool:
    s = np.linspace(building.s1, building.s2, 9)
    foot = floats(np.stack([s, np.full(9, building.t), np.zeros(9)], 1))
    ahead = camera.depth(foot) > NEAR_M
    if not ahead.all():
        return bool(ahead.any())
    x = camera.project(foot)[:, 0]
    return bool(x.max() > 0 and x.min() < camera.size_hw[1])


def draw_building(canvas: Canvas, light: Light, building: Building, night: bool) -> None:
    """Draw one façade, wall or hedge; by night some windows glow."""
    if not _in_sight(canvas.camera, building):
        return
    rng = np.random.default_rng(building.seed)
    wide = building.s2 - building.s1
    corner = floats([building.s1, building.t, building.tall])
    across, down = floats([wide, 0, 0]), floats([0, 0, -building.tall])
    shade = light.on(floats([0, -1, 0]))
    if building.kind == "house":
        front = _Front(rng, wide, building.tall)
        front.upper_floors()
        if rng.random() < 0.45:
            front.shop()
        else:
            front.ground_floor()
        canvas.face(corner, across, down, front.pixels, shade=shade)
        if night:
            # What is behind the glass shows through its own light.
            warm = np.minimum(front.pixels * floats([1.5, 1.3, 0.9]) + [110, 80, 36], 255)
            opacity = np.where(front.lit > 0, np.maximum(front.lit, 130), 0)
            windows = texture.with_opacity(warm.astype(np.uint8), opacity.astype(np.uint8))
            canvas.face(corner, across, down, windows, glow=0.6)
    else:
        draw = _wall if building.kind == "wall" else _hedge
        pixels = draw(rng, round(building.tall * 40), round(wide * 40))
        canvas.face(corner, across, down, pixels, shade=shade)


def _wall(rng: np.random.Generator, height: int, width: int) -> Pixels:
    pixels = texture.panel(rng, height, width, _PLASTERS[rng.integers(len(_PLASTERS))], dirt=0.9)
    for _ in range(int(rng.integers(0, 5))):
        x = int(rng.integers(0, max(1, width - 120)))
        strokes = int(rng.integers(3, 8))
        texture.scribble(rng, pixels[:, x : x + 200], texture.any_colour(rng), strokes)
    return pixels


def _hedge(rng: np.random.Generator, height: int, width: int) -> Pixels:
    tone = noise(rng, height, width, 1.2) * 0.18 + noise(rng, height, width, 0.2) * 0.20
    tone += np.linspace(1.15, 0.8, height, dtype=np.float32)[:, None]
    hue = floats([rng.uniform(0.24, 0.36), rng.uniform(0.34, 0.42), rng.uniform(0.12, 0.2)])
    leaves = texture.to_pixels(np.clip(tone, 0.25, 1.7)[..., None] * hue)
    ragged = np.linspace(1.2, -8, height)[:, None] + noise(rng, height, width, 0.9) * 0.6
    return texture.with_opacity(leaves, np.where(ragged > 0.6, 0, 255).astype(np.uint8))
