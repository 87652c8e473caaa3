"""Heights of vegetation from pictures taken from straight above."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from models.canopy import Canopy, CanopyNetwork
from models.card import Architecture, Card
from models.checkpoint import save
from models.heights import LOW_M
from training.canopy import calibrate, measure
from training.recipe import Recipe
from training.train import freeze, load_imagenet, train_but_statistics
from training.vegetation import COVERS, Land, read_covers, read_heights, views

RECIPE = Recipe(
    "vegetation",
    epochs=90,
    batch=6,
    learning_rate=2e-3,
    backbone_rate=0.5,
    train_px=128,
    input_px=288,
    frozen_stages=2,
    ema=0.99,
    drawn=0,
)
DATA = (
    "Autzen, Eugene: LiDAR with colours (CC BY 4.0), NEON open data, and aerial pictures of "
    "Californian cities with trees and grass (CC BY 4.0)"
)
_LOW_WEIGHT = 0.3  # of cells under `LOW_M`, which are most
_BLOCK = 32  # cells that lean one way
_LEANS = (-2, 0, 2)  # cells by which they may
_PARTS = {"height": 0.25, "spread": 0.1, "cover": 0.5}


class VegetationTask:
    """See `training.tasks.Task`."""

    def __init__(self, recipe: Recipe, data: Path) -> None:
        self.recipe, self.data = recipe, data
        heights, covers = read_heights(data, "train"), read_covers(data, "train")
        views_of = [max(1, land.metres.size // recipe.train_px**2) for land in heights]
        self.real = [land for land, n in zip(heights, views_of, strict=True) for _ in range(2 * n)]
        self._covers, self._cities = covers, {land.region for land in covers}
        self.real += covers[: len(self.real) // 4]
        self.network = CanopyNetwork(
            Architecture(COVERS, input_px=recipe.input_px, channels=24, kind="canopy")
        )
        load_imagenet(self.network)
        freeze(self.network, recipe.frozen_stages)

    def train_mode(self) -> None:
        """Train mode, but the backbone keeps its ImageNet batch statistics: batches are small."""
        train_but_statistics(self.network)

    def draw(self) -> list[Land]:
        """Nothing is drawn: of drawn trees only the drawing would be learned."""
        return []

    def batches(self, samples: list[Land], rng: np.random.Generator) -> Iterator[list[Land]]:
        """Batches of views, one in five of a city without heights, of others each time."""
        others = iter(rng.permutation(len(self._covers)))
        samples = [
            self._covers[next(others)] if land.region in self._cities else land for land in samples
        ]
        return views(samples, self.recipe.batch, self.recipe.train_px, rng)

    def loss(self, output: Canopy, batch: list[Land]) -> dict[str, Tensor]:
        """Of heights, of how wrong they are said to be, and of covers."""
        device = output.metres.device
        metres = torch.from_numpy(np.stack([land.metres for land in batch]))[:, None].to(device)
        covers = torch.from_numpy(np.stack([land.covers for land in batch])).to(device)
        return losses(output, metres, covers)

    def finish(self, network: nn.Module, folder: Path) -> Card:
        """Calibrate on validation, write weights and card."""
        assert isinstance(network, CanopyNetwork)
        card = Card(
            name=self.recipe.name,
            architecture=network.architecture,
            digest="",
            min_score=dict.fromkeys(COVERS, 0.5),
            calibration={},
            licence="Apache-2.0",
            data=DATA,
            recipe=asdict(self.recipe),
        )
        save(network, card, folder)
        card = replace(card, calibration=calibrate(self.data, folder))
        save(network, card, folder)
        return save(network, replace(card, metrics=measure(self.data, folder, "val")), folder)


def losses(output: Canopy, metres: Tensor, covers: Tensor) -> dict[str, Tensor]:
    """Losses by part.

    Args:
        output: of the network.
        metres: (B, 1, H, W), NaN where unknown.
        covers: uint8 (B, H, W), bits of what a cell may be; 0 where it does not count.
    """
    known = metres.isfinite()
    truth = metres.nan_to_num(0)
    weight = known * torch.where(truth >= LOW_M, 1.0, _LOW_WEIGHT)
    # Heights are laid over to a metre or so: each block may be shifted.
    shifted = []
    for rows in _LEANS:
        for columns in _LEANS:
            there = torch.roll(truth, (rows, columns), (2, 3))
            weights = torch.roll(weight, (rows, columns), (2, 3))
            apart = fn.avg_pool2d((output.metres - there).abs() * weights, _BLOCK)
            shifted.append(apart / fn.avg_pool2d(weights, _BLOCK).clamp(min=1e-3))
    share = fn.avg_pool2d(weight, _BLOCK)
    nearest = torch.stack(shifted).amin(0)
    height = (nearest * share).sum() / share.sum().clamp(min=1e-3)
    # Laplace's density: its spread is the mean absolute error, and heights learn nothing of it.
    spread = output.log_spread.clamp(-4, 4)
    doubt = spread + (output.metres.detach() - truth).abs() / spread.exp()
    logs = output.logits.log_softmax(1)
    allowed = torch.stack([(covers >> bit) & 1 for bit in range(len(COVERS))], 1).bool()
    likely = logs.masked_fill(~allowed, -1e4).logsumexp(1)  # of any that it may be
    told = (covers > 0) & ~allowed.all(1)
    parts = {
        "height": height,
        "spread": (doubt * weight).sum() / weight.sum().clamp(min=1),
        "cover": -(likely * told).sum() / told.sum().clamp(min=1),
    }
    return {name: _PARTS[name] * part for name, part in parts.items()}


def open_task(recipe: Recipe, data: Path, folder: Path) -> VegetationTask:
    """Read the data and set the network up."""
    return VegetationTask(recipe, data)
