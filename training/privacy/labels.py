"""Pictures with what is known of faces, plates, heads, people and vehicles in them.

Plates are labelled by people. Faces are not: a teacher (CenterFace at twice the size, also on the
mirrored picture) proposes them. People and vehicles are labelled by people or by a teacher. What
nobody is sure of is ignored, neither object nor background.
"""

import hashlib
import json
from collections import ChainMap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.redaction import LABELS
from training import scenes
from training.bar import bar
from training.coco import Annotations, read_coco, xyxy
from training.labelled import Boxes, Labelled
from training.privacy.teacher import CenterFace

FACE, PLATE, HEAD, PERSON, VEHICLE = range(len(LABELS))
TOPICS = ("plates", "occupancy", "waste")
# Scores of the teacher: a face from the first, background below the second.
_SURE, _UNSURE = 0.35, 0.15
_SAME_FACE_IOU = 0.4
_HALF_SURE = np.array([1, 1, 1, 1, 0.5])
_UPRIGHT = (2.0, 4.5)  # height to width of a person who stands or walks, seen whole
_HEAD_SHARE = 0.14  # of a standing person's height
Proposals = dict[str, list[list[float]]]
"""What a picture is called → the boxes in it, xyxy in px, each with its score."""

_SHIPPED = Path(__file__).with_name("faces.json")


def propose_faces(data: Path, cache: Path) -> Proposals:
    """What the teacher sees in each training picture and in its mirror image, by file name.

    A picture takes a second. So what it said of the pictures that our networks learnt from ships
    with the code, and what it says of others is kept in `cache`; both know pictures by digest.

    Raises:
        BadConfiguration: the data is not there.
    """
    names = [
        f"{topic}/{image['file_name']}"
        for topic in TOPICS
        for image, _ in _coco(data / topic / "train.json")
    ]
    shipped: Proposals = json.loads(_SHIPPED.read_text(encoding="utf-8"))
    own: Proposals = json.loads(cache.read_text(encoding="utf-8")) if cache.exists() else {}
    known = ChainMap(own, shipped)
    digests = {n: hashlib.sha256((data / n).read_bytes()).hexdigest()[:16] for n in names}
    missing = {digests[name]: name for name in names if digests[name] not in known}
    teacher = CenterFace(min_score=_UNSURE / 2) if missing else None
    for digest, name in bar(missing.items(), "faces", len(missing)):
        pixels = Labelled(data / name, *nothing()).read().pixels
        assert teacher is not None and pixels is not None
        width = pixels.shape[1]
        plain = [[*r.box, r.score] for r in teacher(pixels)]
        mirrored = teacher(np.ascontiguousarray(pixels[:, ::-1]))
        back = [[width - r.box[2], r.box[1], width - r.box[0], r.box[3], r.score] for r in mirrored]
        known[digest] = _agreed(plain, back)
    if missing:
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_text(json.dumps(own), encoding="utf-8")
    return {name: known[digest] for name, digest in digests.items()}


def read_labelled(data: Path, proposals: Proposals) -> list[Labelled]:
    """The training pictures of all topics, without their pixels.

    Raises:
        BadConfiguration: the data is not there.
    """
    found = []
    for topic in TOPICS:
        plates = None
        if topic == "plates":
            listed = _coco(data / topic / "train.json")
            plates = {image["id"]: xyxy(annotations) for image, annotations in listed}
        for image, annotations in _coco(data / topic / "train_pseudo.json"):
            name = f"{topic}/{image['file_name']}"
            notes = _Notes()
            notes.faces(proposals[name])
            notes.others(annotations)
            notes.heads(image["height"])
            if plates is not None:
                notes.add(PLATE, *plates.get(image["id"], ()))
            else:
                # Nobody looked for plates here, but they hang on vehicles and nowhere else.
                notes.plates_unknown()
            labelled = notes.labelled(data / name)
            # Where vehicles were left out, a missing plate means nothing.
            labelled.taught[PLATE] = image.get("exhaustive", True)
            found.append(labelled)
    return found


def draw(
    count: int,
    seed: int,
    size_hw: tuple[int, int] = (600, 800),
    *,
    night: bool = False,
    people: int | None = None,
    cars: int | None = None,
) -> Iterator[Labelled]:
    """Drawn streets, whose truth is complete; see `scenes.street`."""
    for i in range(count):
        rng = np.random.default_rng((seed, i))
        scene = scenes.street(rng, size_hw, night=night, people=people, cars=cars)
        notes = _Notes()
        names = {"face": FACE, "plate": PLATE, "person": PERSON, "car": VEHICLE}
        for index, (box, label) in enumerate(zip(scene.boxes, scene.labels, strict=True)):
            if label in names:
                notes.add(names[label], box)
            if label == "person":
                notes.add(HEAD, *_drawn_head(scene, index))
        yield replace(notes.labelled(None), pixels=scene.pixels)


def _drawn_head(scene: scenes.Scene, person: int) -> Iterator[Boxes]:
    """The box of what is seen of a drawn person's upper seventh; none where that is too little."""
    x1, y1, x2, y2 = scene.boxes[person].round().astype(int)
    inside = [
        i
        for i, (box, label) in enumerate(zip(scene.boxes, scene.labels, strict=True))
        if label == "face" and x1 - 2 <= (box[0] + box[2]) / 2 <= x2 + 2
    ]
    if y2 - y1 < _UPRIGHT[0] * (x2 - x1):
        return
    bottom = y1 + max(2, round(_HEAD_SHARE * (y2 - y1)))
    xs = np.flatnonzero(np.isin(scene.owner[y1:bottom, x1:x2], [person, *inside]).any(axis=0))
    if len(xs):
        yield np.array([x1 + xs[0], y1, x1 + xs[-1] + 1, bottom], np.float32)


class _Notes:
    """What is known of one picture, as it comes together."""

    def __init__(self) -> None:
        self._boxes: list[tuple[int, Boxes]] = []
        self._ignored: list[tuple[int, Boxes]] = []

    def add(self, label: int, *boxes: Any) -> None:
        self._boxes += [(label, np.asarray(box, np.float32)) for box in boxes]

    def ignore(self, label: int, *boxes: Any) -> None:
        self._ignored += [(label, np.asarray(box, np.float32)) for box in boxes]

    def of(self, label: int, *, ignored: bool = False) -> list[Boxes]:
        return [box for one, box in (self._ignored if ignored else self._boxes) if one == label]

    def faces(self, proposed: list[list[float]]) -> None:
        for *box, score in proposed:
            (self.add if score >= _SURE else self.ignore)(FACE, box)

    def others(self, annotations: Annotations) -> None:
        for annotation, box in zip(annotations, xyxy(annotations), strict=True):
            label = PERSON if annotation["name"] == "person" else VEHICLE
            (self.ignore if annotation["iscrowd"] else self.add)(label, box)

    def heads(self, height: int) -> None:
        """Heads around faces; above the shoulders of people without one where they stand whole.

        A face box reaches from the brows or the hairline to the chin; the skull is half as large
        again. Elsewhere in a person's upper third there may be a head: unknown.
        """
        for known in (True, False):
            for x1, y1, x2, y2 in self.of(FACE, ignored=not known):
                w, h = x2 - x1, y2 - y1
                head = (x1 - 0.2 * w, y1 - 0.3 * h, x2 + 0.2 * w, y2 + 0.1 * h)
                (self.add if known else self.ignore)(HEAD, head)
        heads = self.of(HEAD)
        for x1, y1, x2, y2 in self.of(PERSON):
            w, h = x2 - x1, y2 - y1
            if any(_inside(head, (x1, y1 - 0.1 * h, x2, y2)) for head in heads):
                continue
            upright = _UPRIGHT[0] <= h / w <= _UPRIGHT[1]
            if upright and y1 > 2 and y2 < height - 2:
                half, middle = 0.42 * _HEAD_SHARE * h, (x1 + x2) / 2
                self.add(HEAD, (middle - half, y1, middle + half, y1 + _HEAD_SHARE * h))
            else:
                self.ignore(HEAD, (x1, y1 - 0.05 * h, x2, y1 + 0.4 * h))
        for box in self.of(PERSON, ignored=True):
            self.ignore(HEAD, box)

    def plates_unknown(self) -> None:
        self.ignore(PLATE, *self.of(VEHICLE), *self.of(VEHICLE, ignored=True))

    def labelled(self, path: Path | None) -> Labelled:
        def arrays(pairs: list[tuple[int, Boxes]]) -> tuple[Boxes, NDArray[np.int64]]:
            boxes = np.array([box for _, box in pairs], np.float32).reshape(-1, 4)
            return boxes, np.array([label for label, _ in pairs], np.int64)

        taught = np.ones(len(LABELS), bool)
        return Labelled(path, *arrays(self._boxes), *arrays(self._ignored), taught)


def nothing() -> tuple[Boxes, NDArray[np.int64], Boxes, NDArray[np.int64], NDArray[np.bool_]]:
    """Boxes and labels, ignored ones, and classes taught, of a picture without any object."""
    boxes, labels = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    return boxes, labels, boxes, labels, np.ones(len(LABELS), bool)


def _agreed(plain: list[list[float]], mirrored: list[list[float]]) -> list[list[float]]:
    """Both views' faces as one: their mean where they meet, half the score where only one saw.

    What is background all the same is left out.
    """
    back = np.array(mirrored, np.float64).reshape(-1, 5)
    free = np.ones(len(back), bool)
    rows = []
    for row in np.array(plain, np.float64).reshape(-1, 5):
        ious = _ious(row[:4], back[:, :4]) * free
        best = int(ious.argmax()) if len(ious) else -1
        if best >= 0 and ious[best] > _SAME_FACE_IOU:
            free[best] = False
            rows.append((row + back[best]) / 2)
        else:
            rows.append(row * _HALF_SURE)
    rows += list(back[free] * _HALF_SURE)
    return [[*row[:4].round(1).tolist(), round(row[4], 3)] for row in rows if row[4] >= _UNSURE]


def _ious(box: NDArray[Any], others: NDArray[Any]) -> Boxes:
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    meet = np.clip(high - low, 0, None).prod(1)
    areas = (others[:, 2:] - others[:, :2]).prod(1) + (box[2:] - box[:2]).prod() - meet
    return np.asarray(meet / np.maximum(areas, 1e-9), np.float32)


def _inside(inner: Boxes, outer: tuple[float, float, float, float]) -> bool:
    x, y = (inner[0] + inner[2]) / 2, (inner[1] + inner[3]) / 2
    return bool(outer[0] <= x <= outer[2] and outer[1] <= y <= outer[3])


def _coco(path: Path) -> list[tuple[dict[str, Any], Annotations]]:
    return read_coco(path, f"the folder with {', '.join(TOPICS)}")
