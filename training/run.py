"""From a recipe to a shipped record: train, choose thresholds on validation, write the card."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from models import plugins
from models.card import Card
from training import tasks
from training.train import train


def train_and_evaluate(
    name: str,
    data: Path,
    folder: Path,
    *,
    epochs: int | None = None,
    without: Sequence[str] = (),
    device: str = "cpu",
    progress: Callable[[dict[str, Any]], None] = lambda entry: None,
) -> Card:
    """Train the task `name` on `data`; `folder` gets checkpoints, weights and card.

    Raises:
        UnknownPlugin: no such task.
        BadConfiguration: the data or the first weights are not there.
    """
    module = plugins.load(tasks, name)
    recipe = replace(module.RECIPE, epochs=epochs or module.RECIPE.epochs, without=tuple(without))
    task = module.open_task(recipe, data, folder)
    network = train(task, recipe, folder, device=device, progress=progress)
    card: Card = task.finish(network.cpu(), folder)
    return card
