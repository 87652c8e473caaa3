"""The occupancy detector: people and vehicles. It starts as the network that finds personal data.

That one knows people and vehicles already; here vehicles get their kinds.
"""

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.card import Architecture, Card, read_card, read_weights
from models.checkpoint import build, save
from models.detectors.occupancy import OccupancyDetector
from models.errors import BadConfiguration
from models.heatmap import Heat, HeatNetwork
from models.redaction import LABELS
from services.opening import open_redactor
from services.settings import Settings
from training import counts
from training.counts import at_thresholds, stand_for
from training.evaluate import best_threshold, figures, score
from training.heat_loss import loss
from training.labelled import Labelled
from training.occupancy import (
    NAMES,
    draw,
    draw_measured,
    from_above,
    read_measured,
    read_train,
    redacted,
    turned,
)
from training.recipe import Recipe
from training.train import freeze
from training.views import SCALES, crop

RECIPE = Recipe(
    "occupancy",
    epochs=14,
    batch=8,
    learning_rate=1e-3,
    backbone_rate=0.3,
    train_px=320,
    input_px=0,
    frozen_stages=2,
    ema=0.998,
    drawn=80,
    drawn_from=0,
    bf16=True,
)
DATA = (
    "Streets and traffic cameras (CC BY 4.0), Open Images (CC BY 2.0), freely licensed COCO "
    "pictures, flights over Minsk (CC BY-SA), Containers in Montevideo (stated CC BY 4.0), City of "
    "Amsterdam garbage detection (MIT), Korean waste bags (CC BY 4.0), and drawn streets; boxes of "
    "people, else of a teacher trained on COCO"
)
_SHARES = (0.2, 0.1, 0.2, 0.15, 0.15, 0.2)  # of the classes in a loss
_MEASURED = 60  # drawn streets that show, beside real pictures, how counts err
_SMALLEST_PX = 10.0  # of an object around which a view is cut


class OccupancyTask:
    """See `training.tasks.Task`."""

    def __init__(self, recipe: Recipe, data: Path, folder: Path) -> None:
        if recipe.without:
            raise BadConfiguration(f"{recipe.name} is trained on all sources: leave out --without")
        self.recipe, self.data = recipe, data
        self.network = HeatNetwork(
            Architecture(NAMES, input_px=0, backbone="mobilenetv2_100", channels=48, kind="heatmap")
        )
        _from_privacy(self.network)
        freeze(self.network, recipe.frozen_stages)
        self._redactor = open_redactor(Settings())
        self._kept = folder.parent / "redacted"
        self.real = [self._redacted(sample) for sample in read_train(data)]

    def train_mode(self) -> None:
        """The backbone keeps its statistics, and nothing else is normalised."""
        self.network.eval()

    def draw(self) -> list[Labelled]:
        """Drawn streets."""
        return list(draw(self.recipe.drawn, self.recipe.seed))

    def batches(
        self, samples: list[Labelled], rng: np.random.Generator
    ) -> Iterator[list[Labelled]]:
        """Batches of views."""
        order, size = rng.permutation(len(samples)), self.recipe.batch
        for start in range(0, len(order) - size + 1, size):
            yield [view(samples[i], self.recipe.train_px, rng) for i in order[start : start + size]]

    def loss(self, output: Heat, batch: list[Labelled]) -> dict[str, Tensor]:
        """Losses by part."""
        return loss(output, batch, _SHARES)

    def finish(self, network: nn.Module, folder: Path) -> Card:
        """Choose thresholds on validation, write weights and card."""
        assert isinstance(network, HeatNetwork)
        card = Card(
            name=self.recipe.name,
            architecture=network.architecture,
            digest="",
            min_score=dict.fromkeys(NAMES, 0.5),
            calibration={},
            licence="Apache-2.0; starts from CenterFace, MIT",
            data=DATA,
            recipe=asdict(self.recipe),
        )
        save(network, card, folder)
        real, drawn = (
            read_measured(self.data, "val"),
            draw_measured(_MEASURED, self.recipe.seed + 1),
        )
        detector = OccupancyDetector(folder=folder)
        scored = score([*real, *drawn], self._redactor, detector)
        best = {n: best_threshold(scored[: len(real)], i) for i, n in enumerate(NAMES)}
        card = replace(card, min_score=best)
        sure = [at_thresholds(image, card) for image in scored]
        card = save(network, replace(card, calibration=stand_for(sure, NAMES)), folder)
        detector = OccupancyDetector(folder=folder)
        scored = score(real, self._redactor, detector)
        sure = [at_thresholds(image, card) for image in scored]
        table = figures(scored, NAMES, (), best) | counts.figures(sure, NAMES)
        metrics = {
            f"{figure}, validation {group}": f"{value:.3f} [{low:.3f}, {high:.3f}], n = {count}"
            for group, row in table.items()
            for figure, (value, low, high, count) in row.items()
        }
        return save(network, replace(card, metrics=metrics), folder)

    def _redacted(self, sample: Labelled) -> Labelled:
        return redacted(sample, self._redactor, self._kept)


def view(sample: Labelled, side_px: int, rng: np.random.Generator) -> Labelled:
    """A random square of `side_px` around an object of a kind drawn first, or anywhere."""
    if from_above(sample):
        sample = turned(sample, int(rng.integers(4)))
    assert sample.pixels is not None
    height, width = sample.pixels.shape[:2]
    if len(sample.boxes) and rng.random() < 0.85:
        kind = rng.choice(np.unique(sample.labels))
        box = sample.boxes[rng.choice(np.flatnonzero(sample.labels == kind))]
        longer = max(*(box[2:] - box[:2]), 1)
        scale = np.exp(rng.uniform(np.log(_SMALLEST_PX), np.log(0.9 * side_px))) / longer
    else:
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        box = np.array([x, y, x, y], np.float32)
        scale = np.exp(rng.uniform(*np.log(SCALES)))
    return crop(sample, box, float(scale), side_px, rng)


@torch.no_grad()
def _from_privacy(network: HeatNetwork) -> None:
    """Start as the network that finds personal data: people as people, all else as vehicles."""
    card = read_card("privacy")
    known = build(card, read_weights(card)).state_dict()
    rows = torch.tensor([LABELS.index("person" if n == "person" else "vehicle") for n in NAMES])
    pairs = torch.stack([2 * rows, 2 * rows + 1], 1).flatten()
    for head, taken in (("logits", rows), ("log_sizes", pairs), ("offsets", pairs)):
        for part in ("weight", "bias"):
            known[f"{head}.{part}"] = known[f"{head}.{part}"][taken]
    network.load_state_dict(known)


def open_task(recipe: Recipe, data: Path, folder: Path) -> OccupancyTask:
    """Read and redact the data (a quarter of an hour, once) and set the network up."""
    return OccupancyTask(recipe, data, folder)
