"""Detection loss with task-aligned assignment (TOOD, arXiv 2108.07755)."""

import torch
from torch import Tensor
from torch.nn import functional as fn
from torchvision.ops import box_iou, generalized_box_iou_loss

from models.network import Dense
from models.runtime import boxes_of
from training.dataset import Sample

_TOP = 10  # points that each object teaches at most


def _assign(
    scores: Tensor, boxes: Tensor, at: Tensor, truth: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """The object each point learns, and how strongly.

    Args:
        scores: (A, C) probabilities.
        boxes: (A, 4) predicted boxes, xyxy px.
        at: (A, 8) points, see `models.runtime.points`.
        truth: (N, 4) labelled boxes, N ≥ 1.
        labels: (N,) their classes.

    Returns:
        (A,) index of the object, -1 for background; (A,) target score in [0, 1].
    """
    x, y = at[:, 0], at[:, 1]
    # An object smaller than a stride may hold no point: its nearest centre still counts.
    half = torch.maximum((truth[:, 2:] - truth[:, :2]) / 2, at[:1, 6:])
    centre = (truth[:, 2:] + truth[:, :2]) / 2
    inside = ((x - centre[:, :1]).abs() < half[:, :1]) & ((y - centre[:, 1:]).abs() < half[:, 1:])
    iou = box_iou(truth, boxes)  # (N, A)
    metric = scores[:, labels].T.sqrt() * iou.pow(4) * inside + 1e-9 * inside  # (N, A)
    top = torch.topk(metric, min(_TOP, metric.shape[1]), dim=1).indices
    chosen = torch.zeros_like(inside).scatter_(1, top, value=True) & inside
    best = torch.where(chosen, iou + 1e-9, iou.new_zeros(())).max(0)
    owner = torch.where(chosen.any(0), best.indices, -1)
    metric = metric * chosen
    strength = metric / metric.amax(1, keepdim=True).clamp_min(1e-9)
    strength = strength * (iou * chosen).amax(1, keepdim=True)
    target = strength.gather(0, owner.clamp_min(0)[None])[0] * (owner >= 0)
    return owner, target


def loss(dense: Dense, samples: list[Sample], at: Tensor) -> dict[str, Tensor]:
    """Mean losses of a batch by part: `what`, `where`, `state`, `image`; their sum is trained.

    Unlabelled classes of an image (`Sample.exhaustive`), what is ignored, and unknown facts teach
    nothing.
    """
    predicted = boxes_of(dense.distances, at)  # (B, A, 4)
    goal = torch.zeros_like(dense.logits)
    weight = torch.ones_like(dense.logits)
    where = dense.logits.new_zeros(())
    state_logits, state_truth = [], []
    for i, sample in enumerate(samples):
        weight[i] *= torch.from_numpy(sample.exhaustive).to(weight)
        for label, box in zip(sample.ignored_labels.tolist(), sample.ignored.tolist(), strict=True):
            within = (at[:, 0] >= box[0]) & (at[:, 1] >= box[1])
            within &= (at[:, 0] < box[2]) & (at[:, 1] < box[3])
            weight[i, within, label] = 0.0
        if not len(sample.boxes):
            continue
        truth = torch.from_numpy(sample.boxes).to(predicted)
        labels = torch.from_numpy(sample.labels).to(predicted.device)
        with torch.no_grad():
            owner, target = _assign(dense.logits[i].sigmoid(), predicted[i], at, truth, labels)
        learns = owner >= 0
        mine = owner[learns]
        goal[i, learns, labels[mine]] = target[learns].to(goal)
        weight[i, learns, labels[mine]] = 1.0
        where = (
            where
            + (
                generalized_box_iou_loss(predicted[i, learns], truth[mine], reduction="none")
                * target[learns]
            ).sum()
        )
        states = torch.from_numpy(sample.states).to(predicted.device)[mine]
        if dense.states.shape[-1] and bool((states >= 0).any()):
            state_logits.append(dense.states[i, learns][states >= 0])
            state_truth.append(states[states >= 0])
    total = goal.sum().clamp_min(1.0)
    # Quality focal: the target is the alignment itself (arXiv 2006.04388).
    focus = (goal - dense.logits.detach().sigmoid()).abs().pow(1.5)
    what = fn.binary_cross_entropy_with_logits(
        dense.logits,
        goal,
        weight * torch.where(goal > 0, goal.new_ones(()), focus),
        reduction="sum",
    )
    parts = {"what": what / total, "where": 2.0 * where / total}
    if state_logits:
        parts["state"] = 0.5 * fn.cross_entropy(torch.cat(state_logits), torch.cat(state_truth))
    if dense.image.shape[-1]:
        facts = torch.stack([torch.from_numpy(s.facts) for s in samples]).to(dense.image)
        known = ~facts.isnan()
        if bool(known.any()):
            parts["image"] = fn.binary_cross_entropy_with_logits(dense.image[known], facts[known])
    return parts
