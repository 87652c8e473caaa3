"""What training has in common for the networks that find personal data."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.card import Card
from models.checkpoint import save
from models.errors import BadConfiguration
from models.heatmap import Heat, HeatNetwork
from models.personal import PersonalData
from models.redaction import LABELS
from training.labelled import Labelled
from training.privacy import views
from training.privacy.figures import choose, figures, look
from training.privacy.labels import PLATE, draw, propose_faces, read_labelled
from training.privacy.loss import loss
from training.privacy.places import draw_places, read_land
from training.recipe import Recipe
from training.train import freeze

DATA = (
    "Open Images street pictures (CC BY 2.0, plates CC BY 4.0), Containers in Montevideo (stated "
    "CC BY 4.0), City of Amsterdam garbage detection (MIT), Korean waste bags, streets and traffic "
    "cameras (CC BY 4.0), freely licensed COCO pictures, Autzen and Californian cities from above "
    "(CC BY 4.0), NEON open data, and drawn scenes; faces on them as "
    "CenterFace proposes them. CenterFace itself was trained on WIDER FACE"
)
_MAX_FALSE = {"face": 0.005, "plate": 0.003}  # of the area of empty streets
_PLATES_TIMES = 2
_LOOSE = 0.02  # as low as an evaluation looks
_UNMEASURED = {"head": 0.25, "person": 0.3, "vehicle": 0.3}


class PrivacyTask:
    """See `training.tasks.Task`."""

    def __init__(self, recipe: Recipe, network: HeatNetwork, data: Path, folder: Path) -> None:
        """Read the data; `folder` keeps what is proposed once.

        Raises:
            BadConfiguration: the data is not there, or a source is to be left out.
        """
        if recipe.without:
            raise BadConfiguration(f"{recipe.name} is trained on all sources: leave out --without")
        self.recipe, self.network, self.data = recipe, network, data
        freeze(network, recipe.frozen_stages)
        proposals = propose_faces(data, folder / "faces.json")
        real = [sample.read() for sample in read_labelled(data, proposals)]
        # One picture in four shows a labelled plate, mostly a single one: these come more often.
        plates = [sample for sample in real if (sample.labels == PLATE).any()]
        self._plates = views.cut_plates(plates)
        self.real = real + (_PLATES_TIMES - 1) * plates + list(read_land(data))

    def train_mode(self) -> None:
        """The backbone keeps CenterFace's statistics, and nothing else is normalised."""
        self.network.eval()

    def draw(self) -> list[Labelled]:
        """Drawn streets, and as many places where nobody is."""
        streets = draw(self.recipe.drawn, self.recipe.seed)
        return [*streets, *draw_places(self.recipe.drawn, self.recipe.seed)]

    def batches(
        self, samples: list[Labelled], rng: np.random.Generator
    ) -> Iterator[list[Labelled]]:
        """Batches of views."""
        px = self.recipe.train_px
        return views.batches(samples, self.recipe.batch, px, rng, self._plates)

    def loss(self, output: Heat, batch: list[Labelled]) -> dict[str, Tensor]:
        """Losses by part."""
        return loss(output, batch)

    def finish(self, network: nn.Module, folder: Path) -> Card:
        """Choose the thresholds of faces and plates on validation, write weights and card."""
        assert isinstance(network, HeatNetwork)
        card = Card(
            name=self.recipe.name,
            architecture=network.architecture,
            digest="",
            min_score=dict.fromkeys(LABELS, _LOOSE),
            calibration={},
            licence="Apache-2.0; starts from CenterFace, MIT",
            data=DATA,
            recipe=asdict(self.recipe),
        )
        save(network, card, folder)
        locate = PersonalData(self.recipe.name, folder=folder, min_score=_LOOSE)
        looks = look(self.data, "val", locate)
        card = replace(card, min_score=_UNMEASURED | choose(looks, _MAX_FALSE))
        shipped = {name: card.min_score[name] for name in ("face", "plate")}
        metrics = {
            f"{topic}, {figure}": f"{value:.4f} [{low:.4f}, {high:.4f}], n = {count}"
            for topic, row in figures(looks, shipped).items()
            for figure, (value, low, high, count) in row.items()
        }
        return save(network, replace(card, metrics=metrics), folder)


def stack(batch: Sequence[Labelled]) -> Tensor:
    """The pixels of a batch, uint8 (B, H, W, 3)."""
    pixels = [sample.pixels for sample in batch if sample.pixels is not None]
    return torch.from_numpy(np.stack(pixels))
