"""A small network that says yes or no about a patch, such as a rectified parking stall."""

import torch
from torch import Tensor, nn

from models.card import Architecture
from models.reach import register

_STEPS = 4  # each halves the patch and, but for the first, doubles the channels


def _step(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class PatchNetwork(nn.Module):
    """uint8 RGB (B, input_px, input_px, 3) → logits (B, C), one for each name."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        widths = [3, *(architecture.channels * 2**i for i in range(_STEPS))]
        self.steps = nn.Sequential(*map(_step, widths[:-1], widths[1:]))
        self.drop = nn.Dropout(0.2)
        self.logits = nn.Linear(2 * widths[-1], len(architecture.names))
        register(self)

    def forward(self, pixels: Tensor) -> Tensor:
        """See the class."""
        x = pixels.permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)
        # Each patch by its own light: a stall in the shade is as empty as one in the sun.
        mean = x.mean((1, 2, 3), keepdim=True)
        spread = ((x - mean) ** 2).mean((1, 2, 3), keepdim=True).sqrt()
        features = self.steps((x - mean) / (spread + 8.0))
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3))], 1)
        return self.logits(self.drop(pooled))  # type: ignore[no-any-return]
