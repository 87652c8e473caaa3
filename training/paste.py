"""Copy-paste of waste: bags and heaps cut out of training pictures, laid beside containers.

Pictures with boxed containers and waste beside them are few. Cut-outs (GrabCut, Rother et al.,
SIGGRAPH 2004, where it gives one plausible piece) are put on the ground near containers of other
pictures, in their light (arXiv 2012.07177).
"""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from training.dataset import WASTE_NAMES, WASTE_STATES, Sample

CONTAINER, WASTE = (WASTE_NAMES.index(name) for name in ("container", "waste"))
_CUT_PX = 160  # longer side of a cut-out at most
_AROUND = 0.25  # of its longer side: what shows GrabCut the ground
_SHARES = (0.3, 0.92)  # of its box that a plausible piece fills
_WHOLE = 0.75  # of the piece that hangs together
_LITTER = 0.12  # in heights of the container: up to this, it is a little litter
Pixels = NDArray[np.uint8]


def cut_outs(samples: Sequence[Sample]) -> list[Pixels]:
    """The labelled waste of these samples as uint8 (h, w, 4), the last channel its coverage."""
    pieces = []
    for sample in samples:
        assert sample.pixels is not None
        if sample.loose:
            continue
        for box in sample.boxes[sample.labels == WASTE]:
            piece = _cut_out(sample.pixels, box)
            if piece is not None:
                pieces.append(piece)
    return pieces


def _cut_out(pixels: Pixels, box: NDArray[np.float32]) -> Pixels | None:
    x1, y1, x2, y2 = box.round().astype(int)
    margin = int(_AROUND * max(x2 - x1, y2 - y1))
    left, top = max(x1 - margin, 0), max(y1 - margin, 0)
    part = pixels[top : y2 + margin, left : x2 + margin]
    scale = min(1.0, _CUT_PX / max(x2 - x1, y2 - y1, 1))
    part = np.ascontiguousarray(cv2.resize(part, None, fx=scale, fy=scale))
    x, y = int((x1 - left) * scale), int((y1 - top) * scale)
    w, h = int((x2 - x1) * scale), int((y2 - y1) * scale)
    touches = x == 0 or y == 0 or x + w >= part.shape[1] or y + h >= part.shape[0]
    if min(w, h) < 16 or touches:
        return None
    mask = np.zeros(part.shape[:2], np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(part, mask, (x, y, w, h), *models, 4, cv2.GC_INIT_WITH_RECT)
    inside = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    inside = inside[y : y + h, x : x + w]
    _, _, stats, _ = cv2.connectedComponentsWithStats(inside)
    area = int(inside.sum())
    if not _SHARES[0] <= area / inside.size <= _SHARES[1]:
        return None
    if stats[1:, cv2.CC_STAT_AREA].max() < _WHOLE * area:
        return None
    soft = cv2.GaussianBlur(inside * np.uint8(255), (0, 0), 1.0)
    return np.dstack([part[y : y + h, x : x + w], soft])


def paste(sample: Sample, pieces: Sequence[Pixels], rng: np.random.Generator) -> Sample:
    """Waste or a little litter beside one of the containers; the sample itself where it has none.

    Args:
        sample: with its pixels, of a picture whose waste is labelled.
        pieces: of `cut_outs`.
        rng: of every choice.
    """
    assert sample.pixels is not None
    containers = np.flatnonzero(sample.labels == CONTAINER)
    if not len(containers) or not pieces or not sample.exhaustive[WASTE]:
        return sample
    index = int(rng.choice(containers))
    x1, y1, x2, y2 = sample.boxes[index]
    tall = float(y2 - y1)
    litter = rng.random() < 0.3
    pixels, boxes = sample.pixels.copy(), []
    for _ in range(int(rng.integers(1, 4))):
        piece = pieces[int(rng.integers(len(pieces)))]
        size = tall * (rng.uniform(0.04, _LITTER) if litter else rng.uniform(0.18, 0.5))
        scale = size / piece.shape[0]
        foot = y2 + rng.uniform(-0.08, 0.12) * tall
        # Beside the container or before its foot, never where it would hide it.
        side = rng.choice([x1 - rng.uniform(0, 0.3) * tall, x2 + rng.uniform(0, 0.3) * tall])
        middle = rng.uniform(x1, x2) if foot > y2 else side
        box = _lay(pixels, piece, scale, middle, foot, rng)
        if box is not None:
            boxes.append(box)
    if not boxes:
        return sample
    states, facts = sample.states.copy(), sample.facts
    state = WASTE_STATES.index("minor_litter" if litter else "side_waste")
    states[index] = max(states[index], state)
    if not litter:
        facts = np.ones_like(facts)
    return replace(
        sample,
        pixels=pixels,
        boxes=np.concatenate([sample.boxes, np.array(boxes, np.float32)]),
        labels=np.concatenate([sample.labels, np.full(len(boxes), WASTE, np.int64)]),
        states=np.concatenate([states, np.full(len(boxes), -1, np.int64)]),
        facts=facts,
    )


def _lay(
    pixels: Pixels,
    piece: Pixels,
    scale: float,
    middle: float,
    foot: float,
    rng: np.random.Generator,
) -> NDArray[np.float32] | None:
    """Draw one piece standing at (middle, foot); its box, None where too little of it shows."""
    height, width = pixels.shape[:2]
    wide, tall = (max(2, round(side * scale)) for side in (piece.shape[1], piece.shape[0]))
    x, y = round(middle - wide / 2), round(foot - tall)
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + wide, width), min(y + tall, height)
    if (right - left) * (bottom - top) < 0.6 * wide * tall or min(wide, tall) < 3:
        return None
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(piece, (wide, tall), interpolation=how)
    if rng.random() < 0.5:
        small = small[:, ::-1]
    small = small[top - y : bottom - y, left - x : right - x].astype(np.float32)
    under = pixels[top:bottom, left:right].astype(np.float32)
    covered = small[..., 3:] / 255
    # In the light of the place: waste is about as bright as what it lies on, or brighter.
    light = (under.mean() + 25) / max(float(small[..., :3].mean()), 1) * rng.uniform(0.8, 1.5)
    laid = np.clip(small[..., :3] * min(light, 1.6), 0, 255)
    pixels[top:bottom, left:right] = (covered * laid + (1 - covered) * under).astype(np.uint8)
    return np.array([left, top, right, bottom], np.float32)
