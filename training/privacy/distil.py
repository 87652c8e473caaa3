"""How a small network learns from the one that ships: its teacher.

The two share their deeper stages, so these start as the teacher's. The stages before them, which
see the picture at full size, are the student's own: first they learn to give what the teacher's
give, then all learns together, from the labels and from what the teacher says of every cell
(Hinton et al., arXiv 1503.02531), which nobody labelled.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from models.heatmap import Heat, HeatNetwork
from training.bar import bar
from training.precision import halved
from training.privacy.loss import SHARES

_FIRST_DEEP = 2  # stage of the student from which on blocks are the teacher's
_STEPS = 2000
_RATE = 3e-3


def first_stages(student: HeatNetwork) -> list[nn.Module]:
    """The stem and the stages that the student does not share with its teacher."""
    backbone = student.backbone
    return [backbone.conv_stem, backbone.bn1, *backbone.blocks[:_FIRST_DEEP]]


def inherit(student: HeatNetwork, teacher: HeatNetwork) -> None:
    """Copy what both have: all but the first stages."""
    ours, theirs = student.backbone.blocks, teacher.backbone.blocks
    for stage, taught in zip(ours[_FIRST_DEEP:], theirs[_FIRST_DEEP + 1 :], strict=True):
        stage.load_state_dict(taught.state_dict())
    for name in ("laterals", "ups", "neck", "logits", "log_sizes", "offsets"):
        getattr(student, name).load_state_dict(getattr(teacher, name).state_dict())


def imitate(student: HeatNetwork, teacher: HeatNetwork, batches: Iterable[Tensor]) -> float:
    """Teach the first stages to give the teacher's features; gives the mean loss at the end.

    Args:
        student: with the teacher's deeper stages.
        teacher: in evaluation mode.
        batches: uint8 (B, H, W, 3), as many as wanted.
    """
    first = first_stages(student)
    parameters = [p for module in first for p in module.parameters()]
    optimizer = torch.optim.AdamW(parameters, _RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, _STEPS)
    mean = 1.0
    for step, pixels in bar(zip(range(_STEPS), batches, strict=False), "first stages", _STEPS):
        x = pixels.permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)
        with halved(x.device.type):
            with torch.no_grad():
                wanted = _features(teacher, x, _FIRST_DEEP + 1)
            given = _features(student, x, _FIRST_DEEP)
        parts = [
            fn.mse_loss(ours.float(), theirs.float()) / theirs.float().var()
            for ours, theirs in zip(given, wanted, strict=True)
        ]
        loss = torch.stack(parts).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        mean += (loss.item() - mean) / min(step + 1, 50)
    return mean


def _features(network: HeatNetwork, x: Tensor, stages: int) -> list[Tensor]:
    """Features at a quarter and at an eighth of the picture's size."""
    backbone = network.backbone
    x = backbone.bn1(backbone.conv_stem(x))
    found = []
    for stage in backbone.blocks[:stages]:
        x = stage(x)
        found.append(x)
    return found[-2:]


def distilled(output: Heat, taught: Heat, asked: Tensor) -> dict[str, Tensor]:
    """Losses against what the teacher says of the same pixels, cell by cell.

    Heat: Kullback-Leibler divergence; sizes and offsets count as far as the teacher sees an object.

    Args:
        output: of the student.
        taught: of the teacher.
        asked: bool (B,), the pictures on which the teacher knows its way.
    """
    output, taught = (Heat(*(part[asked].float() for part in heat)) for heat in (output, taught))
    p = taught.logits.sigmoid()
    entropy = fn.binary_cross_entropy(p, p, reduction="none")
    apart = fn.binary_cross_entropy_with_logits(output.logits, p, reduction="none") - entropy
    seen = p.sum((0, 2, 3)).clamp_min(1)
    b, classes, h, w = p.shape
    wrong = fn.smooth_l1_loss(
        torch.cat([output.log_sizes, output.offsets], 1),
        torch.cat([taught.log_sizes, taught.offsets], 1),
        reduction="none",
        beta=0.1,
    )
    wrong = wrong.reshape(b, 2, classes, 2, h, w).sum((1, 3))
    shares = seen.new_tensor(SHARES)
    return {
        "what_taught": (apart.sum((0, 2, 3)) / seen * shares).sum(),
        "where_taught": 0.5 * ((wrong * p).sum((0, 2, 3)) / seen * shares).sum(),
    }
