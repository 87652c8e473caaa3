"""The shipped waste network on one core: OpenVINO as we run it, against torch as it comes."""

import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.record import milliseconds, record
from models.runtime import Runtime, letterbox


def main() -> None:
    torch.set_num_threads(1)
    cache = Path(tempfile.mkdtemp())
    picture = np.random.default_rng(0).integers(0, 255, (960, 1280, 3), dtype=np.uint8)
    runtimes = {
        "bf16": Runtime("waste", cache=cache, backend="openvino", precision="bf16"),
        "f32": Runtime("waste", cache=cache, backend="openvino", precision="f32"),
        "onnxruntime": Runtime("waste", cache=cache, backend="onnxruntime"),
        "torch": Runtime("waste", backend="torch"),
    }
    square, _ = letterbox(picture, runtimes["torch"].card.architecture.input_px)
    took = {name: milliseconds(lambda r=r: r.dense(square)) for name, r in runtimes.items()}
    what = "waste network, 512², one core, {}"
    record(
        "inference_bf16", took["bf16"], "ms", "torch eager f32", took["torch"], what.format("bf16")
    )
    record(
        "inference_f32",
        took["f32"],
        "ms",
        "ONNX Runtime f32",
        took["onnxruntime"],
        what.format("f32"),
    )


if __name__ == "__main__":
    main()
