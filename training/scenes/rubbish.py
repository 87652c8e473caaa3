"""What people leave beside containers: bags, cartons, boards, loose litter."""

import cv2
import numpy as np

from training.scenes import texture
from training.scenes.camera import Floats, floats
from training.scenes.canvas import Canvas
from training.scenes.scene import Pixels
from training.scenes.solids import Light, Pose, box, face
from training.scenes.texture import Colour, noise

_BAGS: tuple[tuple[str, Colour, float], ...] = (  # finish, colour, how often
    ("black", (30, 30, 34), 0.38),
    ("white", (226, 226, 222), 0.24),
    ("blue", (52, 88, 176), 0.08),
    ("green", (52, 128, 74), 0.06),
    ("yellow", (222, 196, 66), 0.05),
    ("red", (190, 44, 52), 0.04),
    ("clear", (196, 202, 204), 0.15),
)
_LITTER: tuple[Colour, ...] = (
    (238, 238, 234),
    (228, 226, 218),
    (214, 206, 192),
    (184, 148, 104),
    (204, 60, 48),
    (60, 108, 180),
    (236, 206, 72),
    (70, 138, 78),
    (46, 44, 46),
    (150, 120, 96),
)


def bag(rng: np.random.Generator, side_px: int = 128) -> Pixels:
    """RGBA sprite of a tied plastic bag: creased, its folds gathered at the knot."""
    finish, colour, _ = _BAGS[rng.choice(len(_BAGS), p=np.array([b[2] for b in _BAGS]))]
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    wobble = sum(
        rng.normal(0, 0.075 / k) * np.cos(k * angle + rng.uniform(0, 6.3))
        for k in (2, 3, 4, 5, 7, 9)
    )
    squat = rng.uniform(0.72, 1.02)
    radius = 0.40 * (1 + wobble)
    x = 0.5 + radius * np.cos(angle) * 1.08
    y = 0.56 + radius * np.sin(angle) * squat
    y = np.minimum(y, 0.93 + 0.02 * np.cos(3 * angle))
    outline = np.stack([x, y], 1) * side_px
    mask = np.zeros((side_px, side_px), np.uint8)
    cv2.fillPoly(mask, [outline.astype(np.int32)], 255)
    knot = np.array([0.5 + rng.normal(0, 0.07), 0.56 - 0.40 * squat * rng.uniform(0.8, 1.0)])
    for tilt in rng.uniform(-1.2, 1.2, 3):
        ear = [(0, 0.06), (np.sin(tilt) * 0.12 - 0.04, -0.10), (np.sin(tilt) * 0.12 + 0.05, -0.08)]
        cv2.fillPoly(mask, [((knot + np.array(ear)) * side_px).astype(np.int32)], 255)

    rows, columns = np.mgrid[:side_px, :side_px].astype(np.float32) / side_px
    away = np.hypot(columns - knot[0], rows - knot[1]) + 1e-3
    turn = np.arctan2(rows - knot[1], columns - knot[0])
    folds = sum(
        np.abs(np.sin(turn * k + rng.uniform(0, 6.3) + 2 * noise(rng, side_px, side_px, 1.9)))
        for k in (4, 7)
    )
    creases = np.abs(noise(rng, side_px, side_px, 1.7)) + 0.5 * np.abs(
        noise(rng, side_px, side_px, 1.35)
    )
    height = texture.dome(mask, side_px * 0.34)
    height = height + side_px * (0.020 * folds * np.exp(-away / 0.3) - 0.036 * creases)
    height = cv2.GaussianBlur(height.astype(np.float32), (0, 0), 1.0)
    lit = texture.relief(height)
    sheen = np.clip(texture.relief(height, (-0.25, -0.75, 0.6)) - 0.86, 0, 1) / 0.14
    surface = texture.plain(colour, side_px, side_px)
    if finish == "clear":
        inside = np.array([_LITTER[i] for i in rng.integers(0, len(_LITTER), 16)], np.float32)
        blotch = np.clip((noise(rng, side_px, side_px, 1.5) + 2) * 4, 0, 15).astype(int)
        surface = 0.55 * surface + 0.45 * inside[blotch] / 255
    depth = {"black": (0.25, 1.2, 0.55), "white": (0.5, 0.62, 0.10), "clear": (0.5, 0.6, 0.3)}
    low, gain, gloss = depth.get(finish, (0.35, 0.85, 0.30))
    surface = surface * (low + gain * lit)[..., None] + (sheen**2 * gloss)[..., None]
    soft = cv2.GaussianBlur(mask, (0, 0), 0.7)
    return texture.with_opacity(texture.to_pixels(surface), soft)


def _cardboard(rng: np.random.Generator, height: int, width: int) -> Pixels:
    tone = rng.uniform(0.85, 1.1)
    pixels = texture.panel(rng, height, width, (184 * tone, 142 * tone, 98 * tone), dirt=0.3)
    if rng.random() < 0.6:
        x = int(width * rng.uniform(0.4, 0.55))
        cv2.rectangle(pixels, (x, 0), (x + width // 12, height), (196, 168, 122), -1)
    if rng.random() < 0.5:
        y, x = int(height * rng.uniform(0.2, 0.5)), int(width * rng.uniform(0.1, 0.4))
        texture.print_lines(rng, pixels[y : y + height // 3, x : x + width // 3], (92, 62, 44))
    return pixels


def carton(
    canvas: Canvas, light: Light, rng: np.random.Generator, pose: Pose, owner: int, scale: float = 1
) -> None:
    """A cardboard box, closed or open with its flaps hanging out, or another cuboid thing."""
    size = tuple(float(v) * scale for v in rng.uniform((0.25, 0.2, 0.18), (0.7, 0.5, 0.55)))
    wide, deep, tall = size
    if rng.random() < 0.2:
        colour = [(232, 232, 228), (70, 66, 64), (150, 116, 78), (120, 132, 140)][rng.integers(4)]
        parts = [texture.panel(rng, 64, 64, colour, dirt=0.6) for _ in range(3)]
        box(canvas, light, pose, (wide, deep, tall), (parts[0], parts[1], parts[2]), owner)
        return
    parts = [_cardboard(rng, 64, 80) for _ in range(3)]
    opened = rng.random() < 0.55
    if opened:
        parts[2] = texture.to_pixels(texture.plain((74, 54, 38), 16, 16))
    box(canvas, light, pose, (wide, deep, tall), (parts[0], parts[1], parts[2]), owner)
    if not opened:
        return
    x, y, flap = wide / 2, deep / 2, deep * 0.45
    for side in (-1.0, 1.0):
        out, up = flap * np.cos(bend := rng.uniform(-0.7, 1.1)), flap * np.sin(bend)
        corners = ((-x, side * (y + out), tall + up), (x, side * (y + out), tall + up))
        face(canvas, light, pose, (*corners, (-x, side * y, tall)), parts[0], owner, two_sided=True)
        corners = ((side * (x + out), -y, tall + up), (side * (x + out), y, tall + up))
        face(canvas, light, pose, (*corners, (side * x, -y, tall)), parts[1], owner, two_sided=True)


def board(canvas: Canvas, light: Light, rng: np.random.Generator, pose: Pose, owner: int) -> None:
    """A board, a flattened carton or a mattress, lying or leaning backwards."""
    wide, long = rng.uniform(0.4, 1.0), rng.uniform(0.6, 1.6)
    lean = rng.uniform(0, 0.25) if rng.random() < 0.6 else rng.uniform(0.9, 1.35)
    colour: Colour = [(176, 136, 92), (206, 198, 184), (150, 108, 70), (226, 224, 220)][
        rng.integers(4)
    ]
    pixels = texture.panel(rng, 96, 64, colour, dirt=0.5)
    up, back = long * np.sin(lean), long * np.cos(lean)
    top = ((-wide / 2, back, up + 0.03), (wide / 2, back, up + 0.03), (-wide / 2, 0.0, 0.03))
    edge = texture.to_pixels(texture.plain(colour, 8, 8) * 0.6)
    face(canvas, light, pose, top, pixels, owner, two_sided=True)
    under = ((-wide / 2, 0.0, 0.03), (wide / 2, 0.0, 0.03), (-wide / 2, 0.0, 0.0))
    face(canvas, light, pose, under, edge, owner, two_sided=True)


def litter(
    canvas: Canvas,
    light: Light,
    rng: np.random.Generator,
    centre: Pose,
    spread_m: float,
    pieces: int,
    owner: int = -1,
) -> None:
    """Scraps of paper, plastic and cloth on the ground around `centre`, crumpled upwards."""
    spots = np.add(rng.normal(0, spread_m, (pieces, 2)), [centre.s, centre.t])
    spots = spots[np.argsort(-canvas.camera.depth(_grounded(floats(spots))))]
    for s, t in spots:
        corners = int(rng.integers(5, 10))
        angle = 2 * np.pi * (np.arange(corners) + rng.uniform(0, 0.8, corners)) / corners
        size = rng.gamma(3, 0.028) + 0.02
        rim = (
            np.stack([np.cos(angle), np.sin(angle)], 1) * size * rng.uniform(0.65, 1, (corners, 1))
        )
        rim *= rng.uniform(0.4, 1, 2)
        points = np.column_stack([np.add(rim, [s, t]), rng.uniform(0, size * 0.8, corners)])
        middle = np.append(points.mean(0)[:2], size * rng.uniform(0.3, 1.0))
        colour = np.array(_LITTER[int(rng.gamma(1.6, 1.8)) % len(_LITTER)], np.float32)
        following = np.roll(points, -1, 0)
        fan = np.stack([points, following, np.broadcast_to(middle, points.shape)], 1)
        normals = np.cross(following - points, middle - points)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        normals *= np.where(normals[:, 2:] < 0, -1, 1)
        shade = light.on(normals.astype(np.float32)) * rng.uniform(0.8, 1.05)
        canvas.cells(fan.astype(np.float32), colour * shade, owner)


def _grounded(spots: Floats) -> Floats:
    return np.column_stack([spots, np.zeros(len(spots))]).astype(np.float32)


def item(canvas: Canvas, light: Light, rng: np.random.Generator, pose: Pose, owner: int) -> None:
    """One thing of a heap: mostly a bag, else a carton or a board."""
    kind = rng.random()
    if kind < 0.62:
        width = float(rng.uniform(0.35, 0.8))
        foot = np.array([pose.s, pose.t, pose.z - 0.07 * width], np.float32)
        shade = light.on(floats([0, -0.5, 0.85]))
        canvas.billboard(foot, width, bag(rng), owner, shade=shade)
    elif kind < 0.88:
        carton(canvas, light, rng, pose, owner)
    else:
        board(canvas, light, rng, pose, owner)
