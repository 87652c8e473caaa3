"""Weights are a record: a model card says what the safetensors file beside it is.

The card is Markdown with YAML front matter, so that one file serves people and programs. It holds
the architecture, the digest of the weights, licence, data, recipe and measured figures.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from safetensors.numpy import load

from models.errors import BadWeights

SHIPPED = Path(__file__).parent / "weights"


@dataclass(frozen=True, slots=True)
class Architecture:
    """All it takes to rebuild a network.

    Attributes:
        names: object classes.
        state_names: states of an object; empty where the task has none.
        image_names: independent yes/no facts about the whole image.
        input_px: side of the square input; 0 where any size will do.
        backbone: a timm model name.
        channels: width of the pyramid and the heads.
        kind: points (`models.network`), heatmap (`models.heatmap`), patch (`models.patch`) or
            canopy (`models.canopy`).
    """

    names: tuple[str, ...]
    state_names: tuple[str, ...] = ()
    image_names: tuple[str, ...] = ()
    input_px: int = 512
    backbone: str = "tf_efficientnet_lite0"
    channels: int = 96
    kind: Literal["points", "heatmap", "patch", "canopy"] = "points"

    @property
    def any_size(self) -> bool:
        """Whether it may be shown any picture, sides multiples of 32 px: nothing in it pools."""
        return self.kind in ("points", "heatmap") and not self.image_names

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Architecture":
        """Inverse of `to_dict`."""
        plain: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()
        }
        return cls(**plain)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a model card."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Card:
    """What a weights file is.

    Attributes:
        name: the detector's name.
        architecture: how to rebuild the network.
        digest: sha256 of the safetensors file.
        min_score: class name → score from which a detection counts, and image fact → probability
            from which it is said to hold, chosen on validation.
        calibration: image fact → (slope, offset) on its logit (Platt 1999); `state` → slope on the
            logits of states (Guo et al., 2017); kind of find → number and variance of what it
            stands for, and of what is there beside all finds (`models.counting`); fitted on
            validation.
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


def read_card(name: str, folder: Path = SHIPPED) -> Card:
    """The card of `name` in `folder`.

    Raises:
        BadWeights: no card, or one that cannot be read.
    """
    path = folder / f"{name}.md"
    try:
        front = yaml.safe_load(path.read_text(encoding="utf-8").split("---\n", 2)[1])
        if not all(0 <= score <= 1 for score in front["min_score"].values()):  # nor NaN
            raise BadWeights(f"{path.name}: min_score outside [0, 1] would find nothing")
        return Card(
            **front
            | {
                "architecture": Architecture.from_dict(front["architecture"]),
                "calibration": {k: (v[0], v[1]) for k, v in front["calibration"].items()},
            }
        )
    except (OSError, IndexError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
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


def reaches(weights: bytes) -> dict[str, float]:
    """Name of a convolution's weight → reach of its input (`models.reach`) in a safetensors file.

    Empty unless all are known.
    """
    found = {
        name.removesuffix("reach") + "weight": float(value)
        for name, value in load(weights).items()
        if name.endswith(".reach")
    }
    return found if all(found.values()) else {}
