"""Score a shipped detector, or what a batch found, against a labelled data folder."""

from pathlib import Path

import numpy as np

from models.card import read_card
from models.detections import Detections
from models.errors import BatchError
from models.runtime import Runtime
from services.catalog import Catalog
from services.opening import open_redactor
from services.outcome import Outcome
from services.settings import Settings
from training.dataset import WASTE_BAD, read_waste
from training.evaluate import Figure, Scored, figures, score
from training.privacy import figures as privacy


def evaluate_detector(
    name: str, data: Path, split: str, batch: str | None, settings: Settings
) -> dict[str, dict[str, Figure]]:
    """Figures by group: value, low, high, n.

    Args:
        name: detector.
        data: its data folder.
        split: val, or test once at the end.
        batch: score the recorded detections of this batch, matched by file name, instead.
        settings: where the catalog is.

    Raises:
        BatchError: the batch holds none of the split's images.
    """
    if name == "privacy":
        return _privacy(data, split, settings)
    card = read_card(name)
    samples = read_waste(data, split)
    if batch is None:
        runtime = Runtime(name, cache=settings.cache, precision=settings.precision)
        scored = score(samples, open_redactor(settings), runtime)
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
    architecture = card.architecture
    bad = [i for i, state in enumerate(architecture.state_names) if state in WASTE_BAD]
    return figures(scored, architecture.names, architecture.image_names, card.min_score, bad)


def _privacy(data: Path, split: str, settings: Settings) -> dict[str, dict[str, Figure]]:
    """Recall of faces and plates, and the falsely covered area, at the shipped thresholds."""
    redactor = open_redactor(settings)
    looks = privacy.look(data, split, redactor.find)
    return privacy.figures(looks, dict.fromkeys(("face", "plate"), 0.0))


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
