"""The waste detector: containers with their state, waste, and whether a picture is dirty."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.card import Architecture, Card
from models.checkpoint import save
from models.errors import BadConfiguration
from models.network import Dense, Network
from models.runtime import Runtime, points
from services.opening import open_redactor
from services.settings import Settings
from training import attention
from training.dataset import (
    WASTE_BAD,
    WASTE_FACTS,
    WASTE_NAMES,
    WASTE_STATES,
    Sample,
    batches,
    draw_waste,
    read_waste,
    usable,
)
from training.evaluate import (
    best_threshold,
    facts_of,
    figures,
    score,
    states_of,
    told,
)
from training.fitted import balanced_threshold, platt, temperature
from training.loss import loss
from training.paste import cut_outs, paste
from training.recipe import Recipe
from training.train import freeze, load_imagenet, train_but_statistics

RECIPE = Recipe("waste", frozen_stages=3, drawn=400, start_share=0.5)
DATA = (
    "Containers in Montevideo (stated CC BY 4.0), City of Amsterdam garbage detection "
    "(MIT), Korean waste bags (CC BY 4.0), and drawn scenes"
)
_PASTED = 0.4  # of the pictures


class WasteTask:
    """See `training.tasks.Task`."""

    def __init__(self, recipe: Recipe, data: Path) -> None:
        self.recipe, self.data = recipe, data
        sources = {sample.source for sample in read_waste(data, "train")}
        if unknown := set(recipe.without) - sources:
            raise BadConfiguration(
                f"no source {', '.join(sorted(unknown))} in {data}: there are {sorted(sources)}"
            )
        # What the detector gets is redacted: it must know covers, and training needs no faces.
        self._redactor = open_redactor(Settings())
        self.real = list(usable(self._read("train"), self._redacted))
        self._pieces = cut_outs(self.real)
        self.network = Network(
            Architecture(WASTE_NAMES, WASTE_STATES, WASTE_FACTS, input_px=recipe.input_px)
        )
        load_imagenet(self.network)
        freeze(self.network, recipe.frozen_stages)
        self._at = torch.from_numpy(points(recipe.train_px))

    def train_mode(self) -> None:
        """Train mode, but the backbone keeps its ImageNet batch statistics: batches are small."""
        train_but_statistics(self.network)

    def draw(self) -> list[Sample]:
        """Drawn streets."""
        drawn = draw_waste(self.recipe.drawn, self.recipe.seed)
        return list(usable(drawn, self._redacted))

    def batches(self, samples: list[Sample], rng: np.random.Generator) -> Iterator[list[Sample]]:
        """Augmented batches; on some pictures more waste lies than was there."""
        some = [paste(s, self._pieces, rng) if rng.random() < _PASTED else s for s in samples]
        return batches(some, self.recipe.batch, self.recipe.train_px, rng)

    def loss(self, output: Dense, batch: list[Sample]) -> dict[str, Tensor]:
        """Losses by part."""
        return loss(output, batch, self._at.to(output.logits.device))

    def finish(self, network: nn.Module, folder: Path) -> Card:
        """Choose thresholds and calibration on the validation split, write weights and card."""
        assert isinstance(network, Network)
        architecture = network.architecture
        card = Card(
            name=self.recipe.name,
            architecture=architecture,
            digest="",
            min_score=dict.fromkeys(architecture.names, 0.5),
            calibration={},
            licence="Apache-2.0",
            data=DATA,
            recipe=asdict(self.recipe),
        )
        save(network, card, folder)
        samples = self._read("val")
        scored = score(samples, self._redactor, Runtime(self.recipe.name, folder=folder))
        calibration, cuts = {"state": (temperature(*states_of(scored)), 0.0)}, {}
        for index, fact in enumerate(architecture.image_names):
            p, truth = facts_of(scored, fact, index)
            p = np.clip(p, 1e-6, 1 - 1e-6)
            slope, offset = platt(np.log(p / (1 - p)), truth)
            calibration[fact] = slope, offset
            said = 1 / (1 + np.exp(-slope * np.log(p / (1 - p)) - offset))
            cuts[fact] = balanced_threshold(said, truth)
        best = {n: best_threshold(scored, i) for i, n in enumerate(architecture.names)}
        card = replace(card, min_score=best | cuts, calibration=calibration)
        save(network, card, folder)
        scored = score(samples, self._redactor, Runtime(self.recipe.name, folder=folder))
        bad = [architecture.state_names.index(name) for name in WASTE_BAD]
        table = figures(scored, architecture.names, architecture.image_names, card.min_score, bad)
        published = attention.figures(scored, card, fitted=True)
        table = {group: row | published[group] for group, row in table.items()}
        return save(network, replace(card, metrics=told(table)), folder)

    def _read(self, split: str) -> list[Sample]:
        return [s for s in read_waste(self.data, split) if s.source not in self.recipe.without]

    def _redacted(self, sample: Sample) -> Sample:
        return sample.redacted(self._redactor, self.recipe.input_px * 5 // 4)


def open_task(recipe: Recipe, data: Path, folder: Path) -> WasteTask:
    """Read the data and set the network up."""
    return WasteTask(recipe, data)
