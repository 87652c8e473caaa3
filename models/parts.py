"""Look at a picture part by part, and keep each thing that is found once."""

from collections.abc import Callable
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from models.detections import Detections

MAX_DETECTIONS = 5000
"""Of a picture: more than any shows, so that what is counted never stops at it."""

_NMS_IOU = 0.45
_AT_BORDER_PX = 3


def in_parts(
    pixels: NDArray[np.uint8],
    side_px: int,
    overlap_px: int,
    look: Callable[[NDArray[np.uint8]], Detections],
) -> Detections:
    """What `look` finds in parts of a picture, each thing once.

    What the border of a part cuts is left to the next one, which holds it whole where its sides are
    under the overlap. A fact is as true as in the part where it is truest.
    """
    size_hw = height, width = pixels.shape[0], pixels.shape[1]
    found, places = [], []
    starts = (_starts(n, side_px, overlap_px) for n in size_hw)
    for top, left in product(*starts):
        seen = look(pixels[top : top + side_px, left : left + side_px])
        ends = np.array([left, top, left + side_px, top + side_px], np.float32)
        boxes = seen.boxes + ends[[0, 1, 0, 1]]
        inner = (ends > 0) & (ends < [width, height, width, height])
        boxes = np.minimum(boxes, np.array([width, height] * 2, np.float32))
        whole = ~((np.abs(boxes - ends) < _AT_BORDER_PX) & inner).any(1)
        whole &= (boxes[:, 2:] - boxes[:, :2] >= 1).all(1)  # not beside the picture
        found.append(seen.where(whole))
        places.append(boxes[whole])
    boxes = np.concatenate(places)
    scores = np.concatenate([part.scores for part in found])
    labels = np.concatenate([part.labels for part in found])
    kept = suppress(boxes, scores, labels)[:MAX_DETECTIONS]
    return Detections(
        boxes[kept],
        scores[kept],
        labels[kept],
        found[0].names,
        size_hw,
        np.concatenate([part.states for part in found])[kept],
        found[0].state_names,
        {n: max(part.image_scores[n] for part in found) for n in found[0].image_scores},
    )


def _starts(length_px: int, side_px: int, overlap_px: int) -> list[int]:
    """Where parts begin along one side of a picture, evenly, the last at the border."""
    step = side_px - overlap_px
    last = max(length_px - side_px, 0)
    count = -(-last // step)
    return [round(i * last / max(count, 1)) for i in range(count + 1)]


def suppress(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    labels: NDArray[np.int64],
    iou: float = _NMS_IOU,
) -> NDArray[np.intp]:
    """Indices of the boxes (N, 4) that stay, best first: per label, none overlaps a better one."""
    if not len(boxes):
        return np.zeros(0, np.intp)
    xywh = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
    kept = cv2.dnn.NMSBoxesBatched(xywh.tolist(), scores.tolist(), labels.tolist(), 0.0, iou)
    order = np.asarray(kept, np.intp).ravel()
    return order[np.argsort(-scores[order], kind="stable")]
