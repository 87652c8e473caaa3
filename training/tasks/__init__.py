"""What can be trained: one file each; the file name is the detector's name.

A task module offers `RECIPE` and `open_task(recipe, data, folder) -> Task`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn

from models.card import Card


class Task(Protocol):
    """What is particular to training one detector; `training.train` does the rest.

    Attributes:
        network: where training starts; what must not change has no gradient.
    """

    network: nn.Module

    def train_mode(self) -> None:
        """Put the network in training mode."""

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[list[Any]]:
        """The augmented batches of one epoch."""

    def steps(self, epoch: int) -> int:
        """How many batches an epoch has."""

    def pixels(self, batch: list[Any]) -> Tensor:
        """uint8 (B, H, W, 3): what the network is given."""

    def loss(self, output: Any, batch: list[Any]) -> dict[str, Tensor]:
        """Losses of a batch by part; their sum is trained."""

    def finish(self, network: nn.Module, folder: Path) -> Card:
        """Choose thresholds on validation; write weights and card to `folder`."""
