"""A skip's heap over the rim: drawn, redacted, detected, and told by the purpose."""

from datetime import UTC, datetime

import numpy as np
import pytest

from benchmarks.drawn_site import one_camera
from models.detectors import waste as detector
from models.frame import Frame
from services.opening import open_redactor
from services.purposes import waste
from services.settings import Settings
from services.view import View
from training.scenes.optics import Moment
from training.scenes.place import random_centre
from training.scenes.street import Happening, compose

SEEDS = range(3)


@pytest.fixture(scope="module")
def eyes():
    settings = Settings()
    return open_redactor(settings), detector.load(settings.cache)


def told(seed, state, eyes):
    """The observation of the only skip of a drawn recycling centre."""
    redactor, detect = eyes
    place = random_centre(np.random.default_rng(seed), (600, 800), 1)
    happening = Happening([state], [seed], [], [])
    scene = compose(place, happening, Moment(), np.random.default_rng(seed))
    x1, y1, x2, y2 = scene.boxes[scene.labels.index("container")]
    site = one_camera(
        "waste", "cam/", [("S-1", "skip", [(x1, y1), (x2, y1), (x2, y2), (x1, y2)], {})]
    )
    scene.pixels.setflags(write=False)
    when = datetime(2026, 6, 12, tzinfo=UTC)
    frame = redactor(Frame("cam/a.jpg", scene.pixels, "cam", when, "key"))
    models = {"waste": detect.model}
    view = View(site, site.cameras[0], frame, {"waste": detect(frame)}, models, "w" * 32, "a.jpg")
    (one,) = (o for o in waste.measure(view) if o.quantity == "waste.overflow")
    return one


def test_a_heap_over_the_rim_of_a_skip_needs_attention_and_an_orderly_skip_none(eyes):
    clean, heaped = (
        [one.value for one in (told(seed, state, eyes) for seed in SEEDS) if one.value is not None]
        for state in ("clean", "overflow")
    )
    assert min(len(clean), len(heaped)) >= len(SEEDS) - 1
    assert np.mean(heaped) > np.mean(clean) + 0.2
