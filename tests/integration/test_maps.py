"""A raster through the line, window by window, to its map: on a real store, heights from colour."""

import base64
import io
import json
import re
from dataclasses import replace
from unittest.mock import Mock

import cv2
import jsonschema
import numpy as np
import pystac
import pytest
import shapely
from pyarrow import parquet
from pystac.validation import validate_dict
from rasterio.io import MemoryFile
from rio_cogeo import cog_validate

from models import raster as rasters
from models.card import read_card
from models.cells import BANDS, NO_COLOUR, NOT_ANALYSED
from models.detectors.vegetation import VegetationDetector
from models.heights import OVERLAP_CELLS
from models.redaction import verify_bare
from services import batches, maps, tiles
from services.catalog import Catalog
from services.items import Item
from services.site_fields import MeasuredHeights, Survey
from serving.report import write_report
from tests.mapping import PROJECTION, bands, mapped, submitted, work
from tests.orthophotos import SECRET, SITE, Green, Parcels, drawn, encoded, line, opened, ortho

GREEN_REACH = 4


@pytest.fixture(autouse=True)
def small_windows(monkeypatch):
    monkeypatch.setattr(rasters, "PITCH_CELLS", OVERLAP_CELLS)
    monkeypatch.setattr(rasters, "MAX_WINDOW_CELLS", 2 * OVERLAP_CELLS)
    monkeypatch.setattr(rasters, "MAX_WINDOW_PX", 2 * OVERLAP_CELLS * 10)
    monkeypatch.setattr(batches, "purposes_of", lambda site, names: {"waste": Parcels()})
    tiles._opened.cache_clear()


@pytest.fixture
def catalog(tmp_path):
    return Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")


@pytest.fixture(scope="module")
def pixels():
    return drawn((900, 800), seed=3)


def test_a_map_equals_what_one_look_at_the_whole_gives_and_shows_no_seam(store, catalog, pixels):
    green = Green()
    green.reach = GREEN_REACH  # what lies near a window's border is told wrong, as by a network
    data = encoded(pixels.transpose(2, 0, 1))
    outcomes = mapped(store, catalog, data, green=green)
    assert len(outcomes) == 10
    assert {o.status for o in outcomes.values()} == {"redacted"}
    told, colours = (bands(store, outcomes["vol/ortho.tif"], n) for n in ("heights", "colours"))
    size_wh = 320, 360
    expected = cv2.resize(pixels, size_wh, interpolation=cv2.INTER_AREA)
    blurred = cv2.blur(expected[..., 1].astype(np.float32), (2 * GREEN_REACH + 1,) * 2)
    assert told.shape == (3, 360, 320)
    assert (told[0] != NOT_ANALYSED).all()
    error = np.abs(told[0] / 100 - blurred / 10)
    assert error.mean() < 0.01 * (blurred / 10).mean()  # JPEG's part of it is larger
    assert np.quantile(error, 0.999) < 0.5
    assert np.abs(colours.transpose(1, 2, 0).astype(int) - expected).mean() < 2
    columns = np.abs(np.diff(told[0].astype(int), axis=1)).mean(0)
    assert columns[[95, 96, 191, 192]].max() < 2 * np.median(columns)


def test_what_comes_out_is_what_gis_people_expect(store, catalog, pixels, tmp_path):
    outcomes = mapped(store, catalog, encoded(pixels.transpose(2, 0, 1), nodata=0))
    made = outcomes["vol/ortho.tif"]
    for name in ("heights", "colours"):
        path = tmp_path / f"{name}.tif"
        path.write_bytes(store.get("redacted", made.files[name])[0])
        valid, errors, _ = cog_validate(path, strict=True)
        assert valid, errors
        with MemoryFile(path.read_bytes()) as file, file.open() as data:
            assert data.crs.to_epsg() == 2154
            assert data.res == pytest.approx((0.5, 0.5))
            assert data.bounds.left == pytest.approx(221_000)
            assert data.nodata == (NOT_ANALYSED if name == "heights" else NO_COLOUR)
            if name == "heights":
                assert data.descriptions == BANDS
    described = json.loads(store.get("redacted", made.files["item"])[0])
    validate_dict(described, extensions=[])  # the schemas of the core are at hand
    jsonschema.validate(described, PROJECTION)
    item = pystac.Item.from_dict(described)
    assert item.ext.proj.code == "EPSG:2154"
    assert item.ext.proj.shape == [360, 320]
    assert described["properties"]["vigie:analysed"] == 1.0
    assert described["properties"]["vigie:mean_sigma_m"] == 1.0
    assert described["properties"]["vigie:heights"] == "learned"
    lowest_cm = np.percentile(bands(store, made, "heights")[0], 1)
    assert described["properties"]["vigie:lowest_m"] == pytest.approx(lowest_cm / 100, abs=0.01)
    assert "green@0" in described["properties"]["vigie:models"]
    west, south, east, north = item.bbox
    assert -3.4 < west < east < -3.3
    assert 47.7 < south < north < 47.8
    folder = made.files["item"].rpartition("/")[0]
    for asset in item.assets.values():
        assert store.head("redacted", f"{folder}/{asset.href.removeprefix('./')}")
    parcels = json.loads(store.get("redacted", made.files["parcels"])[0])
    (feature,) = parcels["features"]
    assert feature["id"] == SITE.assets[0].id
    figures = feature["properties"]
    assert figures["waste.height.low"] < figures["waste.height"] < figures["waste.height.high"]
    table = parquet.read_table(io.BytesIO(store.get("redacted", made.files["table"])[0]))
    (row,) = table.to_pylist()
    outline = shapely.from_wkb(row.pop("geometry"))
    assert outline.equals(shapely.geometry.shape(feature["geometry"]))
    assert row == figures
    described = json.loads(table.schema.metadata[b"geo"])
    assert described["columns"]["geometry"] == {"encoding": "WKB", "geometry_types": ["Polygon"]}
    picture = cv2.imdecode(
        np.frombuffer(store.get("redacted", made.files["quicklook"])[0], np.uint8), 1
    )
    assert picture.shape[0] > 360
    (observed,) = made.observations
    assert observed.evidence.key == made.files["heights"]
    assert observed.evidence.sha256 == made.sha256
    types = [event.type for _, event in catalog.outbox.events()]
    assert "vigie.batch.completed.v1" in types


@pytest.mark.parametrize(
    ("tags", "source", "marked"),
    [
        ({"EXIF_DateTimeOriginal": "2026:06:12 10:00:00"}, "exif", False),
        ({}, "object", True),
    ],
)
def test_a_map_says_where_its_time_is_from(store, catalog, monkeypatch, tags, source, marked):
    drawing = Mock(wraps=maps.quicklook)
    monkeypatch.setattr(maps, "quicklook", drawing)
    made = mapped(store, catalog, ortho((600, 600), tags=tags))["vol/ortho.tif"]
    assert made.reason is None
    described = json.loads(store.get("redacted", made.files["item"])[0])["properties"]
    assert described["vigie:time_source"] == source
    assert drawing.call_args.args[2].endswith(" (stockage / stored)") is marked


def test_the_report_shows_the_map_and_no_raster_as_a_picture(store, catalog, pixels, tmp_path):
    batch, manifest = submitted(store, catalog, encoded(pixels.transpose(2, 0, 1)))
    outcomes = work(line(store), catalog, batch, manifest)
    page = tmp_path / "report.html"
    write_report(page, batch, catalog, store)
    text = page.read_text()
    made = outcomes["vol/ortho.tif"]
    png = base64.b64encode(store.get("redacted", made.files["quicklook"])[0]).decode()
    assert f"data:image/png;base64,{png}" in text
    assert all(made.files[name] in text for name in ("heights", "parcels", "table", "item"))
    assert re.search(r"11\.0 <small>10\.0 – 12\.0</small> <small>m</small>", text)
    assert text.count("data:image/jpeg") == len(outcomes) - 1


def test_personal_data_of_a_fine_raster_is_in_nothing_that_is_published(store, catalog):
    pixels = drawn((2880, 2880), seed=4)
    side = 20
    # Windows begin at 0 and 960 px and end at 1920 and 2880: within one, across a border, in the
    # corner where four meet, at the border of the raster.
    corners = [(300, 300), (950, 500), (1910, 700), (1910, 950), (1912, 1912), (2860, 2860), (0, 0)]
    for x, y in corners:
        pixels[y : y + side, x : x + side] = SECRET
    infrared = np.full((1, 2880, 2880), 90, np.uint8)
    for x, y in corners:
        infrared[:, y : y + side, x : x + side] = 250
    four = np.concatenate([pixels.transpose(2, 0, 1), infrared])
    data = encoded(four, 0.05, photometric="rgb", alpha="unspecified")
    outcomes = mapped(store, catalog, data)
    made = outcomes["vol/ortho.tif"]
    assert made.status == "redacted", made.reason
    assert sum(o.status == "redacted" for o in outcomes.values()) == 5
    for info in store.list("redacted"):
        published = store.get("redacted", info.key)[0]
        if info.key.endswith(".jpg"):
            verify_bare(published)
        if info.key.endswith((".jpg", ".png", "colours.tif")):
            shown = opened(published)[:3].astype(int)
            assert not (shown[[0, 2]].min(0) - shown[1] > 170).any(), info.key
    told, colours = bands(store, made, "heights"), bands(store, made, "colours")
    assert colours.shape[0] == 4
    assert 90 <= colours[3].max() < 95  # rounded
    for x, y in corners:
        cell = np.s_[y // 10 : (y + side) // 10, x // 10 : (x + side) // 10]
        assert (told[0][cell] == NOT_ANALYSED).all()
    # Where a window's border was covered, the next one has looked.
    assert (told[0] == NOT_ANALYSED).mean() < 0.02


def test_no_data_clouds_and_shadows_are_not_analysed_and_never_low(store, catalog, pixels):
    shown = pixels.clip(1, 254).copy()
    shown[100:300, 100:500] = 255  # no data
    shown[600:800, 300:600] = 250  # a cloud
    shown[350:450, 600:750] = 6  # deep shadow
    outcomes = mapped(store, catalog, encoded(shown.transpose(2, 0, 1), nodata=255))
    told = bands(store, outcomes["vol/ortho.tif"], "heights")
    for rows, columns in (
        ((45, 115), (45, 195)),
        ((245, 315), (125, 235)),
        ((365, 395), (325, 435)),
    ):
        assert (told[:, slice(*rows), slice(*columns)] == NOT_ANALYSED).all()
    known = told[0][told[0] != NOT_ANALYSED]
    assert known.size > 0.6 * told[0].size
    assert known.min() > 100
    colours = bands(store, outcomes["vol/ortho.tif"], "colours")
    assert (colours[:, 40:120, 40:200] == NO_COLOUR).all()
    assert 0 < outcomes["vol/ortho.tif"].facts["analysed"] < 1


def test_only_surveys_are_done_by_windows_and_small_ones_only_for_maps(
    store, catalog, pixels, monkeypatch
):
    data = encoded(pixels.transpose(2, 0, 1))
    etag = store.put("inbox", "vol/ortho.tif", data)
    item = Item(key="vol/ortho.tif", etag=etag)
    elsewhere = Item(key="other/ortho.tif", etag=store.put("inbox", "other/ortho.tif", data))
    maps, looks = {"waste": Parcels()}, {"waste": Looking()}
    assert tiles.split(store, SITE, elsewhere, len(data), maps) == [elsewhere]
    assert tiles.split(store, SITE, item, len(data), looks) == [item]
    parts = tiles.split(store, SITE, item, len(data), maps)
    assert parts[-1] == item
    assert len({part.name for part in parts}) == len(parts)
    too_large = tiles.LIMITS.max_bytes + 1
    assert tiles.split(store, SITE, item, too_large, looks) == parts[:-1]
    monkeypatch.setattr(tiles, "LIMITS", tiles.Limits(max_pixels=1000))
    assert tiles.split(store, SITE, item, len(data), looks) == parts[:-1]


class Looking:
    """A purpose that tells which assets it is shown."""

    @staticmethod
    def measure(view):
        shown = view.assets("waste")
        return [view.observe(a.id, "waste.overflow", o, "green", value=0.5) for a, o in shown]


@pytest.mark.parametrize(
    ("cells", "own"),
    [
        ((80, 60, 200, 90), [(48, 48, 192, 48)]),  # windows from 0 to 192, from 96 to 288
        ((110, 60, 180, 90), []),  # whole in one
        ((60, 60, 300, 90), []),  # wider than a window
        ((-40, 60, 90, 90), []),  # beyond the raster
    ],
)
def test_what_all_windows_cut_is_looked_at_in_one_of_its_own(store, pixels, cells, own):
    data = encoded(pixels.transpose(2, 0, 1))
    item = Item(key="vol/ortho.tif", etag=store.put("inbox", "vol/ortho.tif", data))
    raster = tiles.open_raster(store, item.key, item.etag)
    left, top, right, bottom = cells
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom], [left, top]])
    ring = [tuple(point) for point in raster.grid.lon_lat(corners).tolist()]
    place = SITE.assets[0].geometry.model_copy(update={"coordinates": (ring,)})
    asset = SITE.assets[0].model_copy(update={"geometry": place})
    site = SITE.model_copy(update={"assets": (asset,)})
    parts = tiles.split(store, site, item, tiles.LIMITS.max_bytes + 1, {"waste": Looking()})
    assert [tuple(p.window) for p in parts][len(raster.windows()) :] == own
    looking = replace(line(store, site=site), purposes={"waste": Looking()})
    for part in parts[len(raster.windows()) :]:
        assert [one.asset for one in looking.process(part).observations] == [asset.id]


def test_a_batch_without_rasters_keeps_its_name():
    item = Item(key="a.jpg", etag="1")
    assert item.model_dump_json() == '{"key":"a.jpg","etag":"1"}'
    whole = batches.Manifest(site={}, purposes=("waste",), models=("m@1",), items=(item,) * 20)
    assert [len(shard) for shard in whole.shards] == [8, 8, 4]


def test_a_map_says_how_well_its_heights_are_known(store):
    made = line(store)
    files = MeasuredHeights(points=("a.laz",), accuracy_m=0.2)
    surveys = [Survey(id="s", key_prefix="s/", heights=heights) for heights in (None, files)]
    learned, measured = (maps._quality(made, survey) for survey in surveys)
    assert learned == {"vigie:heights": "learned", "vigie:quality": {}}
    assert measured == {"vigie:heights": "measured", "vigie:accuracy_m": 0.2}
    made.eyes.detectors["vegetation"] = Mock(VegetationDetector, card=read_card("vegetation"))
    told = maps._quality(made, surveys[0])["vigie:quality"]
    assert any(name.startswith("MAE, m, validation") for name in told)
    assert any(name.startswith("coverage of 90 % intervals, validation") for name in told)
