"""How well a detector counts: what each find stands for, and the error of counts by density."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression

from models.card import Card
from models.counting import (
    GROUPS,
    MISSED,
    Count,
    count_found,
    kind_of,
    kinds,
    not_found,
    standing_for,
)
from training import evaluate
from training.evaluate import Figure, Scored, apart, best_threshold, bootstrap, matches

_IOU = 0.5
_PRIOR = 8.0  # finds that stand for what others do, added to those seen
_LEAST_ALONE = 0.05  # variance by expected object: no detector is perfect
# How many times more the number of crowded objects varies at least. No label tells who is hidden
# whole: of people drawn 0.8 to 1.3 m apart (`benchmarks.drawn_crowd`, seeds 6 to 11) 0.4 of the
# intervals hold the truth by what validation alone gives, 0.75 by this.
_CROWDED = 12.0
_BANDS = ((0, 0), (1, 4), (5, 14), (15, None))
"""Numbers of objects in a picture, from and to."""


def stand_for(scored: Sequence[Scored], names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Kind of find → how many real objects it stands for, and the variance of that; 3 decimals.

    A missed object counts with the finds of its own kind; kinds of which few were found borrow from
    those of about their size. Crowded finds never stand for less than others of their size, and
    vary more: crowds hide. The variance is that of the whole picture's count, shared out among its
    finds and what is there beside them (`not_found`).

    Args:
        scored: pictures with what was found at the shipped thresholds.
        names: object classes.
    """
    measured: dict[str, tuple[float, float]] = {}
    for group in GROUPS:
        rows = [row for image in scored if (row := _row(image, group, names)) is not None]
        if not rows:
            continue
        found, real = (np.stack(part) for part in zip(*rows, strict=True))
        worth = _worth(found.sum(0), real.sum(0))
        missed, alone, crowded = _spread(found * worth, real.sum(1) - found @ worth)
        spread = np.tile([alone, crowded], len(worth) // 2) * worth
        pairs = zip(worth.round(3).tolist(), spread.round(3).tolist(), strict=True)
        measured |= dict(zip(kinds(group), pairs, strict=True))
        measured[not_found(group)] = 0.0, round(missed, 3)
    return measured


def remeasured(card: Card, scored: Sequence[Scored]) -> Card:
    """The card with its thresholds, what finds stand for, and its figures.

    Args:
        card: of an occupancy detector.
        scored: the validation split, as that detector sees it.
    """
    names = card.architecture.names
    best = {name: best_threshold(scored, label) for label, name in enumerate(names)}
    card = replace(card, min_score=best)
    found = stand_for([at_thresholds(image, card) for image in scored], names)
    card = replace(card, calibration=found)
    sure = [at_thresholds(image, card) for image in scored]
    table = evaluate.figures(scored, names, (), best) | figures(sure, names)
    return replace(card, metrics=evaluate.told(table))


def at_thresholds(image: Scored, card: Card) -> Scored:
    """The picture with what the detector ships: finds from the card's thresholds on."""
    floors = np.array([card.min_score[name] for name in image.found.names])
    sure = image.found.where(image.found.scores >= floors[image.found.labels])
    return replace(image, found=standing_for(sure, card.calibration))


def _worth(found: NDArray[np.float64], real: NDArray[np.float64]) -> NDArray[np.float64]:
    """Real objects by find, of each kind, from the numbers (K,) of both."""
    found, real = found.reshape(-1, 2), real.reshape(-1, 2)  # by size, alone and crowded

    def around(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.convolve(numbers.sum(1), np.ones(3), "same")[:, None]  # sizes beside each other

    usual = (real.sum() + _PRIOR) / (found.sum() + _PRIOR)
    borrowed = _PRIOR * (around(real) + _PRIOR * usual) / (around(found) + _PRIOR)
    own = (real + borrowed) / (found + _PRIOR)
    both = (real.sum(1, keepdims=True) + borrowed) / (found.sum(1, keepdims=True) + _PRIOR)
    return np.asarray(np.where(own[:, 1:] < own[:, :1], both, own).ravel(), np.float64)


def _spread(
    expected: NDArray[np.float64], errors: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Variance that explains squared errors (N,) best, from what was expected (N, K) of each kind.

    Returns:
        Beside all finds, and by expected object, alone and crowded.
    """
    number = expected.sum(1)
    parts = np.stack([np.ones(len(number)), number, expected[:, 1::2].sum(1)], 1)
    # The variance of a squared error grows with the square of what is expected.
    weights = 1 / (number + 1) ** 2
    fit = LinearRegression(positive=True, fit_intercept=False).fit(parts, errors**2, weights)
    missed, alone, more = np.maximum(fit.coef_, [MISSED, _LEAST_ALONE, 0]).tolist()
    return missed, alone, max(alone + more, _CROWDED * alone)


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
    """Error of counts by group: mean absolute error, bias, share in the interval.

    By density over all pictures, then by source, and by day and night within a source.
    """
    table = {}
    for group in GROUPS:
        pairs = [(image, pair) for image in scored if (pair := _said(image, group, names))]
        for low, high in _BANDS:
            name = f"{group}, {low} to {'…' if high is None else high} in the picture"
            band = [(n, c) for _, (n, c) in pairs if n >= low and (high is None or n <= high)]
            table[name] = _errors(band)
        for images, some in apart(scored).items():
            if images != "all":
                table[f"{group}, {images}"] = _errors([p for i, p in pairs if i in some])
    return {name: row for name, row in table.items() if row}


def _said(image: Scored, group: str, names: Sequence[str]) -> tuple[int, Count] | None:
    """How many there are, and what is said; None where the group is not labelled whole."""
    pair = _boxes(image, group, names)
    if pair is None:
        return None
    labels = [i for i, name in enumerate(names) if name in GROUPS[group]]
    mine = np.isin(image.found.labels, labels)
    return len(pair[2]), count_found(image.found.where(mine), group)


def _errors(pairs: Sequence[tuple[int, Count]]) -> dict[str, Figure]:
    """Of true numbers and what was said of them; empty for none."""
    if not pairs:
        return {}
    true = np.array([number for number, _ in pairs], float)
    off = np.array([said.value for _, said in pairs]) - true
    within = np.array([_within(*pair) for pair in pairs], float)
    return {"MAE": bootstrap(abs(off)), "bias": bootstrap(off), "within 90 %": bootstrap(within)}


def _within(number: int, said: Count) -> bool:
    return round(said.low) <= number <= round(said.high)
