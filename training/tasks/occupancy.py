"""The occupancy detector: people and vehicles."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.card import Architecture, Card
from models.checkpoint import save
from models.detectors.occupancy import OccupancyDetector
from models.errors import BadConfiguration
from models.network import Dense, Network
from models.runtime import points
from services.opening import open_redactor
from services.settings import Settings
from training.bar import bar
from training.counts import remeasured
from training.dataset import usable
from training.evaluate import score
from training.labelled import Labelled
from training.loss import loss
from training.occupancy import (
    NAMES,
    draw,
    draw_crowds,
    from_above,
    read_measured,
    read_train,
    redacted,
    sample_of,
    turned,
)
from training.recipe import Recipe
from training.train import freeze, load_imagenet, train_but_statistics
from training.views import crop

RECIPE = Recipe(
    "occupancy",
    epochs=12,
    train_px=480,
    input_px=608,
    frozen_stages=3,
    drawn=80,
    drawn_from=0,
    bf16=True,
    start_share=0.5,
)
DATA = (
    "Streets and traffic cameras (CC BY 4.0), Open Images (CC BY 2.0), freely licensed COCO "
    "pictures, flights over Minsk (CC BY-SA), Containers in Montevideo (stated CC BY 4.0), City of "
    "Amsterdam garbage detection (MIT), Korean waste bags (CC BY 4.0), and drawn streets and "
    "crowds; boxes of people, else of a teacher trained on COCO"
)
_RARE = tuple(NAMES.index(name) for name in ("bicycle", "truck"))  # shown twice as often
_SMALLEST_PX = 20.0  # of an object around which a view is cut


class OccupancyTask:
    """See `training.tasks.Task`."""

    def __init__(self, recipe: Recipe, data: Path, folder: Path) -> None:
        if recipe.without:
            raise BadConfiguration(f"{recipe.name} is trained on all sources: leave out --without")
        self.recipe, self.data = recipe, data
        self.network = Network(Architecture(NAMES, input_px=recipe.input_px))
        load_imagenet(self.network)
        freeze(self.network, recipe.frozen_stages)
        self._at = torch.from_numpy(points(recipe.train_px))
        self._redactor = open_redactor(Settings())
        self._kept = folder.parent / "redacted"
        real = list(usable(bar(read_train(data), "redact"), self._redacted))
        self.real = real + [s for s in real if np.isin(s.labels, _RARE).any()]

    def train_mode(self) -> None:
        """Train mode, but the backbone keeps its ImageNet batch statistics: batches are small."""
        train_but_statistics(self.network)

    def draw(self) -> list[Labelled]:
        """Drawn streets, and half as many crowds."""
        streets = draw(self.recipe.drawn, self.recipe.seed)
        crowds = draw_crowds(self.recipe.drawn // 2, self.recipe.seed)
        return list(usable([*streets, *crowds], self._redacted))

    def batches(
        self, samples: list[Labelled], rng: np.random.Generator
    ) -> Iterator[list[Labelled]]:
        """Batches of views."""
        order, size = rng.permutation(len(samples)), self.recipe.batch
        for start in range(0, len(order) - size + 1, size):
            yield [view(samples[i], self.recipe.train_px, rng) for i in order[start : start + size]]

    def loss(self, output: Dense, batch: list[Labelled]) -> dict[str, Tensor]:
        """Losses by part."""
        samples = [sample_of(one, one.taught, "") for one in batch]
        return loss(output, samples, self._at.to(output.logits.device))

    def finish(self, network: nn.Module, folder: Path) -> Card:
        """Choose thresholds on validation, write weights and card."""
        assert isinstance(network, Network)
        card = Card(
            name=self.recipe.name,
            architecture=network.architecture,
            digest="",
            min_score=dict.fromkeys(NAMES, 0.5),
            calibration={},
            licence="Apache-2.0",
            data=DATA,
            recipe=asdict(self.recipe),
        )
        save(network, card, folder)
        real = read_measured(self.data, "val")
        scored = score(real, self._redactor, OccupancyDetector(folder=folder))
        return save(network, remeasured(card, scored), folder)

    def _redacted(self, sample: Labelled) -> Labelled:
        return redacted(sample, self._redactor, self._kept)


def view(sample: Labelled, side_px: int, rng: np.random.Generator) -> Labelled:
    """A random square of `side_px`: mostly the whole picture, or around an object of some size."""
    if from_above(sample):
        sample = turned(sample, int(rng.integers(4)))
    assert sample.pixels is not None
    height, width = sample.pixels.shape[:2]
    whole = np.array([0, 0, width, height], np.float32)
    pick = rng.random()
    if len(sample.boxes) and pick < (0.9 if from_above(sample) else 0.4):
        kind = rng.choice(np.unique(sample.labels))
        box = sample.boxes[rng.choice(np.flatnonzero(sample.labels == kind))]
        longer = max(*(box[2:] - box[:2]), 1)
        scale = np.exp(rng.uniform(np.log(_SMALLEST_PX), np.log(0.9 * side_px))) / longer
    else:
        box, scale = whole, side_px / max(height, width) * rng.uniform(0.75, 1.25)
    return crop(sample, box, float(scale), side_px, rng)


def open_task(recipe: Recipe, data: Path, folder: Path) -> OccupancyTask:
    """Read and redact the data (a quarter of an hour, once) and set the network up."""
    return OccupancyTask(recipe, data, folder)
