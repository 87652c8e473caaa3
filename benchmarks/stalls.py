"""How well parking stalls are told free from taken, by their look, by boxes on them, by both.

`python -m benchmarks.stalls` on the car park of VIGIE_DATA. It also fits the figures of
`services.lot.taken`: by both, on days of the training split from which the look's
network learned nothing and on drawn streets, both weighing the same; by boxes alone, on the drawn,
as if no car park had ever been seen.

`python -m benchmarks.stalls FOLDER STALLS` takes people and vehicles from other weights, and looks
from STALLS, of which `vigie train stalls --without lot_a` makes such as never saw the car park:
then all of its days are new, and what `services.lot` gains on a new one can be read.
"""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

from benchmarks.pictures import DATA
from models.card import SHIPPED
from models.detectors.occupancy import OccupancyDetector
from models.frame import Frame
from services.lot import SUREST, taken, terms
from services.odds import log_odds
from services.opening import open_redactor
from services.settings import Settings
from training.evaluate import calibration, calibration_error, of_both
from training.stalls import (
    Said,
    draw_lots,
    in_own_light,
    resampled_by,
    say,
    say_of_lot,
    told,
    truth_of,
)
from training.tasks.stalls import CALIBRATED_ON

STREETS, SEED = 40, 3
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def fit(columns: NDArray[np.float64], truth: NDArray[np.bool_], *sizes: int) -> tuple[float, ...]:
    """Constant and slopes; sources of these sizes weigh the same, free and taken alike."""
    kinds = 2 * np.repeat(np.arange(len(sizes)), sizes) + truth
    weights = len(truth) / len(np.unique(kinds)) / np.bincount(kinds)[kinds]
    model = LogisticRegression(C=10).fit(columns, truth, weights)
    return round(float(model.intercept_[0]), 2), *np.round(model.coef_[0], 2).tolist()


def report(name: str, said: Sequence[Said], p: NDArray[np.float64]) -> None:
    truth = truth_of(said)
    pictures = np.array([s.picture for s in said])
    rate = of_both(balanced_accuracy_score, truth, p >= 0.5)
    value, low, high, _ = resampled_by(pictures, rate)
    print(
        f"{name}: balanced accuracy {value:.4f} "
        f"[{low:.4f}, {high:.4f}], {int((truth & (p < 0.5)).sum())} taken missed of {truth.sum()}, "
        f"{int((~truth & (p >= 0.5)).sum())} false of {(~truth).sum()}, "
        f"ECE {calibration_error(truth, p):.4f}"
    )
    for mean, share, count in calibration(truth, p):
        print(f"    said {mean:.3f}, taken {share:.3f} of {count}")


def sure(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-odds)))


def unseen(said: dict[str, list[Said]], weights: tuple[float, ...]) -> None:
    """All days of a car park that nobody saw, by weights that were fitted elsewhere."""
    constant, by_look, by_box = weights
    for split, stalls in said.items():
        looks = constant + by_look * np.array([log_odds(s.look, SUREST) for s in stalls])
        boxes = by_box * np.array([s.box for s in stalls])
        report(f"fitted on drawn streets, {split}", stalls, sure(looks + boxes))
        moved = in_own_light(stalls, looks, boxes)
        report("    in its own light", stalls, sure(looks + boxes + moved))


def main() -> None:
    if not (DATA / "parking").is_dir():
        print(f"skipped: no car park in {DATA}; name its folder by VIGIE_DATA")
        return
    settings = Settings()
    folder, stalls = (*map(Path, sys.argv[1:]), SHIPPED, SHIPPED)[:2]
    detect = OccupancyDetector(
        folder=folder, stalls=stalls, cache=settings.cache, precision=settings.precision
    )
    redact = open_redactor(settings)
    drawn: list[Said] = []
    for pixels, places in draw_lots(STREETS, SEED):
        drawn += say(Frame("drawn", pixels, "drawn", NOW, "object"), places, redact, detect)
    measured = say_of_lot(DATA, "val", redact, detect)
    elsewhere = np.array([[log_odds(s.look, SUREST), s.box] for s in drawn])
    if stalls != SHIPPED:
        alone = {
            "training days": say_of_lot(DATA, "train", redact, detect),
            "validation": measured,
        }
        unseen(alone, fit(elsewhere, truth_of(drawn), len(drawn)))
        return
    spared = say_of_lot(DATA, "train", redact, detect, CALIBRATED_ON)
    seen = [*spared, *drawn]
    both = np.array([[log_odds(s.look, SUREST), s.box] for s in seen])
    joint = fit(both, truth_of(seen), len(spared), len(drawn))
    constant, slope = fit(elsewhere[:, 1:], truth_of(drawn), len(drawn))
    print(f"fitted, both, on {len(spared)} real and {len(drawn)} drawn stalls: {joint}")
    print(f"fitted, boxes alone, on {len(drawn)} drawn stalls: {constant, slope}")
    looks, boxes = np.array([terms(s.look, s.box) for s in measured]).T
    for name, p in told(measured).items():
        report(f"as shipped, validation, {name}", measured, p)
    report("not in its own light", measured, sure(looks + boxes))
    by_boxes = 1 / (1 + np.exp(-constant - slope * np.array([s.box for s in measured])))
    report("boxes alone, fitted on drawn streets", measured, by_boxes)
    print(f"hidden, so unknown: {sum(taken(s.look, s.box, s.hidden) is None for s in measured)}")


if __name__ == "__main__":
    main()
