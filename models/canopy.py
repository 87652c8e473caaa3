"""The network that tells vegetation and its height from straight above.

An EfficientNet-Lite backbone (arXiv 1905.11946, without squeeze-excite) and a decoder that joins
its levels again up to half the grid of heights (U-Net, arXiv 1505.04597). Pixels go in as uint8
RGB: normalisation is part of the graph, so that no caller can get it wrong.
"""

from typing import NamedTuple

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from models.card import Architecture

CELL_MULTIPLE = 32
"""Sides of pictures are multiples of it, in cells."""

_UNIT_M = 8.0  # what the network counts heights in: about the spread of those of trees
_WIDTHS = (24, 32, 48, 64)  # of the decoder, from fine to coarse


class Canopy(NamedTuple):
    """Raw output, cell by cell.

    Attributes:
        logits: (B, C, H, W) of what covers the ground.
        metres: (B, 1, H, W) ≥ 0, above ground: the median of what it may be.
        log_spread: (B, 1, H, W) natural logarithm of the mean absolute error in metres.
    """

    logits: Tensor
    metres: Tensor
    log_spread: Tensor


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _twice(x: Tensor) -> Tensor:
    return fn.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class CanopyNetwork(nn.Module):
    """uint8 RGB (B, H, W, 3), cells of `models.heights.GRID_M` → `Canopy`."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.backbone = timm.create_model(
            architecture.backbone, features_only=True, out_indices=(0, 1, 2, 3, 4)
        )
        *finer, coarsest = self.backbone.feature_info.channels()
        inputs = (*_WIDTHS[1:], coarsest)
        self.merges = nn.ModuleList(
            nn.Sequential(_conv(below + beside, width), _conv(width, width))
            for below, beside, width in zip(inputs, finer, _WIDTHS, strict=True)
        )
        self.drop = nn.Dropout2d(0.1)
        self.logits = nn.Conv2d(_WIDTHS[0], len(architecture.names), 1)
        self.heights = nn.Conv2d(_WIDTHS[0], 2, 1)

    def forward(self, pixels: Tensor) -> Canopy:
        """See the class."""
        x = pixels.permute(0, 3, 1, 2).float().sub(127.0).div(128.0)  # the backbone's own scaling
        *finer, merged = self.backbone(x.contiguous(memory_format=torch.channels_last))
        for merge, level in zip(reversed(self.merges), reversed(finer), strict=True):
            merged = merge(torch.cat([_twice(merged), level], 1))
        merged = self.drop(merged)  # (B, F, H/2, W/2)
        metres, log_spread = _twice(self.heights(merged)).chunk(2, 1)
        return Canopy(_twice(self.logits(merged)), _UNIT_M * fn.softplus(metres), log_spread)
