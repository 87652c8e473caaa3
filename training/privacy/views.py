"""Views for training: crops around what is hard, at the sizes that matter, in bad light.

Most crops are placed on a face or a plate and scaled so that its height falls between 5 and 240 px,
small ones most often: these are the ones that detectors miss. Plates, of which few are labelled,
are also drawn, or copied from other pictures, onto vehicles that show none; some faces get masks,
or something in front of them, and some are drawn where few are labelled (`training.privacy.hard`).
Some pictures are redacted first: the proof looks at covers, and must not take them for faces.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np

from models.cover import cover
from models.personal import region_of
from models.plan import plan_of
from models.redaction import LABELS
from training.labelled import Labelled
from training.privacy.hard import NARROW, trailer, with_occluders, with_passengers, with_poster
from training.privacy.labels import FACE, HEAD, PERSON, PLATE, VEHICLE
from training.scenes.camera import Floats, floats
from training.scenes.plates import any_plate, stick
from training.scenes.scene import Pixels
from training.views import SCALES, crop

_TARGETS_PX = (5.0, 240.0)
_TOWS_PX = 60
_COPIED_PX = 14  # height from which a plate is copied
_GONE, _HIDDEN = 0.9, 0.5  # share covered from which an object is background, or unclear


def view(
    sample: Labelled, side_px: int, rng: np.random.Generator, plates: Sequence[Pixels] = ()
) -> Labelled:
    """A random square of `side_px` of `sample`, with all that is known of it.

    Args:
        sample: with its pixels.
        side_px: of the view.
        rng: of every choice.
        plates: pictures of plates to copy from, see `cut_plates`.
    """
    assert sample.pixels is not None
    if rng.random() < 0.6:
        sample = _with_plates(sample, rng, plates)
    for hard, share in ((with_passengers, 0.2), (with_poster, 0.15), (with_occluders, 0.25)):
        if rng.random() < share:
            sample = hard(sample, rng)
    if rng.random() < 0.4:
        sample = _with_masks(sample, rng)
    if rng.random() < 0.15:
        sample = _with_covers(sample, rng)
    assert sample.pixels is not None
    height, width = sample.pixels.shape[:2]
    small = np.flatnonzero(np.isin(sample.labels, (FACE, PLATE, HEAD)))
    other = np.flatnonzero(np.isin(sample.labels, (PERSON, VEHICLE)))
    if len(small) and rng.random() < 0.75:
        kinds = np.unique(sample.labels[small])
        kind = PLATE if PLATE in kinds and rng.random() < 0.5 else rng.choice(kinds)
        box = sample.boxes[rng.choice(np.flatnonzero(sample.labels == kind))]
        scale = np.exp(rng.uniform(*np.log(_TARGETS_PX))) / (box[3] - box[1])
    elif len(other) and rng.random() < 0.6:
        box = sample.boxes[rng.choice(other)]
        scale = np.exp(rng.uniform(np.log(24), np.log(0.9 * side_px))) / max(box[3] - box[1], 1)
    else:
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        box = np.array([x, y, x, y], np.float32)
        scale = np.exp(rng.uniform(np.log(SCALES[0]), np.log(2.0)))
    return crop(sample, box, float(scale), side_px, rng)


def batches(
    samples: Sequence[Labelled],
    batch: int,
    side_px: int,
    rng: np.random.Generator,
    plates: Sequence[Pixels] = (),
) -> Iterator[list[Labelled]]:
    """One shuffled pass over `samples` as views; the last short batch is dropped."""
    order = rng.permutation(len(samples))
    for start in range(0, len(order) - batch + 1, batch):
        yield [view(samples[i], side_px, rng, plates) for i in order[start : start + batch]]


def cut_plates(samples: Sequence[Labelled]) -> list[Pixels]:
    """The labelled plates that are large enough to be copied, as bright as drawn ones."""
    plates = []
    for sample in samples:
        assert sample.pixels is not None
        for x1, y1, x2, y2 in sample.boxes[sample.labels == PLATE].round().astype(int):
            plate = sample.pixels[max(y1, 0) : y2, max(x1, 0) : x2].astype(np.float32)
            if y2 - y1 >= _COPIED_PX and 0.8 < (x2 - x1) / (y2 - y1) < 6:
                plate *= 235 / max(float(np.percentile(plate, 95)), 1.0)
                plates.append(np.clip(plate, 0, 255).astype(np.uint8))
    return plates


def _with_plates(sample: Labelled, rng: np.random.Generator, copied: Sequence[Pixels]) -> Labelled:
    """Plates, drawn or copied, on vehicles that show none."""
    assert sample.pixels is not None
    pixels, boxes = sample.pixels, []
    plates = sample.boxes[sample.labels == PLATE]
    for x1, y1, x2, y2 in sample.boxes[sample.labels == VEHICLE]:
        w, h = x2 - x1, y2 - y1
        middle = (plates[:, :2] + plates[:, 2:]) / 2
        has = ((middle > [x1, y1]) & (middle < [x2, y2])).all(1).any()
        if has or w < 24 or h < 20 or rng.random() < 0.4:
            continue
        narrow = h > NARROW * w
        copy = len(copied) > 0 and rng.random() < 0.6 and not narrow
        plate = copied[int(rng.integers(len(copied)))] if copy else any_plate(rng, square=narrow)
        if not narrow and w >= _TOWS_PX and rng.random() < 0.15:
            pixels, corners = trailer(pixels, floats([x1, y1, x2, y2]), rng)
        elif narrow:
            # Of a motorcycle or scooter seen from behind: two lines, in the middle, under the seat.
            y = y1 + rng.uniform(0.45, 0.75) * h
            corners = _hung(plate, rng.uniform(0.2, 0.4) * w, (x1 + 0.5 * w, y), rng)
        else:
            wide = float(np.clip(rng.uniform(0.12, 0.3) * min(w, 1.4 * h), 5, 200))
            x = rng.uniform(x1 + 0.15 * w, x2 - 0.15 * w)
            y = rng.uniform(y1 + 0.5 * h, y2 - 0.12 * h)
            corners = _hung(plate, wide, (x, y), rng)
        pixels, box = stick(pixels, plate, corners, rng)
        boxes.append(box)
    if not boxes:
        return sample
    return replace(
        sample,
        pixels=pixels,
        boxes=np.concatenate([sample.boxes, np.array(boxes, np.float32)]),
        labels=np.concatenate([sample.labels, np.full(len(boxes), PLATE, np.int64)]),
    )


def _hung(
    plate: Pixels, wide: float, middle: tuple[float, float], rng: np.random.Generator
) -> Floats:
    """The corners (4, 2) px of a plate, somewhat turned and seen from the side."""
    x, y = middle
    tall = wide * plate.shape[0] / plate.shape[1] * rng.uniform(0.85, 1.15)
    wide *= rng.uniform(0.5, 1.0)
    slant, lean = rng.normal(0, 0.15) * wide, rng.normal(0, 0.04) * tall
    return floats(
        [
            [x - wide / 2 + lean, y - tall / 2 - slant / 2],
            [x + wide / 2 + lean, y - tall / 2 + slant / 2],
            [x + wide / 2 - lean, y + tall / 2 + slant / 2],
            [x - wide / 2 - lean, y + tall / 2 - slant / 2],
        ]
    )


def _with_masks(sample: Labelled, rng: np.random.Generator) -> Labelled:
    """Something drawn over the lower half of some faces: masks, scarves, a hand or a box."""
    assert sample.pixels is not None
    pixels = sample.pixels.copy()
    for x1, y1, x2, y2 in sample.boxes[sample.labels == FACE]:
        w, h = x2 - x1, y2 - y1
        if h < 6 or rng.random() < 0.4:
            continue
        top = rng.uniform(0.4, 0.62)
        outline = np.array(
            [[0.04, top], [0.5, top - 0.08], [0.96, top], [0.85, 0.88], [0.5, 1.02], [0.15, 0.88]]
        )
        outline += rng.normal(0, 0.04, outline.shape)
        corners = outline * [w, h] + [x1, y1]
        around = pixels[max(int(y1), 0) : int(y2) + 1, max(int(x1), 0) : int(x2) + 1]
        light = np.clip(around.mean() / 130, 0.2, 1.15)
        pick = rng.random()
        ground = (
            (225, 232, 235) if pick < 0.35 else (150, 190, 215) if pick < 0.55 else (30, 30, 34)
        )
        colour = rng.integers(0, 256, 3) if pick > 0.8 else np.array(ground)
        shade = np.clip(colour * light * rng.uniform(0.85, 1.1), 0, 255).tolist()
        points = (corners * 16).round().astype(np.int32)
        cv2.fillPoly(pixels, [points], shade, cv2.LINE_AA, shift=4)
    return replace(sample, pixels=pixels)


def _with_covers(sample: Labelled, rng: np.random.Generator) -> Labelled:
    """Most faces, plates and heads covered as a redactor covers them, and a few places besides."""
    assert sample.pixels is not None
    size_hw = height, width = sample.pixels.shape[:2]
    small = np.isin(sample.labels, (FACE, PLATE, HEAD))
    middles = rng.uniform(0, 1, (int(rng.integers(1, 4)), 2)) * [width, height]
    halves = np.exp(rng.uniform(np.log(4), np.log(60), middles.shape))
    boxes = [
        *sample.boxes[small & (rng.random(len(small)) < 0.7)],
        *np.concatenate([middles - halves, middles + halves], 1),
    ]
    regions = [region_of(box, LABELS[FACE], 1.0, height, width) for box in boxes]
    plan = plan_of(size_hw, regions, (), "mosaic" if rng.random() < 0.8 else "solid")
    known = [region_of(box, LABELS[FACE], 1.0, height, width) for box in sample.boxes]
    share = np.array([plan.share(region, plan.covered) for region in known])
    seen, gone = ~small | (share < _HIDDEN), small & (share >= _GONE)
    return replace(
        sample,
        pixels=cover(sample.pixels, plan, rng.bytes(16)),
        boxes=sample.boxes[seen],
        labels=sample.labels[seen],
        ignored=np.concatenate([sample.ignored, sample.boxes[~seen & ~gone]]),
        ignored_labels=np.concatenate([sample.ignored_labels, sample.labels[~seen & ~gone]]),
        covered=True,
    )
