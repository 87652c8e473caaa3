"""People: drawn nobody's. Walking or standing bodies, faces with eyes, nose and mouth."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.scenes import texture
from training.scenes.camera import Floats, floats
from training.scenes.canvas import OVERSAMPLE, Canvas
from training.scenes.heads import head
from training.scenes.scene import Pixels
from training.scenes.solids import Light
from training.scenes.texture import Colour, noise

_PROFILE = 1.45  # radians: turned further away, a head shows no face
_WIDE_M, _TALL_M, _HEAD_M = 1.2, 1.6, 0.30
SKINS: tuple[Colour, ...] = (
    (240, 204, 180),
    (228, 184, 152),
    (214, 166, 130),
    (178, 126, 92),
    (138, 92, 66),
    (100, 66, 48),
)
HAIRS: tuple[Colour, ...] = (
    (28, 24, 22),
    (58, 40, 28),
    (96, 66, 40),
    (168, 128, 78),
    (146, 142, 138),
)
_CLOTHES: tuple[Colour, ...] = (
    (36, 40, 52),
    (60, 62, 66),
    (150, 152, 154),
    (212, 210, 204),
    (44, 66, 112),
    (126, 44, 46),
    (70, 92, 70),
    (176, 148, 108),
    (206, 170, 60),
    (64, 44, 60),
)


@dataclass(frozen=True, slots=True)
class Person:
    """Someone at s, t metres, `turned` radians away from the camera (0 faces it)."""

    s: float
    t: float
    turned: float
    seed: int

    def draw(self, canvas: Canvas, light: Light, owner: int) -> None:
        """Draw the body; a face that can be seen becomes an object of its own."""
        rng = np.random.default_rng(self.seed)
        scale = float(rng.uniform(0.9, 1.06))
        skin = SKINS[rng.integers(len(SKINS))]
        hair = HAIRS[rng.integers(len(HAIRS))]
        away = abs(self.turned)
        foot = np.array([self.s, self.t, 0], np.float32)
        shade = light.on(floats([0, -0.6, 0.8])) * 0.92
        depth = float(canvas.camera.depth(foot[None])[0])
        px_per_m = canvas.camera.focal_px * OVERSAMPLE / max(depth, 1.0)
        sprite = _body(rng, skin, self.turned, float(np.clip(px_per_m, 50, 260)))
        canvas.billboard(foot, _WIDE_M * scale, sprite, owner, shade=shade)
        # The head is drawn finer than the body, and over it.
        across = canvas.camera.axes[0] * [1, 1, 0]
        across = across / np.linalg.norm(across)
        tall = _HEAD_M * scale
        corner = foot - across * tall / 2 + floats([0, 0, 1.605 * scale + tall / 2])
        right, down = across * tall, floats([0, 0, -tall])
        side_px = int(np.clip(px_per_m * tall * 1.2, 32, 192))
        sprite, bare = head(rng, skin, hair, self.turned, side_px)
        canvas.face(corner, right, down, sprite, owner, shade=shade, two_sided=True)
        if away < _PROFILE:
            seen = np.dstack([sprite[..., :3], np.minimum(sprite[..., 3], bare)])
            face = canvas.add("face", whole=owner)
            canvas.face(corner, right, down, seen, face, shade=shade, two_sided=True)


class _Figure:
    """A body taking shape on an RGBA sprite, limb over limb, in metres from its feet."""

    def __init__(self, rng: np.random.Generator, px_per_m: float) -> None:
        self._rng = rng
        self._px = px_per_m
        shape = round(_TALL_M * px_per_m), round(_WIDE_M * px_per_m)
        self._colours: Floats = np.zeros((*shape, 3), np.float32)
        self._opacity: Pixels = np.zeros(shape, np.uint8)

    def sprite(self) -> Pixels:
        return texture.with_opacity(texture.to_pixels(self._colours), self._opacity)

    def _fixed(self, points: Floats) -> NDArray[np.int32]:
        height, width = self._opacity.shape
        px = [width / 2, height] + points * [self._px, -self._px]
        return np.asarray(np.round(px * 8), np.int32)

    def limb(
        self,
        points: list[tuple[float, float]],
        widths: list[float],
        colour: Colour,
        folds: float = 1.0,
    ) -> None:
        """A rounded limb through `points` (x right, z up), tapering between `widths`."""
        mask = np.zeros_like(self._opacity)
        ends = self._fixed(np.array(points))
        radii = [max(8, round(width / 2 * self._px * 8)) for width in widths]
        for centre, radius in zip(ends, radii, strict=True):
            cv2.circle(mask, centre.tolist(), radius, 255, -1, cv2.LINE_AA, 3)
        for start, end, r1, r2 in zip(ends, ends[1:], radii, radii[1:], strict=False):
            along = (end - start) / max(1e-6, float(np.linalg.norm(end - start)))
            aside = np.array([-along[1], along[0]])
            sides = [start + aside * r1, end + aside * r2, end - aside * r2, start - aside * r1]
            cv2.fillPoly(mask, [np.round(sides).astype(np.int32)], 255, cv2.LINE_AA, 3)
        self._lay(mask, colour, folds)

    def piece(self, outline: list[tuple[float, float]], colour: Colour, folds: float = 1.0) -> None:
        """A garment of mirrored `outline` (half width, z up), from its top to its hem."""
        half = np.array(outline)
        points = self._fixed(np.concatenate([half, half[::-1] * [-1, 1]]))
        mask = np.zeros_like(self._opacity)
        cv2.fillPoly(mask, [points], 255, cv2.LINE_AA, 3)
        mask = cv2.GaussianBlur(mask, (0, 0), max(0.3, 0.012 * self._px))
        self._lay(
            np.clip((mask.astype(np.float32) - 64) * 2, 0, 255).astype(np.uint8), colour, folds
        )

    def _lay(self, mask: Pixels, colour: Colour, folds: float) -> None:
        x, y, wide, tall = cv2.boundingRect(mask)
        here = np.s_[max(0, y - 2) : y + tall + 2, max(0, x - 2) : x + wide + 2]
        cut = np.ascontiguousarray(mask[here])
        if not cut.size:
            return
        height = texture.dome(np.where(cut > 127, 255, 0).astype(np.uint8), 0.09 * self._px) * 0.75
        creases = cv2.resize(
            noise(self._rng, 96, 96, 1.7), cut.shape[::-1], interpolation=cv2.INTER_LINEAR
        )
        height = height + creases * folds * 0.011 * self._px
        height = cv2.GaussianBlur(height, (0, 0), 0.3 + 0.011 * self._px)
        lit = texture.relief(height.astype(np.float32), (-0.4, -0.5, 0.75))
        shaded = np.asarray(colour, np.float32) / 255 * (0.5 + 0.62 * lit)[..., None]
        share = (cut.astype(np.float32) / 255)[..., None]
        # The limb underneath is a little darker along the edge of the one above it.
        edge = cv2.GaussianBlur(mask, (0, 0), 0.3 + 0.012 * self._px)[here].astype(np.float32) / 255
        self._colours[here] *= (1 - 0.45 * edge * (1 - share[..., 0]))[..., None]
        self._colours[here] += (shaded - self._colours[here]) * share
        self._opacity[here] = np.maximum(self._opacity[here], cut)


def _body(rng: np.random.Generator, skin: Colour, turned: float, px_per_m: float) -> Pixels:
    """RGBA sprite of a body up to its neck."""
    figure = _Figure(rng, px_per_m)
    top, legs, other = (_CLOTHES[i] for i in rng.integers(0, len(_CLOTHES), 3))
    shoes: Colour = ((30, 28, 28), (206, 204, 200), (92, 60, 40))[rng.integers(3)]
    side = float(abs(np.sin(turned)))
    way_on = float(np.sign(np.sin(turned)) or 1.0)
    stride = float(rng.uniform(0.04, 0.30))
    swing = stride * (0.2 + 0.8 * side)
    lift = stride * 0.22
    shoulder = 0.195 - 0.12 * side
    bare, bare_legs, skirt = rng.random(3) < (0.4, 0.2, 0.15)
    dark: Colour = (0.78 * legs[0], 0.78 * legs[1], 0.78 * legs[2])

    def arm(way: float) -> None:
        elbow = (way * (shoulder + 0.045) - way * swing * 0.45, 1.13)
        hand = (elbow[0] - way * swing * 0.3 + way_on * 0.05 * side, 0.89)
        figure.limb([hand, (hand[0], 0.845)], [0.06, 0.05], skin, 0.2)
        figure.limb([elbow, hand], [0.078, 0.055], skin if bare else top, 0.2 if bare else 1)
        figure.limb([(way * shoulder, 1.395), elbow], [0.125, 0.088], top)

    arm(-1.0)
    for way in (-1.0, 1.0):
        hip, step = way * 0.085 * (1 - 0.7 * side), way * swing
        knee = (hip + step * 0.55 + way_on * 0.03 * side, 0.50 + lift * (way > 0))
        ankle = (hip + step, 0.09 + lift * 0.6 * (way > 0))
        toe = (ankle[0] + way_on * 0.13 * side + 0.015 * way, ankle[1] - 0.055)
        figure.limb([ankle, toe], [0.085, 0.075], shoes, 0.2)
        cloth, colour = (0.3, skin) if bare_legs else (1.0, dark if way < 0 else legs)
        figure.limb(
            [(hip, 0.90), knee, ankle], [0.185, 0.125, 0.085 if bare_legs else 0.11], colour, cloth
        )
    if skirt or bare_legs:
        figure.piece([(0.15, 1.0), (0.19, 0.8), (0.22, 0.58)], legs, 1.5)
    chest, waist, hips = 0.20 - 0.06 * side, 0.165 - 0.03 * side, 0.19 - 0.04 * side
    figure.limb(
        [(0, 1.42), (0, 1.53)], [0.115, 0.10], (0.78 * skin[0], 0.76 * skin[1], 0.76 * skin[2]), 0.1
    )
    outline = [(0.055, 1.475), (shoulder * 0.75, 1.45), (shoulder + 0.035, 1.405), (chest, 1.27)]
    figure.piece(
        [*outline, (waist, 1.08), (hips, 0.93), (hips + 0.005, rng.uniform(0.78, 0.9))], top, 1.5
    )
    if np.cos(turned) > 0.4:
        if rng.random() < 0.45:
            figure.piece([(0.045, 1.46), (0.035, 1.3), (0.06, 0.92)], other, 0.5)
        else:
            figure.piece([(0.06, 1.48), (0.035, 1.44), (0.0, 1.42)], skin, 0.2)
    arm(1.0)
    if rng.random() < 0.3:
        figure.limb([(shoulder + 0.1, 0.80), (shoulder + 0.1, 0.62)], [0.14, 0.22], other)
    if np.cos(turned) < 0 and rng.random() < 0.4:
        figure.piece([(0.10, 1.43), (0.15, 1.3), (0.15, 1.0), (0.11, 0.96)], other, 2)
    return figure.sprite()
