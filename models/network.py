"""The one network behind every detector: light backbone, feature pyramid, anchor-free head.

An EfficientNet-Lite backbone (arXiv 1905.11946, without squeeze-excite), a feature pyramid
(arXiv 1612.03144) and decoupled anchor-free heads that give per point a score for each class,
the four distances to the box's sides (FCOS, arXiv 1904.01355) and the object's state, and for
the whole image a few probabilities. Pixels go in as uint8 RGB: normalisation is part of the graph,
so that no caller can get it wrong.
"""

from typing import NamedTuple

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as fn
from torchvision.ops import FeaturePyramidNetwork

from models.card import Architecture
from models.reach import register
from models.runtime import STRIDES


class Dense(NamedTuple):
    """Raw output over the A points of all levels, in the order of `points`.

    Attributes:
        logits: (B, A, C) class logits.
        distances: (B, A, 4) left, top, right, bottom ≥ 0, in strides. Kept apart from the point's
            position because bf16 cannot hold a coordinate of 500 px to better than 2 px.
        states: (B, A, S) state logits.
        image: (B, K) logits of the facts about the whole image.
    """

    logits: Tensor
    distances: Tensor
    states: Tensor
    image: Tensor


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    """Depthwise separable 3×3 convolution with batch norm."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class _Head(nn.Module):
    """Head of one level. Levels share no weights: their batch statistics differ."""

    def __init__(self, channels: int, classes: int, states: int) -> None:
        super().__init__()
        self.what = nn.Sequential(_conv(channels, channels), _conv(channels, channels))
        self.where = nn.Sequential(_conv(channels, channels), _conv(channels, channels))
        self.logits = nn.Conv2d(channels, classes, 1)
        self.states = nn.Conv2d(channels, states, 1) if states else None
        self.distances = nn.Conv2d(channels, 4, 1)
        # A prior of 0.01 for every class (arXiv 1708.02002, section 3.3).
        for layer, bias in ((self.logits, -4.6), (self.distances, 1.0)):
            nn.init.normal_(layer.weight, std=0.01)
            assert layer.bias is not None
            nn.init.constant_(layer.bias, bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        what = self.what(features)  # (B, F, h, w)
        logits = self.logits(what).flatten(2).transpose(1, 2)  # (B, h·w, C)
        distances = fn.softplus(self.distances(self.where(features)))
        distances = distances.flatten(2).transpose(1, 2)  # (B, h·w, 4)
        if self.states is None:
            return logits, distances, logits[..., :0]
        return logits, distances, self.states(what).flatten(2).transpose(1, 2)


class Network(nn.Module):
    """uint8 RGB (B, input_px, input_px, 3) → `Dense`."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.backbone = timm.create_model(
            architecture.backbone, features_only=True, out_indices=(2, 3, 4)
        )
        widths = self.backbone.feature_info.channels()
        channels = architecture.channels
        self.pyramid = FeaturePyramidNetwork(widths, channels)
        classes, states = len(architecture.names), len(architecture.state_names)
        self.heads = nn.ModuleList(_Head(channels, classes, states) for _ in STRIDES)
        facts = len(architecture.image_names)
        self.image = (
            nn.Sequential(nn.Dropout(0.3), nn.Linear(widths[-1] + 2 * channels, facts))
            if facts
            else None
        )
        register(self)

    def forward(self, pixels: Tensor) -> Dense:
        """See the class; raw logits, so that losses stay numerically stable."""
        x = pixels.permute(0, 3, 1, 2).float().sub(127.0).div(128.0)  # the backbone's own scaling
        features = self.backbone(x.contiguous(memory_format=torch.channels_last))
        levels = self.pyramid({str(i): f for i, f in enumerate(features)})
        outputs = [head(level) for head, level in zip(self.heads, levels.values(), strict=True)]
        logits, distances, states = (torch.cat(parts, 1) for parts in zip(*outputs, strict=True))
        if self.image is None:
            return Dense(logits, distances, states, logits[:, 0, :0])
        middle = levels["1"]
        pooled = [features[-1].mean((2, 3)), middle.mean((2, 3)), middle.amax((2, 3))]
        return Dense(logits, distances, states, self.image(torch.cat(pooled, 1)))
