"""The ground seen from straight above: colour, height and owner of each pixel."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from training.scenes import texture
from training.scenes.camera import Floats, floats

Shape = Callable[[Floats, Floats], tuple[Floats, Floats]]


class Survey:
    """Colour, height and owner of each pixel; the frame's x runs along the street, y across it."""

    def __init__(self, size_hw: tuple[int, int], gsd_m: float, angle: float) -> None:
        self.gsd_m = gsd_m
        self.colour: Floats = np.zeros((*size_hw, 3), np.float32)
        self.height: Floats = np.zeros(size_hw, np.float32)
        self.owner = np.full(size_hw, -1, np.int16)
        self.labels: list[str] = []
        self.claimed: list[int] = []
        self._turn = np.array(
            [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32
        )
        self._middle = np.array(size_hw[::-1], np.float32) / 2
        y, x = np.mgrid[: size_hw[0], : size_hw[1]].astype(np.float32) + 0.5
        self.x, self.y = self._street(x, y)

    def _street(self, x_px: Floats, y_px: Floats) -> tuple[Floats, Floats]:
        points = np.stack([x_px - self._middle[0], y_px - self._middle[1]], -1) * self.gsd_m
        turned = floats(points @ self._turn)
        return turned[..., 0], turned[..., 1]

    def to_px(self, points: Floats) -> Floats:
        """Points (N, 2) of the street, m → px."""
        return np.asarray(points @ self._turn.T / self.gsd_m + self._middle, np.float32)

    def built(self, at: tuple[float, float]) -> bool:
        """Whether a building is to be seen at a point of the street."""
        x, y = np.floor(self.to_px(floats([at]))[0]).astype(int)
        height, width = self.height.shape
        if not (0 <= x < width and 0 <= y < height):
            return False
        owner = int(self.owner[y, x])
        return owner >= 0 and self.labels[owner] == "building"

    def free(self, at: tuple[float, float], radius_m: float) -> bool:
        """Whether nothing that was put here stands within a radius of a point of the street."""
        x, y = self.to_px(floats([at]))[0]
        reach = radius_m / self.gsd_m
        height, width = self.height.shape
        x1, x2 = (int(np.clip(v, 0, width)) for v in (x - reach, x + reach))
        y1, y2 = (int(np.clip(v, 0, height)) for v in (y - reach, y + reach))
        return bool((self.owner[y1:y2, x1:x2] < 0).all())

    def lay(self, where: NDArray[np.bool_], colours: Floats) -> None:
        """Cover flat ground."""
        self.colour[where] = colours[where]

    def put(
        self, label: str, at: tuple[float, float], reach_m: float, shape: Shape, turn: float = 0
    ) -> int:
        """Stand an object on the ground, or on what stands there; gives its number.

        Args:
            label: its class.
            at: its middle, in the street's metres.
            reach_m: nothing of it is further from its middle.
            shape: coordinates from its middle (h, w), m → heights (h, w), 0 outside of it, and
                colours (h, w, 3) in [0, 1].
            turn: of the object against the street, radians.
        """
        self.labels.append(label)
        self.claimed.append(0)
        x, y = self.to_px(floats([at]))[0]
        reach = reach_m / self.gsd_m + 1
        height, width = self.height.shape
        x1, x2 = (int(np.clip(v, 0, width)) for v in (x - reach, x + reach + 1))
        y1, y2 = (int(np.clip(v, 0, height)) for v in (y - reach, y + reach + 1))
        if x1 >= x2 or y1 >= y2:
            return len(self.labels) - 1
        here = np.s_[y1:y2, x1:x2]
        dx, dy = self.x[here] - at[0], self.y[here] - at[1]
        cos, sin = np.cos(turn), np.sin(turn)
        tall, colours = shape(dx * cos + dy * sin, dy * cos - dx * sin)
        self.claimed[-1] = int(np.count_nonzero(tall > 0))
        above = (tall > 0) & (tall > self.height[here])
        self.height[here][above] = tall[above]
        self.colour[here][above] = colours[above]
        self.owner[here][above] = len(self.labels) - 1
        return len(self.labels) - 1


def _field(rng: np.random.Generator, survey: Survey, slope: float) -> Floats:
    """Noise over the whole picture, the same size on the ground whatever the resolution."""
    height, width = survey.height.shape
    scale = survey.gsd_m / 0.2
    rows, columns = max(2, round(height * scale)), max(2, round(width * scale))
    return np.asarray(
        cv2.resize(texture.noise(rng, rows, columns, slope), (width, height)), np.float32
    )


def grass(rng: np.random.Generator, survey: Survey) -> None:
    """Lawn and rough meadow everywhere."""
    slow, fine = (
        _field(rng, survey, 1.6),
        texture.noise(rng, survey.height.shape[0], survey.height.shape[1], 0.4),
    )
    lush = np.clip(0.5 + 0.35 * slow, 0, 1)[..., None]
    survey.colour[...] = floats([0.47, 0.44, 0.29]) * (1 - lush) + floats([0.30, 0.39, 0.20]) * lush
    survey.colour *= (1 + 0.07 * fine + 0.05 * _field(rng, survey, 1.1))[..., None]
    survey.height[...] = np.clip(0.07 + 0.05 * slow + 0.02 * fine, 0.01, 0.3)
    meadow = _field(rng, survey, 1.7) > 1.0
    survey.height[meadow] = np.clip(0.55 + 0.12 * fine[meadow], 0.3, 0.8)
    survey.colour[meadow] *= (1.06 + 0.13 * fine[meadow])[..., None] * floats([1.05, 1.0, 0.85])


def pave(rng: np.random.Generator, survey: Survey, where: NDArray[np.bool_], grey: float) -> None:
    """Flat ground of one grey where `where` (H, W) is true."""
    tone = grey * (
        1
        + 0.05 * texture.noise(rng, survey.height.shape[0], survey.height.shape[1], 0.3)
        + 0.06 * _field(rng, survey, 1.5)
    )
    survey.lay(where, floats(tone[..., None] * floats([1.0, 1.0, 1.01])))
    survey.height[where] = 0.0


def photograph(rng: np.random.Generator, survey: Survey) -> NDArray[np.uint8]:
    """Sunlight on slopes, shadows on what lies lower, haze, lens and sensor."""
    azimuth, elevation = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.6, 1.05))
    sun_x, sun_y = np.cos(azimuth), np.sin(azimuth)
    height, gsd = survey.height, survey.gsd_m
    shaded = _shadows(height, (sun_x, sun_y), np.tan(elevation), gsd)
    lit = texture.relief(
        cv2.GaussianBlur(height, (0, 0), 0.6) / gsd,
        (sun_x * np.cos(elevation), sun_y * np.cos(elevation), np.sin(elevation)),
    )
    direct = (1 - cv2.GaussianBlur(shaded, (0, 0), 0.7))[..., None] * lit[..., None]
    light = floats([0.36, 0.40, 0.47]) + direct * floats([0.86, 0.80, 0.70])
    picture = cv2.GaussianBlur(survey.colour * light, (0, 0), float(rng.uniform(0.45, 0.75)))
    haze = rng.uniform(0.0, 0.07)
    picture = picture * (1 - haze) + haze * floats([0.75, 0.8, 0.88])
    picture *= np.exp(rng.normal(0, 0.03, 3)) * rng.uniform(1.05, 1.3)
    picture = picture + rng.normal(0, 0.012, picture.shape)
    return texture.to_pixels(picture.astype(np.float32))


def _shadows(height: Floats, towards: tuple[float, float], slope: float, gsd_m: float) -> Floats:
    """Where the sun is hidden, float32 (H, W): march the heights away from the sun, sinking."""
    shaded = np.zeros(height.shape, np.float32)
    steps = int(float(height.max()) / slope / gsd_m) + 1
    for step in range(1, steps + 1):
        move = floats([[1, 0, -towards[0] * step], [0, 1, -towards[1] * step]])
        above = cv2.warpAffine(height, move, height.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        np.maximum(shaded, above - step * gsd_m * slope > height + 0.05, out=shaded)
    return shaded
