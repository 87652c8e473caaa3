"""Heads of nobody: skin, eyes, brows, nose and mouth on a turned ellipsoid, ears and hair."""

import cv2
import numpy as np

from training.scenes import texture
from training.scenes.camera import Floats, floats
from training.scenes.scene import Pixels
from training.scenes.texture import Colour, noise

_SIDES = (-1.0, 1.0)
_IRISES: tuple[Colour, ...] = ((64, 44, 30), (70, 96, 110), (52, 34, 24))


def head(
    rng: np.random.Generator, skin: Colour, hair: Colour, turned: float, side_px: int
) -> tuple[Pixels, Pixels]:
    """RGBA sprite (side, side, 4) of a head, and the opacity (side, side) of its face.

    The face is bare skin from the hairline to the chin, as face detectors are taught to box it.
    The head fills 0.8 of the sprite's height.
    """
    drawn = _Head(rng, skin, hair, turned, side_px)
    drawn.eyes()
    drawn.mouth()
    drawn.extras()
    return drawn.finished()


class _Head:
    """A head being painted; lengths are in halves of the sprite's side, y down from its middle."""

    def __init__(
        self, rng: np.random.Generator, skin: Colour, hair: Colour, turned: float, side_px: int
    ) -> None:
        self.rng, self.side, self.turned = rng, side_px, turned
        self.skin, self.hair = skin, hair
        self.brow: Colour = (0.7 * hair[0], 0.7 * hair[1], 0.7 * hair[2])
        y, x = np.mgrid[:side_px, :side_px]
        self.x, self.y = (floats(axis) / side_px * 2 - 1 for axis in (x, y))
        self.wide = 0.62 + 0.10 * abs(float(np.sin(turned)))
        jaw = 1 - 0.42 * np.clip((self.y - 0.12) / 0.68, 0, 1) ** 2
        across = self.x / (self.wide * jaw)
        inside = 1 - across**2 - (self.y / 0.80) ** 2
        self.skull = floats(np.clip(inside * 14, 0, 1))
        # The longitude on the head, counted from the nose: features sit at fixed ones.
        self.u = floats(np.arcsin(np.clip(across, -1, 1)) - turned)
        self.frontal = (np.cos(self.u) > 0) & (abs(turned) < 1.5)
        self.face = (
            floats(skin) / 255 * self._light(floats(np.sqrt(np.clip(inside, 0, 1))))[..., None]
        )

    def _light(self, bulge: Floats) -> Floats:
        """Skin in light from above: forehead, cheeks and nose catch it, eyes and chin do not."""
        light = (
            0.60
            + 0.36 * bulge
            - 0.13 * self.x
            - 0.10 * self.y
            + 0.10 * self.spot(0, -0.42, 0.5, 0.2)
        )
        for way in _SIDES:
            light += 0.06 * self.spot(way * 0.5, 0.16, 0.2, 0.16)
            light -= 0.20 * self.spot(way * 0.37, -0.12, 0.22, 0.12)
        light += 0.13 * self.spot(-0.03, 0.05, 0.08, 0.22) - 0.13 * self.spot(
            0.13, 0.12, 0.07, 0.16
        )
        light -= 0.20 * self.spot(0, 0.285, 0.16, 0.035) + 0.16 * self.spot(0, 0.60, 0.20, 0.045)
        return floats(light - 0.12 * np.clip((self.y - 0.62) * 4, 0, 1))

    def spot(self, at_u: float, at_y: float, wide: float, tall: float) -> Floats:
        """A soft spot."""
        away = ((self.u - at_u) / wide) ** 2 + ((self.y - at_y) / tall) ** 2
        return floats(np.exp(-away) * self.frontal)

    def disc(self, at_u: float, at_y: float, wide: float, tall: float, edge: float = 4.0) -> Floats:
        """An ellipse; a larger `edge` is sharper."""
        away = ((self.u - at_u) / wide) ** 2 + ((self.y - at_y) / tall) ** 2
        return floats(np.clip((1 - away) * edge, 0, 1) * self.frontal)

    def tint(self, mask: Floats, towards: Colour, share: float) -> None:
        """Move the colour under `mask` towards another."""
        self.face += (floats(towards) / 255 - self.face) * (mask * share)[..., None]

    def eyes(self) -> None:
        """Brows, lids, whites, irises and pupils."""
        colour = _IRISES[self.rng.integers(len(_IRISES))]
        for way in _SIDES:
            at = way * 0.36
            arch = -0.245 + 0.05 * (np.abs(self.u - way * 0.38) / 0.2) ** 2
            line = np.exp(-(((self.y - arch) / 0.033) ** 2))
            self.tint(floats(line * self.disc(way * 0.38, -0.22, 0.25, 0.2)), self.brow, 0.85)
            self.tint(self.disc(at, -0.115, 0.19, 0.085, 2.5), (62, 38, 30), 0.45)
            eye = self.disc(at, -0.10, 0.155, 0.062)
            self.tint(eye, (232, 228, 224), 0.9)
            self.tint(self.disc(at + 0.02, -0.10, 0.072, 0.068) * eye, colour, 0.95)
            self.tint(self.disc(at + 0.02, -0.10, 0.034, 0.034) * eye, (8, 8, 8), 1.0)
            self.tint(self.disc(at, -0.158, 0.17, 0.022, 2.0), (38, 24, 20), 0.85)

    def mouth(self) -> None:
        """Cheeks, nostrils and lips."""
        smile = 0.025 * (self.u / 0.25) ** 2 * self.rng.uniform(-0.5, 2)
        for way in _SIDES:
            self.tint(self.spot(way * 0.52, 0.2, 0.22, 0.16), (206, 96, 84), 0.16)
            self.tint(self.spot(way * 0.085, 0.265, 0.045, 0.022), (70, 34, 28), 0.8)
        lips: Colour = (0.78 * self.skin[0], 0.50 * self.skin[1], 0.48 * self.skin[2])
        shape = 1 - (self.u / 0.27) ** 2 - ((self.y + smile - 0.44) / 0.062) ** 2
        self.tint(floats(np.clip(shape * 3, 0, 1) * self.frontal), lips, 0.85)
        gap = np.exp(-(((self.y + smile - 0.435) / 0.014) ** 2)) * (np.abs(self.u) < 0.25)
        self.tint(floats(gap * self.frontal), (70, 26, 28), 0.75)

    def extras(self) -> None:
        """Sometimes a beard, sometimes glasses."""
        beard, glasses = self.rng.random(2) < (0.25, 0.2)
        if beard:
            lips = self.disc(0, 0.44, 0.24, 0.075)
            self.tint(
                floats(np.clip(self.disc(0, 0.62, 0.75, 0.42, 1.5) - lips, 0, 1)), self.brow, 0.7
            )
        if glasses:
            for way in _SIDES:
                lens = self.disc(way * 0.37, -0.09, 0.235, 0.115, 8)
                rim = self.disc(way * 0.37, -0.09, 0.27, 0.14, 8) - lens
                self.tint(floats(np.clip(rim, 0, 1)), (24, 22, 24), 0.9)
            self.tint(self.disc(0, -0.11, 0.11, 0.018, 4), (24, 22, 24), 0.9)

    def _hairy(self) -> Floats:
        """How much of each pixel is hair."""
        thick = self.rng.uniform(0.05, 0.13)
        to_the_ears = self.rng.random() < 0.65
        end = float(self.rng.uniform(0.02, 0.3)) if to_the_ears else 1.0
        cap = (self.x / (self.wide + 0.06 + thick * 0.4)) ** 2
        cap = cap + ((self.y + thick * 0.5) / (0.80 + thick)) ** 2
        around = np.clip((1 - cap) * 14, 0, 1) * (self.y < end)
        if not to_the_ears:
            mane = (self.x / (self.wide + 0.13)) ** 4 + (np.maximum(self.y - 0.2, 0) / 0.72) ** 4
            around = np.maximum(around, np.clip((1 - mane) * 8, 0, 1) * (self.y > -0.15))
        line = -0.44 + 0.10 * np.cos(3 * self.u)
        behind = (np.abs(self.u) > 1.02) & (self.y < end)
        covered = (self.y < line) | behind | (self.skull < 0.5)
        if abs(self.turned) >= 1.5:
            covered |= self.y < 0.55
        return floats(cv2.GaussianBlur(floats(covered * around), (0, 0), 0.008 * self.side))

    def _ears(self) -> Floats:
        ears = np.zeros_like(self.skull)
        sin, cos = float(np.sin(self.turned)), float(np.cos(self.turned))
        if cos < -0.3:
            return ears
        for way in _SIDES:
            edge = way * self.wide * (1.0 if way * sin <= 0.2 else 0.4 * cos)
            away = ((self.x - edge) / 0.09) ** 2 + ((self.y - 0.02) / 0.17) ** 2
            ears = np.maximum(ears, floats(np.clip((1 - away) * 5, 0, 1)))
        return ears

    def finished(self) -> tuple[Pixels, Pixels]:
        """The sprite, and the opacity of its face."""
        hairy = self._hairy()
        strands = cv2.GaussianBlur(noise(self.rng, 192, 192, 0.6), (1, 31), 0)
        strands = cv2.resize(strands, (self.side, self.side), interpolation=cv2.INTER_AREA)
        tone = np.clip(0.75 + 0.27 * strands - 0.25 * self.x - 0.25 * self.y, 0.3, 1.6)
        hairs = floats(self.hair) / 255 * tone[..., None]
        ears = floats(self.skin) / 255 * 0.62
        pixels = ears + (self.face - ears) * self.skull[..., None]
        pixels = pixels + (hairs - pixels) * hairy[..., None]
        opacity = np.maximum(np.maximum(self.skull, self._ears()), hairy)
        bare = self.skull * (hairy < 0.5) * (np.abs(self.u) < 1.35)
        sprite = texture.with_opacity(texture.to_pixels(floats(pixels)), texture.to_pixels(opacity))
        return sprite, texture.to_pixels(floats(bare))
