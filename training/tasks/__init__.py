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
        real: the real pictures to learn from.
    """

    network: nn.Module
    real: list[Any]

    def train_mode(self) -> None:
        """Put the network in training mode."""

    def draw(self) -> list[Any]:
        """The drawn scenes that join the real pictures."""

    def batches(self, samples: list[Any], rng: np.random.Generator) -> Iterator[list[Any]]:
        """One shuffled pass over samples, augmented, with `pixels` uint8 (H, W, 3) of one size."""

    def loss(self, output: Any, batch: list[Any]) -> dict[str, Tensor]:
        """Losses of a batch by part; their sum is trained."""

    def finish(self, network: nn.Module, folder: Path) -> Card:
        """Choose thresholds on validation; write weights and card to `folder`."""
