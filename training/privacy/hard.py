"""Hard cases drawn onto pictures: what hides faces, and faces and plates where few are labelled.

Poles, leaves and other people stand in front of faces; faces look out of vehicles through glass and
down from posters; plates hang on narrow vehicles and on trailers.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.labelled import Labelled
from training.privacy.labels import FACE, HEAD, PERSON, VEHICLE
from training.scenes.camera import Floats, floats
from training.scenes.heads import head
from training.scenes.people import HAIRS, SKINS
from training.scenes.plates import stick
from training.scenes.scene import Pixels

NARROW = 1.15
"""Times its width that a motorcycle, seen from behind or before, is high."""

_SPRITE_PX = 96
_POSTER_HW = (240, 170)
_TRIES = 8
_DARK = 40
_LEAST_FACE_PX = 5


def with_occluders(sample: Labelled, rng: np.random.Generator) -> Labelled:
    """Something in front of some faces that leaves about half of each to be seen."""
    assert sample.pixels is not None
    pixels = sample.pixels.copy()
    kinds: tuple[Callable[[Pixels, Floats, np.random.Generator], None], ...]
    kinds = (_pole, _leaves, _somebody)
    for box in sample.boxes[sample.labels == FACE]:
        if box[3] - box[1] >= 8 and rng.random() < 0.5:
            kinds[int(rng.integers(len(kinds)))](pixels, floats(box), rng)
    return replace(sample, pixels=pixels)


def with_passengers(sample: Labelled, rng: np.random.Generator) -> Labelled:
    """Heads behind the glass of vehicles that show no face."""
    assert sample.pixels is not None
    pixels, added = sample.pixels.copy(), []
    faces = sample.boxes[sample.labels == FACE]
    middles = (faces[:, :2] + faces[:, 2:]) / 2
    for x1, y1, x2, y2 in sample.boxes[sample.labels == VEHICLE]:
        w, h = x2 - x1, y2 - y1
        has = ((middles > [x1, y1]) & (middles < [x2, y2])).all(1).any()
        if has or min(w, h) < 48 or h > NARROW * w or rng.random() < 0.4:
            continue
        side = int(rng.uniform(0.14, 0.28) * min(w, h))
        left = int(x1 + rng.uniform(0.2, 0.8) * w - side / 2)
        top = int(y1 + rng.uniform(0.08, 0.28) * h)
        if left < 0 or top < 0 or left + side > pixels.shape[1] or top + side > pixels.shape[0]:
            continue
        there = pixels[top : top + side, left : left + side]
        if there.mean() < _DARK:
            continue  # nobody would be seen
        seen, face, skull = _portrait(rng, (side, side), there)
        there[...] = _behind_glass(seen, there, rng)
        offset = np.array([left, top] * 2)
        added += [(FACE, face + offset), (HEAD, skull + offset)]
    return _with(sample, pixels, added)


def with_poster(sample: Labelled, rng: np.random.Generator) -> Labelled:
    """A flat picture of somebody, hung where people are and nothing labelled is hidden."""
    assert sample.pixels is not None
    if not np.isin(sample.labels, (FACE, PERSON)).any():
        return sample
    height, width = sample.pixels.shape[:2]
    taken = np.concatenate([sample.boxes, sample.ignored])
    for _ in range(_TRIES):
        tall = rng.uniform(0.12, 0.45) * height
        wide = tall * _POSTER_HW[1] / _POSTER_HW[0] * rng.uniform(0.6, 1.1)  # seen from the side
        if wide >= width:
            continue
        x, y = rng.uniform(0, width - wide), rng.uniform(0, height - tall)
        free = (taken[:, 0] >= x + wide) | (taken[:, 2] <= x)
        free |= (taken[:, 1] >= y + tall) | (taken[:, 3] <= y)
        if free.all():
            break
    else:
        return sample
    poster, face, skull = _poster(rng)
    slant = rng.normal(0, 0.06, 2) * tall
    right, bottom = x + wide, y + tall
    corners = floats([[x, y + slant[0]], [right, y], [right, bottom], [x, bottom - slant[1]]])
    pixels, _ = stick(sample.pixels, poster, corners, rng)
    h, w = poster.shape[:2]
    source = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
    matrix = cv2.getPerspectiveTransform(source, corners)
    return _with(sample, pixels, [(FACE, _moved(face, matrix)), (HEAD, _moved(skull, matrix))])


def trailer(pixels: Pixels, vehicle: Floats, rng: np.random.Generator) -> tuple[Pixels, Floats]:
    """A trailer behind a vehicle (box in px): the picture, and the (4, 2) px where a plate goes."""
    x1, y1, x2, y2 = vehicle
    w, h = x2 - x1, y2 - y1
    wide, tall = rng.uniform(0.5, 0.8) * w, rng.uniform(0.3, 0.5) * h
    x, bottom = (x1 + x2) / 2 + rng.normal(0, 0.05) * w, y2 - 0.02 * h
    pixels = pixels.copy()
    light = _light(pixels, vehicle)
    shades = rng.choice([[200, 200, 196], [120, 122, 126], [92, 70, 48], [60, 84, 60]])
    body = (shades * light).clip(0, 255)
    left, top, base = x - wide / 2, bottom - tall, bottom - 0.22 * tall
    for side in (left + 0.04 * wide, x + wide / 2 - 0.2 * wide):
        _fill(pixels, _rectangle(side, base, side + 0.16 * wide, bottom), 30 * light * np.ones(3))
    _fill(pixels, _rectangle(left, top, x + wide / 2, base), body)
    for share in rng.uniform(0.25, 0.75, 2):
        edge = top + share * (base - top)
        _fill(pixels, _rectangle(left, edge, x + wide / 2, edge + 0.02 * tall), 0.7 * body)
    lamp = np.array([190, 30, 30]) * light
    for side in (left + 0.02 * wide, x + wide / 2 - 0.12 * wide):
        _fill(pixels, _rectangle(side, base - 0.14 * tall, side + 0.1 * wide, base), lamp)
    plate_w = rng.uniform(0.16, 0.34) * wide
    plate_h = plate_w * rng.uniform(0.25, 0.7)
    at = x + rng.choice([-0.22, 0.0, 0.22]) * wide
    low = base - rng.uniform(0.02, 0.2) * tall
    return pixels, _rectangle(at - plate_w / 2, low - plate_h, at + plate_w / 2, low)


def _pole(pixels: Pixels, box: Floats, rng: np.random.Generator) -> None:
    x1, y1, x2, y2 = box
    w, h = x2 - x1, y2 - y1
    wide, x = rng.uniform(0.15, 0.4) * w, rng.uniform(x1 + 0.1 * w, x2 - 0.1 * w)
    colour = np.array([[120, 122, 124], [40, 42, 44], [70, 90, 70], [96, 80, 62]])
    shade = colour[rng.integers(len(colour))] * _light(pixels, box)
    top, bottom = y1 - rng.uniform(1, 5) * h, y2 + rng.uniform(2, 8) * h
    lean = rng.normal(0, 0.02) * (bottom - top)
    for share, tone in ((0.0, 0.7), (0.3, 1.1), (0.7, 0.85)):  # round: lit from one side
        left, right = x - wide / 2 + share * wide, x + wide / 2
        outline = [[left - lean, top], [right - lean, top], [right + lean, bottom]]
        _fill(pixels, np.array([*outline, [left + lean, bottom]]), tone * shade)


def _leaves(pixels: Pixels, box: Floats, rng: np.random.Generator) -> None:
    w, h = box[2] - box[0], box[3] - box[1]
    light = _light(pixels, box)
    middle = box[:2] + np.array([rng.choice([0.0, 1.0]), rng.uniform(0, 1)]) * [w, h]
    for at in middle + rng.normal(0, 0.32, (int(rng.integers(25, 60)), 2)) * [w, h]:
        long, turn = rng.uniform(0.05, 0.14) * (w + h) / 2, rng.uniform(0, np.pi)
        angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        leaf = np.stack([long * np.cos(angles), 0.45 * long * np.sin(angles)], 1)
        spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        green = np.array([rng.uniform(30, 110), rng.uniform(70, 150), rng.uniform(20, 60)])
        _fill(pixels, leaf @ spin.T + at, green * light)


def _somebody(pixels: Pixels, box: Floats, rng: np.random.Generator) -> None:
    """The back of a head and a shoulder, nearer to the camera, over a lower corner."""
    w, h = box[2] - box[0], box[3] - box[1]
    light = _light(pixels, box)
    x, y = box[0] + rng.choice([-0.1, 1.1]) * w, box[3] + rng.uniform(0.05, 0.4) * h
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles)], 1)
    cloth = rng.integers(20, 200, 3) * light
    _fill(pixels, ring * [1.5 * w, 1.6 * h] + [x, y + 2.1 * h], cloth)
    hair = np.array(HAIRS[rng.integers(len(HAIRS))]) * light
    _fill(pixels, ring * [rng.uniform(0.5, 0.65) * w, 0.7 * h] + [x, y], hair)


def _portrait(
    rng: np.random.Generator, size_hw: tuple[int, int], ground: Pixels
) -> tuple[Pixels, Floats, Floats]:
    """A drawn head on a ground of this size, and the boxes of its face and of all of it."""
    skin, hair = SKINS[rng.integers(len(SKINS))], HAIRS[rng.integers(len(HAIRS))]
    sprite, bare = head(rng, skin, hair, rng.uniform(-1.0, 1.0), _SPRITE_PX)
    side = min(size_hw)
    drawn = cv2.resize(sprite, (side, side), interpolation=cv2.INTER_AREA)
    face = cv2.resize(bare, (side, side), interpolation=cv2.INTER_AREA)
    left, top = (size_hw[1] - side) // 2, (size_hw[0] - side) // 2
    alpha = drawn[..., 3:] / 255
    pixels = ground.copy()
    there = pixels[top : top + side, left : left + side]
    there[...] = (there * (1 - alpha) + drawn[..., :3] * alpha).astype(np.uint8)
    offset = np.array([left, top] * 2)
    return pixels, _extent(face) + offset, _extent(drawn[..., 3]) + offset


def _behind_glass(seen: Pixels, outside: Pixels, rng: np.random.Generator) -> Pixels:
    """It is dim inside, and the glass is tinted and mirrors the sky, in streaks."""
    side = seen.shape[0]
    light = float(np.clip(outside.mean() / 110, 0.2, 1.2))
    inside = np.where((seen == outside).all(2)[..., None], 0.35 * outside, seen * light)
    y, x = np.mgrid[:side, :side] / side
    streak = np.exp(-(((x + y * rng.uniform(-1, 1) - rng.uniform(0, 1.2)) / 0.25) ** 2))
    glare = rng.uniform(0.0, 0.25) + rng.uniform(0, 0.45) * streak
    tint = np.array([170, 190, 205]) * light * rng.uniform(0.6, 1.2)
    mixed = inside * rng.uniform(0.45, 0.95) * (1 - glare[..., None]) + tint * glare[..., None]
    rim = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))[..., None]
    alpha = np.clip(rim * 10, 0, 1)
    return np.asarray(np.clip(outside * (1 - alpha) + mixed * alpha, 0, 255), np.uint8)


def _poster(rng: np.random.Generator) -> tuple[Pixels, Floats, Floats]:
    """uint8 (240, 170, 3) RGB, and the boxes in it of a face and of its head."""
    height, width = _POSTER_HW
    ground = np.full((height, width, 3), rng.integers(30, 240, 3), np.uint8)
    tall = int(rng.uniform(0.5, 0.95) * height)
    pixels = ground.copy()
    pixels[:tall], face, skull = _portrait(rng, (tall, width), ground[:tall])
    ink = (20, 20, 20) if ground.mean() > 110 else (235, 235, 235)
    for row in range(tall + 14, height - 4, int(rng.integers(14, 30))):
        text = "".join(rng.choice(list("ABCDEFGHIKLMNOPRSTUV ")) for _ in range(12))
        scale = float(rng.uniform(0.35, 0.7))
        cv2.putText(pixels, text, (8, row), cv2.FONT_HERSHEY_DUPLEX, scale, ink, 1, cv2.LINE_AA)
    if rng.random() < 0.5:
        cv2.rectangle(pixels, (0, 0), (width - 1, height - 1), ink, 4)
    return pixels, face, skull


def _with(sample: Labelled, pixels: Pixels, added: list[tuple[int, Floats]]) -> Labelled:
    tall = [box[3] - box[1] for label, box in added if label == FACE]
    if not added or min(tall) < _LEAST_FACE_PX:
        return sample
    boxes = np.array([box for _, box in added], np.float32)
    return replace(
        sample,
        pixels=pixels,
        boxes=np.concatenate([sample.boxes, boxes]),
        labels=np.concatenate([sample.labels, np.array([label for label, _ in added])]),
    )


def _extent(opacity: Pixels) -> Floats:
    rows, columns = np.flatnonzero((opacity > 127).any(1)), np.flatnonzero((opacity > 127).any(0))
    if not len(rows):
        return floats(np.zeros(4))
    return floats([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


def _moved(box: Floats, matrix: NDArray[np.float64]) -> Floats:
    x1, y1, x2, y2 = box
    corners = np.array([[[x1, y1], [x2, y1], [x2, y2], [x1, y2]]], np.float32)
    there = cv2.perspectiveTransform(corners, matrix)[0]
    return floats([*there.min(0), *there.max(0)])


def _rectangle(left: float, top: float, right: float, bottom: float) -> Floats:
    return floats([[left, top], [right, top], [right, bottom], [left, bottom]])


def _fill(pixels: Pixels, outline: NDArray[Any], colour: NDArray[Any]) -> None:
    points = (outline * 16).round().astype(np.int32)
    cv2.fillPoly(pixels, [points], colour.clip(0, 255).tolist(), cv2.LINE_AA, shift=4)


def _light(pixels: Pixels, box: Floats) -> float:
    """How light it is there, about 1 by day."""
    x1, y1, x2, y2 = box.round().astype(int)
    around = pixels[max(y1, 0) : y2 + 1, max(x1, 0) : x2 + 1]
    return float(np.clip(around.mean() / 130, 0.2, 1.15)) if around.size else 1.0
