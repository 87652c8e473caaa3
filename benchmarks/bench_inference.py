"""The shipped waste network: OpenVINO as we run it, against torch as it comes, and the floor."""

import multiprocessing
import os
import statistics
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.cost import cost
from benchmarks.record import milliseconds, record, tell
from models.backends import Precision, export
from models.card import SHIPPED, read_card, read_weights
from models.runtime import Runtime, letterbox

CORES = os.cpu_count() or 1


def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (960, 1280, 3), dtype=np.uint8)


def detect(precision: Precision, cache: Path) -> float:
    """Milliseconds of one 1280×960 picture, resizing and suppression included."""
    cv2.setNumThreads(1)
    runtime = Runtime("waste", cache=cache, precision=precision)
    pixels = picture()
    return milliseconds(lambda: runtime.detect(pixels), rounds=60)


def on_all_cores(precision: Precision, cache: Path) -> float:
    """The same while every core does one, as in the fleet, over the number of cores."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(CORES, context) as pool:
        took = list(pool.map(detect, [precision] * CORES, [cache] * CORES))
    return statistics.mean(took) / CORES


def bench_network(cache: Path) -> None:
    torch.set_num_threads(1)
    runtimes = {
        "bf16": Runtime("waste", cache=cache, backend="openvino", precision="bf16"),
        "f32": Runtime("waste", cache=cache, backend="openvino", precision="f32"),
        "onnxruntime": Runtime("waste", cache=cache, backend="onnxruntime"),
        "torch": Runtime("waste", backend="torch"),
    }
    square, _ = letterbox(picture(), runtimes["torch"].card.architecture.input_px)
    took = {name: milliseconds(lambda r=r: r.dense(square)) for name, r in runtimes.items()}
    what = "waste network, 512², one core, {}"
    for name, peer, own in (
        ("bf16", "torch eager f32", "torch"),
        ("f32", "ONNX Runtime f32", "onnxruntime"),
    ):
        record(f"inference_{name}", took[name], "ms", peer, took[own], what.format(name))


def bench_pictures(cache: Path) -> None:
    took = {name: on_all_cores(name, cache) for name in ("bf16", "f32")}
    card = read_card("waste")
    network = export(card, read_weights(card, SHIPPED), cache)
    side = card.architecture.input_px
    counted = cost(network, (side, 2 * side))  # the picture and its mirror image
    details = counted.against(took["bf16"] * CORES)
    what = f"waste in a 1280×960 picture, {CORES} cores, bf16"
    record("waste_1280", took["bf16"], "ms", "the same in f32", took["f32"], what, details)
    tell(details)


def main() -> None:
    cache = Path(tempfile.mkdtemp())
    bench_network(cache)
    bench_pictures(cache)


if __name__ == "__main__":
    main()
