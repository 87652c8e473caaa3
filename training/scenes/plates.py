"""Plates of many forms, and how they look on a real vehicle: for augmentation.

Their numbers are random; forms follow what is common on roads, none is a copy.
"""

import cv2
import numpy as np

from training.scenes.camera import Floats
from training.scenes.cars import plate as french
from training.scenes.scene import Pixels

_GLYPHS = "ABCDEFGHJKLMNPQRSTVWXYZ0123456789"
# Ground and ink of plates: white, yellow, black, blue, green, red, grey.
_COLOURS = (
    ((240, 240, 238), (20, 20, 24)),
    ((236, 236, 232), (24, 44, 110)),
    ((238, 200, 60), (20, 20, 20)),
    ((24, 24, 26), (232, 232, 228)),
    ((40, 66, 150), (240, 240, 240)),
    ((30, 110, 70), (240, 240, 240)),
    ((240, 240, 238), (170, 30, 36)),
    ((176, 178, 180), (30, 30, 34)),
)
_OFTEN = (0.4, 0.1, 0.18, 0.1, 0.06, 0.04, 0.06, 0.06)
_FONTS = (cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_TRIPLEX)


def any_plate(rng: np.random.Generator, *, square: bool = False) -> Pixels:
    """uint8 (h, w, 3) RGB: one line (long, American, French) or two (motorcycles, trailers).

    Where it has to be `square` it has two lines or is American.
    """
    shares = [0.0, 0.0, 0.2, 0.8] if square else [0.3, 0.35, 0.15, 0.2]
    kind = rng.choice(["french", "long", "american", "two_lines"], p=shares)
    if kind == "french":
        return french(rng)
    width, height = {"long": (240, 52), "american": (180, 90), "two_lines": (140, 104)}[str(kind)]
    ground, ink = _COLOURS[rng.choice(len(_COLOURS), p=_OFTEN)]
    pixels = np.full((height, width, 3), ground, np.uint8)
    left = 0
    if kind == "long" and rng.random() < 0.5:
        left = 18
        pixels[:, :left] = (30, 60, 150)
    lines = 2 if kind == "two_lines" else 1
    row = height / lines
    margin = 0.26 if kind == "american" else 0.14
    font = int(rng.choice(_FONTS))
    for line in range(lines):
        count = int(rng.integers(2, 5)) if lines == 2 else int(rng.integers(5, 9))
        text = "".join(rng.choice(list(_GLYPHS)) for _ in range(count))
        if lines == 1 and count > 5:
            cut = int(rng.integers(2, 4))
            text = text[:cut] + str(rng.choice(["-", " ", ""])) + text[cut:]
        (w, h), _ = cv2.getTextSize(text, font, 1.0, 2)
        scale = min(row * (1 - 2 * margin) / h, (width - left - 12) / w)
        (w, h), _ = cv2.getTextSize(text, font, scale, 2)
        at = (left + round((width - left - w) / 2), round(row * (line + 0.5) + h / 2))
        stroke = max(1, round(scale * 2.2))
        cv2.putText(pixels, text, at, font, scale, ink, stroke, cv2.LINE_AA)
    if rng.random() < 0.6:
        cv2.rectangle(pixels, (1, 1), (width - 2, height - 2), ink, int(rng.integers(1, 4)))
    return pixels


def stick(
    pixels: Pixels, plate: Pixels, corners: Floats, rng: np.random.Generator
) -> tuple[Pixels, tuple[float, float, float, float]]:
    """Put a plate on the quadrangle `corners` (4, 2) px; gives the picture and the plate's box.

    It takes on the light there (dark by night), sometimes dirt or glare, and the picture's blur.
    """
    height, width = pixels.shape[:2]
    h, w = plate.shape[:2]
    x1, y1 = np.clip(np.floor(corners.min(0)).astype(int), 0, [width - 1, height - 1])
    x2, y2 = np.clip(np.ceil(corners.max(0)).astype(int) + 1, 1, [width, height])
    around = pixels[y1:y2, x1:x2].astype(np.float32)
    # Drawn four times too large, then reduced, so that a plate of 6 px is anti-aliased.
    over = 4
    goal = ((corners - [x1, y1]) * over).astype(np.float32)
    source = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
    matrix = cv2.getPerspectiveTransform(source, goal)
    size = ((x2 - x1) * over, (y2 - y1) * over)
    layer = np.dstack([plate.astype(np.float32), np.full((h, w), 255, np.float32)])
    warped = cv2.warpPerspective(layer, matrix, size, flags=cv2.INTER_LINEAR)
    warped = cv2.resize(warped, (x2 - x1, y2 - y1), interpolation=cv2.INTER_AREA)
    alpha = warped[..., 3:] / 255
    light = np.clip(around.mean() / 110, 0.25, 1.1) * rng.uniform(0.75, 1.15)
    face = warped[..., :3] * light
    if rng.random() < 0.2:
        face += rng.uniform(0, 90)  # glare of a flash or of the sun
    if rng.random() < 0.2:
        face = face * 0.6 + np.array([110, 100, 85]) * 0.4 * light  # dust
    blur = rng.uniform(0, 0.9)
    mixed = around * (1 - alpha) + np.clip(face, 0, 255) * alpha
    if blur > 0.3:
        mixed = cv2.GaussianBlur(mixed, (0, 0), blur)
    out = pixels.copy()
    out[y1:y2, x1:x2] = np.clip(mixed, 0, 255).astype(np.uint8)
    (left, top), (right, bottom) = corners.min(0), corners.max(0)
    return out, (float(left), float(top), float(right), float(bottom))
