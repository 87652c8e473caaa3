"""The look of parking stalls: free or taken."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as fn

from models.card import Architecture, Card
from models.checkpoint import save
from models.patch import PatchNetwork
from models.stalls import PATCH_PX, Outline, Stalls, rectified
from services.opening import open_redactor
from services.settings import Settings
from training.bar import bar
from training.dataset import relight, usable
from training.evaluate import calibration_error
from training.fitted import platt
from training.occupancy import redacted_pixels
from training.recipe import Recipe
from training.stalls import Lot, draw_lots, find_elsewhere, read_lot

RECIPE = Recipe(
    "stalls",
    epochs=8,
    batch=64,
    learning_rate=2e-3,
    backbone_rate=1.0,
    train_px=PATCH_PX,
    input_px=PATCH_PX,
    frozen_stages=0,
    ema=0.99,
    drawn=120,
    drawn_from=0,
)
DATA = (
    "PKLot, one car park (CC BY 4.0); streets and traffic cameras (CC BY 4.0), Open Images (CC BY "
    "2.0), freely licensed COCO pictures, Containers in Montevideo (stated CC BY 4.0), City of "
    "Amsterdam garbage detection (MIT), and drawn streets and car parks"
)
LOT = "lot_a"
CALIBRATED_ON = ("2013-03-09", "2013-03-10")  # days of the training split, kept from training
_JITTER = 0.07  # of a stall's size, by which outlines are drawn wrongly


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A stall in its picture, or, as a view, the patch that was cut out."""

    pixels: NDArray[np.uint8]
    outline: Outline
    taken: bool


class StallTask:
    """See `training.tasks.Task`."""

    def __init__(self, recipe: Recipe, data: Path, folder: Path) -> None:
        self.recipe, self.data = recipe, data
        self._redactor, self._kept = open_redactor(Settings()), folder.parent / "redacted"
        self.network = PatchNetwork(
            Architecture(("occupied",), input_px=PATCH_PX, backbone="", channels=16, kind="patch")
        )
        paths, stalls = read_lot(data, "train")
        spared = [s for s in stalls if s.captured.startswith(CALIBRATED_ON)]
        self._spared = self._patches((paths, spared))
        learnt = [s for s in stalls if not s.captured.startswith(CALIBRATED_ON)]
        rng = np.random.default_rng(recipe.seed)
        self.real = self._patches(find_elsewhere(data, rng))
        if LOT not in recipe.without:
            self.real += self._patches((paths, learnt))

    def _patches(self, lot: Lot) -> list[Patch]:
        paths, stalls = lot
        shown = bar({stall.picture for stall in stalls}, "redact")
        seen = dict(usable(shown, lambda i: (i, self._redacted(paths[i]))))
        return [Patch(seen[s.picture], s.outline, s.taken) for s in stalls if s.picture in seen]

    def _redacted(self, path: Path) -> NDArray[np.uint8]:
        return redacted_pixels(path, self._redactor, self._kept)

    def train_mode(self) -> None:
        """All of it learns."""
        self.network.train()

    def draw(self) -> list[Patch]:
        """Stalls of drawn streets and car parks."""
        return [
            Patch(pixels, stall.outline, stall.taken)
            for pixels, stalls in draw_lots(self.recipe.drawn, self.recipe.seed)
            for stall in stalls
        ]

    def batches(self, samples: list[Patch], rng: np.random.Generator) -> Iterator[list[Patch]]:
        """Batches of patches, as many taken as free."""
        taken = np.array([sample.taken for sample in samples])
        kinds = np.flatnonzero(taken), np.flatnonzero(~taken)
        for _ in range(len(samples) // self.recipe.batch):
            order = np.concatenate([rng.choice(kind, self.recipe.batch // 2) for kind in kinds])
            yield [view(samples[i], rng) for i in order]

    def loss(self, output: Tensor, batch: list[Patch]) -> dict[str, Tensor]:
        """Cross-entropy, with a little doubt about labels."""
        truth = output.new_tensor([[0.98 if sample.taken else 0.02] for sample in batch])
        return {"taken": fn.binary_cross_entropy_with_logits(output, truth)}

    def finish(self, network: nn.Module, folder: Path) -> Card:
        """Calibrate on days that training did not see, write weights and card."""
        assert isinstance(network, PatchNetwork)
        card = Card(
            name=self.recipe.name,
            architecture=network.architecture,
            digest="",
            min_score={"occupied": 0.5},
            calibration={},
            licence="Apache-2.0",
            data=DATA,
            recipe=asdict(self.recipe),
        )
        save(network, card, folder)
        said, truth = self._said(self._spared, folder)
        if LOT not in self.recipe.without:
            logits = np.log(said / (1 - said))
            card = replace(card, calibration={"occupied": platt(logits, truth)})
            save(network, card, folder)
        measured = self._patches(read_lot(self.data, "val"))
        said, truth = self._said(measured, folder)
        metrics = {
            "balanced accuracy, validation": f"{balanced_accuracy_score(truth, said >= 0.5):.4f}",
            "AUC, validation": f"{roc_auc_score(truth, said):.4f}",
            "ECE, validation": f"{calibration_error(truth, said):.4f}",
            "stalls, taken of all": f"{int(truth.sum())} of {len(truth)}",
        }
        return save(network, replace(card, metrics=metrics), folder)

    def _said(
        self, patches: list[Patch], folder: Path
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        look = Stalls(self.recipe.name, folder=folder)
        said = [look(patch.pixels, [patch.outline])[0] for patch in patches]
        truth = np.array([patch.taken for patch in patches], bool)
        return np.clip(np.array(said, np.float64), 1e-6, 1 - 1e-6), truth


def view(patch: Patch, rng: np.random.Generator) -> Patch:
    """The stall rectified by an outline that is a little off, in any direction and light."""
    size = patch.outline.max(0) - patch.outline.min(0)
    outline = patch.outline + rng.normal(0, _JITTER, (4, 2)) * size
    seen = rectified(patch.pixels, outline.astype(np.float32), float(rng.uniform(0.05, 0.2)))
    if rng.random() < 0.5:
        seen = seen[:, ::-1]
    if rng.random() < 0.2:
        seen = np.rot90(seen, int(rng.integers(4)))
    return Patch(relight(np.ascontiguousarray(seen), rng), patch.outline, patch.taken)


def open_task(recipe: Recipe, data: Path, folder: Path) -> StallTask:
    """Read and redact the data and set the network up."""
    return StallTask(recipe, data, folder)
