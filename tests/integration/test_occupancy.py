"""A drawn street with parking stalls and a square, through a batch, on a real store."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from pydantic import SecretStr

from services import batches
from services.catalog import Catalog
from services.opening import open_line
from services.pipeline import Item
from services.sites import parse_site
from services.statistics import quarter_hours
from serving.report import write_report
from tests.views import COUNTED, OCCUPANCY_HEAD
from training import scenes

SECRET = SecretStr("a secret of this test alone, of 32 bytes or more")
CAMERA = """
cameras:
  - {id: cam, name: Mât, size_wh: [800, 600], key_prefix: cam/, key_time: "%Y%m%dT%H%M%SZ"}
assets:
"""
WHOLE = [[0, 0], [800, 0], [800, 600], [0, 600]]


@pytest.fixture(scope="module")
def street():
    """A street by day with parking stalls wholly in view."""
    for seed in range(40, 60):  # an earlier one shows people so small that their count wavers
        scene = scenes.street(np.random.default_rng((21, seed)), people=8, cars=4)
        inside = {
            name: stall
            for name, stall in scene.stalls.items()
            if (stall.polygon > 0).all() and (stall.polygon < [800, 600]).all()
        }
        if inside:
            return scene, inside
    raise AssertionError("no seed draws such a street")


def test_a_street_from_picture_to_statistics(store, street, store_settings, tmp_path):
    scene, stalls = street
    rows = [COUNTED.format(id="place", kind="square", outline=WHOLE, limits="{capacity: 50}")]
    outlines = {name: stall.polygon.round(1).tolist() for name, stall in stalls.items()}
    rows += [
        COUNTED.format(id=name, kind="stall", outline=outline, limits="{}")
        for name, outline in outlines.items()
    ]
    site = parse_site(OCCUPANCY_HEAD + CAMERA + "".join(rows), "site.yaml")
    # The noise in covers and the arithmetic of the machine change what a detector finds.
    settings = store_settings.model_copy(update={"secret": SECRET, "precision": "f32"})
    line = open_line(store, site, ["occupancy"], settings)
    catalog = Catalog(settings.catalog_url)
    buffer = io.BytesIO()
    Image.fromarray(scene.pixels).save(buffer, "JPEG", quality=92)
    keys = [f"cam/20260612T{hour:02}0000Z.jpg" for hour in (10, 11)]
    for key in keys:
        store.put("inbox", key, buffer.getvalue())
    batch, manifest = batches.submit(store, catalog, site, ["occupancy"], line.eyes.models, keys)
    outcomes = [line.process(Item(key=item.key, etag=item.etag)) for item in manifest.items]
    assert {outcome.status for outcome in outcomes} == {"redacted"}
    catalog.take_in(batch, outcomes, line.witness)
    batches.close(catalog, batch, manifest)
    said = {(o.asset.rpartition(":")[2], o.quantity): o for o in outcomes[0].observations}
    assert set(said) == {
        ("place", "occupancy.count"),
        ("place", "occupancy.share"),
        *((name, "occupancy.taken") for name in stalls),
    }
    one = said["place", "occupancy.count"]
    people = sum(label == "person" for label in scene.labels)
    assert one.low <= people <= one.high or abs((one.value or 0) - people) <= 3
    assert "person" not in {found.label for outcome in outcomes for found in outcome.detections}
    assert {"face", "plate"}.issuperset(outcomes[0].covered), "how many were covered, no box"
    events = [event for _, event in catalog.outbox.events(batch=batch)]
    for event in events:
        json.loads(event.json_line())
    told = quarter_hours((o for outcome in outcomes for o in outcome.observations), "occupancy")
    assert len(told) == 2 * len(said)
    write_report(tmp_path / "r.html", batch, catalog, store)
    html = (tmp_path / "r.html").read_text()
    assert "occupancy.count" in html
    assert "{person}" in html
    assert "0–24 h" in html
