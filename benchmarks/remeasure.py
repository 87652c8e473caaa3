"""An occupancy detector measured again on validation, without training.

`python -m benchmarks.remeasure [FOLDER]` chooses its thresholds anew, measures what finds stand for
and all figures on the data of VIGIE_DATA, and writes the card in FOLDER again: by default, that of
the weights that ship.
"""

import sys
from pathlib import Path

from benchmarks.pictures import DATA
from models.card import SHIPPED, Card, read_card, read_weights
from models.checkpoint import build, save
from models.detectors.occupancy import OccupancyDetector
from services.opening import open_redactor
from services.settings import Settings
from training.counts import remeasured
from training.evaluate import score
from training.occupancy import read_measured


def remeasure(folder: Path) -> Card:
    """Write the card anew; its weights stay as they are."""
    card = read_card("occupancy", folder)
    network = build(card, read_weights(card, folder))
    detector = OccupancyDetector(folder=folder)
    scored = score(read_measured(DATA, "val"), open_redactor(Settings()), detector)
    return save(network, remeasured(card, scored), folder)


if __name__ == "__main__":
    print(remeasure(Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED).model)
