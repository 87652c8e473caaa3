"""What is published of containers, against the truth: whether each needs attention, or is unknown.

As the purpose has it (`services.purposes.waste`), at the shipped thresholds and without references:
a labelled box stands for the registered outline. What was fitted on the very pictures that are
scored is fitted anew for each fifth of them on the others, so that no figure flatters itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from models.card import Card
from services.attention import need
from services.container_places import closest_pairs, lies_by, same_place
from services.odds import log_odds, probability
from training.dataset import WASTE_BAD, WASTE_NAMES, WASTE_STATES
from training.evaluate import (
    Figure,
    Scored,
    apart,
    bootstrap,
    calibration_error,
    facts_of,
    of_both,
    resampled,
    states_of,
)
from training.fitted import platt, temperature

_FOLDS = 5
_SUREST = 1 - 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """One labelled container.

    Attributes:
        image: the picture.
        box: float32 (4,) xyxy px, as labelled.
        truth: its state.
        value: the probability that is published; None where it is unknown.
        states: state → probability by its look; empty where it is unknown.
    """

    image: Scored
    box: NDArray[np.float32]
    truth: str
    value: float | None
    states: dict[str, float]


def tell(scored: Sequence[Scored], card: Card, fitted: bool) -> list[Told]:
    """What is published of each container whose state is known, picture by picture.

    Args:
        scored: pictures with what was found, from nearly no score on.
        card: with the shipped thresholds.
        fitted: whether the states' temperature was fitted on these pictures.
    """
    told: list[Told] = []
    for mine, others in _folds(scored):
        slope = temperature(*states_of(others)) if fitted else 1.0
        for image in mine:
            told += _of_picture(image, card, slope)
    return told


def figures(scored: Sequence[Scored], card: Card, fitted: bool) -> dict[str, dict[str, Figure]]:
    """AUC, calibration error and share unknown of what is published, by groups as of `evaluate`.

    And the calibration error of facts about pictures, where that was fitted on these.
    """
    told: dict[Scored, list[Told]] = {}
    for one in tell(scored, card, fitted):
        told.setdefault(one.image, []).append(one)
    facts = card.architecture.image_names if fitted else ()
    refitted = {fact: _refitted(scored, fact, index) for index, fact in enumerate(facts)}
    table = {}
    for group, images in apart(scored).items():
        row = _row([one for image in images for one in told.get(image, ())])
        for index, (fact, said) in enumerate(refitted.items()):
            known = [image for image in images if image in said]
            truth = np.array([image.sample.facts[index] > 0.5 for image in known], bool)
            p = np.array([said[image] for image in known], np.float64)
            if truth.any() and not truth.all():
                rate = of_both(calibration_error, truth, p)
                row[f"ECE {fact}, out of fold"] = resampled(len(p), rate, len(p))
        table[group] = row
    return table


def _row(told: Sequence[Told]) -> dict[str, Figure]:
    if not told:
        return {}
    unknown = np.array([one.value is None for one in told], np.float64)
    row = {"unknown, published": bootstrap(unknown)}
    known = [one for one in told if one.value is not None]
    truth = np.array([one.truth in WASTE_BAD for one in known], bool)
    p = np.array([one.value for one in known], np.float64)
    if truth.any() and not truth.all():
        for name, rate in (("AUC", roc_auc_score), ("ECE", calibration_error)):
            row[f"{name}, published"] = resampled(len(p), of_both(rate, truth, p), len(p))
    return row


def _of_picture(image: Scored, card: Card, slope: float) -> Iterator[Told]:
    found, sample = image.found, image.sample
    floors = np.array([card.min_score[name] for name in found.names])
    sure = found.where(found.scores >= floors[found.labels])
    containers, waste = sure.named("container"), sure.named("waste")
    numbers = np.flatnonzero(sample.labels == WASTE_NAMES.index("container"))
    matched = closest_pairs([same_place(sample.boxes[n], containers.boxes) for n in numbers])
    missed = sample.boxes[[n for place, n in enumerate(numbers) if place not in matched]]
    by = lies_by(np.concatenate([containers.boxes, missed]), waste.boxes)
    for place, number in enumerate(numbers):
        if sample.states[number] < 0:
            continue
        value, states, index = None, {}, matched.get(place)
        if index is not None:
            scaled = np.clip(containers.states[index], 1e-9, 1) ** slope
            names = containers.state_names
            states = dict(zip(names, (scaled / scaled.sum()).tolist(), strict=True))
            calm = sum(p for name, p in states.items() if name not in WASTE_BAD)
            value = need(calm, float(waste.scores[by == index].max(initial=0.0)))
        truth = WASTE_STATES[sample.states[number]]
        yield Told(image, sample.boxes[number], truth, value, states)


def _refitted(scored: Sequence[Scored], fact: str, index: int) -> dict[Scored, float]:
    """Probability of a fact about each picture whose truth is known, out of fold."""
    said = {}
    for mine, others in _folds(scored):
        p, truth = facts_of(others, fact, index)
        slope, offset = platt(np.array([log_odds(one, _SUREST) for one in p]), truth)
        for image in mine:
            if not np.isnan(image.sample.facts[index]):
                logit = log_odds(image.found.image_scores[fact], _SUREST)
                said[image] = probability(slope * logit + offset)
    return said


def _folds(scored: Sequence[Scored]) -> Iterator[tuple[list[Scored], list[Scored]]]:
    """Each fifth of the pictures, drawn by lot, beside all others."""
    fold = np.random.default_rng(0).permutation(len(scored)) % _FOLDS
    for number in range(_FOLDS):
        mine = [image for image, own in zip(scored, fold, strict=True) if own == number]
        yield mine, [image for image, own in zip(scored, fold, strict=True) if own != number]
