"""Parcels as GeoParquet: any geometry of a site, and figures that not all of them have."""

import io
import json

import shapely
from pyarrow import parquet

from services.map_files import geoparquet

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
