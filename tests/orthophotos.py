"""Drawn orthophotos as GeoTIFFs of any kind, and a line whose heights are a function of colour."""

import cv2
import numpy as np
from rasterio.enums import ColorInterp
from rasterio.io import MemoryFile
from rasterio.transform import Affine

from models.detections import Detections
from models.heights import GRID_M, HeightMap
from models.redaction import Redactor, Region
from services.audit import Witness
from services.eyes import Eyes
from services.pipeline import Line
from services.sites import parse_site
from tests.views import SITE_HEAD

EAST, NORTH = 221_000.0, 6_758_000.0
SECRET = (255, 0, 255)  # what personal data is drawn in: no other pixel has it

SITE = parse_site(
    SITE_HEAD
    + """
surveys:
  - {id: vol, key_prefix: vol/}
assets:
  - id: P-1
    purpose: waste
    kind: container
    geometry:
      type: Polygon
      coordinates: [[[-3.398789, 47.747275], [-3.398746, 47.746916], [-3.398214, 47.746945],
        [-3.398257, 47.747304], [-3.398789, 47.747275]]]
""",
    "site.yaml",
)
WITNESS = Witness("a.martin", SITE.source, b"k" * 32)


def drawn(size_hw, seed=0):
    """uint8 (H, W, 3): woods, meadows and roofs, nothing near `SECRET`."""
    rng = np.random.default_rng(seed)
    height, width = size_hw
    coarse = rng.integers(40, 170, (height // 40 + 2, width // 40 + 2, 3), np.uint8)
    pixels = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(height * width // 20_000):
        x, y, r = rng.integers(0, width), rng.integers(0, height), rng.integers(6, 30)
        cv2.circle(pixels, (int(x), int(y)), int(r), rng.integers(60, 170, 3).tolist(), -1)
    pixels[..., 1] = np.maximum(pixels[..., 1], 60)
    return pixels


def encoded(
    bands, gsd_m=0.2, crs="EPSG:2154", transform=None, kinds=None, names=(), tags=None, **options
):
    """A GeoTIFF of (C, H, W) bands."""
    count, height, width = bands.shape
    transform = transform or Affine(gsd_m, 0, EAST, 0, -gsd_m, NORTH)
    profile = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}
    with MemoryFile() as file:
        with file.open(
            driver="GTiff",
            count=count,
            height=height,
            width=width,
            dtype=bands.dtype,
            crs=crs,
            transform=transform,
            **profile | options,
        ) as data:
            data.update_tags(**(tags or {}))  # first: after the pixels, the directory would follow
            data.write(bands)
            for number, name in enumerate(names, 1):
                data.set_band_description(number, name)
            if kinds:
                data.colorinterp = [ColorInterp[kind] for kind in kinds]
        return bytes(file.read())


def ortho(size_hw, seed=0, **options):
    return encoded(drawn(size_hw, seed).transpose(2, 0, 1), **options)


class Secrets:
    """A locator that finds what is drawn in `SECRET`, but only where it sees all of its 20 px."""

    model = "secrets@0"
    thresholds = {"plate": 0.5}  # noqa: RUF012 - read only
    side_px = 20

    def __call__(self, pixels, areas=None):
        found = (np.abs(pixels.astype(int) - SECRET).max(2) < 60).astype(np.uint8)
        boxes = cv2.connectedComponentsWithStats(found)[2][1:]
        whole = [b for b in boxes.tolist() if min(b[2:4]) >= self.side_px - 2]
        return [Region((x, y, x + w, y + h), "plate", 0.9) for x, y, w, h, _ in whole]


class Green:
    """Heights are a tenth of the green: a stand-in for the network, deterministic to the cell."""

    model = "green@0"
    names = ()
    reach = 0
    """Cells around one that it looks at: what a network does near borders."""

    def __call__(self, frame):
        return Detections.empty((), frame.pixels.shape[:2])

    def heights(self, frame, valid=None):
        rows, columns = (round(side * frame.gsd_m / GRID_M) for side in frame.pixels.shape[:2])
        size = columns, rows
        green = cv2.resize(frame.pixels[..., 1].copy(), size, interpolation=cv2.INTER_AREA)
        if self.reach:
            green = cv2.blur(green.astype(np.float32), (2 * self.reach + 1,) * 2)
        seen = valid if valid is not None else np.ones(frame.pixels.shape[:2], bool)
        known = cv2.resize(seen.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.999
        metres = np.where(known, green / np.float32(10), 0).astype(np.float32)
        ones = known.astype(np.float32)
        height, width = frame.pixels.shape[:2]
        ground = frame.ground.part(0, 0, width / columns, height / rows)
        return HeightMap(metres, ones, ones, known, ground)


class Parcels:
    """A purpose that tells the mean height of each asset on a map."""

    DETECTORS = ("green",)

    @staticmethod
    def measure(view):
        return []

    @staticmethod
    def judgement(limits):
        return {}

    @staticmethod
    def survey(of):
        told = []
        for asset, rings in of.assets("waste"):
            heights = of.heights(of.window(rings))
            mean = float(heights.metres[heights.valid].mean()) if heights.valid.any() else None
            told.append(
                of.observe(
                    asset.id,
                    "waste.height",
                    rings[0],
                    "green",
                    value=mean,
                    unit="m",
                    low=None if mean is None else mean - 1,
                    high=None if mean is None else mean + 1,
                    reason=None if mean is not None else "not_analysed",
                )
            )
        return told


def line(store, green=None, locator=None, site=SITE):
    find = locator or Secrets()
    redactor = Redactor([find], cover=tuple(find.thresholds))
    eyes = Eyes(redactor, {"green": green or Green()})
    return Line(store, site, eyes, {"waste": Parcels()}, WITNESS)


def opened(data):
    """All bands of an encoded raster."""
    with MemoryFile(data) as file, file.open() as raster:
        return raster.read()
