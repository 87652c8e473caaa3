"""The shipped waste detector on drawn scenes it never saw: containers of each kind, and from above.

`python -m benchmarks.drawn_kinds [SCENES]` gives average precision at IoU 0.5 and AUC of clean or
dirty for so many scenes of each kind, with 95 % bootstrap intervals, and how well a heap over the
rim of a skip is told from an orderly one. Of wheelie bins, igloos, litter bins, skips and of the
view from above there are no real labels.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import numpy as np
from sklearn.metrics import roc_auc_score

from models.card import read_card
from models.detectors import waste
from services.opening import open_redactor
from services.settings import Settings
from training.dataset import WASTE_STATES, drawn
from training.evaluate import Scored, figures, of_both, resampled, states_of
from training.scenes import Scene, container_park
from training.scenes.place import random_centre, random_place
from training.scenes.street import scene_of

SEED = 20270101  # of no training
SIZE_HW = (600, 800)
KINDS = {
    "metal containers": ("metal",),
    "wheeled bins": ("bin2", "bin4"),
    "inlets": ("inlet",),
    "igloos": ("igloo",),
    "litter bins": ("litter",),
    "skips": ("skip",),
}
ABOVE = "from above"
GSD_M = 0.025  # of the scenes from above
SIDE_WASTE, OVERFLOW = (WASTE_STATES.index(name) for name in ("side_waste", "overflow"))


def scenes(kind: str) -> Iterator[Scene]:
    """Scenes whose containers are all of one kind."""
    for number in count():
        rng = np.random.default_rng((SEED, number))
        if kind == ABOVE:
            yield container_park(rng, SIZE_HW, GSD_M)
            continue
        stand = int(rng.integers(1, 4))
        place = (random_centre if kind == "skips" else random_place)(rng, SIZE_HW, stand)
        if {container.kind for container in place.containers} <= {*KINDS[kind]}:
            yield scene_of(rng, place)


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 24
    settings = Settings()
    redactor, detector = open_redactor(settings), waste.load(settings.cache)
    scored = []
    for kind in (*KINDS, ABOVE):
        for _, scene in zip(range(number), scenes(kind), strict=False):
            sample = drawn(scene, kind)
            above = GSD_M if kind == ABOVE else None
            found = detector(redactor(replace(sample.frame(), gsd_m=above)))
            scored.append(Scored(sample, found, None))
    card = read_card("waste")
    names, facts = card.architecture.names, card.architecture.image_names
    bad = (SIDE_WASTE, OVERFLOW)
    table = figures(scored, names, facts, card.min_score, bad)
    said, truth = states_of([image for image in scored if image.sample.source == "skips"])
    rim = truth != SIDE_WASTE
    rate = of_both(roc_auc_score, truth[rim] == OVERFLOW, said[rim][:, list(bad)].sum(1))
    table["skips"]["AUC heap over the rim"] = resampled(int(rim.sum()), rate, int(rim.sum()))
    for group, row in table.items():
        for name, (value, low, high, n) in row.items():
            print(f"{group:28} {name:24} {value:.3f} [{low:.3f}, {high:.3f}], n = {n}")


if __name__ == "__main__":
    main()
