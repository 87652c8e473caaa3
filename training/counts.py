"""How well a detector counts: what each find stands for, and the error of counts by density."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.card import Card
from models.counting import GROUPS, Count, count, kind_of, kinds, standing_for
from training.evaluate import Figure, Scored, bootstrap, matches

_IOU = 0.5
_PRIOR = 4.0  # finds that stand for one each, added to those seen
_BANDS = ((0, 0), (1, 4), (5, 14), (15, None))
"""Numbers of objects in a picture, from and to."""


def stand_for(scored: Sequence[Scored], names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Kind of find → how many real objects it stands for, and the variance of that; 3 decimals.

    A missed object counts with the finds of its own kind. The variance is that of the whole
    picture's count, shared out among its finds, crowded ones apart.

    Args:
        scored: pictures with what was found at the shipped thresholds.
        names: object classes.
    """
    measured: dict[str, tuple[float, float]] = {}
    for group in GROUPS:
        rows = [row for image in scored if (row := _row(image, group, names)) is not None]
        if not rows:
            continue
        found, real = (np.sum(part, 0) for part in zip(*rows, strict=True))
        worth = (real + _PRIOR) / (found + _PRIOR)
        errors = np.array([r.sum() - f @ worth for f, r in rows])
        spread = np.tile(_spread(np.array([f * worth for f, _ in rows]), errors), len(worth) // 2)
        pairs = zip(worth.round(3).tolist(), (spread * worth).round(3).tolist(), strict=True)
        measured |= dict(zip(kinds(group), pairs, strict=True))
    return measured


def at_thresholds(image: Scored, card: Card) -> Scored:
    """The picture with what the detector ships: finds from the card's thresholds on."""
    floors = np.array([card.min_score[name] for name in image.found.names])
    sure = image.found.where(image.found.scores >= floors[image.found.labels])
    return replace(image, found=standing_for(sure, card.calibration))


def _spread(parts: NDArray[np.float64], errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Variance by expected object, alone and crowded, that explains squared errors best."""
    crowd = np.stack([parts[:, 0::2].sum(1), parts[:, 1::2].sum(1)], 1)
    seen = crowd.sum(1) > 0
    if not seen.any():
        return np.ones(2)
    # Weighted by 1 / expected: the variance of a squared error grows with its square.
    weight = 1 / crowd[seen].sum(1)
    fit, *_ = np.linalg.lstsq(crowd[seen] * weight[:, None], errors[seen] ** 2 * weight, rcond=None)
    alone = max(float(fit[0]), 0.05)
    return np.array([alone, max(float(fit[1]), alone)])


def _row(
    image: Scored, group: str, names: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Finds and real objects of a picture by kind; None where the group is not labelled whole."""
    pair = _boxes(image, group, names)
    if pair is None:
        return None
    boxes, scores, truth = pair
    hit = matches(boxes, scores, truth, _IOU)
    size, own = len(kinds(group)), kind_of(boxes)
    missed = np.setdiff1d(np.arange(len(truth)), hit)
    real = np.concatenate([own[hit >= 0], kind_of(truth)[missed]])
    found, there = (np.bincount(part, minlength=size) for part in (own, real))
    return found.astype(np.float64), there.astype(np.float64)


def _boxes(
    image: Scored, group: str, names: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]] | None:
    labels = [i for i, name in enumerate(names) if name in GROUPS[group]]
    known = [i for i in labels if image.scores_class(i)]
    if not known:
        return None
    mine = np.isin(image.found.labels, known)
    truth = image.sample.boxes[np.isin(image.sample.labels, known)]
    return image.found.boxes[mine], image.found.scores[mine], truth


def figures(scored: Sequence[Scored], names: Sequence[str]) -> dict[str, dict[str, Figure]]:
    """Error of counts by group and density: mean absolute error, bias, share in the interval."""
    table = {}
    for group in GROUPS:
        labels = [i for i, name in enumerate(names) if name in GROUPS[group]]
        pairs = []
        for image in scored:
            pair = _boxes(image, group, names)
            if pair is not None:
                mine = np.isin(image.found.labels, labels)
                pairs.append((len(pair[2]), count(image.found.counted[mine])))
        for low, high in _BANDS:
            band = [(n, c) for n, c in pairs if n >= low and (high is None or n <= high)]
            if band:
                said = np.array([c.value for _, c in band])
                true = np.array([n for n, _ in band], float)
                within = np.array([_within(n, c) for n, c in band], float)
                name = f"{group}, {low} to {'…' if high is None else high} in the picture"
                table[name] = {
                    "MAE": bootstrap(abs(said - true)),
                    "bias": bootstrap(said - true),
                    "within 90 %": bootstrap(within),
                }
    return table


def _within(number: int, said: Count) -> bool:
    return round(said.low) <= number <= round(said.high)
