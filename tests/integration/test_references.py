"""A fixed camera with references, on a real store: nudged, covered, turned away, put back."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import pytest
import simplejpeg

from models.detections import Detections
from models.errors import BadConfiguration
from models.redaction import Redactor
from services import batches
from services.catalog import Catalog
from services.eyes import Eyes
from services.pipeline import Line
from services.purposes import waste
from services.references import References
from services.sites import parse_site
from tests.faults import WITNESS, Finder
from tests.views import SITE_HEAD, moved, street

START = datetime(2026, 6, 12, 6, tzinfo=UTC)
REFERENCE = "cam-01/clean.12345678.jpg"
SITE = parse_site(
    SITE_HEAD
    + f"""
cameras:
  - id: cam-01
    name: Quai
    size_wh: [640, 480]
    key_prefix: cam-01/
    key_time: "%Y%m%dT%H%M%SZ"
    references: [{REFERENCE}]
assets:
  - id: C-1
    purpose: waste
    kind: container
    geometry: {{type: Point, coordinates: [-3.3, 47.7]}}
    views:
      cam-01: [[300, 200], [380, 200], [380, 300], [300, 300]]
""",
    "site.yaml",
)


class Sees:
    """A waste detector that never finds anything."""

    model = "waste@0"

    def __call__(self, frame):
        names, states = ("container", "waste"), ("clean", "side_waste", "overflow")
        empty = Detections.empty(names, frame.pixels.shape[:2])
        return replace(
            empty,
            states=np.zeros((0, 3), np.float32),
            state_names=states,
            image_scores={"dirty": 0.1},
        )


def jpeg(pixels):
    return simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), 90)


@pytest.fixture
def line(store):
    store.put("redacted", REFERENCE, jpeg(street()), "image/jpeg")
    finder = Finder()
    finder.act = lambda pixels: []
    eyes = Eyes(Redactor([finder], cover=["face"]), {"waste": Sees()})
    references = References(store, SITE)
    return Line(store, SITE, eyes, {"waste": waste}, WITNESS, references=references)


def test_a_view_that_is_lost_and_restored_says_so_once(store, line, tmp_path):
    catalog = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    nudged, away = moved(street(), degrees=1, shift=(8, -5))[0], street(1)
    hidden = street()
    cv2.rectangle(hidden, (270, 170), (410, 330), (200, 200, 60), -1)
    # A lorry passes before the lens at the third picture; from the fifth on it is turned away.
    views = [street(), nudged, away, hidden, away, away, np.zeros_like(away), away, street()]
    views += [street(), nudged]
    for number, pixels in enumerate(views):
        when = START + timedelta(minutes=10 * number)
        store.put("inbox", f"cam-01/{when:%Y%m%dT%H%M%SZ}.jpg", jpeg(pixels))
    batch, manifest = batches.submit(store, catalog, SITE, ["waste"], line.eyes.models)
    catalog.take_in(batch, [line.process(item) for item in manifest.items], WITNESS)
    batches.close(catalog, batch, manifest)
    events = [event for _, event in catalog.outbox.events(batch=batch)]
    lost = [e for e in events if e.type.startswith("vigie.site.view.")]
    assert [(e.type, e.data["since"], e.data.get("until")) for e in lost] == [
        ("vigie.site.view.lost.v1", "2026-06-12T06:40:00Z", None),
        ("vigie.site.view.restored.v1", "2026-06-12T06:40:00Z", "2026-06-12T07:20:00Z"),
    ]
    assert {e.subject for e in lost} == {"urn:vigie:t:s:view:cam-01"}
    seen = {
        json.loads(e.json_line())["time"][11:16]: e.data.get("reason", e.data["value"])
        for e in events
        if e.subject.endswith(":C-1")
    }
    unknown = {time: said for time, said in seen.items() if isinstance(said, str)}
    assert unknown == {
        "06:20": "view_lost",
        "06:30": "occluded",
        "06:40": "view_lost",
        "06:50": "view_lost",
        "07:00": "dark",
        "07:10": "view_lost",
    }
    assert all(said < 0.4 for said in seen.values() if not isinstance(said, str))


@pytest.mark.no_pictures
@pytest.mark.parametrize("content", [None, b"no picture"])
def test_a_reference_that_is_not_there_is_told(store, line, content):
    store.delete("redacted", REFERENCE)
    if content is None:
        with pytest.raises(BadConfiguration, match="cam-01"):
            line.references.check()
    else:
        store.put("redacted", REFERENCE, content)
    with pytest.raises(BadConfiguration, match="vigie references"):
        line.references.of(SITE.cameras[0])
