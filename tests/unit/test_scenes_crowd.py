import numpy as np
import pytest

from models.counting import hidden
from training.scenes.crowd import CROWD, crowd


@pytest.mark.parametrize(("what", "spacings"), [("person", (5, 1)), ("car", (1.9, 1))])
def test_the_same_dozen_stands_ever_closer_and_hides(what, spacings):
    apart, close = crowd(3, what, spacings)
    seen = [scene.boxes[np.array(scene.labels) == what] for scene in (apart, close)]
    assert len(seen[0]) == CROWD >= len(seen[1])
    covered = [hidden(boxes).mean() for boxes in seen]
    assert covered[1] > 2 * covered[0]
    assert np.array_equal(crowd(3, what, spacings[:1])[0].pixels, apart.pixels)
