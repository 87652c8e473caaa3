"""What surrounds the objects of a street: sky, trees, lamps, bollards."""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from training.scenes import texture
from training.scenes.camera import Floats, floats
from training.scenes.canvas import Canvas
from training.scenes.optics import Moment
from training.scenes.scene import Pixels
from training.scenes.solids import Light, Pose, box, lathe
from training.scenes.texture import noise


@dataclass(frozen=True, slots=True)
class Tree:
    """A street tree."""

    pose: Pose
    tall: float
    seed: int

    @property
    def crown_m(self) -> float:
        """Across its crown."""
        return self.tall * 0.72


def sky(canvas: Canvas, rng: np.random.Generator, moment: Moment) -> None:
    """Fill the whole picture with the sky of a moment."""
    height, width = canvas.owner.shape
    down = np.linspace(0, 1, height // 4, dtype=np.float32)[:, None, None] ** 0.7
    blue = floats([92, 142, 204]) * (1 - down) + floats([196, 214, 230]) * down
    grey = floats([176, 182, 190]) * (1 - down) + floats([220, 222, 224]) * down
    cover = cv2.resize(
        noise(rng, 64, 256, 1.7), (width // 4, height // 4), interpolation=cv2.INTER_CUBIC
    )
    clouds = np.clip(0.45 * cover + 1.7 * moment.overcast - 0.5, 0, 1)[..., None]
    shading = 1 + 0.05 * cover[..., None] * moment.overcast
    small = blue * (1 - clouds) + (grey * shading + 12 * (1 - moment.overcast)) * clouds
    if moment.night:
        small = small / 8
    elif moment.dusk:
        small = small * floats([1.1, 0.86, 0.72]) * (1 - 0.35 * moment.dusk)
    small = np.clip(small, 0, 255).astype(np.uint8)
    canvas.pixels[...] = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    canvas.glow[...] = 30


@cache
def _crown(variant: int) -> tuple[Pixels, Floats]:
    """Opacity and brightness (384, 384) of a crown: clumps of single leaves, sky between them."""
    rng = np.random.default_rng((77, variant))
    side = 384
    opacity = np.zeros((side, side), np.uint8)
    bright = np.zeros((side, side), np.float32)
    clumps = 46
    angle, away = rng.uniform(0, 2 * np.pi, clumps), 0.36 * np.sqrt(rng.random(clumps))
    x, y = 0.5 + away * np.cos(angle) * 1.05, 0.48 + away * np.sin(angle) * 0.95
    for k in np.argsort(-y + rng.normal(0, 0.1, clumps)):
        radius = rng.uniform(0.06, 0.13)
        leaves = int(190 * radius / 0.1)
        spots = rng.normal(0, 0.5, (leaves, 2))
        spots = spots[np.argsort(-spots[:, 1])]
        for dx, dy in spots:
            centre = (int((x[k] + dx * radius) * side), int((y[k] + dy * radius * 0.8) * side))
            lit = 0.72 - 0.26 * dy - 0.10 * dx + 0.30 * (0.5 - y[k]) + rng.normal(0, 0.12)
            axes = (int(rng.integers(2, 6)), int(rng.integers(1, 4)))
            turn = float(rng.uniform(0, 180))
            cv2.ellipse(bright, centre, axes, turn, 0, 360, float(np.clip(lit, 0.2, 1.6)), -1)
            cv2.ellipse(opacity, centre, axes, turn, 0, 360, 255, -1)
    return cv2.GaussianBlur(opacity, (0, 0), 0.6), cv2.GaussianBlur(bright, (0, 0), 0.5)


def crown_shadow(tree: Tree) -> Pixels:
    """Opacity sprite of the light its crown keeps from the ground."""
    return np.asarray(_crown(tree.seed % 5)[0] // 10 * 9, np.uint8)


def draw_tree(canvas: Canvas, light: Light, tree: Tree, owner: int) -> None:
    """Trunk, a few limbs, crown."""
    rng = np.random.default_rng(tree.seed)
    bark = floats([(96, 84, 70), (122, 112, 98), (78, 66, 54)][rng.integers(3)])
    radius = 0.012 * tree.tall + 0.06
    profile = [
        (radius * k, z * tree.tall) for k, z in ((0.55, 0.6), (0.75, 0.4), (0.9, 0.15), (1.3, 0.0))
    ]
    cells = np.ones((3, 12, 1), np.float32) + rng.normal(0, 0.14, (3, 12, 1)).astype(np.float32)
    lathe(canvas, light, tree.pose, profile, cells * bark, owner, gloss=0, around=12)
    opacity, bright = _crown(tree.seed % 5)
    hue = floats([rng.uniform(0.25, 0.42), rng.uniform(0.36, 0.45), rng.uniform(0.10, 0.2)])
    sprite = texture.with_opacity(texture.to_pixels(bright[..., None] * hue), opacity)
    if rng.random() < 0.5:
        sprite = np.ascontiguousarray(sprite[:, ::-1])
    foot = np.array([tree.pose.s, tree.pose.t, tree.tall - tree.crown_m * 0.92], np.float32)
    canvas.billboard(foot, tree.crown_m, sprite, owner, shade=light.on(floats([0, -0.5, 0.86])))


def draw_lamp(canvas: Canvas, light: Light, pose: Pose, tall: float, shining: bool) -> None:
    """A lamp post with its arm over the street."""
    steel = floats([86, 92, 94])
    lathe(
        canvas,
        light,
        pose,
        [(0.045, tall), (0.06, tall / 2), (0.09, 0.3), (0.11, 0)],
        steel,
        -1,
        around=8,
    )
    arm = texture.to_pixels(texture.plain((86, 92, 94), 8, 8))
    over = Pose(pose.s, pose.t - 0.6, 0.0, tall)
    box(canvas, light, over, (0.07, 1.2, 0.07), (arm, arm, arm), -1)
    head = texture.to_pixels(texture.plain((250, 226, 170) if shining else (170, 172, 172), 8, 8))
    where = np.array([pose.s - 0.15, pose.t - 1.35, tall], np.float32)
    flat = floats([0.3, 0, 0]), floats([0, 0.5, -0.02])
    canvas.face(where, *flat, head, glow=1.0 if shining else 0.0, two_sided=True)


def draw_bollard(canvas: Canvas, light: Light, pose: Pose) -> None:
    """A steel post against parking."""
    lathe(
        canvas,
        light,
        pose,
        [(0.02, 0.9), (0.05, 0.86), (0.05, 0.0)],
        floats([60, 62, 66]),
        -1,
        around=12,
    )
