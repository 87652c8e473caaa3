"""Networks to files and back: safetensors, never pickles."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import yaml
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from models.canopy import CanopyNetwork
from models.card import Architecture, Card, read_card
from models.errors import BadWeights
from models.heatmap import HeatNetwork
from models.network import Network
from models.patch import PatchNetwork

AnyNetwork = Network | HeatNetwork | PatchNetwork | CanopyNetwork
_KINDS: Mapping[str, Callable[[Architecture], AnyNetwork]] = {
    "points": Network,
    "heatmap": HeatNetwork,
    "patch": PatchNetwork,
    "canopy": CanopyNetwork,
}


def save(network: AnyNetwork, card: Card, folder: Path) -> Card:
    """Write `<name>.safetensors` and `<name>.md` to `folder`; gives the card with its digest.

    Convolutions are stored in float16 (their rounding is far below the noise of training);
    biases and batch statistics stay in float32, whose range they need.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: (tensor.half() if tensor.ndim > 1 else tensor).contiguous()
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    data = save_tensors(tensors)
    (folder / f"{card.name}.safetensors").write_bytes(data)
    front = {
        "name": card.name,
        "architecture": card.architecture.to_dict(),
        "digest": hashlib.sha256(data).hexdigest(),
        "min_score": dict(card.min_score),
        "calibration": {k: list(v) for k, v in card.calibration.items()},
        "licence": card.licence,
        "data": card.data,
        "recipe": dict(card.recipe),
        "metrics": dict(card.metrics),
    }
    text = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=100)
    rows = "".join(f"| {name} | {value} |\n" for name, value in card.metrics.items())
    (folder / f"{card.name}.md").write_text(
        f"---\n{text}---\n\n# {card.name}\n\nFinds {', '.join(card.architecture.names)}. "
        f"Trained on: {card.data}\n\n| figure | value |\n|---|---|\n{rows}",
        encoding="utf-8",
    )
    return read_card(card.name, folder)


def build(card: Card, weights: bytes) -> AnyNetwork:
    """The network of a card with its weights, in evaluation mode.

    Raises:
        BadWeights: the weights do not fit the architecture.
    """
    network = _KINDS[card.architecture.kind](card.architecture)
    tensors: dict[str, Tensor] = {k: v.float() for k, v in load_tensors(weights).items()}
    missing, foreign = network.load_state_dict(tensors, strict=False)
    if foreign or any(not name.endswith(("num_batches_tracked", ".reach")) for name in missing):
        raise BadWeights(f"{card.name}.safetensors does not fit the architecture in its card")
    return network.eval().to(memory_format=torch.channels_last)
