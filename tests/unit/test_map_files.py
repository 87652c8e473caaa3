"""Parcels as GeoParquet: any geometry of a site, and figures that not all of them have."""

import io
import json

import pytest
import shapely
from pyarrow import parquet

from models.ground import Ground
from services.geometry import Polygon
from services.map_files import geojson, geoparquet, parcels
from tests.orthophotos import EAST, NORTH, SITE
from tests.told import seen

POLE = {"type": "Point", "coordinates": [-3.36, 47.74]}
EDGE = {"type": "LineString", "coordinates": [[-3.36, 47.74], [-3.35, 47.75]]}


def read(*features):
    data = geoparquet({"type": "FeatureCollection", "features": list(features)})
    table = parquet.read_table(io.BytesIO(data))
    return table, json.loads(table.schema.metadata[b"geo"])["columns"]["geometry"]


def test_what_one_of_them_does_not_have_is_null():
    table, geometry = read(
        {"geometry": POLE, "properties": {"asset": "pole", "height": 4.5}},
        {"geometry": EDGE, "properties": {"asset": "edge", "height.reason": "view_lost"}},
    )
    assert table.select(["asset", "height", "height.reason"]).to_pylist() == [
        {"asset": "pole", "height": 4.5, "height.reason": None},
        {"asset": "edge", "height": None, "height.reason": "view_lost"},
    ]
    shapes = shapely.from_wkb(table["geometry"].to_pylist())
    assert [json.loads(shapely.to_geojson(shape)) for shape in shapes] == [POLE, EDGE]
    assert geometry["geometry_types"] == ["LineString", "Point"]


def test_a_map_of_nothing_is_a_table_without_rows():
    table, geometry = read()
    assert (table.num_rows, table.column_names) == (0, ["geometry"])
    assert geometry["geometry_types"] == []


@pytest.mark.parametrize(
    ("left", "size_hw", "beyond"),
    [
        (0, (200, 200), False),
        (0, (160, 140), False),  # its right and lower border are the map's
        (0, (200, 100), True),
        (0, (120, 200), True),
        (70, (200, 200), True),
    ],
)
def test_an_asset_that_reaches_further_than_the_map_says_so(left, size_hw, beyond):
    ground = Ground((0.5, 0.0, EAST + left / 2, 0.0, -0.5, NORTH), "EPSG:2154")
    observed = seen(0).model_copy(update={"asset": SITE.assets[0].id})
    (feature,) = parcels(SITE, [observed], ground, size_hw)["features"]
    assert feature["properties"]["beyond_map"] is beyond


@pytest.mark.parametrize("turned", [False, True])
def test_outer_rings_are_counter_clockwise_and_holes_clockwise_however_they_were_drawn(turned):
    whole = shapely.box(-3.36, 47.74, -3.35, 47.75)
    rings = [list(whole.exterior.coords), list(whole.buffer(-0.002).exterior.coords)]
    rings = [ring[::-1] if turned else ring for ring in rings]
    geometry = Polygon(type="Polygon", coordinates=rings)
    assets = [SITE.assets[0].model_copy(update={"geometry": geometry})]
    observed = seen(0).model_copy(update={"asset": assets[0].id})
    ground = Ground((0.5, 0.0, EAST, 0.0, -0.5, NORTH), "EPSG:2154")
    site = SITE.model_copy(update={"assets": assets})
    collection = json.loads(geojson(parcels(site, [observed], ground, (200, 200))))
    drawn = shapely.geometry.shape(collection["features"][0]["geometry"])
    assert drawn.exterior.is_ccw
    assert not drawn.interiors[0].is_ccw
    assert drawn.equals(shapely.geometry.shape(geometry.model_dump(mode="json")))
