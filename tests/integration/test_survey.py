"""An orthophoto of a drawn container park through the whole line, on a real store."""

from datetime import UTC, datetime

import numpy as np
import pytest

from models.ground import Ground
from services.opening import open_line
from services.pipeline import Item
from services.sites import parse_site
from tests.views import SITE_HEAD, geotiff
from training import scenes

GSD_M = 0.02
GROUND = Ground((GSD_M, 0.0, 221_000.0, 0.0, -GSD_M, 6_758_000.0), "EPSG:2154")


@pytest.fixture(scope="module")
def park():
    """A park with two containers at least that are wholly in the picture."""
    for seed in range(40):
        scene = scenes.container_park(np.random.default_rng((9, seed)), (1000, 1200), GSD_M)
        boxes = scene.boxes[[label == "container" for label in scene.labels]]
        inside = (boxes > 20).all(1) & (boxes[:, 2] < 1180) & (boxes[:, 3] < 980)
        if inside.sum() >= 3:
            return scene.pixels, boxes[inside]
    raise AssertionError("no seed draws such a park")


def test_registered_containers_are_found_by_their_position(store, park, store_settings):
    pixels, boxes = park
    places = GROUND.lon_lat((boxes[:, :2] + boxes[:, 2:]) / 2)
    assets = "".join(
        f"""
  - id: C-{i}
    purpose: waste
    kind: container
    geometry: {{type: Point, coordinates: {place.tolist()}}}"""
        for i, place in enumerate(places[:-1])  # the last one nobody registered
    )
    survey = "\nsurveys:\n  - {id: vol, key_prefix: vol/}\nassets:"
    site = parse_site(SITE_HEAD + survey + assets + "\n", "site.yaml")
    line = open_line(store, site, ["waste"], store_settings)
    etag = store.put("inbox", "vol/ortho.tif", geotiff(GSD_M, pixels=pixels))
    outcome = line.process(Item(key="vol/ortho.tif", etag=etag))
    assert outcome.status == "redacted", outcome.reason
    overflow = [o for o in outcome.observations if o.quantity == "waste.overflow"]
    assert len(overflow) == len(places) - 1
    known = [o for o in overflow if o.value is not None]
    assert known
    assert {o.reason for o in overflow if o.value is None} <= {"not_seen"}
    strangers = [o for o in outcome.observations if o.quantity == "waste.container"]
    for one in strangers:
        assert one.position == pytest.approx(places.mean(0), abs=0.001)
    assert outcome.captured_at <= datetime.now(UTC)
