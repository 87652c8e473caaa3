"""Score a detector, or what a batch found, against a labelled data folder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from models.card import SHIPPED, Card, read_card
from models.detections import Detections
from models.detectors.occupancy import OccupancyDetector
from models.detectors.vegetation import VegetationDetector
from models.errors import BatchError
from models.personal import PersonalData
from models.runtime import Runtime
from models.stalls import Stalls
from services.catalog import Catalog
from services.opening import open_redactor
from services.outcome import Outcome
from services.settings import Settings
from serving.page import render, small, write_page
from training import canopy, counts, stalls
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

_SHOWN = 12  # of each kind of mistake
_ORDER = ("overlooked", "alarm", "state_overlooked", "state_alarm", "missed", "invented")


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What came of an evaluation.

    Attributes:
        figures: group → figure → value, low, high, n.
        card: of the weights.
        split: of the data.
        scored: the pictures; empty for the privacy network, whose errors cannot be shown.
    """

    figures: dict[str, dict[str, Figure]]
    card: Card
    split: str
    scored: Sequence[Scored] = ()


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
        BatchError: the batch holds none of the split's images.
        BadWeights: missing or damaged weights.
    """
    card = read_card(name, folder)
    if card.architecture.kind == "heatmap":
        locate = PersonalData(
            name, folder=folder, cache=settings.cache, precision=settings.precision
        )
        looks = privacy.look(data, split, locate)
        thresholds = dict.fromkeys(("face", "plate"), 0.0)
        return Evaluation(privacy.figures(looks, thresholds), card, split)
    if card.architecture.kind == "canopy":
        detector = VegetationDetector(
            name, folder=folder, cache=settings.cache, precision=settings.precision
        )
        return Evaluation(canopy.figures(data, split, detector), card, split)
    if card.architecture.kind == "patch":
        look = Stalls(name, folder=folder, cache=settings.cache, precision=settings.precision)
        table = stalls.figures(data, split, look, open_redactor(settings))
        return Evaluation(table, card, split)
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
            Scored(s, _found(outcomes[s.path.name], card.architecture.names), s.night)
            for s in samples
            if s.path is not None and s.path.name in outcomes
        ]
        if not scored:
            raise BatchError(f"batch {batch} holds none of the images of {data} {split}")
    table = figures(scored, *_asked(card))
    if name == "occupancy":
        sure = [at_thresholds(image, card) for image in scored]
        table |= counts.figures(sure, card.architecture.names)
    return Evaluation(table, card, split, scored)


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


def _found(outcome: Outcome, names: tuple[str, ...]) -> Detections:
    mine = [d for d in outcome.detections if d.label in names]
    return Detections(
        np.array([d.box for d in mine], np.float32).reshape(-1, 4),
        np.array([d.score for d in mine], np.float32),
        np.array([names.index(d.label) for d in mine], np.int64),
        names,
        (outcome.height, outcome.width),
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
        curves=list(_curves(evaluation)),
        gallery=list(_gallery(mistakes(scored, *_asked(card)), card)),
    )
    write_page(path, html)


def _curves(evaluation: Evaluation) -> Iterator[tuple[str, list[tuple[float, float, int]]]]:
    names, facts, _, bad = _asked(evaluation.card)
    for index, fact in enumerate(facts if evaluation.scored else ()):
        said, truth = facts_of(evaluation.scored, fact, index)
        yield fact, calibration(truth, said)
    if bad and evaluation.scored:
        states, truths = states_of(evaluation.scored)
        yield f"{names[0]}, state", calibration(np.isin(truths, bad), states[:, bad].sum(1))


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
    image, sample = mistake.image, mistake.image.sample
    names = card.architecture.names
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
    if mistake.box is not None:
        boxes.append(("overflow", mistake.box.tolist(), mistake.kind))
    height, width = image.found.size_hw
    return {
        "name": sample.path.name if sample.path else sample.source,
        "source": sample.source,
        "night": image.night,
        "by": mistake.by,
        "width": width,
        "height": height,
        "jpeg": small(image.encoded),
        "boxes": boxes,
    }
