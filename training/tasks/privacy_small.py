"""A small network that finds personal data, in a third of the time. `privacy` teaches it."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models.backends import best_backend, runner
from models.card import SHIPPED, Architecture, Card, read_card, read_weights
from models.checkpoint import build
from models.heatmap import FUSED, Heat, HeatNetwork
from models.redaction import LABELS
from training.eight_bit import measure
from training.labelled import Labelled
from training.privacy.distil import distilled, first_stages, imitate, inherit
from training.privacy.task import PrivacyTask, stack
from training.recipe import Recipe
from training.tasks import privacy

_MEASURED = 32  # batches that say how far the inputs of layers reach
_LESSONS = 2.0  # weight of what the teacher says beside the labels

RECIPE = replace(
    privacy.RECIPE, name="privacy_small", epochs=60, backbone_rate=0.5, frozen_stages=0
)


class Student(PrivacyTask):
    """Learns from the labels and from the network that ships."""

    def __init__(self, recipe: Recipe, data: Path, folder: Path) -> None:
        architecture = Architecture(LABELS, input_px=0, backbone=FUSED, channels=48, kind="heatmap")
        torch.manual_seed(recipe.seed)
        super().__init__(recipe, HeatNetwork(architecture), data, folder)
        card = read_card("privacy")
        teacher = build(card, read_weights(card))
        assert isinstance(teacher, HeatNetwork)
        inherit(self.network, teacher)
        self.train_mode()
        imitated = folder / "first_stages.safetensors"
        if imitated.exists():
            self.network.load_state_dict(load_file(imitated))
        elif not recipe.start:  # weights to go on from know this already
            imitate(self.network, teacher.requires_grad_(requires_grad=False), self._views())
            save_file(self.network.state_dict(), imitated)
        # A fourth of the time that torch takes on a CPU.
        self._taught = runner(card, SHIPPED, folder, best_backend(), "bf16")

    def train_mode(self) -> None:
        """Only what the teacher does not have is normalised by its own statistics."""
        super().train_mode()
        for module in first_stages(self.network):
            module.train()

    def loss(self, output: Heat, batch: list[Labelled]) -> dict[str, Tensor]:
        """Losses by part."""
        # The teacher never saw covers: what it makes of them is no lesson.
        asked = torch.tensor([not sample.covered for sample in batch])
        views = [self._taught(pixels[None]) for pixels in stack(batch).numpy()]
        parts = [torch.from_numpy(np.concatenate(part)) for part in zip(*views, strict=True)]
        taught = Heat(*(part.to(output.logits.device) for part in parts))
        lessons = distilled(output, taught, asked)
        return super().loss(output, batch) | {n: _LESSONS * part for n, part in lessons.items()}

    def finish(self, network: nn.Module, folder: Path) -> Card:
        """Measure how far inputs reach, for eight bits; then as for every privacy network."""
        measure(network, islice(self._views(), _MEASURED))
        return super().finish(network, folder)

    def _views(self) -> Iterator[Tensor]:
        for i in count():
            rng = np.random.default_rng((self.recipe.seed, i))
            yield from map(stack, self.batches(self.real, rng))


def open_task(recipe: Recipe, data: Path, folder: Path) -> Student:
    """Read the data, set the network up, and teach it its first stages (four minutes)."""
    return Student(recipe, data, folder)
