"""Grass at a printed gauge, drawn, whose height is known: errors, intervals, refusals.

`python -m benchmarks.drawn_gauge [COUNT]` prints the figures, and
`python -m benchmarks.drawn_gauge fit [COUNT]` the constants of `models/gauge.py`, from other seeds.
`python -m benchmarks.drawn_gauge growth [COUNT]` prints the growth index of drawn lawns, each in
two other lights than when it was mown at 4 cm.

Cameras of 1920×1080 or 2560×1440 px across 40° to 70° (62° to 70° nearer than 2 m), 0.9 to 3.2 m
high, 1 to 6 m from the gauge, which is turned by up to 45°. Half of the gauges are dirty, a tenth
snowed on, three of ten shaded by branches; four of ten pictures are taken by infrared light. The
asset's outline is given, but in every fifth picture, where the whole picture is searched.
"""

import sys
from collections.abc import Iterator
from multiprocessing import Pool
from typing import NamedTuple

import cv2
import numpy as np
from scipy.optimize import lsq_linear

from models.gauge import Reading, Step, look, told
from models.growth import growth_index
from training.scenes.gauge import Meadow, lawn, meadow, outline

COUNT, FIT_COUNT, FIT_FROM = 240, 200, 10_000
LAWNS, HEIGHTS_CM = 30, (4, 8, 15, 30)


class Row(NamedTuple):
    scene: Meadow
    truth_cm: float
    reading: Reading
    step: Step | None


def measured(seed: int) -> Row:
    cv2.setNumThreads(1)
    scene = Meadow.random(seed)
    pixels, truth_cm = meadow(scene)
    seen = look(pixels, outline(scene) if seed % 5 else None)
    if isinstance(seen, Reading):
        return Row(scene, truth_cm, seen, None)
    return Row(scene, truth_cm, told(*seen), seen[0])


def rows(first: int, count: int) -> list[Row]:
    with Pool(2) as pool:
        return pool.map(measured, range(first, first + count), chunksize=4)


def fit(count: int) -> None:
    known = [row for row in rows(FIT_FROM, count) if row.step is not None]
    truth = np.array([row.truth_cm for row in known])
    steps = np.array([row.step.for_height() for row in known if row.step])
    weights = np.ones(len(truth))
    for _ in range(30):  # least absolute errors, by weights
        root = np.sqrt(weights)
        height, *_ = np.linalg.lstsq(steps * root[:, None], truth * root, rcond=None)
        errors = np.abs(truth - steps @ height)
        weights = 1 / np.maximum(errors, 0.3)
    spread = np.array([row.step.for_half() for row in known if row.step])
    # No edge is told better than to a px.
    least = [0.0] * (spread.shape[1] - 1) + [1.0]
    half = lsq_linear(spread, np.minimum(errors, np.quantile(errors, 0.97)), (least, np.inf)).x
    half *= np.quantile(errors / np.maximum(spread @ half, 0.1), 0.91)
    print(f"{len(known)} of {count} read, median error {np.median(errors):.2f} cm")
    print("_HEIGHT =", tuple(round(float(value), 3) for value in height))
    print("_HALF =", tuple(round(float(value), 3) for value in half))


def bands(read: list[Row]) -> Iterator[tuple[str, list[Row]]]:
    yield "all", read
    for low, high in ((1, 2), (2, 4), (4, 6)):
        yield f"{low}–{high} m", [row for row in read if low <= row.scene.distance_m < high]
    for low, high in ((0, 25), (25, 40), (40, 60)):
        yield f"grass {low}–{high} cm", [row for row in read if low <= row.truth_cm < high]
    for name, night in (("day", False), ("infrared", True)):
        yield name, [row for row in read if row.scene.night == night]
    for low, high in ((0, 20), (20, 45)):
        turned = [row for row in read if low <= abs(np.rad2deg(row.scene.yaw)) < high]
        yield f"turned {low}–{high}°", turned
    yield "clean", [row for row in read if not row.scene.dirt and not row.scene.snow]
    yield "dirty", [row for row in read if row.scene.dirt]
    yield "snow", [row for row in read if row.scene.snow]
    yield "whole picture", [row for row in read if row.scene.seed % 5 == 0]


def show(read: list[Row]) -> None:
    print(f"{'':16} {'n':>4} {'refused':>8} {'median':>7} {'90 %':>6} {'within':>7} {'width':>6}")
    for name, band in bands(read):
        known = [row for row in band if row.step]
        if not known:
            print(f"{name:16} {len(band):4} {1:8.0%}")
            continue
        errors = np.array([abs(row.reading.height_cm - row.truth_cm) for row in known])
        low, high, truth = np.array(
            [(row.reading.low_cm, row.reading.high_cm, row.truth_cm) for row in known]
        ).T
        within, width = np.mean((low <= truth) & (truth <= high)), np.mean(high - low)
        print(
            f"{name:16} {len(band):4} {1 - len(known) / max(len(band), 1):8.0%}"
            f" {np.median(errors):7.2f} {np.quantile(errors, 0.9):6.2f} {within:7.2f} {width:6.1f}"
        )


def grown(seed: int) -> list[tuple[int, float]]:
    """Height in cm and index of one lawn, 2 to 6 m away, by night for every third seed."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(seed)
    camera = rng.uniform(2, 6), rng.uniform(1.5, 3), 0.0, rng.uniform(1400, 2600)
    lawns = {h: Meadow(h, *camera, night=seed % 3 == 0, seed=seed) for h in HEIGHTS_CM}
    mown, where = lawn(lawns[4], 1)
    told = []
    for height, scene in lawns.items():
        for light in (2, 3):
            index = growth_index([mown], lawn(scene, light)[0], where).index
            assert index is not None
            told.append((height, index))
    return told


def show_growth(count: int) -> None:
    with Pool(2) as pool:
        told = [pair for pairs in pool.map(grown, range(count)) for pair in pairs]
    print(f"{'height':>7} {'5 %':>6} {'median':>7} {'95 %':>6}")
    for height in HEIGHTS_CM:
        low, middle, high = np.quantile([i for h, i in told if h == height], [0.05, 0.5, 0.95])
        print(f"{height:4} cm {low:6.2f} {middle:7.2f} {high:6.2f}")


def main() -> None:
    if sys.argv[1:2] == ["fit"]:
        fit(int(sys.argv[2]) if len(sys.argv) > 2 else FIT_COUNT)
        return
    if sys.argv[1:2] == ["growth"]:
        show_growth(int(sys.argv[2]) if len(sys.argv) > 2 else LAWNS)
        return
    read = rows(0, int(sys.argv[1]) if len(sys.argv) > 1 else COUNT)
    show(read)
    for row in read:
        if row.step is None:
            scene, reading = row.scene, row.reading
            print(
                f"refused: seed {scene.seed}, {reading.reason}, {reading.cells} cells readable;"
                f" grass {row.truth_cm:.0f} cm, dirt {scene.dirt:.2f}, snow {scene.snow}"
            )


if __name__ == "__main__":
    main()
