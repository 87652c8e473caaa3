"""Pictures in which there is no face and no plate: land from above, and places without people.

Streets alone teach that round and grainy things are faces: woods, heaps and skips look like some.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from models.redaction import LABELS
from training import scenes
from training.labelled import Labelled
from training.privacy.labels import FACE, HEAD, PLATE
from training.vegetation import read_covers, read_heights

_COVERS_EVERY = 3  # tiles of the same cities look alike
_GSD_M = (0.02, 0.3)


def read_land(data: Path) -> Iterator[Labelled]:
    """Training pictures of land from above, with their pixels; none where `data` holds none.

    Of vehicles and people there nothing is known.
    """
    if not (data / "vegetation").exists():
        return
    covers = read_covers(data, "train")[::_COVERS_EVERY]
    for land in chain(read_heights(data, "train", registered=False), covers):
        yield replace(_without(FACE, PLATE, HEAD), pixels=land.pixels)


def draw_places(count: int, seed: int) -> Iterator[Labelled]:
    """Drawn recycling centres, container parks and land from above, in turn."""
    for i in range(count):
        rng = np.random.default_rng((seed, i))
        if i % 3 == 0:
            scene = scenes.recycling_centre(rng)
        elif i % 3 == 1:
            scene = scenes.container_park(rng)
        else:
            scene = scenes.aerial(rng, gsd_m=float(np.exp(rng.uniform(*np.log(_GSD_M)))))
        yield replace(_without(FACE, PLATE, HEAD), pixels=scene.pixels)


def _without(*labels: int) -> Labelled:
    nothing = np.zeros((0, 4), np.float32)
    none = np.zeros(0, np.int64)
    taught = np.isin(np.arange(len(LABELS)), labels)
    return Labelled(None, nothing, none, nothing, none, taught)
