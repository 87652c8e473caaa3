"""The parrot attack: does a machine that knows a face recognise it under its cover?

The attacker holds pictures of known people, covers them the way the publisher did, and takes the
nearest neighbour of each published cover (Newton, Sweeney and Malin 2005). Blurred faces are
re-identified so at 95.9 % (arXiv 2506.12344).

A cover may take its colours from what stays visible around it. That gives nothing away that the
picture does not show anyway, but two pictures of one place would match by it. So each face is laid
on random ground, another one for the attacker than for the publisher, before it is covered: what
still matches is what the cover lets through of the face. A cover that is independent of the face
gives chance, one in as many people as are known.
"""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray

from models.card import Architecture
from models.errors import BadConfiguration
from models.network import Network
from models.redaction import Box
from training.scenes import texture
from training.scenes.scene import Pixels
from training.train import load_imagenet

SIDE_PX = 192
"""Side of the photographs in which all faces are compared."""

FACE: Box = (64, 64, 128, 128)
"""Where the face is in each of them: as much again lies on every side of it."""

Descriptor = Callable[[Sequence[Pixels]], NDArray[np.float32]]
"""Pictures uint8 (h, w, 3) RGB of faces or covers → one row each, float32 (N, D)."""

_FACE_PX = FACE[2] - FACE[0]
_LAID_PX = _FACE_PX // 4  # of what surrounds the face: less than any cover's margin
_PIXELS_PX = 32
_CHIP_PX = 150  # what dlib's network was trained on
_FEATURES_PX = 128
_DLIB = "face_recognition_models", "models/dlib_face_recognition_resnet_model_v1.dat"


def credits_of(gallery: NDArray[np.float32], probes: NDArray[np.float32]) -> NDArray[np.float64]:
    """What each probe contributes to `top1`: 1 when recognised, 1 / k when one of k equally near.

    Args:
        gallery: (N, D) descriptors of known people.
        probes: (N, D), the same people in the same order.

    Returns:
        (N,) in [0, 1]. Where all is alike, as under a solid cover, each has 1 / N.
    """
    won = np.zeros(len(probes))
    for person, probe in enumerate(probes):
        # Differences, not products: covers that are equal must be equally near, to the last bit.
        distances = np.square(gallery - probe).sum(1)
        nearest = distances == distances.min()
        won[person] = nearest[person] / nearest.sum()
    return won


def top1(gallery: NDArray[np.float32], probes: NDArray[np.float32]) -> float:
    """Share of probes (N, D) whose nearest neighbour in the gallery (N, D) is the same person.

    People stand at the same index in both; chance is 1 / N.
    """
    return float(credits_of(gallery, probes).mean())


def photograph(pixels: Pixels, box: Sequence[float]) -> Pixels:
    """The face `box` (x1, y1, x2, y2 px) of a picture (H, W, 3), at `FACE` in (192, 192, 3).

    The box is widened to a square, so that its shape identifies nobody; beyond the picture's
    border the picture is mirrored.
    """
    x1, y1, x2, y2 = box
    reach = round(max(x2 - x1, y2 - y1) * SIDE_PX / _FACE_PX / 2)
    x, y = round((x1 + x2) / 2), round((y1 + y2) / 2)
    wide = cv2.copyMakeBorder(pixels, reach, reach, reach, reach, cv2.BORDER_REFLECT)
    around = wide[y : y + 2 * reach, x : x + 2 * reach]
    how = cv2.INTER_AREA if 2 * reach > SIDE_PX else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(around, (SIDE_PX, SIDE_PX), interpolation=how), np.uint8)


def varied(face: Pixels, rng: np.random.Generator) -> Pixels:
    """Another photograph (192, 192, 3) of the same face, as near to that as one picture allows.

    Mirrored or not, shifted by 5 %, scaled by 10 %, turned by 5° and relit by 20 % at most, and
    compressed at JPEG quality 60 to 90.
    """
    middle = (SIDE_PX - 1) / 2
    affine = cv2.getRotationMatrix2D((middle, middle), rng.uniform(-5, 5), rng.uniform(0.9, 1.1))
    affine[:, 2] += rng.uniform(-0.05, 0.05, 2) * _FACE_PX
    moved = cv2.warpAffine(face, affine, (SIDE_PX, SIDE_PX), borderMode=cv2.BORDER_REFLECT)
    lit = (moved * rng.uniform(0.8, 1.2)).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        lit = np.ascontiguousarray(lit[:, ::-1])
    data = simplejpeg.encode_jpeg(lit, int(rng.integers(60, 91)), "RGB", "420")
    return np.asarray(simplejpeg.decode_jpeg(data, "RGB"), np.uint8)


def on_random_ground(face: Pixels, rng: np.random.Generator) -> Pixels:
    """The face of a photograph (192, 192, 3), and a quarter more, on ground of random colours."""
    colours = texture.plain(texture.any_colour(rng), SIDE_PX, SIDE_PX)
    blotches = [texture.noise(rng, SIDE_PX, SIDE_PX) for _ in range(3)]
    ground = texture.to_pixels(colours + 0.15 * np.dstack(blotches))
    laid = slice(FACE[0] - _LAID_PX, FACE[2] + _LAID_PX)
    ground[laid, laid] = face[laid, laid]
    return ground


def face_of(picture: Pixels) -> Pixels:
    """The place of the face (64, 64, 3) in a photograph: all that the attacker compares."""
    x1, y1, x2, y2 = FACE
    return picture[y1:y2, x1:x2]


def standardised(crops: Sequence[Pixels]) -> NDArray[np.float32]:
    """Pixels at 32 × 32 px, each picture with zero mean and unit deviation: (N, 3072)."""
    rows = np.stack([_resized(crop, _PIXELS_PX).ravel() for crop in crops]).astype(np.float32)
    rows -= rows.mean(1, keepdims=True)
    return np.asarray(rows / np.maximum(rows.std(1, keepdims=True), 1e-6), np.float32)


def open_recogniser() -> Descriptor:
    """dlib's face recogniser (CC0; 99.4 % on Labeled Faces in the Wild): (N, 128).

    Raises:
        BadConfiguration: its packages are not installed.
    """
    try:
        import dlib  # noqa: PLC0415 - for this evaluation alone
    except ImportError as error:
        raise BadConfiguration("the attack needs dlib-bin: install vigie[dev]") from error
    package, file = _DLIB
    # The package that brings the weights is not imported: it would need the old setuptools.
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise BadConfiguration(f"the attack needs {package}: install vigie[dev]")
    network = dlib.face_recognition_model_v1(str(Path(spec.origin).parent / file))

    def describe(crops: Sequence[Pixels]) -> NDArray[np.float32]:
        chips = (_resized(crop, _CHIP_PX) for crop in crops)
        return np.array([network.compute_face_descriptor(chip) for chip in chips], np.float32)

    return describe


def open_features() -> Descriptor:
    """Pooled ImageNet features of EfficientNet-Lite0, of unit length: (N, 320).

    Raises:
        BadConfiguration: the package with the weights is not installed.
    """
    network = Network(Architecture(("face",)))
    load_imagenet(network)
    backbone = network.backbone.eval()

    def describe(crops: Sequence[Pixels]) -> NDArray[np.float32]:
        rows = []
        with torch.inference_mode():
            for crop in crops:
                pixels = torch.from_numpy(_resized(crop, _FEATURES_PX)).permute(2, 0, 1)[None]
                last = backbone(pixels.float().sub(127.0).div(128.0))[-1]
                rows.append(torch.nn.functional.normalize(last.mean((2, 3)))[0].numpy())
        return np.stack(rows)

    return describe


def _resized(crop: Pixels, side_px: int) -> Pixels:
    how = cv2.INTER_AREA if side_px < min(crop.shape[:2]) else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(crop, (side_px, side_px), interpolation=how), np.uint8)
