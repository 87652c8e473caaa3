"""Measure how far the inputs of a network's convolutions reach, so that 8 bits can hold them."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from models.reach import layers


@torch.no_grad()
def measure(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set the buffer `reach` of every dense convolution to what it sees in these batches.

    Args:
        network: in evaluation mode.
        batches: inputs of the network, of the kind that it will be used on.
    """
    hooks = []
    for layer in layers(network).values():
        layer.register_buffer("reach", torch.zeros(()))
        hooks.append(layer.register_forward_pre_hook(_widen))
    for batch in batches:
        network(batch)
    for hook in hooks:
        hook.remove()


def _widen(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    seen = inputs[0].abs().max()
    layer.register_buffer("reach", torch.maximum(seen, layer.get_buffer("reach")))
