"""The network that finds personal data: faces, plates, heads, people and vehicles in one pass."""

from pathlib import Path

from models.card import Architecture
from models.heatmap import HeatNetwork
from models.redaction import LABELS
from training.privacy.start import from_centerface
from training.privacy.task import PrivacyTask
from training.recipe import Recipe

RECIPE = Recipe(
    "privacy",
    epochs=36,
    batch=8,
    learning_rate=1e-3,
    backbone_rate=0.3,
    train_px=320,
    input_px=0,
    frozen_stages=1,
    ema=0.999,
    drawn=32,
    drawn_from=0,
    bf16=True,
)


def open_task(recipe: Recipe, data: Path, folder: Path) -> PrivacyTask:
    """Read the data and set the network up."""
    network = HeatNetwork(
        Architecture(LABELS, input_px=0, backbone="mobilenetv2_100", channels=48, kind="heatmap")
    )
    from_centerface(network)
    return PrivacyTask(recipe, network, data, folder)
