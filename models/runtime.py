"""From the network's raw output on one image to detections."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from models.backends import SIZE_MULTIPLE_PX, Backend, Precision, best_backend, runner
from models.card import SHIPPED, read_card
from models.detections import Detections
from models.errors import BadAnswer
from models.parts import MAX_DETECTIONS, in_parts, suppress

STRIDES = (8, 16, 32)
"""Pixels between the network's points, level by level."""

_OVERLAP = 0.45  # of a square and the next, in the network's own squares
_PART_PX = 1920  # longest side of what is looked at at once: memory bounds it
_GREY = 127  # beside a picture
_UNSURE = 300  # best finds of a picture that an evaluation sees below the card's thresholds
_KEPT_SIZES = 8  # of pictures, whose points are remembered: megabytes each


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
        precision: Precision = "int8",
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
        self.backend: Backend = backend or best_backend()
        self._run = runner(self.card, folder, cache, self.backend, precision)

    def dense(self, pixels: NDArray[np.uint8]) -> DenseArrays:
        """Raw output for uint8 (H, W, 3): a letterboxed square of `input_px`.

        Other pictures, sides multiples of 32 px, where the architecture allows `any_size`.
        """
        logits, distances, *rest = (np.asarray(a, np.float32)[0] for a in self._run(pixels[None]))
        architecture = self.card.architecture
        states = rest.pop(0) if architecture.state_names else np.zeros((len(logits), 0), np.float32)
        image = rest.pop(0) if architecture.image_names else np.zeros(0, np.float32)
        return DenseArrays(logits, distances, states, image)

    def _both_ways(self, pixels: NDArray[np.uint8]) -> DenseArrays:
        """Mean of what the network says of a picture and of its mirror image, turned back."""
        seen = self.dense(pixels)
        mirrored = self.dense(np.ascontiguousarray(pixels[:, ::-1]))
        order = _mirrored(*pixels.shape[:2])
        turned = DenseArrays(
            mirrored.logits[order],
            mirrored.distances[order][:, [2, 1, 0, 3]],  # left and right change places
            mirrored.states[order],
            mirrored.image,
        )
        pairs = zip(seen, turned, strict=True)
        return DenseArrays(*(np.asarray((a + b) / 2, np.float32) for a, b in pairs))

    def detect(self, pixels: NDArray[np.uint8], min_score: float | None = None) -> Detections:
        """Objects in an image uint8 (H, W, 3) RGB of any size.

        Args:
            pixels: the image.
            min_score: one threshold for all classes (an evaluation wants nearly all, and below the
                card's sees the best alone); the card's when None.

        Raises:
            BadAnswer: the network gave a number that is not finite.
        """
        square, scale = letterbox(pixels, self.card.architecture.input_px)
        size_hw = pixels.shape[0], pixels.shape[1]
        return self._made_of(
            self._both_ways(square), points(len(square)), scale, size_hw, min_score
        )

    def _made_of(
        self,
        dense: DenseArrays,
        at: NDArray[np.float32],
        scale: float,
        size_hw: tuple[int, int],
        min_score: float | None,
    ) -> Detections:
        """Detections in a picture of `size_hw` that was scaled before the network saw it."""
        card = self.card
        architecture = card.architecture
        if not all(np.isfinite(part).all() for part in dense):
            raise BadAnswer("not_finite", f"output of {card.model}")
        scores = _sigmoid(dense.logits)  # (A, C)
        floors = np.array([card.min_score[n] for n in architecture.names], np.float32)
        where, labels = np.nonzero(scores >= (floors if min_score is None else min_score))
        boxes = boxes_of(dense.distances[where], at[where]) / scale
        boxes = np.clip(boxes, 0, np.array(size_hw[::-1] * 2, np.float32))
        solid = ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(1)
        where, labels, boxes = where[solid], labels[solid], boxes[solid]
        kept = suppress(boxes, scores[where, labels], labels)
        sure = (scores[where, labels] >= floors[labels])[kept]
        kept = kept[sure | (np.arange(len(kept)) < _UNSURE)][:MAX_DETECTIONS]
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
            size_hw,
            _softmax(card.calibration.get("state", (1.0, 0.0))[0] * dense.states[where]),
            architecture.state_names,
            facts,
        )

    def detect_at_full_size(
        self, pixels: NDArray[np.uint8], min_score: float | None = None
    ) -> Detections:
        """Objects in a large image, looked at as it is, in one part or as few as memory allows.

        For architectures of `any_size`. What is larger than the network's own square is left to
        `detect`: it never saw such things.

        Args:
            pixels: uint8 (H, W, 3) RGB.
            min_score: as of `detect`.

        Raises:
            BadAnswer: not_finite.
        """
        largest = self.card.architecture.input_px

        def look(part: NDArray[np.uint8]) -> Detections:
            size_hw = height, width = part.shape[0], part.shape[1]
            tall, wide = (-(-n // SIZE_MULTIPLE_PX) * SIZE_MULTIPLE_PX for n in size_hw)
            padded = np.full((tall, wide, 3), _GREY, np.uint8)
            padded[:height, :width] = part
            found = self._made_of(
                self._both_ways(padded), points(tall, wide), 1.0, size_hw, min_score
            )
            sides = found.boxes[:, 2:] - found.boxes[:, :2]
            return found.where(np.asarray((sides <= largest).all(1)))

        return in_parts(pixels, _PART_PX, round(_OVERLAP * largest), look)

    def detect_tiled(
        self, pixels: NDArray[np.uint8], scale: float, min_score: float | None = None
    ) -> Detections:
        """Objects in a large image, looked at in squares of the network's own size.

        See `in_parts`; squares overlap by 0.45 of their side.

        Args:
            pixels: uint8 (H, W, 3) RGB.
            scale: at which objects have the size that the network knows.
            min_score: as of `detect`.

        Raises:
            BadAnswer: the network gave a number that is not finite.
        """
        size_hw = pixels.shape[0], pixels.shape[1]
        if scale < 1:  # a square of the full picture could take any memory
            wide, tall = (max(1, round(n * scale)) for n in size_hw[::-1])
            small = cv2.resize(pixels, (wide, tall), interpolation=cv2.INTER_AREA)
            pixels = np.asarray(small, np.uint8)
        side = round(self.card.architecture.input_px / max(scale, 1.0))

        def look(part: NDArray[np.uint8]) -> Detections:
            square = np.full((side, side, 3), _GREY, np.uint8)
            square[: part.shape[0], : part.shape[1]] = part
            return self.detect(square, min_score)

        found = in_parts(pixels, side, round(_OVERLAP * side), look)
        height, width = pixels.shape[:2]
        full = np.array([size_hw[1] / width, size_hw[0] / height] * 2, np.float32)
        boxes = np.minimum(found.boxes * full, np.array(size_hw[::-1] * 2, np.float32))
        return replace(found, boxes=boxes, size_hw=size_hw)


@lru_cache(_KEPT_SIZES)
def points(height_px: int, width_px: int | None = None) -> NDArray[np.float32]:
    """Where the A points of all levels are in a picture, a square without a width; float32 (A, 8).

    The first half is a point's x, y, x, y in px, the second −s, −s, s, s with its level's stride s:
    what `boxes_of` needs.
    """
    levels = []
    for stride in STRIDES:
        axes = (
            (np.arange(side // stride, dtype=np.float32) + 0.5) * stride
            for side in (height_px, width_px or height_px)
        )
        y, x = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
        reach = np.full(x.size, stride, np.float32)
        levels.append(np.stack([x, y, x, y, -reach, -reach, reach, reach], 1))
    return np.concatenate(levels).astype(np.float32)


@lru_cache(_KEPT_SIZES)
def _mirrored(height_px: int, width_px: int) -> NDArray[np.intp]:
    """For each of the A points the index of the one at its place in the mirror image, (A,)."""
    order, first = [], 0
    for stride in STRIDES:
        rows, columns = height_px // stride, width_px // stride
        level = first + np.arange(rows * columns).reshape(rows, columns)
        order.append(level[:, ::-1].ravel())
        first += rows * columns
    return np.concatenate(order)


def boxes_of(distances: Any, at: Any) -> Any:
    """Distances (…, A, 4) in strides at points (A, 8) → boxes xyxy px (…, A, 4).

    For arrays of NumPy, and for tensors of torch while training.
    """
    return at[:, :4] + distances * at[:, 4:]


def letterbox(pixels: NDArray[np.uint8], side_px: int) -> tuple[NDArray[np.uint8], float]:
    """Fit an image (H, W, 3) into the top left of a grey square; gives it and the scale used."""
    height, width = pixels.shape[:2]
    scale = side_px / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    canvas = np.full((side_px, side_px, 3), _GREY, np.uint8)
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas[: size[1], : size[0]] = cv2.resize(pixels, size, interpolation=interpolation)
    return canvas, scale


def _sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -60, 60))), np.float32)


def _softmax(x: NDArray[np.float32]) -> NDArray[np.float32]:
    if not x.size:
        return x
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True), np.float32)
