"""Parcels as GeoParquet: any geometry of a site, and figures that not all of them have."""

import io
import json

import pytest
import shapely
from pyarrow import parquet

from models.ground import Ground
from services.map_files import geoparquet, parcels
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
