"""What the network that finds personal data learns from: heat, sizes, offsets."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as fn

from models.heatmap import Heat
from models.personal import STRIDE_PX
from training.labelled import Labelled

_SPREAD = 0.54  # share of an object's size over which its heat falls off (TTFNet, 1909.00700)
_NEAR = 0.5  # heat from which a cell learns the object's size
_MIN_SIGMA = 0.35
SHARES = (0.3, 0.4, 0.1, 0.1, 0.1)
"""Of face, plate, head, person, vehicle in a loss."""


def targets(sample: Labelled, side_px: int, classes: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Heat (C, h, w), its weight (C, h, w), sizes and offsets (C, 4, h, w), their weight (C, h, w).

    A class weighs nothing where it is ignored, but an object within an ignored area is taught.
    """
    cells = side_px // STRIDE_PX
    heat = np.zeros((classes, cells, cells), np.float32)
    weight = np.ones_like(heat) * sample.taught[:, None, None]
    shape = np.zeros((classes, 4, cells, cells), np.float32)
    near = np.zeros_like(heat)
    for label, box in zip(sample.ignored_labels, sample.ignored, strict=True):
        x1, y1 = np.floor(box[:2] / STRIDE_PX).astype(int)
        x2, y2 = np.ceil(box[2:] / STRIDE_PX).astype(int)
        weight[label, y1:y2, x1:x2] = 0
    # The smallest comes last: where two overlap, the one that is harder to find wins.
    sizes = (sample.boxes[:, 2:] - sample.boxes[:, :2]).prod(1)
    grid = np.arange(cells, dtype=np.float32)
    for index in np.argsort(-sizes):
        label, box = sample.labels[index], sample.boxes[index] / STRIDE_PX
        centre, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
        sigma = np.maximum(_SPREAD * size / 6, _MIN_SIGMA)
        cell = np.clip(np.floor(centre).astype(int), 0, cells - 1)
        gx = np.exp(-((grid - cell[0]) ** 2) / (2 * sigma[0] ** 2))
        gy = np.exp(-((grid - cell[1]) ** 2) / (2 * sigma[1] ** 2))
        bump = gy[:, None] * gx[None]
        heat[label] = np.maximum(heat[label], bump)
        inside = bump >= _NEAR
        near[label][inside] = bump[inside] / inside.sum() ** 0.5
        ys, xs = np.nonzero(inside)
        log_size = np.log(np.maximum(size, 0.25))
        shape[label, :, ys, xs] = np.stack(
            [
                np.full(len(ys), log_size[1]),
                np.full(len(ys), log_size[0]),
                centre[1] - 0.5 - ys,
                centre[0] - 0.5 - xs,
            ],
            1,
        )
        weight[label] = np.maximum(weight[label], bump >= 0.3)
    return tuple(torch.from_numpy(a) for a in (heat, weight, shape, near))  # type: ignore[return-value]


def loss(output: Heat, samples: Sequence[Labelled]) -> dict[str, Tensor]:
    """Mean losses of a batch by part: `what` (heat) and `where` (sizes and offsets).

    Heat: the penalty-reduced focal loss of CornerNet (arXiv 1808.01244, equation 1).
    """
    output = Heat(*(part.float() for part in output))
    _, classes, h, w = output.logits.shape
    parts = [targets(sample, h * STRIDE_PX, classes) for sample in samples]
    heat, weight, shape, near = (
        torch.stack(part).to(output.logits) for part in zip(*parts, strict=True)
    )
    p = output.logits.sigmoid()
    positive = (heat == 1).to(p)
    logs = fn.logsigmoid(output.logits)
    hit = positive * (1 - p) ** 2 * -logs
    miss = (1 - positive) * (1 - heat) ** 4 * p**2 * (output.logits - logs)
    count = positive.sum((0, 2, 3)).clamp_min(1)  # by class: plates are few beside vehicles
    split = (len(samples), classes, 2, h, w)
    predicted = torch.cat([output.log_sizes.reshape(split), output.offsets.reshape(split)], 2)
    error = fn.smooth_l1_loss(predicted, shape, reduction="none", beta=0.1).sum(2)
    return {
        "what": (((hit + miss) * weight).sum((0, 2, 3)) / count * count.new_tensor(SHARES)).sum(),
        "where": 0.5 * (error * near).sum() / near.sum().clamp_min(1),
    }
