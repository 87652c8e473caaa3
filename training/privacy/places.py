"""Pictures in which there is no face and no plate: land from above, and places without people.

Streets alone teach that round and grainy things are faces: woods, heaps and skips look like some.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.redaction import LABELS
from training import scenes
from training.labelled import Labelled
from training.privacy.labels import FACE, HEAD, PLATE, nothing
from training.vegetation import read_covers, read_heights

_ABSENT = (FACE, PLATE, HEAD)
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
        yield _empty(land.pixels)


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
        yield _empty(scene.pixels)


def _empty(pixels: NDArray[np.uint8]) -> Labelled:
    labelled = Labelled(None, *nothing(), pixels)
    labelled.taught[:] = np.isin(range(len(LABELS)), _ABSENT)
    return labelled
