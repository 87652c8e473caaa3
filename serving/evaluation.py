"""Score a detector, or what a batch found, against a labelled data folder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.card import SHIPPED, Card, read_card
from models.detections import Detections
from models.detectors.occupancy import OccupancyDetector
from models.detectors.vegetation import VegetationDetector
from models.errors import BadConfiguration, BatchError
from models.personal import PersonalData
from models.redaction import Redactor
from models.runtime import Runtime
from services.catalog import Catalog
from services.opening import open_redactor
from services.outcome import Outcome
from services.settings import Settings
from serving.page import render, small, write_page
from training import attention, canopy, counts, stalls
from training.counts import at_thresholds
from training.dataset import WASTE_BAD, read_waste
from training.evaluate import (
    Figure,
    Finder,
    Scored,
    calibration,
    facts_of,
    figures,
    score,
    states_of,
)
from training.mistakes import Mistake, mistakes
from training.occupancy import read_measured
from training.privacy import figures as privacy

_COVERED = ("face", "plate")  # what is labelled
_SHOWN = 12  # of each kind of mistake
_ORDER = ("overlooked", "alarm", "state_overlooked", "state_alarm", "missed", "invented")
Curve = tuple[str, list[tuple[float, float, int]]]
"""What a probability is of, and its `calibration`."""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What came of an evaluation.

    Attributes:
        figures: group → figure → value, low, high, n.
        card: of the weights.
        split: of the data.
        scored: the pictures; empty for the privacy network, whose errors cannot be shown.
        curves: of probabilities that are told of no picture in `scored`.
    """

    figures: dict[str, dict[str, Figure]]
    card: Card
    split: str
    scored: Sequence[Scored] = ()
    curves: Sequence[Curve] = ()


def evaluate_detector(
    name: str,
    data: Path,
    split: str,
    settings: Settings,
    *,
    batch: str | None = None,
    folder: Path = SHIPPED,
) -> Evaluation:
    """Figures by group, and the pictures behind them.

    Args:
        name: detector.
        data: its data folder.
        split: val, or test once at the end.
        settings: where the catalog is.
        batch: score the recorded detections of this batch, matched by file name, instead.
        folder: of the weights.

    Raises:
        BadConfiguration: a batch, for what leaves no detections in one.
        BatchError: the batch holds none of the split's images.
        BadWeights: missing or damaged weights.
    """
    card = read_card(name, folder)
    if batch is not None and card.architecture.kind != "points":
        raise BadConfiguration(f"a batch records nothing that {name} is scored by: no --batch here")
    if card.architecture.kind == "heatmap":
        locate = PersonalData(
            name, folder=folder, cache=settings.cache, precision=settings.precision
        )
        looks = privacy.look(data, split, locate, Redactor([locate], cover=_COVERED))
        first = privacy.figures(looks, dict.fromkeys(_COVERED, 0.0))
        return Evaluation(first | privacy.published_figures(looks), card, split)
    if card.architecture.kind == "canopy":
        detector = VegetationDetector(
            name, folder=folder, cache=settings.cache, precision=settings.precision
        )
        return Evaluation(canopy.figures(data, split, detector), card, split)
    if card.architecture.kind == "patch":
        eyes = OccupancyDetector(stalls=folder, cache=settings.cache, precision=settings.precision)
        said = stalls.say_of_lot(data, split, open_redactor(settings), eyes)
        truth = stalls.truth_of(said)
        curves = [(what, calibration(truth, p)) for what, p in stalls.told(said).items()]
        return Evaluation(stalls.figures(said), card, split, curves=curves)
    samples = read_measured(data, split) if name == "occupancy" else read_waste(data, split)
    if batch is None:
        scored = score(samples, open_redactor(settings), _finder(name, folder, settings))
    else:
        catalog = Catalog(settings.catalog_url)
        outcomes = {
            Path(o.key).name: o
            for o in catalog.outcomes(catalog.batch(batch).batch)
            if o.status == "redacted"
        }
        scored = [
            Scored(s, _found(outcomes[s.path.name], card), s.night)
            for s in samples
            if s.path is not None and s.path.name in outcomes
        ]
        if not scored:
            raise BatchError(f"batch {batch} holds none of the images of {data} {split}")
    table = figures(scored, *_asked(card))
    if name == "occupancy":
        sure = [at_thresholds(image, card) for image in scored]
        table |= counts.figures(sure, card.architecture.names)
    elif batch is None:
        published = attention.figures(scored, card, _fitted(split))
        table = {group: row | published[group] for group, row in table.items()}
    return Evaluation(table, card, split, scored)


def _fitted(split: str) -> bool:
    """Whether a detector's calibration was fitted on this split."""
    return split == "val"


def _finder(name: str, folder: Path, settings: Settings) -> Finder:
    cache, precision = settings.cache, settings.precision
    if name == "occupancy":
        return OccupancyDetector(folder=folder, cache=cache, precision=precision)
    return Runtime(name, folder=folder, cache=cache, precision=precision)


def _asked(card: Card) -> tuple[Sequence[str], Sequence[str], dict[str, float], list[int]]:
    """What `figures` and `mistakes` ask about: classes, facts, thresholds, bad states."""
    it = card.architecture
    bad = [i for i, state in enumerate(it.state_names) if state in WASTE_BAD]
    return it.names, it.image_names, dict(card.min_score), bad


def _found(outcome: Outcome, card: Card) -> Detections:
    names, state_names = card.architecture.names, card.architecture.state_names
    mine = [d for d in outcome.detections if d.label in names]
    states = [[d.states[state] for state in state_names] for d in mine]
    return Detections(
        np.array([d.box for d in mine], np.float32).reshape(-1, 4),
        np.array([d.score for d in mine], np.float32),
        np.array([names.index(d.label) for d in mine], np.int64),
        names,
        (outcome.height, outcome.width),
        np.array(states, np.float32).reshape(len(mine), len(state_names)),
        state_names,
        image_scores=outcome.facts,
    )


def write_evaluation(path: Path, evaluation: Evaluation) -> None:
    """Write a page with figures, calibration curves and the worst mistakes, on redacted pictures.

    Raises:
        BadConfiguration: the file cannot be written.
    """
    card, scored = evaluation.card, evaluation.scored
    html = render(
        "evaluation.html.j2",
        model=card.model,
        split=evaluation.split,
        images=len(scored),
        figures=evaluation.figures,
        curves=[*evaluation.curves, *_curves(evaluation)],
        overflows=list(_overflows(evaluation)),
        gallery=list(_gallery(mistakes(scored, *_asked(card)), card)),
    )
    write_page(path, html)


def _curves(evaluation: Evaluation) -> Iterator[Curve]:
    names, facts, _, bad = _asked(evaluation.card)
    for index, fact in enumerate(facts if evaluation.scored else ()):
        said, truth = facts_of(evaluation.scored, fact, index)
        yield fact, calibration(truth, said)
    if bad and evaluation.scored:
        states, truths = states_of(evaluation.scored)
        yield f"{names[0]}, state", calibration(np.isin(truths, bad), states[:, bad].sum(1))


def _overflows(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    """Every container that overflows, what was told of it, and its picture."""
    card = evaluation.card
    if card.architecture.state_names:
        for one in attention.tell(evaluation.scored, card, _fitted(evaluation.split)):
            if one.truth == "overflow" and one.image.encoded:
                picture = _picture(one.image, card, one.box, one.truth)
                yield {"picture": picture, "value": one.value, "states": one.states}


def _gallery(
    found: list[Mistake], card: Card
) -> Iterator[tuple[str, str, int, list[dict[str, Any]]]]:
    def kind(mistake: Mistake) -> tuple[int, str]:
        return _ORDER.index(mistake.kind), mistake.what

    # Sorting is stable: within a kind the worst stay first.
    for (order, what), same in groupby(sorted(found, key=kind), kind):
        all_of_it = list(same)
        shown = [_shown(m, card) for m in all_of_it[:_SHOWN] if m.image.encoded]
        yield _ORDER[order], what, len(all_of_it), shown


def _shown(mistake: Mistake, card: Card) -> dict[str, Any]:
    return _picture(mistake.image, card, mistake.box, mistake.kind) | {"by": mistake.by}


def _picture(
    image: Scored, card: Card, marked: NDArray[np.float32] | None, words: str
) -> dict[str, Any]:
    """A redacted picture with what is true, what was found, and one box marked."""
    sample, names = image.sample, card.architecture.names
    boxes = [
        ("true", box.tolist(), names[label])
        for box, label in zip(sample.boxes, sample.labels, strict=True)
    ]
    boxes += [
        ("waste" if names[label] == "waste" else "clean", box.tolist(), f"{names[label]} {s:.2f}")
        for box, label, s in zip(
            image.found.boxes, image.found.labels, image.found.scores, strict=True
        )
        if s >= card.min_score[names[label]]
    ]
    if marked is not None:
        boxes.append(("overflow", marked.tolist(), words))
    height, width = image.found.size_hw
    return {
        "name": sample.path.name if sample.path else sample.source,
        "source": sample.source,
        "night": image.night,
        "width": width,
        "height": height,
        "jpeg": small(image.encoded),
        "boxes": boxes,
    }
