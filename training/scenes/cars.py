"""Cars and vans: curved bodies, glass, wheels, lights, and plates of the French form."""

from dataclasses import dataclass

import cv2
import numpy as np

from training.scenes.camera import Floats, floats
from training.scenes.canvas import Canvas
from training.scenes.scene import Pixels
from training.scenes.solids import Light, Pose, face, surface
from training.scenes.texture import Colour

_PAINTS: tuple[Colour, ...] = (
    (222, 224, 226),
    (168, 172, 176),
    (96, 100, 106),
    (38, 40, 44),
    (24, 44, 88),
    (150, 32, 34),
    (60, 84, 120),
    (196, 188, 170),
    (84, 44, 36),
    (70, 96, 80),
)
# Long, wide and tall in metres, and the line over bonnet and roof: at 13 shares of the length from
# the front, its share of the height.
_SHAPES: dict[str, tuple[tuple[float, float, float], str, str]] = {
    "hatch": (
        (3.95, 1.74, 1.47),
        "0 .03 .12 .24 .30 .42 .52 .66 .84 .90 .965 .99 1",
        ".46 .56 .63 .68 .72 .93 .99 1 .96 .90 .66 .60 .50",
    ),
    "saloon": (
        (4.55, 1.79, 1.44),
        "0 .03 .12 .26 .31 .42 .52 .62 .72 .84 .95 .99 1",
        ".46 .55 .62 .67 .70 .93 .99 1 .95 .73 .71 .66 .50",
    ),
    "suv": (
        (4.40, 1.84, 1.66),
        "0 .02 .10 .24 .28 .39 .48 .68 .88 .92 .97 .99 1",
        ".46 .58 .65 .69 .72 .94 .99 1 .97 .92 .68 .62 .46",
    ),
    "van": (
        (5.20, 1.96, 2.25),
        "0 .02 .09 .15 .18 .29 .34 .42 .80 .96 .985 .995 1",
        ".36 .44 .50 .54 .58 .90 .97 1 1 .99 .95 .60 .40",
    ),
}
_LETTERS = "ABCDEFGHJKLMNPQRSTVWXYZ"  # French plates leave out I, O and U


def plate(rng: np.random.Generator) -> Pixels:
    """uint8 (55, 260, 3): a plate AA-123-AA with its two blue bands. The number is random."""
    pixels = np.full((55, 260, 3), (240, 240, 236), np.uint8)
    cv2.rectangle(pixels, (0, 0), (21, 54), (20, 56, 150), -1)
    cv2.rectangle(pixels, (238, 0), (259, 54), (20, 56, 150), -1)
    cv2.putText(
        pixels, "F", (5, 50), cv2.FONT_HERSHEY_DUPLEX, 0.55, (240, 240, 240), 1, cv2.LINE_AA
    )
    cv2.circle(pixels, (10, 16), 6, (220, 190, 40), 1, cv2.LINE_AA)
    letters = "".join(_LETTERS[i] for i in rng.integers(0, len(_LETTERS), 4))
    text = f"{letters[:2]}-{rng.integers(1, 1000):03d}-{letters[2:]}"
    cv2.putText(pixels, text, (25, 44), cv2.FONT_HERSHEY_DUPLEX, 1.25, (16, 16, 18), 3, cv2.LINE_AA)
    cv2.rectangle(pixels, (0, 0), (259, 54), (60, 60, 60), 1)
    return pixels


def _wheel(spokes: int) -> Pixels:
    pixels = np.zeros((128, 128, 4), np.uint8)
    cv2.circle(pixels, (64, 64), 63, (20, 20, 22, 255), -1, cv2.LINE_AA)
    cv2.circle(pixels, (64, 64), 54, (34, 34, 36, 255), 2, cv2.LINE_AA)
    cv2.circle(pixels, (64, 64), 42, (62, 64, 66, 255), -1, cv2.LINE_AA)
    for k in range(spokes):
        turn = 2 * np.pi * k / spokes
        end = (round(64 + 40 * np.cos(turn)), round(64 + 40 * np.sin(turn)))
        cv2.line(pixels, (64, 64), end, (176, 178, 182, 255), 9, cv2.LINE_AA)
    cv2.circle(pixels, (64, 64), 42, (188, 190, 194, 255), 4, cv2.LINE_AA)
    cv2.circle(pixels, (64, 64), 9, (140, 142, 146, 255), -1, cv2.LINE_AA)
    return pixels


@dataclass(frozen=True, slots=True)
class Car:
    """A vehicle of a kind of `_SHAPES`; its front looks along its pose's −x."""

    kind: str
    pose: Pose
    seed: int

    @property
    def size(self) -> tuple[float, float, float]:
        """Long (x), wide (y) and tall in metres."""
        return _SHAPES[self.kind][0]

    def draw(self, canvas: Canvas, light: Light, owner: int, *, lit: bool = False) -> None:
        """Draw it; a plate that can be seen becomes an object of its own. `lit`: lamps on."""
        rng = np.random.default_rng(self.seed)
        grid, colours = self._skin(rng)
        surface(canvas, light, self.pose.world(grid), colours, owner, gloss=0.55)
        eye = floats([0, 0, canvas.camera.height_m])
        for way, column in ((-1.0, 0), (1.0, -1)):
            rim, normal = self.pose.world(grid[:, column]), self.pose.turn((way, 0, 0))
            if normal @ (eye - rim.mean(0)) > 0:
                canvas.cells(rim[None], (colours[3, column] * light.on(normal))[None], owner)
        self._ends(canvas, light, rng, owner, lit)
        self._sides(canvas, light, rng, owner)

    def _skin(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Body surface (rows, columns, 3) in m and the colour of each cell.

        Rows run from the right sill over the roof to the left one, columns from front to back.
        """
        long, wide, tall = self.size
        line_x, line_z = ([float(v) for v in text.split()] for text in _SHAPES[self.kind][1:])
        share = np.concatenate(
            [np.linspace(0, 0.06, 5), np.linspace(0.08, 0.94, 30), np.linspace(0.955, 1, 5)]
        )
        top = np.interp(share, line_x, line_z) * tall
        kernel = np.array([0.25, 0.5, 0.25])
        top[1:-1] = np.convolve(top, kernel, "valid")
        ends = np.minimum(share, 1 - share)
        # Bumpers are round seen from above.
        plan = wide / 2 * (1 - 0.22 * np.clip(1 - ends / 0.07, 0, 1) ** 2)
        waist = np.minimum(top, (0.60 if self.kind != "van" else 0.50) * tall + 0.02 * share)
        cabin = np.clip((top - waist) / (0.4 * tall), 0, 1)
        roof = plan * (0.97 - (0.21 if self.kind != "van" else 0.10) * cabin)
        sill = np.full_like(share, 0.24) + 0.06 * (ends < 0.03)
        belly = sill + 0.45 * (waist - sill)
        half = [
            (plan * 0.95, sill),
            (plan, sill + 0.15 * (waist - sill)),
            (plan * 1.0, belly),
            (plan * 0.985, waist - 0.02 * tall),
            (plan * 0.97, waist),
            (roof + (plan * 0.97 - roof) * 0.12, waist + (top - waist) * 0.88),
            (roof * 0.93, waist + (top - waist) * 0.985),
            (roof * 0.55, top + 0.012 * tall * cabin),
        ]
        x = (share - 0.5) * long
        rows = [np.stack([x, -y, z], 1) for y, z in half] + [
            np.stack([x, y, z], 1) for y, z in half[::-1]
        ]
        grid = np.array(rows, np.float32)
        grid = grid[::-1]  # rows go down on the side that shows its front to −y

        paint = floats(_PAINTS[rng.integers(len(_PAINTS))])
        if self.kind == "van" and rng.random() < 0.6:
            paint = floats(_PAINTS[0])
        middle = (share[:-1] + share[1:]) / 2
        colours = np.broadcast_to(paint, (len(rows) - 1, len(middle), 3)).copy()
        glass = floats([26, 32, 38])
        steep = (np.diff(top) / np.diff(x)) * np.sign(0.5 - middle) > 0.28
        pane = (
            steep
            & (cabin[:-1] + cabin[1:] > 0.2)
            & ((top[:-1] > waist[:-1] + 0.02) | (top[1:] > waist[1:] + 0.02))
        )
        rear_glass = middle > 0.5
        if self.kind == "van":
            pane &= ~rear_glass
        colours[6:9, pane] = glass
        tall_side = np.minimum(cabin[:-1], cabin[1:]) > 0.45
        pillar = np.abs(middle - 0.555) < 0.014
        end = 0.86 if self.kind != "van" else 0.42
        window = tall_side & ~pillar & (middle < end)
        colours[4, window] = glass
        colours[10, window] = glass
        colours[0] *= 0.35
        colours[-1] *= 0.35
        return grid, colours

    def _ends(
        self, canvas: Canvas, light: Light, rng: np.random.Generator, owner: int, lit: bool
    ) -> None:
        long, wide, tall = self.size
        number = plate(rng)
        z = tall * (0.45 if self.kind != "van" else 0.36)
        low = {"suv": 0.75}.get(self.kind, 0.62)
        glow = 0.9 if lit else 0.0
        for way, decal, lamp, reach, plate_z in (
            (-1.0, _grille(), _headlamp(), 0.19, 0.38),
            (1.0, _boot(), _taillamp(), 0.13, low),
        ):
            x = way * (long / 2 + 0.01)
            right = way  # the sign of y to the right, seen from outside
            rect = _Rect(canvas, light, self.pose, x=x)
            rect.put(-right * 0.34 * wide, right * 0.34 * wide, 0.26, z + 0.08, decal, owner)
            for side in (-0.29, 0.29):
                y = side * wide
                rect.put(
                    y - right * reach, y + right * reach, z - 0.07, z + 0.10, lamp, owner, glow
                )
            at = canvas.add("plate", whole=owner)
            nearer = _Rect(canvas, light, self.pose, x=x + way * 0.02)
            nearer.put(-right * 0.26, right * 0.26, plate_z, plate_z + 0.11, number, at)

    def _sides(self, canvas: Canvas, light: Light, rng: np.random.Generator, owner: int) -> None:
        long, wide, tall = self.size
        wheel, arch, seams = _wheel(int(rng.integers(5, 11))), _arch(), _seams(self.kind)
        radius = 0.32 if self.kind != "van" else 0.35
        waist = tall * (0.58 if self.kind != "van" else 0.48)
        for way in (-1.0, 1.0):
            right = -way  # the sign of x to the right, seen from outside
            y = way * (wide / 2 + 0.012)
            door = seams if way < 0 else np.ascontiguousarray(seams[:, ::-1])
            side = _Rect(canvas, light, self.pose, y=y)
            side.put(-right * long / 2, right * long / 2, 0.26, waist, door, owner)
            side = _Rect(canvas, light, self.pose, y=y + way * 0.015)
            for x in (-0.315 * long, 0.315 * long):
                r = right * radius
                side.put(x - r * 1.14, x + r * 1.14, radius, radius * 2.14, arch, owner)
                side.put(x - r, x + r, 0.0, 2 * radius, wheel, owner)


@dataclass(frozen=True, slots=True)
class _Rect:
    """Upright rectangles on an end (fixed `x`) or a side (fixed `y`) of a body."""

    canvas: Canvas
    light: Light
    pose: Pose
    x: float | None = None
    y: float = 0.0

    def put(
        self,
        left: float,
        right: float,
        low: float,
        high: float,
        pixels: Pixels,
        owner: int,
        glow: float = 0.0,
    ) -> None:
        def at(along: float, z: float) -> Colour:
            return (along, self.y, z) if self.x is None else (self.x, along, z)

        corners = at(left, high), at(right, high), at(left, low)
        face(self.canvas, self.light, self.pose, corners, pixels, owner, glow=glow)


def _grille() -> Pixels:
    pixels = np.zeros((100, 240, 4), np.uint8)
    cv2.rectangle(pixels, (52, 12), (188, 40), (24, 24, 26, 255), -1)
    cv2.rectangle(pixels, (30, 62), (210, 96), (28, 28, 30, 255), -1)
    for y in range(16, 40, 7):
        cv2.line(pixels, (54, y), (186, y), (90, 92, 96, 255), 1)
    cv2.circle(pixels, (120, 24), 8, (206, 208, 212, 255), -1, cv2.LINE_AA)
    return pixels


def _boot() -> Pixels:
    pixels = np.zeros((100, 240, 4), np.uint8)
    cv2.rectangle(pixels, (8, 62), (232, 64), (30, 30, 32, 255), -1)
    cv2.rectangle(pixels, (24, 84), (216, 99), (34, 34, 36, 255), -1)
    return pixels


def _headlamp() -> Pixels:
    pixels = np.zeros((40, 64, 4), np.uint8)
    cv2.ellipse(pixels, (32, 20), (31, 17), 0, 0, 360, (196, 204, 212, 255), -1, cv2.LINE_AA)
    cv2.circle(pixels, (24, 20), 11, (250, 250, 252, 255), -1, cv2.LINE_AA)
    return pixels


def _taillamp() -> Pixels:
    pixels = np.zeros((64, 40, 4), np.uint8)
    cv2.rectangle(pixels, (1, 1), (38, 62), (150, 18, 22, 255), -1)
    cv2.rectangle(pixels, (8, 36), (32, 48), (220, 150, 60, 255), -1)
    return pixels


def _arch() -> Pixels:
    pixels = np.zeros((64, 128, 4), np.uint8)
    cv2.circle(pixels, (64, 64), 62, (16, 16, 17, 255), -1, cv2.LINE_AA)
    return pixels


def _seams(kind: str) -> Pixels:
    """Doors and their handles on a side, front to the left."""
    pixels = np.zeros((120, 320, 4), np.uint8)
    for x in (90, 178, 250)[: 3 if kind != "van" else 2]:
        cv2.line(pixels, (x, 0), (x - 4, 104), (16, 16, 18, 170), 2, cv2.LINE_AA)
    cv2.line(pixels, (90, 106), (250, 106), (16, 16, 18, 170), 2, cv2.LINE_AA)
    for x in (150, 232):
        cv2.rectangle(pixels, (x, 24), (x + 20, 30), (210, 212, 214, 255), -1)
    return pixels
