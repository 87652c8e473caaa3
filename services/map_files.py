"""What GIS people expect beside a map: its STAC item, its parcels as GeoJSON and GeoParquet."""

import io
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow
import pystac
import shapely
from pyarrow import parquet
from pystac.extensions.projection import ProjectionExtension

from models.cells import BANDS, COLOURS
from models.ground import Ground
from models.heights import GRID_M
from services.events import Observation
from services.sites import Asset, Site
from services.view import rings_from_above

_MEDIA = {
    "heights": pystac.MediaType.COG,
    "colours": pystac.MediaType.COG,
    "quicklook": pystac.MediaType.PNG,
    "parcels": pystac.MediaType.GEOJSON,
    "table": pystac.MediaType.PARQUET,
}
_ROLES = {
    "heights": ["data"],
    "colours": ["data"],
    "quicklook": ["thumbnail"],
    "parcels": ["data"],
    "table": ["data"],
}
_BANDS = {"heights": BANDS, "colours": COLOURS}


def stac_item(
    name: str,
    ground: Ground,
    size_hw: tuple[int, int],
    captured_at: datetime,
    files: Mapping[str, str],
    properties: Mapping[str, Any],
    infrared: bool,
) -> bytes:
    """A STAC item (1.1, projection extension) as JSON.

    Args:
        name: id of the item.
        ground: where the cells lie.
        size_hw: cells down and across.
        captured_at: of the survey.
        files: asset name → key in the redacted bucket; they lie beside the item.
        properties: what else is said of the map.
        infrared: whether colours have a fourth band.
    """
    height, width = size_hw
    corners = np.array([[0, 0], [0, height], [width, height], [width, 0]], np.float64)
    ring = ground.lon_lat(corners).round(7).tolist()
    longitudes, latitudes = zip(*ring, strict=True)
    item = pystac.Item(
        name,
        {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        [min(longitudes), min(latitudes), max(longitudes), max(latitudes)],
        captured_at,
        {"gsd": GRID_M, **properties},
    )
    projection = ProjectionExtension.ext(item, add_if_missing=True)
    projection.apply(
        code=ground.crs if ground.crs.startswith("EPSG:") else None,
        wkt2=None if ground.crs.startswith("EPSG:") else ground.crs,
        shape=[height, width],
        transform=list(ground.affine),
    )
    for role, media in _MEDIA.items():
        bands = _BANDS.get(role, ())[: None if infrared or role != "colours" else 3]
        extra = {"bands": [{"name": band} for band in bands]} if bands else {}
        href = "./" + files[role].rpartition("/")[2]
        item.add_asset(
            role, pystac.Asset(href, media_type=media, roles=_ROLES[role], extra_fields=extra)
        )
    return json.dumps(item.to_dict(include_self_link=False), indent=1).encode()


def parcels(
    site: Site, observations: Iterable[Observation], ground: Ground, size_hw: tuple[int, int]
) -> dict[str, Any]:
    """The assets that were measured as a GeoJSON FeatureCollection, a property for each figure.

    `vegetation.height` becomes `vegetation.height`, `vegetation.height.low` and `.high` where there
    is an interval, and `vegetation.height.reason` where it is unknown. `beyond_map` says whether
    the asset reaches further than the map, so that the figures are of a part of it.

    Args:
        site: whose assets they are.
        observations: all of one map.
        ground: where the map's cells lie.
        size_hw: cells down and across.
    """
    told: dict[str, dict[str, Any]] = {}
    for observation in observations:
        name, properties = observation.quantity, told.setdefault(observation.asset, {})
        figures = {
            "": observation.value,
            ".low": observation.low,
            ".high": observation.high,
            ".reason": observation.reason,
            ".unit": observation.unit,
        }
        properties |= {name + end: figure for end, figure in figures.items() if figure is not None}
        properties |= {f"{name}.{detail}": v for detail, v in observation.detail.items()}
    features = [
        {
            "type": "Feature",
            "id": asset.id,
            "geometry": _geometry(asset),
            "properties": {
                "asset": asset.id,
                "kind": asset.kind,
                "beyond_map": _reaches_beyond(asset, ground, size_hw),
                **told[asset.id],
            },
        }
        for asset in site.assets
        if asset.id in told
    ]
    return {"type": "FeatureCollection", "features": features}


def _geometry(asset: Asset) -> dict[str, Any]:
    """GeoJSON whose outer rings are counter-clockwise, as RFC 7946 wants them."""
    drawn = shapely.geometry.shape(asset.geometry.model_dump(mode="json"))
    return dict(shapely.geometry.mapping(shapely.orient_polygons(drawn)))


def _reaches_beyond(asset: Asset, ground: Ground, size_hw: tuple[int, int]) -> bool:
    outline = rings_from_above(asset, ground, GRID_M)[0]
    # A border is no more exact than a cell, of which a map leaves out a part at its own.
    return bool((outline < -1).any() or (outline > np.array(size_hw[::-1]) + 1).any())


def geojson(collection: Mapping[str, Any]) -> bytes:
    """A FeatureCollection as text, RFC 7946."""
    return json.dumps(collection).encode()


def geoparquet(collection: Mapping[str, Any]) -> bytes:
    """A FeatureCollection as a GeoParquet 1.1 file: a row a feature, a column for each property.

    Geometries are WKB, longitude before latitude (OGC:CRS84, which is what no `crs` stands for).
    """
    features = collection["features"]
    rows = [feature["properties"] for feature in features]
    shapes = [shapely.geometry.shape(feature["geometry"]) for feature in features]
    columns = {
        name: pyarrow.array([row.get(name) for row in rows])
        for name in dict.fromkeys(name for row in rows for name in row)
    }
    columns["geometry"] = pyarrow.array(shapely.to_wkb(shapes), pyarrow.binary())
    kinds = sorted({shape.geom_type for shape in shapes})
    described = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {"geometry": {"encoding": "WKB", "geometry_types": kinds}},
    }
    table = pyarrow.table(columns).replace_schema_metadata({"geo": json.dumps(described)})
    file = io.BytesIO()
    parquet.write_table(table, file, compression="zstd")
    return file.getvalue()
