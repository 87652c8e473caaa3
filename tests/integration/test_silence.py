"""A camera whose pictures stop coming, on a real store, told by `vigie silence`."""

import json

import numpy as np
import pytest
import simplejpeg
from typer.testing import CliRunner

from models.redaction import Redactor
from services import batches, ngsi
from services.catalog import Catalog
from services.eyes import Eyes
from services.pipeline import Line
from services.sites import parse_site
from serving.cli import app
from tests.faults import WITNESS, Finder
from tests.unit.test_events import validate
from tests.unit.test_ngsi import check
from tests.views import SITE_HEAD

SITE = parse_site(
    SITE_HEAD
    + """
cameras:
  - id: cam-01
    name: Quai
    size_wh: [64, 48]
    key_prefix: cam-01/
    key_time: "%Y%m%dT%H%M%SZ"
    silent_hours: 4
assets: []
""",
    "site.yaml",
)
LOST, RESTORED = "vigie.site.view.lost.v1", "vigie.site.view.restored.v1"


@pytest.fixture
def catalog(store_settings, monkeypatch):
    """The record that the command finds."""
    endpoint = store_settings.endpoint
    monkeypatch.setenv("VIGIE_S3_ENDPOINT", endpoint.url)
    monkeypatch.setenv("VIGIE_S3_ACCESS_KEY", endpoint.access_key)
    monkeypatch.setenv("VIGIE_S3_SECRET_KEY", endpoint.secret_key.get_secret_value())
    monkeypatch.setenv("VIGIE_S3_PREFIX", store_settings.s3_prefix)
    monkeypatch.setenv("VIGIE_STATE_DIR", str(store_settings.state_dir))
    return Catalog(store_settings.catalog_url)


@pytest.fixture
def arrive(store, catalog):
    """Pictures of these times come, and are judged."""
    finder = Finder()
    finder.act = lambda pixels: []
    line = Line(store, SITE, Eyes(Redactor([finder], cover=["face"]), {}), {}, WITNESS)

    def arrive(*times):
        keys = [f"cam-01/{time}.jpg" for time in times]
        for number, key in enumerate(keys):
            pixels = np.full((48, 64, 3), 40 + number, np.uint8)
            store.put("inbox", key, simplejpeg.encode_jpeg(pixels))
        batch, manifest = batches.submit(store, catalog, SITE, [], line.eyes.models, keys)
        catalog.take_in(batch, [line.process(item) for item in manifest.items], WITNESS)
        batches.close(catalog, batch, manifest)

    return arrive


def silence(*arguments):
    done = CliRunner().invoke(app, ["silence", "--json", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_camera_that_falls_silent_is_told_and_comes_back(arrive, catalog, tmp_path):
    def told():
        """What a platform believes of the view: type, since, until."""
        events = [event for _, event in catalog.outbox.events()]
        gone = {e.data["event"] for e in events if e.type == "vigie.event.withdrawn.v1"}
        view = [e for e in events if e.type in (LOST, RESTORED) and e.id not in gone]
        return [(e.type, e.data["since"][8:16], e.data.get("until", "")[8:16]) for e in view]

    assert silence()["new_events"] == 0  # no batch yet, nobody is missed
    arrive("20260612T060000Z", "20260612T074000Z")
    assert told() == []
    sink = tmp_path / "events.jsonl"
    done = silence("--sink", f"file://{sink}")
    assert done == {"new_events": 2, "delivered": len(sink.read_text().splitlines())}
    assert told() == [(LOST, "12T07:40", "")]
    assert silence()["new_events"] == 0
    (row,) = [json.loads(line) for line in _assets()]
    known = ("urn:vigie:t:s:view:cam-01", "raised", None)
    assert (row["asset"], row["status"], row["reason"]) == known

    arrive("20260612T080000Z")  # late
    assert told() == [(LOST, "12T08:00", "")]
    arrive("20260613T050000Z")
    assert told() == [
        (LOST, "12T08:00", ""),
        (RESTORED, "12T08:00", "13T05:00"),
        (LOST, "13T05:00", ""),  # the clock had been looked at
    ]


def test_every_batch_says_what_the_site_declares_of_its_purposes(arrive, catalog):
    arrive("20260612T060000Z")
    *_, (_, completed) = catalog.outbox.events()
    kept = SITE.purposes["waste"].retention_days
    assert completed.data["purposes"]["waste"] == {
        "legal_basis": SITE.purposes["waste"].legal_basis,
        "images_days": kept.images,
        "events_days": kept.events,
        "notice": SITE.purposes["waste"].notice,
    }
    validate(completed)
    for entity in ngsi.entities(completed):
        check(entity)


def _assets():
    return CliRunner().invoke(app, ["assets", "--json"]).stdout.splitlines()
