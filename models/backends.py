"""Run a checkpoint where it runs best: torch on a GPU, OpenVINO on CPU, else ONNX Runtime.

On CPU the network is exported once to ONNX, cached by the digest of its weights, and compiled for
one thread: fleets run one worker per core, and sharing cores between threads costs more than it
gives. On CPU int8 is the fastest (its depthwise convolutions run in bf16), where the weights know
how far the inputs of their layers reach; bf16 takes a third of the time of f32, and chips without
it fall back to f32 by themselves; f32 serves reproducible tests.
"""

import fcntl
import importlib.util
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.card import Card, reaches, read_weights
from models.errors import BadConfiguration

Backend = Literal["torch", "openvino", "onnxruntime"]
Precision = Literal["int8", "bf16", "f32"]
Run = Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]]

_OFTEN = 8
_MAX_SHAPES = 4  # each costs memory
_CHECKED_PX = 256
_MAX_APART = 0.15  # two runtimes, in standard deviations of an output; sound ones differ by 0.03

EXPORT = 2
"""Of how networks are exported: another number for whatever changes what they compute."""

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
        BadConfiguration: this machine computes eight bits wrongly.
    """
    weights = read_weights(card, folder)
    if backend == "torch":
        return _torch(card, weights)
    cache = cache or Path(tempfile.mkdtemp(prefix="vigie-"))
    known = reaches(weights) if precision == "int8" else {}
    exported = export(card, weights, cache, known)
    if backend == "onnxruntime":
        return _ort(exported)
    run = _openvino(exported, precision)
    if known:
        side = card.architecture.input_px or _CHECKED_PX
        _agree(card, run, _ort(exported), side)
    return run


def export(
    card: Card, weights: bytes, cache: Path, known: Mapping[str, float] | None = None
) -> Path:
    """The ONNX file of a network in `cache`, made unless it is there.

    Several processes may race: each writes its own file and renames it into place.

    Args:
        card: what the weights are.
        weights: the safetensors file.
        cache: folder for the file.
        known: reaches, with which convolutions get eight bits; none where empty or None.

    Raises:
        BadWeights: the weights do not fit the architecture.
    """
    any_size = card.architecture.any_size
    size = "any" if any_size else card.architecture.input_px
    kind = f"-{size}{'-int8' if known else ''}"
    path = cache / f"{card.name}-{card.digest[:16]}-{EXPORT}{kind}.onnx"
    if not path.exists():
        import torch  # noqa: PLC0415 - only for the first worker on a machine

        from models.checkpoint import build  # noqa: PLC0415

        cache.mkdir(parents=True, exist_ok=True)
        side, shapes = card.architecture.input_px, None
        if card.architecture.kind == "heatmap":
            side = 2 * SIZE_MULTIPLE_PX
            sides = {
                i: SIZE_MULTIPLE_PX * torch.export.Dim(name) for i, name in ((1, "h"), (2, "w"))
            }
            shapes = {"pixels": sides}
        handle, draft = tempfile.mkstemp(dir=cache, suffix=".onnx")
        os.close(handle)
        network, example = build(card, weights), torch.zeros(1, side, side, 3, dtype=torch.uint8)
        if any_size and card.architecture.kind == "points":
            # The newer exporter reasons about this network's shapes for longer than minutes. This
            # one folds weights under other names, which eight bits would not know again.
            torch.onnx.export(
                network,
                (example,),
                draft,
                dynamo=False,
                input_names=["pixels"],
                dynamic_axes={"pixels": {1: "h", 2: "w"}},
            )
        else:
            torch.onnx.export(
                network,
                (example,),
                draft,
                dynamic_shapes=shapes,
                external_data=False,
                verbose=False,
            )
        if known:
            import onnx  # noqa: PLC0415

            from models.eight_bit import rounded  # noqa: PLC0415

            onnx.save(rounded(onnx.load(draft), known), draft)
        Path(draft).replace(path)
    return path


def _agree(card: Card, run: Run, other: Run, side_px: int) -> None:
    """Ask two runtimes about one picture: eight bits have a code path for every kind of chip.

    OpenVINO 2026.4, for one, is wrong about convolutions without a bias.

    Raises:
        BadConfiguration: they disagree.
    """
    coarse = np.random.default_rng(0).integers(0, 256, (side_px // 8, side_px // 8, 3), np.uint8)
    pixels = coarse.repeat(8, 0).repeat(8, 1)[None]
    for one, two in zip(run(pixels), other(pixels), strict=True):
        # A single number has no spread to compare with.
        if two.size > 1 and not np.abs(one - two).mean() <= _MAX_APART * two.std():
            raise BadConfiguration(
                f"{card.name} computed in int8 differs between runtimes on this machine: "
                "set VIGIE_PRECISION=bf16"
            )


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

    core = openvino.Core()
    options = {
        "INFERENCE_PRECISION_HINT": "f32" if precision == "f32" else "bf16",
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "CACHE_DIR": str(path.parent / "openvino"),
    }

    def compiled(model: Any) -> Any:
        """One process at a time: what another is writing to the cache reads as damaged."""
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return core.compile_model(model, "CPU", options)

    network = compiled(path)
    outputs = range(len(network.outputs))
    any_shape = network.create_infer_request()
    own: dict[tuple[int, ...], Any] = {}
    seen: Counter[tuple[int, ...]] = Counter()

    def request_for(shape: tuple[int, ...]) -> Any:
        """One compiled for this very shape where it comes often: a ninth faster."""
        seen[shape] += 1
        if shape not in own and seen[shape] >= _OFTEN and len(own) < _MAX_SHAPES:
            model = core.read_model(path)
            model.reshape(list(shape))
            own[shape] = compiled(model).create_infer_request()
        return own.get(shape, any_shape)

    def run(pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        results = request_for(pixels.shape).infer({0: pixels})
        return [results[i] for i in outputs if results[i].size]

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
