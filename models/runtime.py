"""Run a checkpoint where it runs best: torch on a GPU, OpenVINO on CPU, else ONNX Runtime.

On CPU the network is exported once to ONNX, cached by the digest of its weights, and compiled for
one fixed input shape and one thread: fleets run one worker per core, and sharing cores between
threads costs more than it gives. bf16 is the default precision on CPU (a third of the time, chips
without it fall back to f32 by themselves); f32 serves reproducible tests.
"""

import importlib.util
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import batched_nms

from models.checkpoint import SHIPPED, Card, build, read_card, read_weights
from models.detections import Detections
from models.errors import BadWeights
from models.network import Network, boxes_of, letterbox, points

Backend = Literal["torch", "openvino", "onnxruntime"]
Precision = Literal["bf16", "f32"]

_NMS_IOU = 0.6
_MAX_DETECTIONS = 300


class DenseArrays(NamedTuple):
    """`models.network.Dense` of one image as float32 arrays: (A, C), (A, 4), (A, S), (K,)."""

    logits: NDArray[np.float32]
    distances: NDArray[np.float32]
    states: NDArray[np.float32]
    image: NDArray[np.float32]


class Runtime:
    """One network, ready to run on one image at a time.

    Attributes:
        card: what the weights are.
        backend: where they run.
    """

    def __init__(
        self,
        name: str,
        *,
        folder: Path = SHIPPED,
        cache: Path | None = None,
        backend: Backend | None = None,
        precision: Precision = "bf16",
    ) -> None:
        """Load the weights `name` of `folder`.

        Args:
            name: checkpoint name.
            folder: where it lies.
            cache: folder for the exported network; a private temporary one when None.
            backend: where to run; the best there is when None.
            precision: numbers on CPU.

        Raises:
            BadWeights: missing, damaged or foreign weights.
        """
        self.card = read_card(name, folder)
        weights = read_weights(self.card, folder)
        self.backend: Backend = backend or _best_backend()
        self._points = torch.from_numpy(points(self.card.architecture.input_px))
        run: Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]]
        if self.backend == "torch":
            run = _torch(build(self.card, weights))
        else:
            cache = cache or Path(tempfile.mkdtemp(prefix="vigie-"))
            exported = export(self.card, weights, cache)
            run = _openvino(exported, precision) if self.backend == "openvino" else _ort(exported)
        self._run = run

    def dense(self, pixels: NDArray[np.uint8]) -> DenseArrays:
        """Raw output for one letterboxed square, uint8 (input_px, input_px, 3)."""
        logits, distances, *rest = (np.asarray(a, np.float32)[0] for a in self._run(pixels[None]))
        architecture = self.card.architecture
        states = rest.pop(0) if architecture.state_names else np.zeros((len(logits), 0), np.float32)
        image = rest.pop(0) if architecture.image_names else np.zeros(0, np.float32)
        return DenseArrays(logits, distances, states, image)

    def detect(self, pixels: NDArray[np.uint8], min_score: float | None = None) -> Detections:
        """Objects in an image uint8 (H, W, 3) RGB of any size.

        Args:
            pixels: the image.
            min_score: one threshold for all classes (an evaluation wants nearly all); the card's
                when None.

        Raises:
            BadWeights: the network gave a number that is not finite.
        """
        card = self.card
        architecture = card.architecture
        height, width = pixels.shape[:2]
        square, scale = letterbox(pixels, architecture.input_px)
        dense = self.dense(square)
        if not all(np.isfinite(part).all() for part in dense):
            raise BadWeights(f"{card.model} gave a number that is not finite")
        scores = _sigmoid(dense.logits)  # (A, C)
        floors = np.array(
            [card.min_score[n] if min_score is None else min_score for n in architecture.names],
            np.float32,
        )
        where, labels = np.nonzero(scores >= floors)
        boxes = boxes_of(torch.from_numpy(dense.distances), self._points).numpy()[where] / scale
        boxes = np.clip(boxes, 0, np.array([width, height] * 2, np.float32))
        solid = ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(1)
        where, labels, boxes = where[solid], labels[solid], boxes[solid]
        kept = batched_nms(
            torch.from_numpy(boxes),
            torch.from_numpy(scores[where, labels]),
            torch.from_numpy(labels),
            _NMS_IOU,
        ).numpy()[:_MAX_DETECTIONS]
        where, labels = where[kept], labels[kept]
        facts = {}
        for name, logit in zip(architecture.image_names, dense.image, strict=True):
            slope, offset = card.calibration.get(name, (1.0, 0.0))
            facts[name] = float(_sigmoid(slope * logit + offset))
        return Detections(
            boxes[kept].astype(np.float32),
            scores[where, labels].astype(np.float32),
            labels.astype(np.int64),
            architecture.names,
            (height, width),
            _softmax(dense.states[where]),
            architecture.state_names,
            facts,
        )


def _best_backend() -> Backend:
    if torch.cuda.is_available():
        return "torch"
    return "openvino" if importlib.util.find_spec("openvino") else "onnxruntime"


def export(card: Card, weights: bytes, cache: Path) -> Path:
    """The ONNX file of a network in `cache`, made unless it is there.

    Several processes may race: each writes its own file and renames it into place.
    """
    path = cache / f"{card.name}-{card.digest[:16]}.onnx"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        side = card.architecture.input_px
        handle, draft = tempfile.mkstemp(dir=cache, suffix=".onnx")
        os.close(handle)
        torch.onnx.export(
            build(card, weights),
            (torch.zeros(1, side, side, 3, dtype=torch.uint8),),
            draft,
            external_data=False,
            verbose=False,
        )
        Path(draft).replace(path)
    return path


def _torch(network: Network) -> Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]]:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network.to(device)

    def run(pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        with torch.inference_mode():
            dense = network(torch.from_numpy(pixels).to(device))
        return [part.float().cpu().numpy() for part in dense if part.shape[-1]]

    return run


def _openvino(
    path: Path, precision: Precision
) -> Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]]:
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
        return [results[output] for output in compiled.outputs if 0 not in output.shape]

    return run


def _ort(path: Path) -> Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]]:
    import onnxruntime  # noqa: PLC0415 - only where it is the chosen backend

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0].name

    def run(pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        return [part for part in session.run(None, {entry: pixels}) if part.shape[-1]]

    return run


def _sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -60, 60))), np.float32)


def _softmax(x: NDArray[np.float32]) -> NDArray[np.float32]:
    if not x.size:
        return x
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True), np.float32)
