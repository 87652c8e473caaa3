"""Squares and car parks drawn ever closer: does the interval widen, and does it hold the truth?

`python -m benchmarks.drawn_crowd [FOLDER [SEED ...]]`, FOLDER of weights, else those that ship.
The same dozen stands in every picture of a series; the closer, the more of it nobody can see.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np

from models.card import SHIPPED
from models.counting import GROUPS, count_found
from models.detectors.occupancy import OccupancyDetector
from models.frame import Frame
from services.opening import open_redactor
from services.settings import Settings
from training.scenes.crowd import CROWD, crowd

SEEDS, NOW = range(6), datetime(2026, 6, 12, tzinfo=UTC)
SERIES: tuple[tuple[Literal["person", "car"], str, tuple[float, ...]], ...] = (
    ("person", "person", (5, 2.5, 1.5, 1)),
    ("car", "vehicle", (1.9, 1.6, 1.3, 1)),
)
"""What is drawn, the group it is counted with, and how far apart: at 1 they touch."""


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED
    seeds = [int(seed) for seed in sys.argv[2:]] or SEEDS
    settings = Settings()
    detector = OccupancyDetector(folder=folder, cache=settings.cache, precision=settings.precision)
    redact = open_redactor(settings)
    for what, group, spacings in SERIES:
        labels = [detector.names.index(name) for name in GROUPS[group]]
        rows = []
        for seed in seeds:
            for spacing, scene in zip(spacings, crowd(seed, what, spacings), strict=True):
                found = detector(redact(Frame("drawn", scene.pixels, "drawn", NOW, "object")))
                mine = found.where(np.isin(found.labels, labels))
                said = count_found(mine, group)
                holds = round(said.low) <= CROWD <= round(said.high)
                rows.append((spacing, len(mine), *said, said.high - said.low, holds))
        print(f"{what}: {CROWD} in each of {len(seeds)} pictures")
        for spacing in spacings:
            mean = np.mean([row[1:] for row in rows if row[0] == spacing], 0)
            print(
                "    spacing {:g}: {:.1f} found, told {:.1f} [{:.1f}, {:.1f}], {:.1f} wide, "
                "holds the truth in {:.2f}".format(spacing, *mean)
            )


if __name__ == "__main__":
    main()
