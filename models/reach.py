"""How far the inputs of a network's convolutions reach: what it takes to compute them in 8 bits.

Each dense convolution holds it in a buffer, `reach`: the largest magnitude that its input had, 0
while unknown. It is stored with the weights.
"""

import torch
from torch import nn


def register(network: nn.Module) -> None:
    """Give the dense convolutions of a network their buffer."""
    for layer in layers(network).values():
        layer.register_buffer("reach", torch.zeros(()))


def layers(network: nn.Module) -> dict[str, nn.Module]:
    """Name → convolution, for all that are not depthwise."""
    return {
        name: layer
        for name, layer in network.named_modules()
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)) and layer.groups == 1
    }
