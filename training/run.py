"""From a recipe to a shipped record: train, choose thresholds on validation, write the card."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from models.card import Card
from models.checkpoint import save
from models.network import Network
from models.runtime import Runtime
from services.pipeline import open_redactor
from training.dataset import READERS
from training.evaluate import best_threshold, facts_of, figures, platt, score
from training.recipe import Recipe
from training.train import train

LICENCE = "Apache-2.0"
DATA = {
    "waste": "Containers in Montevideo (stated CC BY 4.0), City of Amsterdam garbage detection "
    "(MIT), Korean waste bags (CC BY 4.0), and drawn scenes"
}


def train_and_evaluate(
    recipe: Recipe,
    data: Path,
    folder: Path,
    *,
    epochs: int | None = None,
    device: str = "cpu",
    progress: Callable[[dict[str, Any]], None] = lambda entry: None,
) -> Card:
    """Train `recipe` on `data`; `folder` gets checkpoints, weights and card.

    Raises:
        BadConfiguration: the data or the ImageNet start is not there.
    """
    network = train(recipe, data, folder, epochs=epochs, device=device, progress=progress)
    return finish(network.cpu(), replace(recipe, epochs=epochs or recipe.epochs), data, folder)


def finish(network: Network, recipe: Recipe, data: Path, folder: Path) -> Card:
    """Choose thresholds and calibration on the validation split, and write weights and card."""
    architecture = network.architecture
    card = Card(
        name=recipe.name,
        architecture=architecture,
        digest="",
        min_score=dict.fromkeys(architecture.names, 0.5),
        calibration={},
        licence=LICENCE,
        data=DATA[recipe.name],
        recipe=asdict(recipe),
    )
    save(network, card, folder)
    samples = READERS[recipe.name](data, "val")
    scored = score(samples, open_redactor(), Runtime(recipe.name, folder=folder))
    calibration = {}
    for index, fact in enumerate(architecture.image_names):
        p, truth = facts_of(scored, fact, index)
        p = np.clip(p, 1e-6, 1 - 1e-6)
        calibration[fact] = platt(np.log(p / (1 - p)), truth)
    card = replace(
        card,
        min_score={n: best_threshold(scored, i) for i, n in enumerate(architecture.names)},
        calibration=calibration,
    )
    save(network, card, folder)
    scored = score(samples, open_redactor(), Runtime(recipe.name, folder=folder))
    table = figures(scored, architecture.names, architecture.image_names)
    metrics = {
        f"{figure}, validation {group}": f"{value:.3f} [{low:.3f}, {high:.3f}], n = {count}"
        for group, row in table.items()
        for figure, (value, low, high, count) in row.items()
    }
    return save(network, replace(card, metrics=metrics), folder)
