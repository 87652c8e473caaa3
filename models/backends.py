"""Run a checkpoint where it runs best: torch on a GPU, OpenVINO on CPU, else ONNX Runtime.

On CPU the network is exported once to ONNX, cached by the digest of its weights, and compiled for
one thread: fleets run one worker per core, and sharing cores between
threads costs more than it gives. bf16 is the default precision on CPU (a third of the time, chips
without it fall back to f32 by themselves); f32 serves reproducible tests.
"""

import importlib.util
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.card import Card, read_weights

Backend = Literal["torch", "openvino", "onnxruntime"]
Precision = Literal["bf16", "f32"]
Run = Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]]

SIZE_MULTIPLE_PX = 32
"""Sides of pictures for a network of any input size are multiples of this."""


def best_backend() -> Backend:
    """torch where there is a GPU, else OpenVINO, else ONNX Runtime."""
    if Path("/dev/nvidiactl").exists():  # else torch, which takes seconds to import, is not asked
        import torch  # noqa: PLC0415

        if torch.cuda.is_available():
            return "torch"
    return "openvino" if importlib.util.find_spec("openvino") else "onnxruntime"


def runner(
    card: Card, folder: Path, cache: Path | None, backend: Backend, precision: Precision
) -> Run:
    """The network of a card as a function: uint8 (1, H, W, 3) → its outputs that are not empty.

    Args:
        card: what the weights are.
        folder: where they lie.
        cache: folder for the exported network; a private temporary one when None.
        backend: where to run.
        precision: numbers on CPU.

    Raises:
        BadWeights: missing, damaged or foreign weights.
    """
    weights = read_weights(card, folder)
    if backend == "torch":
        return _torch(card, weights)
    cache = cache or Path(tempfile.mkdtemp(prefix="vigie-"))
    exported = export(card, weights, cache)
    return _openvino(exported, precision) if backend == "openvino" else _ort(exported)


def export(card: Card, weights: bytes, cache: Path) -> Path:
    """The ONNX file of a network in `cache`, made unless it is there.

    Several processes may race: each writes its own file and renames it into place.
    """
    path = cache / f"{card.name}-{card.digest[:16]}.onnx"
    if not path.exists():
        import torch  # noqa: PLC0415 - only for the first worker on a machine

        from models.checkpoint import build  # noqa: PLC0415

        cache.mkdir(parents=True, exist_ok=True)
        side, shapes = card.architecture.input_px, None
        if not side:
            side = 2 * SIZE_MULTIPLE_PX
            sides = {
                i: SIZE_MULTIPLE_PX * torch.export.Dim(name) for i, name in ((1, "h"), (2, "w"))
            }
            shapes = {"pixels": sides}
        handle, draft = tempfile.mkstemp(dir=cache, suffix=".onnx")
        os.close(handle)
        torch.onnx.export(
            build(card, weights),
            (torch.zeros(1, side, side, 3, dtype=torch.uint8),),
            draft,
            dynamic_shapes=shapes,
            external_data=False,
            verbose=False,
        )
        Path(draft).replace(path)
    return path


def _torch(card: Card, weights: bytes) -> Run:
    import torch  # noqa: PLC0415 - only where it is the chosen backend

    from models.checkpoint import build  # noqa: PLC0415

    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = build(card, weights).to(device)

    def run(pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        with torch.inference_mode():
            dense = network(torch.from_numpy(pixels).to(device))
        return [part.float().cpu().numpy() for part in dense if part.shape[-1]]

    return run


def _openvino(path: Path, precision: Precision) -> Run:
    import openvino  # noqa: PLC0415 - where it is absent ONNX Runtime serves

    compiled = openvino.Core().compile_model(
        path,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": 1,
            "NUM_STREAMS": 1,
            "CACHE_DIR": str(path.parent / "openvino"),
        },
    )
    request = compiled.create_infer_request()

    def run(pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        results = request.infer({0: pixels})
        return [results[output] for output in compiled.outputs if results[output].size]

    return run


def _ort(path: Path) -> Run:
    import onnxruntime  # noqa: PLC0415 - only where it is the chosen backend

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0].name

    def run(pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        return [part for part in session.run(None, {entry: pixels}) if part.shape[-1]]

    return run
