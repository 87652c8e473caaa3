"""From a recipe to a shipped record: train, choose thresholds on validation, write the card."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models import plugins
from models.card import Card, read_card, read_weights
from models.checkpoint import build
from models.errors import BadConfiguration
from training import tasks
from training.train import train


def train_and_evaluate(
    name: str,
    data: Path,
    folder: Path,
    *,
    epochs: int | None = None,
    without: Sequence[str] = (),
    start: Path | None = None,
    device: str = "cpu",
    progress: Callable[[dict[str, Any]], None] = lambda entry: None,
) -> Card:
    """Train the task `name` on `data`; `folder` gets checkpoints, weights and card.

    Args:
        name: of the task.
        data: its folder.
        folder: a training that was cut off goes on from the checkpoint in it.
        epochs: how many; the recipe's when None.
        without: sources of the data that are left out.
        start: folder of weights of this name to go on from; training begins anew when None.
        device: torch device.
        progress: called once an epoch with its figures.

    Raises:
        UnknownPlugin: no such task.
        BadConfiguration: the data or the first weights are not there, or do not fit.
        BadWeights: the weights to go on from are missing or damaged.
    """
    module = plugins.load(tasks, name)
    recipe = replace(module.RECIPE, epochs=epochs or module.RECIPE.epochs, without=tuple(without))
    card = read_card(name, start) if start else None
    if card:  # drawn scenes join late, so that real ones are known by then: these are
        recipe = replace(recipe, start=card.model, drawn_from=0)
    task = module.open_task(recipe, data, folder)
    known = _go_on(task.network, card, start) if card and start else {}
    network = train(task, recipe, folder, device=device, progress=progress)
    if known and recipe.start_share:
        _give_back(network, known, recipe.start_share)
    trained: Card = task.finish(network.cpu(), folder)
    return trained


def _go_on(network: nn.Module, card: Card, folder: Path) -> dict[str, Tensor]:
    """Give the network the weights to go on from; a copy of them."""
    known = build(card, read_weights(card, folder))
    if known.architecture != network.architecture:
        raise BadConfiguration(f"{card.model} in {folder} is of another architecture: train anew")
    network.load_state_dict(known.state_dict())
    return dict(known.state_dict())


@torch.no_grad()
def _give_back(network: nn.Module, known: Mapping[str, Tensor], share: float) -> None:
    """Put a share of the first weights into those that were learned since."""
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.lerp_(known[name].to(value.device), share)
