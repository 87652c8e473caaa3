"""Grass around a printed gauge, seen by a fixed camera: the truth is the height of the blades.

Only the part of the picture around the gauge is drawn, as a camera that looks at it sees it.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from models.markers import HEIGHT_CM, WIDTH_CM, sheet
from training.scenes import surroundings
from training.scenes.camera import Camera, Floats, floats
from training.scenes.canvas import Canvas
from training.scenes.ground import Band, draw_ground
from training.scenes.optics import Moment, develop
from training.scenes.scene import Pixels
from training.scenes.solids import Light, Pose, Shadows, face
from training.scenes.texture import noise

_SHEET_PX_PER_CM = 12
_NEAR_M = 0.25  # blades this near to the gauge are its grass
_DENSE_M, _WIDE_M = 0.3, 0.95  # half the sides of the squares of dense, and of all grass
_SHARES = (0.0, 0.45, 0.8, 1.0)  # of a blade's length, where its quadrangles meet


@dataclass(frozen=True, slots=True)
class Meadow:
    """A gauge in grass, and the camera before it.

    Attributes:
        grass_cm: about the height of the grass.
        distance_m: from the camera to the gauge, over the ground.
        camera_m: height of the camera.
        yaw: of the gauge, radians.
        focal_px: of the camera.
        size_hw: of its pictures, px.
        dirt: share of the gauge that mud and dust cover.
        snow: flakes and lumps of snow cling to the gauge.
        night: seen by infrared light.
        blur_px: standard deviation of what the lens adds.
        seed: of everything else.
    """

    grass_cm: float
    distance_m: float = 3.0
    camera_m: float = 1.8
    yaw: float = 0.0
    focal_px: float = 2000.0
    size_hw: tuple[int, int] = (1080, 1920)
    dirt: float = 0.0
    snow: bool = False
    night: bool = False
    blur_px: float = 0.0
    seed: int = 0

    @classmethod
    def random(cls, seed: int) -> "Meadow":
        """Any gauge 1 to 6 m from a camera of 1920 or 2560 px across 40° to 70°.

        Cameras nearer than 2 m have wide lenses, or they would not see the gauge.
        """
        rng = np.random.default_rng((seed, 1))
        distance = float(rng.uniform(1, 6))
        across = np.deg2rad(rng.uniform(62 if distance < 2 else 40, 70))
        width = int(rng.choice([1920, 2560]))
        return cls(
            grass_cm=float(rng.uniform(10, 60)),
            distance_m=distance,
            camera_m=float(rng.uniform(0.9, 0.8 + 0.4 * distance)),
            yaw=float(np.deg2rad(rng.uniform(-45, 45))),
            focal_px=float(width / 2 / np.tan(across / 2)),
            size_hw=(width * 9 // 16, width),
            dirt=float(rng.choice([0.0, rng.uniform(0.05, 0.3)])),
            snow=bool(rng.random() < 0.1),
            night=bool(rng.random() < 0.4),
            blur_px=float(rng.choice([0.0, rng.uniform(0.3, 1.5)])),
            seed=seed,
        )

    @property
    def camera(self) -> Camera:
        """It looks at the middle of the gauge; its picture is cut to what is around the gauge."""
        aim_m = HEIGHT_CM / 200
        px_per_m = self.focal_px / float(np.hypot(self.distance_m, self.camera_m - aim_m))
        size_hw = [int(side * px_per_m) // 8 * 8 for side in (1.5, 0.6)]
        pitch = float(np.arctan2(self.camera_m - aim_m, self.distance_m))
        roll = float(np.random.default_rng((self.seed, 2)).normal(0, 0.03))
        cut = (min(size_hw[0], self.size_hw[0]), size_hw[1])
        return Camera(cut, self.focal_px, self.camera_m, pitch, roll=roll)


def outline(scene: Meadow) -> Floats:
    """Corners (4, 2) px of the whole gauge in the picture, clockwise from its upper left one."""
    half, tall = WIDTH_CM / 200, HEIGHT_CM / 100
    corners = [(-half, 0.0, tall), (half, 0.0, tall), (half, 0.0, 0.0), (-half, 0.0, 0.0)]
    pose = Pose(0.0, scene.distance_m, scene.yaw)
    around = np.subtract(scene.size_hw, scene.camera.size_hw)[::-1] // 2
    return floats(scene.camera.project(pose.world(floats(corners))) + around)


def meadow(scene: Meadow) -> tuple[Pixels, float]:
    """Draw it: uint8 (H, W, 3) RGB, and the truth in cm.

    That is the height that half of the blades within 25 cm of the gauge stand above.
    """
    rng = np.random.default_rng((scene.seed, 3))
    moment = replace(Moment.random(rng, night=False), rain=0.0)
    if scene.night:
        moment = Moment(overcast=1.0)
    light, canvas = moment.light(), Canvas(scene.camera)
    surroundings.sky(canvas, rng, moment)
    tile = str(rng.choice(["earth", "grass"]))
    draw_ground(canvas, light, [Band(-40, 150, tile)], Shadows(canvas, light), 0.0)
    pose = Pose(0.0, scene.distance_m, scene.yaw)
    blades = _blades(scene, rng)
    from_gauge = _from_gauge(pose, blades.roots)
    _draw(canvas, light, blades.chosen(from_gauge[:, 1] >= 0), rng)
    half, tall = WIDTH_CM / 200, HEIGHT_CM / 100
    corners = (-half, 0.0, tall), (half, 0.0, tall), (-half, 0.0, 0.0)
    face(canvas, light, pose, corners, _weathered(scene, rng), -1)
    _draw(canvas, light, blades.chosen(from_gauge[:, 1] < 0), rng)
    pixels = _taken(develop(canvas, moment, [], 150, rng), scene, rng)
    near = np.hypot(*from_gauge.T) < _NEAR_M
    return pixels, 100 * float(np.median(blades.tips_m()[near]))


def _from_gauge(pose: Pose, points: Floats) -> Floats:
    """Points (N, 2) of the ground as the gauge has them: to its right, and behind it, m."""
    return floats((points - floats([pose.s, pose.t])) @ pose.turn(np.eye(3))[:2, :2].T)


def lawn(scene: Meadow, light: int) -> tuple[Pixels, Floats]:
    """The same grass without a gauge, and the outline (4, 2) px of its dense part.

    `light` is the seed of the light and of the camera's noise, the scene's of every blade.
    """
    rng, changing = (np.random.default_rng((seed, 4)) for seed in (scene.seed, light))
    moment = replace(Moment.random(changing, night=False), rain=0.0)
    canvas, daylight = Canvas(scene.camera), moment.light()
    surroundings.sky(canvas, rng, moment)
    draw_ground(canvas, daylight, [Band(-40, 150, "grass")], Shadows(canvas, daylight), 0.0)
    _draw(canvas, daylight, _blades(scene, rng), rng)
    pixels = _taken(develop(canvas, moment, [], 150, changing), scene, changing)
    side = 0.9 * _DENSE_M
    square = floats([[-side, side, 0], [side, side, 0], [side, -side, 0], [-side, -side, 0]])
    around = np.subtract(scene.size_hw, scene.camera.size_hw)[::-1] // 2
    return pixels, scene.camera.project(square + floats([0, scene.distance_m, 0])) + around


@dataclass(frozen=True, slots=True, eq=False)
class _Blades:
    """Roots (N, 2) m, lengths (N,) m, lean as a share of length (N, 2), width (N,) m, turn (N,)."""

    roots: Floats
    lengths: Floats
    lean: Floats
    widths: Floats
    turn: Floats

    def chosen(self, mask: NDArray[np.bool_]) -> "_Blades":
        parts = self.roots, self.lengths, self.lean, self.widths, self.turn
        return _Blades(*(part[mask] for part in parts))

    def at(self, share: float) -> Floats:
        """Points (N, 3) m on the blades: they bend over, and thereby lose height."""
        bent = np.hypot(*self.lean.T)
        side = self.lean * (self.lengths * share**2)[:, None]
        up = self.lengths * (share - 0.5 * bent**2 * share**2)
        return floats(np.concatenate([self.roots + side, up[:, None]], 1))

    def quads(self) -> Floats:
        """Quadrangles (3·N, 4, 3) m, narrower towards the tips; the lowest of all blades first."""
        # Blades are flat: how wide one looks depends on how it is turned, but none vanishes.
        side = np.stack([np.cos(self.turn), 0.4 * np.sin(self.turn), np.zeros_like(self.turn)], 1)
        parts = []
        for low, high in pairwise(_SHARES):
            lower, upper = (
                side * (self.widths * (1.05 - share**2) / 2)[:, None] for share in (low, high)
            )
            bottom, top = self.at(low), self.at(high)
            parts.append(np.stack([bottom - lower, bottom + lower, top + upper, top - upper], 1))
        return floats(np.concatenate(parts))

    def tips_m(self) -> Floats:
        return floats(np.max([self.at(share)[:, 2] for share in (0.6, 0.8, 1.0)], 0))


def _blades(scene: Meadow, rng: np.random.Generator) -> _Blades:
    """Dense grass near the gauge, sparser and wider blades around it."""
    tall = scene.grass_cm / 100
    density = rng.uniform(6000, 14000)  # per m² near the gauge
    dense = rng.uniform(-_DENSE_M, _DENSE_M, (int(density * (2 * _DENSE_M) ** 2), 2))
    sparse = rng.uniform(-_WIDE_M, _WIDE_M, (int(density / 14 * (2 * _WIDE_M) ** 2), 2))
    roots = np.concatenate([dense, sparse[np.abs(sparse).max(1) > _DENSE_M]])
    widths = np.where(np.arange(len(roots)) < len(dense), 0.004, 0.012)
    # Grass is uneven: tufts by a field over the ground, blades among each other, undergrowth.
    field = noise(rng, 200, 200, 1.3)
    at = ((roots + _WIDE_M) * 100).astype(int)
    tufts = 1 + rng.uniform(0.03, 0.12) * field[at[:, 0], at[:, 1]]
    own = rng.normal(1, 0.12, len(roots))
    under = rng.random(len(roots)) < 0.35
    own = np.where(under, rng.uniform(0.3, 0.9, len(roots)), own)
    stalk = rng.random(len(roots)) < rng.choice([0.0, 0.01])
    lengths = tall * np.clip(tufts * np.where(stalk, own * 1.4, own), 0.1, 2)
    wind = rng.normal(0, 0.15, 2)
    lean = np.clip(rng.normal(wind, 0.22, (len(roots), 2)), -0.7, 0.7)
    widths = widths * rng.uniform(0.6, 1.5, len(roots)) * np.where(stalk, 0.5, 1)
    turn = rng.uniform(0, np.pi, len(roots))
    roots = roots + floats([0, scene.distance_m])
    return _Blades(*(floats(part) for part in (roots, lengths, lean, widths, turn)))


def _draw(canvas: Canvas, light: Light, blades: _Blades, rng: np.random.Generator) -> None:
    """Each blade, lighter towards its tip."""
    count = len(blades.roots)
    hue = rng.uniform(0, 1, (count, 1))
    green, straw = floats([62, 98, 34]), floats([150, 142, 78])
    dry = rng.random((count, 1)) < rng.uniform(0.0, 0.3)
    base = np.where(dry, straw, green + hue * floats([40, 36, 18])) * rng.uniform(
        0.75, 1.2, (count, 1)
    )
    lit = light.sky + light.sun * rng.uniform(0.15, 0.8, (count, 1))
    shades = [0.35 + 0.65 * (low + high) / 2 for low, high in pairwise(_SHARES)]
    colours = np.concatenate([base * lit * shade for shade in shades])
    canvas.cells(blades.quads(), floats(colours))


def _weathered(scene: Meadow, rng: np.random.Generator) -> Pixels:
    """The gauge as it hangs there: dust, mud, snow, and the shadow of a branch."""
    ink = sheet(_SHEET_PX_PER_CM)
    height, width = ink.shape
    surface = floats(24 + ink[..., None] / 255 * floats([196, 195, 190]))
    if scene.dirt:
        field = noise(rng, height, width, 1.5)
        mud = np.clip((field - np.quantile(field, 1 - scene.dirt)) * 3, 0, 1)[..., None]
        surface += (floats([96, 80, 60]) - surface) * mud * rng.uniform(0.5, 1.0)
        splashed = np.exp(-np.arange(height)[::-1] / _SHEET_PX_PER_CM / 12)[:, None, None]
        dust = np.clip(0.2 + 0.1 * noise(rng, height, width, 1.2), 0, 1)[..., None] + splashed * 0.4
        surface += (floats([128, 116, 96]) - surface) * np.clip(dust * scene.dirt * 2, 0, 0.8)
    if scene.snow:
        field = noise(rng, height, width, 1.4)
        lumps = np.clip((field - np.quantile(field, rng.uniform(0.75, 0.93))) * 6, 0, 1)[..., None]
        surface += (floats([226, 230, 236]) - surface) * lumps
    if rng.random() < 0.3:
        field = cv2.GaussianBlur(noise(rng, height, width, 1.8), (0, 0), 6)
        surface *= np.where(field > 0.3, rng.uniform(0.35, 0.7), 1.0)[..., None]
    return np.clip(surface, 0, 255).astype(np.uint8)


def _taken(pixels: Pixels, scene: Meadow, rng: np.random.Generator) -> Pixels:
    """By infrared light of the camera if by night; blurred, and packed as JPEG."""
    picture = pixels.astype(np.float32)
    height, width = picture.shape[:2]
    if scene.night:
        # Leaves reflect infrared light well: grass is as bright as paper.
        green = picture @ floats([0.1, 0.9, 0.0])
        leafy = np.clip((picture[..., 1] - picture[..., 2] - 6) / 40, 0, 1)
        grey = green * (1 + leafy * rng.uniform(0.2, 1.0))
        x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
        spot = np.exp(-(x**2 + y**2) * rng.uniform(0.1, 0.7)) * rng.uniform(0.45, 1.05)
        grey = grey * spot + rng.normal(0, rng.uniform(4, 13), grey.shape)
        picture = np.repeat(grey[..., None], 3, 2).astype(np.float32)
    if scene.blur_px:
        picture = cv2.GaussianBlur(picture, (0, 0), scene.blur_px)
    if scene.night:
        picture = picture + rng.normal(0, 3, (height, width, 1)).astype(np.float32)
    # The rest of the picture holds nothing; only its size tells how wide the camera's view is.
    tall, wide = scene.size_hw
    left, top = (wide - width) // 2, (tall - height) // 2
    borders = top, tall - height - top, left, wide - width - left
    whole = cv2.copyMakeBorder(
        np.clip(picture, 0, 255).astype(np.uint8), *borders, cv2.BORDER_REPLICATE
    )
    packed = simplejpeg.encode_jpeg(np.ascontiguousarray(whole), quality=int(rng.integers(65, 93)))
    return np.asarray(simplejpeg.decode_jpeg(packed), np.uint8)
