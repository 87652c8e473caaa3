"""How many vehicles are found from straight above, by metres of ground that a px shows.

`python -m benchmarks.coarse_vehicles` on the flights of VIGIE_DATA that training does not see, made
smaller. A picture is laid beside itself until it is large enough for the look at full size. From
what it prints, `_MAX_GSD_M` of `services.purposes.occupancy` was chosen.
"""

import math

import cv2
import numpy as np

from benchmarks.pictures import DATA
from models.counting import count
from models.detectors.occupancy import OccupancyDetector
from services.settings import Settings
from training.occupancy import GROUND_VEHICLES, read_measured

SCALES = (1.0, 0.75, 0.6, 0.5, 0.4, 0.33, 0.25)
CAR_M = 2.85  # square root of the area of a car of 4.5 m by 1.8 m
LARGE_PX = 960


def main() -> None:
    settings = Settings()
    detector = OccupancyDetector(cache=settings.cache, precision=settings.precision)
    flights = [sample for sample in read_measured(DATA, "val") if sample.source == "aerial"]
    for scale in SCALES:
        there = hit = held = 0
        sizes: list[float] = []
        for sample in flights:
            picture = cv2.imread(str(sample.path), cv2.IMREAD_COLOR)
            assert picture is not None
            small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            height, width = small.shape[:2]
            times = math.ceil(LARGE_PX / width)
            tiled = np.ascontiguousarray(np.tile(small, (times, times, 1))[..., ::-1])
            found = detector.detect(tiled)
            middles = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
            mine = np.isin(found.labels, GROUND_VEHICLES) & (middles < [width, height]).all(1)
            boxes = sample.boxes[np.isin(sample.labels, GROUND_VEHICLES)] * scale
            within = (middles[mine] > boxes[:, None, :2]) & (middles[mine] < boxes[:, None, 2:])
            told = count(found.where(mine).counted)
            there, hit = there + len(boxes), hit + int(np.any(np.all(within, 2), 1).sum())
            held += told.low <= len(boxes) <= told.high
            sizes += np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(1)).tolist()
        print(
            f"{CAR_M / float(np.median(sizes)):.2f} m: {hit / there:.2f} of {there} found, "
            f"interval right on {held} of {len(flights)} pictures"
        )


if __name__ == "__main__":
    main()
