"""Places in a drawn view where people and vehicles are counted: drawn boxes, no network."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np

from models.detections import Detections
from models.frame import Frame
from models.redaction import redact
from services.purposes import occupancy
from services.sites import parse_site
from services.view import View
from tests.views import COUNTED, OCCUPANCY_HEAD

NAMES = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
SITE = (
    OCCUPANCY_HEAD
    + """
min_count: 5
cameras:
  - id: cam
    name: Mât
    size_wh: [400, 300]
    key_prefix: cam/
    private_zones: [[[0, 0], [60, 0], [60, 300], [0, 300]]]
assets:
"""
)
LOT = [[100, 100], [340, 100], [340, 260], [100, 260]]
STALLS = [
    [[110 + 60 * i, 150], [160 + 60 * i, 150], [160 + 60 * i, 200], [110 + 60 * i, 200]]
    for i in range(3)
]
NOON = datetime(2026, 6, 12, 12, tzinfo=UTC)


class Looks:
    """What a stall looks like, to a network that has seen more free ones than taken ones."""

    def __init__(self, boxes, calibration):
        self.card = SimpleNamespace(calibration=calibration)
        self.cars = [box for name, *box in boxes if name in ("car", "truck")]

    def taken(self, frame, outlines):
        middles = [outline.mean(0) for outline in outlines]
        within = [
            any(x1 < x < x2 and y1 < y < y2 for x1, y1, x2, y2 in self.cars) for x, y in middles
        ]
        return np.where(within, 0.5, 0.002).astype(np.float32)


def site(*assets, edit=lambda text: text):
    """A site with these assets, its text edited before it is read."""
    rows = [
        COUNTED.format(id=name, kind=kind, outline=outline, limits=limits)
        for name, kind, outline, limits in assets
    ]
    return parse_site(edit(SITE + "".join(rows)), "site.yaml")


def view(
    where,
    boxes=(),
    *,
    level=None,
    fog=0.0,
    at=NOON,
    scores=None,
    counted=None,
    sight=None,
    covers=(),
    calibration=None,
    size_hw=(300, 400),
):
    """A view with boxes of (name, x1, y1, x2, y2), where redaction covers these regions."""
    pixels = np.random.default_rng(0).integers(60, 200, (*size_hw, 3), np.uint8)
    pixels = (fog * 190 + (1 - fog) * pixels).astype(np.uint8)
    if level is not None:
        pixels[...] = level
    found = Detections(
        np.array([box[1:] for box in boxes], np.float32).reshape(-1, 4),
        np.full(len(boxes), 0.9, np.float32) if scores is None else np.array(scores, np.float32),
        np.array([NAMES.index(box[0]) for box in boxes], np.int64),
        NAMES,
        size_hw,
    )
    if counted is not None:
        found = replace(found, counted=np.tile(np.array(counted, np.float32), (len(boxes), 1)))
    frame = Frame("cam/a.jpg", pixels, "cam", at, "key")
    return View(
        where,
        where.cameras[0],
        redact(frame, covers, redactor="none@0"),
        {"occupancy": found},
        {"occupancy": "occupancy@0"},
        f"{at.isoformat()}",
        "cam/a.w.jpg",
        sight=sight,
        detectors={"occupancy": Looks(boxes, calibration or {})},
    )


def said(where, *arguments, **options):
    """(id, quantity) → observation."""
    observations = occupancy.measure(view(where, *arguments, **options))
    return {(o.asset.rpartition(":")[2], o.quantity): o for o in observations}


def people(count, y=200):
    return [("person", 110 + 20 * i, y - 40, 120 + 20 * i, y) for i in range(count)]


SQUARE = site(("place", "square", LOT, "{capacity: 20}"))
PARK = site(
    ("lot", "car-park", LOT, "{capacity: 3, dwell_minutes: 20}"),
    *[(f"P-{i}", "stall", outline, "{}") for i, outline in enumerate(STALLS)],
)


def car_in(stall):
    (left, top), (_, _), (right, bottom), _ = STALLS[stall]
    return ("car", left, top - 20, right, bottom)


def lined(line):
    """Draws a line along the queue of a site file that has one asset."""
    return lambda text: text.replace("    limits:", f"    line: {line}\n    limits:")
