"""The network that finds personal data: small objects, any picture size, one pass.

A MobileNetV2 backbone (arXiv 1801.04381) and a thin feature pyramid that ends at a quarter of the
picture's size, where each class has a heat map of object centres (CenterNet, arXiv 1904.07850;
CenterFace, arXiv 1911.03599). It is fully convolutional: what it says of a place depends on the
pixels around it alone, so a picture may be looked at whole, in tiles, or again where it changed.
Pixels go in as uint8 RGB: scaling is part of the graph, so that no caller can get it wrong.
"""

from typing import NamedTuple

import timm
import torch
from torch import Tensor, nn

from models.card import Architecture


class Heat(NamedTuple):
    """Raw output on the grid of a quarter of the picture's height and width.

    Attributes:
        logits: (B, C, h, w) of a centre of each class.
        log_sizes: (B, 2·C, h, w) natural logarithms of height and width in strides, class by class.
        offsets: (B, 2·C, h, w) of the centre within its cell, y and x in strides, class by class.
    """

    logits: Tensor
    log_sizes: Tensor
    offsets: Tensor


class HeatNetwork(nn.Module):
    """uint8 RGB (B, H, W, 3), sides multiples of 32 → `Heat`."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.backbone = timm.create_model(
            architecture.backbone,
            features_only=True,
            pretrained=False,
            out_indices=(1, 2, 3, 4),
            act_layer=nn.ReLU,
        )
        channels, classes = architecture.channels, len(architecture.names)
        widths = self.backbone.feature_info.channels()
        self.laterals = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in widths)
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(channels, channels, 2, stride=2) for _ in widths[1:]
        )
        self.neck = nn.Conv2d(channels, channels, 3, padding=1)
        self.logits = nn.Conv2d(channels, classes, 1)
        self.log_sizes = nn.Conv2d(channels, 2 * classes, 1)
        self.offsets = nn.Conv2d(channels, 2 * classes, 1)

    def forward(self, pixels: Tensor) -> Heat:
        """See the class; raw logits, so that losses stay numerically stable."""
        x = pixels.permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)
        *finer, coarsest = (
            torch.relu(lateral(level))
            for lateral, level in zip(self.laterals, self.backbone(x), strict=True)
        )
        merged = coarsest
        for up, level in zip(self.ups, reversed(finer), strict=True):
            merged = torch.relu(up(merged)) + level
        merged = torch.relu(self.neck(merged))  # (B, F, H/4, W/4)
        return Heat(self.logits(merged), self.log_sizes(merged), self.offsets(merged))
