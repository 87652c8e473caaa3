"""Weights are a record: safetensors beside a model card that says what they are.

The card is Markdown with YAML front matter, so that one file serves people and programs. It holds
the architecture, the digest of the weights, licence, data, recipe and measured figures.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from models.errors import BadWeights
from models.network import Architecture, Network

SHIPPED = Path(__file__).parent / "weights"


@dataclass(frozen=True, slots=True)
class Card:
    """What a weights file is.

    Attributes:
        name: the detector's name.
        architecture: how to rebuild the network.
        digest: sha256 of the safetensors file.
        min_score: class name → score from which a detection counts, chosen on validation.
        calibration: image fact → (slope, offset) on its logit, fitted on validation (Platt 1999).
        licence, data, recipe, metrics: provenance and measured figures, as plain values.
    """

    name: str
    architecture: Architecture
    digest: str
    min_score: Mapping[str, float]
    calibration: Mapping[str, tuple[float, float]]
    licence: str
    data: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> str:
        """`name@digest`: what observations and events carry.

        The digest covers the thresholds and the calibration too: they change what is said.
        """
        calibration = {name: list(pair) for name, pair in self.calibration.items()}
        decides = json.dumps([self.digest, dict(self.min_score), calibration], sort_keys=True)
        return f"{self.name}@{hashlib.sha256(decides.encode()).hexdigest()[:12]}"


def save(network: Network, card: Card, folder: Path) -> Card:
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


def read_card(name: str, folder: Path = SHIPPED) -> Card:
    """The card of `name` in `folder`.

    Raises:
        BadWeights: no card, or one that cannot be read.
    """
    path = folder / f"{name}.md"
    try:
        front = yaml.safe_load(path.read_text(encoding="utf-8").split("---\n", 2)[1])
        return Card(
            **front
            | {
                "architecture": Architecture.from_dict(front["architecture"]),
                "calibration": {k: (v[0], v[1]) for k, v in front["calibration"].items()},
            }
        )
    except (OSError, IndexError, KeyError, TypeError, yaml.YAMLError) as error:
        raise BadWeights(
            f"no readable model card {path.name}: train it with `vigie train {name}`"
        ) from error


def read_weights(card: Card, folder: Path = SHIPPED) -> bytes:
    """The safetensors file that `card` describes.

    Raises:
        BadWeights: it is missing, or another file.
    """
    try:
        data = (folder / f"{card.name}.safetensors").read_bytes()
    except OSError as error:
        raise BadWeights(f"{card.name}.safetensors is missing beside its card") from error
    if hashlib.sha256(data).hexdigest() != card.digest:
        raise BadWeights(f"{card.name}.safetensors is not the file that its card describes")
    return data


def build(card: Card, weights: bytes) -> Network:
    """The network of a card with its weights, in evaluation mode.

    Raises:
        BadWeights: the weights do not fit the architecture.
    """
    network = Network(card.architecture)
    tensors: dict[str, Tensor] = {k: v.float() for k, v in load_tensors(weights).items()}
    missing, foreign = network.load_state_dict(tensors, strict=False)
    if foreign or any(not name.endswith("num_batches_tracked") for name in missing):
        raise BadWeights(f"{card.name}.safetensors does not fit the architecture in its card")
    return network.eval().to(memory_format=torch.channels_last)
