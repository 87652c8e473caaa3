"""A map of a survey in memory, and what parcels and lines on it tell."""

from datetime import UTC, datetime

import numpy as np

from models.ground import Ground
from models.heights import GRID_M, HeightMap
from models.raster import Window
from services.observing import Observing, Origin
from services.purposes import vegetation
from services.sites import parse_site
from services.view import rings_from_above

SIZE = 120
GROUND = Ground((GRID_M, 0, 652_000, 0, -GRID_M, 6_862_000), "EPSG:2154")
AT = datetime(2026, 7, 1, 10, tzinfo=UTC)


def corner(column, row):
    longitude, latitude = GROUND.lon_lat(np.array([[column, row]], float))[0]
    return f"[{longitude:.8f}, {latitude:.8f}]"


def ring(left, top, right, bottom):
    points = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    return "[[" + ", ".join(corner(*point) for point in points) + "]]"


SITE = f"""
territory: villeneuve
site: stade
name: Stade
time_zone: Europe/Paris
purposes:
  vegetation:
    legal_basis: public_task
    retention_days: {{images: 30, events: 1095}}
    notice: https://www.example.org/
surveys:
  - {{id: ortho, key_prefix: ortho/}}
assets:
  - id: talus
    purpose: vegetation
    kind: parcel
    geometry: {{type: Polygon, coordinates: {ring(10, 10, 50, 50)}}}
    limits: {{height_m: 3, mow_m: 0.6}}
  - id: allee
    purpose: vegetation
    kind: clearance
    geometry: {{type: LineString, coordinates: [{corner(70, 12)}, {corner(70, 105)}]}}
    limits: {{distance_m: 3}}
  - id: ailleurs
    purpose: vegetation
    kind: parcel
    geometry: {{type: Polygon, coordinates: {ring(5000, 10, 5050, 50)}}}
"""


class Map(Observing):
    """A map in memory."""

    def __init__(
        self,
        metres,
        colours=None,
        valid=True,
        vegetation=1.0,
        past=(),
        at=AT,
        sigma=1.0,
        clock="key",
    ):
        site = parse_site(SITE, "s.yaml")
        models = {"vegetation": "vegetation@1"}
        self._origin = Origin(
            site, None, "w" * 32, at, clock, "ortho/a.heights.tif", "0" * 64, "none@0", models
        )
        known = np.broadcast_to(np.asarray(valid), (SIZE, SIZE)).copy()
        parts = (metres, sigma, vegetation)
        full = [np.where(known, part, 0).astype(np.float32) for part in parts]
        self._map = HeightMap(*full, known, GROUND)
        self._colours = np.full((SIZE, SIZE, 3), (80, 120, 60), np.uint8)
        if colours is not None:
            self._colours = np.full((SIZE, SIZE, len(colours)), colours, np.uint8)
        self.infrared = self._colours.shape[2] == 4
        self._past = past

    @property
    def origin(self):
        return self._origin

    def assets(self, purpose):
        shown = []
        for asset in self.origin.site.assets:
            rings = rings_from_above(asset, GROUND, GRID_M)
            if rings[0].min() < SIZE and rings[0].max() < 10 * SIZE:
                shown.append((asset, rings))
        return shown

    def window(self, rings, margin_m=0.0):
        points, margin = np.concatenate(rings), margin_m / GRID_M
        low, high = np.floor(points.min(0) - margin), np.ceil(points.max(0) + margin)
        return Window(*low.astype(int).tolist(), *(high - low).astype(int).tolist())

    def _cut(self, array, window):
        rows = slice(window.row, window.row + window.height)
        return array[rows, window.column : window.column + window.width]

    def heights(self, window):
        told = self._map
        parts = (told.metres, told.sigma, told.vegetation, told.valid)
        return HeightMap(*(self._cut(part, window) for part in parts), GROUND)

    def colours(self, window):
        return self._cut(self._colours, window)

    def past(self, asset, quantity):
        return [o for o in self._past if (o.asset, o.quantity) == (asset, quantity)]


def told(of, asset="talus"):
    seen = vegetation.survey(of)
    return {o.quantity: o for o in seen if o.asset.endswith(asset)}


def ground():
    return np.zeros((SIZE, SIZE))
