"""How much torchvision's SSDLite-320 finds after so many epochs on our data, and how fast.

`python -m benchmarks.ssdlite EPOCHS FOLDER [WEIGHTS]`: trains it on the pictures, views and steps
of `training.tasks.occupancy`, and measures it on validation beside ours, which are the shipped ones
or lie in WEIGHTS. FOLDER keeps the state: killed and run again, it goes on. `FOLDER/../redacted` is
used as by `vigie train`.

SSDLite-320 MobileNetV3 (arXiv 1801.04381, 1905.02244) begins from nothing, because no weights of
its backbone are to be had; ours began from ImageNet. So this tells what either gives on this data,
not which is the better architecture.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

from benchmarks.bench_inference import picture
from benchmarks.pictures import DATA
from benchmarks.record import milliseconds, record, tell
from models.card import SHIPPED
from models.detections import Detections
from models.detectors.occupancy import OccupancyDetector
from models.runtime import Runtime, letterbox
from services.opening import open_redactor
from services.settings import Settings
from training.evaluate import Finder, figures, score
from training.labelled import Labelled
from training.occupancy import NAMES, read_measured
from training.recipe import Recipe
from training.tasks.occupancy import RECIPE, OccupancyTask
from training.train import train

SIDE_PX = 320  # of its own input
NEVER = -1e4  # logit of a class that is not asked


class Ssdlite(nn.Module):
    """uint8 RGB (B, 320, 320, 3) → what its heads say, and the anchors (A, 4) they say it of."""

    def __init__(self) -> None:
        super().__init__()
        self.ssd = ssdlite320_mobilenet_v3_large(
            weights=None, weights_backbone=None, num_classes=1 + len(NAMES)
        )

    def forward(self, pixels: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        scaled = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
        features = list(self.ssd.backbone(scaled).values())
        sizes = [(SIDE_PX, SIDE_PX)] * len(pixels)
        anchors = self.ssd.anchor_generator(ImageList(scaled, sizes), features)
        return self.ssd.head(features), anchors[0]

    def detect(self, pixels: NDArray[np.uint8], min_score: float | None = None) -> Detections:
        """As `OccupancyDetector.detect`; letterboxed, as the views it learned from."""
        square, scale = letterbox(pixels, SIDE_PX)
        with torch.inference_mode():
            (found,) = self.ssd([torch.from_numpy(square).permute(2, 0, 1).float() / 255])
        boxes, scores, labels = (found[key].numpy() for key in ("boxes", "scores", "labels"))
        size_hw = pixels.shape[0], pixels.shape[1]
        boxes = np.clip(boxes / scale, 0, np.array(size_hw[::-1] * 2, np.float32))
        keep = (scores >= (min_score or 0)) & ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(1)
        kept = boxes[keep].astype(np.float32), scores[keep], labels[keep] - 1
        return Detections(*kept, NAMES, size_hw)


class Peer:
    """A `training.tasks.Task`: the pictures, views and steps of ours for the other network."""

    def __init__(self, recipe: Recipe, data: Path, folder: Path) -> None:
        ours = OccupancyTask(recipe, data, folder)
        self.real, self.draw, self.batches = ours.real, ours.draw, ours.batches
        self.finish = ours.finish
        torch.manual_seed(recipe.seed)
        peer = Ssdlite()
        self.network: nn.Module = peer
        self._ssd = peer.ssd

    def train_mode(self) -> None:
        self.network.train()

    def loss(
        self, output: tuple[dict[str, Tensor], Tensor], batch: list[Labelled]
    ) -> dict[str, Tensor]:
        """Its own losses."""
        said, anchors = output
        ssd = self._ssd
        targets = [
            {"boxes": torch.from_numpy(s.boxes), "labels": torch.from_numpy(s.labels) + 1}
            for s in batch
        ]
        matched = [
            ssd.proposal_matcher(box_iou(target["boxes"], anchors))
            if len(target["boxes"])
            else torch.full((len(anchors),), -1)
            for target in targets
        ]
        silent = torch.stack(
            [not_asked(s, anchors, m) for s, m in zip(batch, matched, strict=True)]
        )
        said["cls_logits"] = said["cls_logits"].masked_fill(silent, NEVER)
        losses: dict[str, Tensor] = ssd.compute_loss(targets, said, [anchors] * len(batch), matched)
        return losses


def not_asked(sample: Labelled, anchors: Tensor, matched: Tensor) -> Tensor:
    """Classes (A, 1 + C) that teach nothing at an anchor: as in our own loss, not as background."""
    silent = torch.zeros(len(anchors), 1 + len(NAMES), dtype=torch.bool)
    silent[:, 1:] = ~torch.from_numpy(sample.taught)
    middle = (anchors[:, :2] + anchors[:, 2:]) / 2
    ignored = torch.from_numpy(sample.ignored)
    for label, box in zip(sample.ignored_labels.tolist(), ignored, strict=True):
        silent[((middle >= box[:2]) & (middle < box[2:])).all(1), 1 + label] = True
    learns = matched >= 0
    silent[learns, 1 + torch.from_numpy(sample.labels)[matched[learns]]] = False
    return silent


def measured(finder: Finder) -> dict[str, float]:
    """AP50 of each class on validation, and their mean; milliseconds of a 1280×960 picture."""
    scored = score(read_measured(DATA, "val"), open_redactor(Settings()), finder)
    rows = figures(scored, NAMES, (), {})["all"]
    aps = {name: round(figure[0], 3) for name, figure in rows.items()}
    pixels = picture()
    took = milliseconds(lambda: finder.detect(pixels))
    return aps | {"mean AP50": float(np.mean(list(aps.values()))), "ms": round(took, 1)}


def main() -> None:
    epochs, folder = int(sys.argv[1]), Path(sys.argv[2])
    weights = Path(sys.argv[3]) if len(sys.argv) > 3 else SHIPPED
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    recipe = replace(
        RECIPE, epochs=epochs, train_px=SIDE_PX, backbone_rate=1.0, frozen_stages=0, bf16=False
    )
    task = Peer(recipe, DATA, folder)
    peer = train(task, recipe, folder, progress=print)
    assert isinstance(peer, Ssdlite)
    # Averages of batch statistics that began at one are not those of averaged weights (1803.05407).
    views = task.batches(task.real, np.random.default_rng(recipe.seed))
    update_bn((torch.from_numpy(np.stack([np.asarray(v.pixels) for v in b])) for b in views), peer)
    peer.eval()
    cache = Path(tempfile.mkdtemp())
    detector = OccupancyDetector(folder=weights, cache=cache, precision="bf16")
    one_look = Runtime("occupancy", folder=weights, cache=cache, precision="bf16")
    theirs, ours = measured(peer), measured(detector)
    details = {
        "SSDLite-320": theirs,
        f"ours, {detector.card.model}": ours,
        "ours, one look at the picture reduced": measured(one_look),
    }
    # The table shows no details: what is unlike must be in its words.
    what = "people and vehicles on validation, mean AP50, from ImageNet"
    name = f"SSDLite-320, {epochs} epochs from nothing"
    record("ssdlite", ours["mean AP50"], "AP50", name, theirs["mean AP50"], what, details)
    tell(details)


if __name__ == "__main__":
    main()
