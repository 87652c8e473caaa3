"""Counts on drawn streets, whose truth is complete: error, bias, how often the interval is right.

`python -m benchmarks.drawn_occupancy [STREETS [FOLDER]]`, FOLDER of other weights than those that
ship. Training draws with other seeds.
"""

import sys
from pathlib import Path

from models.card import SHIPPED
from models.detectors.occupancy import OccupancyDetector
from services.opening import open_redactor
from services.settings import Settings
from training.counts import at_thresholds, figures
from training.evaluate import score
from training.occupancy import draw_measured

STREETS, SEED = 120, 11


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else STREETS
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else SHIPPED
    settings = Settings()
    detector = OccupancyDetector(folder=folder, cache=settings.cache, precision=settings.precision)
    scored = score(draw_measured(count, SEED), open_redactor(settings), detector)
    sure = [at_thresholds(image, detector.card) for image in scored]
    for band, row in figures(sure, detector.names).items():
        print(band)
        for name, (value, low, high, n) in row.items():
            print(f"    {name:14} {value:6.2f} [{low:.2f}, {high:.2f}], n = {n}")


if __name__ == "__main__":
    main()
