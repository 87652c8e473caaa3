"""The network that finds personal data: small objects, any picture size, one pass.

A MobileNetV2 backbone (arXiv 1801.04381), whose first stages may be fused (see `FUSED`), and a thin
feature pyramid that ends at a quarter of the
picture's size, where each class has a heat map of object centres (CenterNet, arXiv 1904.07850;
CenterFace, arXiv 1911.03599). It is fully convolutional: what it says of a place depends on the
pixels around it alone, so a picture may be looked at whole, in tiles, or again where it changed.
Pixels go in as uint8 RGB: scaling is part of the graph, so that no caller can get it wrong.
"""

from typing import Any, NamedTuple

import timm
import torch
from timm.models.efficientnet import EfficientNetFeatures, decode_arch_def
from torch import Tensor, nn

from models.card import Architecture
from models.reach import register

FUSED = "fused_mobilenetv2"
"""A backbone made for eight-bit numbers on CPUs.

Where the picture is still large, convolutions are dense instead of depthwise and thin instead of
wide (fused blocks, EfficientNetV2, arXiv 2104.00298, section 3.2): more arithmetic, which is cheap,
and less memory traffic, which is not. Its deeper stages are MobileNetV2's.
"""
_FUSED_STEM = 24
_FUSED_STAGES = [
    ["er_r1_k3_s2_e2_c24"],
    ["er_r1_k3_s2_e4_c32", "er_r2_k3_s1_e3_c32"],
    ["ir_r4_k3_s2_e6_c64"],
    ["ir_r3_k3_s1_e6_c96"],
    ["ir_r3_k3_s2_e6_c160"],
    ["ir_r1_k3_s1_e6_c320"],
]
_LEVELS = (1, 2, 3, 4)


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
        self.backbone = _backbone(architecture.backbone)
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
        register(self)

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


def _backbone(name: str) -> Any:
    """uint8 values as floats (B, 3, H, W) → features at a 4th, 8th, 16th and 32nd of H and W."""
    if name == FUSED:
        stages = decode_arch_def(_FUSED_STAGES)
        return EfficientNetFeatures(
            stages,
            out_indices=_LEVELS,
            stem_size=_FUSED_STEM,
            fix_stem=True,
            act_layer=nn.ReLU,
        )
    return timm.create_model(
        name, features_only=True, pretrained=False, out_indices=_LEVELS, act_layer=nn.ReLU
    )
