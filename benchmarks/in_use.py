"""How likely anybody is in a place where nobody is found, and where somebody is.

`python -m benchmarks.in_use [FOLDER]`, FOLDER of other weights than those that ship: quarters of
the validation pictures of VIGIE_DATA in which all people are labelled, and of drawn streets, stand
for pitches. What it prints is `USED` of `services.occupancy_site`.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.pictures import DATA
from models.card import SHIPPED
from models.detectors.occupancy import OccupancyDetector
from services.opening import open_redactor
from services.settings import Settings
from training.counts import at_thresholds
from training.evaluate import bootstrap, score
from training.occupancy import NAMES, draw_measured, read_measured

STREETS, SEED = 60, 11
PERSON = NAMES.index("person")


def quarters(boxes: NDArray[np.float32], size_hw: tuple[int, int]) -> NDArray[np.int64]:
    """How many (4,) of the boxes (N, 4) stand in each quarter of a picture."""
    right = (boxes[:, 0] + boxes[:, 2]) / 2 >= size_hw[1] / 2
    low = boxes[:, 3] > size_hw[0] / 2
    return np.bincount(2 * low + right, minlength=4)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED
    settings = Settings()
    detector = OccupancyDetector(folder=folder, cache=settings.cache, precision=settings.precision)
    whole = [s for s in read_measured(DATA, "val") if s.exhaustive[PERSON]]
    rows: list[NDArray[np.int64]] = []
    for image in score([*whole, *draw_measured(STREETS, SEED)], open_redactor(settings), detector):
        sample, found = image.sample, at_thresholds(image, detector.card).found
        doubtful = sample.ignored[sample.ignored_labels == PERSON]
        sides = [sample.boxes[sample.labels == PERSON], found.named("person").boxes, doubtful]
        rows.append(np.stack([quarters(boxes, found.size_hw) for boxes in sides], 1))
    there, told, doubt = np.concatenate(rows).T
    for name, those in (
        ("nobody found", told == 0),
        ("somebody found", told > 0),
        ("one found", told == 1),
        ("more found", told > 1),
    ):
        value, low, high, n = bootstrap((there[those & (doubt == 0)] > 0).astype(np.float64))
        print(f"{name:15} {value:.3f} [{low:.3f}, {high:.3f}], n = {n}")


if __name__ == "__main__":
    main()
