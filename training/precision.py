"""Layers in bfloat16, where that is faster."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn


def halved(device: str, *, wanted: bool = True) -> torch.autocast:
    """Compute layers in bfloat16 in this context, weights and losses in float32.

    CPUs without bfloat16 go on in float32: imitated, it takes three times as long as float32.
    """
    return torch.autocast(device, torch.bfloat16, enabled=wanted and _has_bf16(device))


def _has_bf16(device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    known = torch.cpu.get_capabilities()
    return any(known.get(name) for name in ("avx512_bf16", "amx_bf16"))


def spare_depthwise(network: nn.Module) -> None:
    """Compute large or strided depthwise convolutions in float32 where others are in bfloat16.

    Torch has no fast backward pass for them in bfloat16 on CPUs: a few layers would take most of a
    step.
    """
    layers = (layer for layer in network.modules() if isinstance(layer, nn.Conv2d))
    for layer in layers:
        if layer.groups > 1 and (max(layer.stride) > 1 or max(layer.kernel_size) > 3):
            layer.forward = partial(_in_float32, layer.forward)  # type: ignore[method-assign]


def _in_float32(convolve: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):
        return convolve(x.float())
