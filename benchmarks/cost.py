"""What a pass of a network must cost: its arithmetic, over what one core can do.

`python -m benchmarks.cost` tells it of the network that finds personal data, in the time of one
core, the quickest of some rounds each: others may be at work on the machine.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
from onnx import shape_inference

from benchmarks.record import machine, milliseconds
from models.backends import SIZE_MULTIPLE_PX, export, runner
from models.card import SHIPPED, read_card, read_weights
from services.settings import Settings

SIZES_HW = ((960, 1280), (1080, 1920))
_ROUNDS = 10
_CHANNELS, _SIDE_PX = 128, 128
_MATRIX = 1024
_ANY_PX = 512


@dataclass(frozen=True, slots=True)
class Cost:
    """One pass over a whole picture, beside what one core can do.

    Attributes:
        gflop: of the pass; a multiply-accumulate counts as two.
        bf16_gflop_s, f32_gflop_s: measured on one core.
        bf16_floor_ms, f32_floor_ms: the pass at that rate, on one core.
    """

    gflop: float
    bf16_gflop_s: float
    f32_gflop_s: float
    bf16_floor_ms: float
    f32_floor_ms: float

    def against(self, took_ms: float) -> dict[str, object]:
        """The model as plain values, with how far above it `took_ms` of one core is."""
        figures = asdict(self) | {
            "core_ms_per_image": took_ms,
            "times_bf16_floor": took_ms / self.bf16_floor_ms,
            "times_f32_floor": took_ms / self.f32_floor_ms,
        }
        return {name: round(value, 2) for name, value in figures.items()}


def cost(network: Path, size_hw: tuple[int, int]) -> Cost:
    """Count a pass of an ONNX file over a picture of this size, and measure this machine."""
    return costing(2 * macs_per_px(network) * math.prod(size_hw) / 1e9)


def costing(gflop: float) -> Cost:
    """So much arithmetic, on this machine."""
    bf16, f32 = gflop_per_s(torch.bfloat16), gflop_per_s(torch.float32)
    return Cost(gflop, bf16, f32, 1000 * gflop / bf16, 1000 * gflop / f32)


def macs_per_px(network: Path) -> float:
    """Multiply-accumulates of all convolutions and matrix products, per pixel of the input.

    Counted at the size that the file declares, or else at 512 px: a convolutional network costs the
    same everywhere.
    """
    model = onnx.load(network)
    del model.graph.value_info[:]  # may hold sizes in symbols
    for value in model.graph.input:
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if not dim.dim_value:
                dim.dim_value = _ANY_PX if axis else 1
    graph = shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.value_info, *graph.output)
    } | {weights.name: list(weights.dims) for weights in graph.initializer}
    batch, *sides = next(s for s in (shapes[i.name] for i in graph.input) if len(s) == 4)
    # Channels come first or last.
    pixels = batch * math.prod(sides) // (sides[0] if sides[0] == 3 else sides[-1])
    total = 0
    for node in graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            weights = shapes[node.input[1]]
            # Every output value of a convolution, and every input value of a transposed one, meets
            # the weights of one channel of the other side.
            values = shapes[node.output[0] if node.op_type == "Conv" else node.input[0]]
            total += math.prod(values) * math.prod(weights[1:])
        elif node.op_type in ("Gemm", "MatMul"):
            inner = shapes[node.input[0]][-1]  # no exporter transposes what goes in
            total += math.prod(shapes[node.output[0]]) * inner
    if not total:
        raise SystemExit(f"{network.name}: the shapes of its layers are unknown")
    return total / pixels


@cache
def gflop_per_s(kind: torch.dtype) -> float:
    """What one core does in a square matrix product."""
    torch.set_num_threads(1)
    a, b = (torch.randn(_MATRIX, _MATRIX).to(kind) for _ in range(2))
    return 2 * _MATRIX**3 / (milliseconds(lambda: a @ b, rounds=8) * 1e6)


def network() -> Path:
    """The ONNX file of the network behind our redactor."""
    card = read_card("privacy")
    return export(card, read_weights(card, SHIPPED), Settings().cache)


def _quickest_ms(call: Callable[[], object]) -> float:
    call()
    took = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        call()
        took.append(time.process_time() - began)
    return 1000 * min(took)


def _best_rate(kind: torch.dtype) -> float:
    """GFLOP/s of a matrix product or of a convolution, whichever is done better."""
    square = torch.randn(_MATRIX, _MATRIX).to(kind)
    picture = torch.randn(1, _CHANNELS, _SIDE_PX, _SIDE_PX).to(kind)
    weights = torch.randn(_CHANNELS, _CHANNELS, 3, 3).to(kind)
    flop = 2 * 9 * _CHANNELS**2 * _SIDE_PX**2
    return max(
        2 * _MATRIX**3 / _quickest_ms(lambda: square @ square) / 1e6,
        flop / _quickest_ms(lambda: torch.conv2d(picture, weights, padding=1)) / 1e6,
    )


def main() -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    a_s = {"f32": _best_rate(torch.float32), "bf16": _best_rate(torch.bfloat16)}
    eight = torch.randint(-128, 128, (_MATRIX, _MATRIX), dtype=torch.int8)
    a_s["int8"] = 2 * _MATRIX**3 / _quickest_ms(lambda: torch._int_mm(eight, eight)) / 1e6
    print(machine(), *(f"{kind} {rate:.0f} GFLOP/s" for kind, rate in a_s.items()), sep=", ")
    card, cache = read_card("privacy"), Settings().cache
    macs = macs_per_px(network())
    for height, width in SIZES_HW:
        padded_hw = (-(-side // SIZE_MULTIPLE_PX) * SIZE_MULTIPLE_PX for side in (height, width))
        pixels = np.random.default_rng(0).integers(0, 256, (1, *padded_hw, 3), np.uint8)
        gflop = 2 * macs * pixels[..., 0].size / 1e9
        told = [f"{width}×{height}: {gflop:.1f} GFLOP"]
        for kind in ("f32", "bf16"):
            run = runner(card, SHIPPED, cache, None, kind)
            took, floor = _quickest_ms(partial(run, pixels)), 1000 * gflop / a_s[kind]
            told.append(f"{kind} {took:.0f} ms, {took / floor:.1f} times its floor of {floor:.0f}")
        print("; ".join(told))


if __name__ == "__main__":
    main()
