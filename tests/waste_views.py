"""A view of a site with one registered container, and what the waste detector found in it."""

from datetime import UTC, datetime

import numpy as np

from models.detections import Detections
from models.frame import Frame
from models.redaction import redact
from services.sites import parse_site
from services.view import View
from tests.views import SITE_HEAD

SITE = parse_site(
    SITE_HEAD
    + """
cameras:
  - {id: cam-01, name: Quai, size_wh: [400, 300], key_prefix: cam-01/}
assets:
  - id: C-1
    purpose: waste
    kind: container
    geometry: {type: Point, coordinates: [-3.3, 47.7]}
    views:
      cam-01: [[100, 100], [160, 100], [160, 180], [100, 180]]
""",
    "site.yaml",
)


def street(level, size_hw):
    """Something to see, level 0 to 170 in the mean."""
    rng = np.random.default_rng(0)
    return rng.integers(level // 2, level * 3 // 2, (*size_hw, 3)).astype(np.uint8)


def view(
    boxes=(),
    labels=(),
    states=(),
    *,
    level=120,
    camera=True,
    size_hw=(150, 200),
    dirty=0.2,
    position=None,
    pixels=None,
):
    frame = Frame(
        "cam-01/a.jpg",
        street(level, size_hw) if pixels is None else pixels,
        "cam-01",
        datetime(2026, 6, 12, tzinfo=UTC),
        "key",
        position=position,
    )
    found = Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(len(boxes), 0.8, np.float32),
        np.array(labels, np.int64),
        ("container", "waste"),
        size_hw,
        np.array(states, np.float32).reshape(-1, 4),
        ("clean", "minor_litter", "side_waste", "overflow"),
        {"dirty": dirty},
    )
    return View(
        SITE,
        SITE.cameras[0] if camera else None,
        redact(frame, [], redactor="none@0"),
        {"waste": found},
        {"waste": "waste@0"},
        "w" * 32,
        "cam-01/a.w.jpg",
    )


AT_HOME = [50, 50, 80, 90]  # the outline, in a picture half the size it was drawn in
CLEAN, FULL = [0.7, 0.2, 0.05, 0.05], [0.05, 0.05, 0.1, 0.8]


def by_quantity(observations):
    table = {}
    for one in observations:
        table.setdefault(one.quantity, []).append(one)
    return table
