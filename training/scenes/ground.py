"""The ground of a street: strips of asphalt, slabs and grass, and what is on any of them."""

from dataclasses import dataclass

import cv2
import numpy as np

from training.scenes import texture
from training.scenes.camera import Camera, floats
from training.scenes.canvas import OVERSAMPLE, Canvas
from training.scenes.solids import UP, Light, Shadows

_FAR_M = 150


@dataclass(frozen=True, slots=True)
class Band:
    """A strip of ground along the street between two values of t, and the tile it is made of."""

    near: float
    far: float
    tile: str


def street_bands(kerb: float, facade_t: float, road: str, walk: str) -> list[Band]:
    """A road up to the kerb, a pavement up to the facades, bare earth behind them."""
    return [
        Band(-40, kerb - 0.12, road),
        Band(kerb - 0.12, kerb, "gutter"),
        Band(kerb, kerb + 0.16, "kerb"),
        Band(kerb + 0.16, facade_t + 0.1, walk),
        Band(facade_t + 0.1, _FAR_M, "earth"),
    ]


def draw_traces(canvas: Canvas, light: Light, bands: list[Band], rng: np.random.Generator) -> None:
    """What is on any ground and is no waste: manholes, mended asphalt, fallen leaves."""
    shade = light.on(UP)
    nearest = 3.0
    for _ in range(int(rng.integers(0, 4))):
        s, t = float(rng.uniform(-6, 6)), float(rng.uniform(nearest, 11))
        if rng.random() < 0.5:
            cover = np.zeros((96, 96, 4), np.uint8)
            cv2.circle(cover, (48, 48), 46, (70, 68, 66, 255), -1, cv2.LINE_AA)
            cv2.circle(cover, (48, 48), 38, (52, 50, 50, 255), 3, cv2.LINE_AA)
            cover[::12, 16:80, :3] = 46
            size = floats([0.7, 0.7])
        else:
            tall, wide = int(rng.integers(40, 120)), int(rng.integers(40, 160))
            mended = texture.panel(rng, tall, wide, (72, 72, 74), dirt=0.1)
            cover = texture.with_opacity(mended, np.full((tall, wide), 150, np.uint8))
            size = floats([wide / 50, tall / 50])
        corner = floats([s, t + size[1], 0])
        canvas.face(corner, floats([size[0], 0, 0]), floats([0, -size[1], 0]), cover, shade=shade)
    if rng.random() < 0.4:
        count = int(rng.integers(40, 260))
        middle = np.column_stack(
            [rng.normal(rng.uniform(-4, 4), 2.5, count), rng.normal(bands[-1].near - 2, 1.6, count)]
        )
        middle = middle[(middle[:, 1] > nearest) & (middle[:, 1] < bands[-1].near)]
        angle = rng.uniform(0, 6.3, (len(middle), 1)) + floats([0, 1.9, 3.1, 4.6])
        reach = rng.uniform(0.02, 0.055, (len(middle), 1)) * floats([1.5, 0.7, 1.2, 0.7])
        leaf = middle[:, None] + np.stack([np.cos(angle), np.sin(angle)], -1) * reach[..., None]
        points = np.concatenate([leaf, np.full((*leaf.shape[:2], 1), 0.01)], -1)
        hues = floats([(150, 112, 58), (122, 84, 44), (176, 146, 66), (96, 100, 52)])
        colours = (
            hues[rng.integers(0, 4, len(middle))] * shade * rng.uniform(0.7, 1.1, (len(middle), 1))
        )
        canvas.cells(points.astype(np.float32), colours.astype(np.float32))


def draw_ground(
    canvas: Canvas, light: Light, bands: list[Band], shadows: Shadows, wet: float
) -> None:
    """Lay the strips of ground below the horizon, shaded; `wet` 0 to 1 darkens them."""
    camera = canvas.camera
    height, width = camera.size_hw
    first = _first_ground_row(camera)
    x, y = np.meshgrid(
        np.arange(width, dtype=np.float32) + 0.5, np.arange(first, height, dtype=np.float32) + 0.5
    )
    s, t, depth = camera.ground(x, y)
    below = depth < _FAR_M
    tile_px = texture.GROUND_PX_PER_M
    u, v = np.mod(s * tile_px, 512), np.mod(-t * tile_px, 512)
    # How many metres a pixel spans: where it spans more than a joint, the tile is its mean colour.
    footprint = np.minimum(depth, _FAR_M) ** 2 / (camera.focal_px * camera.height_m)
    fine = np.clip(1.6 - footprint * 10, 0, 1)
    laid = np.zeros((*s.shape, 3), np.float32)
    for band in bands:
        here = below & (t >= band.near) & (t < band.far)
        rows = np.flatnonzero(here.any(1))
        if not len(rows):
            continue
        cut = np.s_[rows[0] : rows[-1] + 1]
        tile = texture.ground_tile(band.tile)
        sampled = cv2.remap(tile, u[cut], v[cut], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        mean = tile.mean((0, 1))
        sampled = (sampled - mean) * fine[cut, :, None] + mean
        cv2.copyTo(sampled, here[cut].astype(np.uint8), laid[cut])
    # Stains larger than a tile hide its repetition.
    stains = cv2.remap(
        texture.ground_stains(),
        np.mod(s * 22, 512),
        np.mod(t * 22, 512),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    laid *= (1 + 0.12 * stains)[..., None]
    laid *= light.on(UP) * floats(255 * (1 - 0.38 * wet))
    laid *= shadows.factors()[first:]
    haze = np.clip((depth - 30) / 200, 0, 0.5)[..., None]
    laid += (floats([200, 204, 208]) * light.sky - laid) * haze
    size = (width * OVERSAMPLE, (height - first) * OVERSAMPLE)
    pixels = cv2.resize(np.clip(laid, 0, 255).astype(np.uint8), size)
    mask = cv2.resize(below.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    under = np.s_[first * OVERSAMPLE :]
    cv2.copyTo(pixels, mask, canvas.pixels[under])
    canvas.glow[under][mask > 0] = 0


def _first_ground_row(camera: Camera) -> int:
    """The first row of px in which ground nearer than the limit of sight shows."""
    height, width = camera.size_hw
    x, y = np.meshgrid(floats([0, width]), np.arange(height, dtype=np.float32))
    seen = (camera.ground(x, y)[2] < _FAR_M).any(1)
    return int(np.argmax(seen)) if seen.any() else height - 1
