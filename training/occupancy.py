"""Pictures of people and vehicles: what the occupancy detector learns from and is measured on.

Training boxes are of people where there are any, else of a teacher that is sure; what it is not
sure of is ignored. Measured is on human boxes alone.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from models.counting import GROUPS
from models.errors import BadConfiguration, Reasoned
from models.redaction import Redactor
from training import scenes
from training.coco import Annotations, read_coco, xyxy
from training.dataset import Sample, read_frame
from training.labelled import Boxes, Labelled
from training.scenes.crowd import crowd

NAMES = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
_VEHICLES = tuple(i for i, name in enumerate(NAMES) if name != "person")
GROUND_VEHICLES = tuple(NAMES.index(name) for name in GROUPS["vehicle"])
"""Labels of what stands in parking stalls."""

_TOPICS = ("occupancy", "plates", "waste")
_FROM_ABOVE = GROUPS["vehicle"]  # what is labelled there
_CROWDS: tuple[tuple[Literal["person", "car"], float], ...] = (("person", 5.0), ("car", 1.9))
"""Of what, and how far apart they are where they are loose: at 1 they touch."""

_HELD_BACK = re.compile("DJI_(0762|0013)")  # flights for validation


def read_train(data: Path) -> list[Labelled]:
    """Training pictures of all topics, without their pixels.

    Raises:
        BadConfiguration: the data is not there.
    """
    found = []
    for topic in _TOPICS:
        for image, annotations in _images(data / topic / "train_pseudo.json"):
            labelled = _labelled(data / topic / image["file_name"], annotations)
            if image.get("exhaustive", True) is False:
                labelled.taught[:] = False
            elif image.get("persons_labelled", True) is False:
                labelled.taught[NAMES.index("person")] = False
            if topic == "occupancy" or len(labelled.boxes):
                found.append(labelled)
    for image, annotations in _images(data / "occupancy" / "aerial_train.json"):
        if not _HELD_BACK.search(image["file_name"]):
            labelled = _labelled(data / "occupancy" / image["file_name"], annotations)
            found.append(replace(labelled, taught=np.isin(NAMES, _FROM_ABOVE)))
    return found


def read_measured(data: Path, split: str) -> list[Sample]:
    """Pictures with human boxes of a split; `val` has the flights that training does not see.

    Raises:
        BadConfiguration: the data is not there.
    """
    listed = [(item, "") for item in _images(data / "occupancy" / f"{split}.json")]
    if split == "val":
        aerial = _images(data / "occupancy" / "aerial_train.json")
        listed += [(i, "aerial") for i in aerial if _HELD_BACK.search(i[0]["file_name"])]
    samples = []
    for (image, annotations), above in listed:
        labelled = _labelled(data / "occupancy" / image["file_name"], annotations)
        # Nobody labelled bicycles.
        known = np.array([n in _FROM_ABOVE if above else n != "bicycle" for n in NAMES])
        known &= image.get("exhaustive", True)
        samples.append(sample_of(labelled, known, above or image["source"]))
    return samples


def draw_measured(count: int, seed: int) -> list[Sample]:
    """Drawn streets to measure counts on."""
    return [sample_of(street, street.taught, "drawn") for street in draw(count, seed)]


def sample_of(labelled: Labelled, known: NDArray[np.bool_], source: str) -> Sample:
    """The same as a sample of a detector, `known` (C,) its classes that are labelled whole."""
    return Sample(
        labelled.path,
        labelled.boxes,
        labelled.labels,
        np.full(len(labelled.boxes), -1, np.int64),
        known,
        np.zeros(0, np.float32),
        source,
        pixels=labelled.pixels,
        ignored=labelled.ignored,
        ignored_labels=labelled.ignored_labels,
    )


def draw(count: int, seed: int) -> Iterator[Labelled]:
    """Drawn streets, a fourth by night; their truth is complete but for what cars are like."""
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        scene = scenes.street(
            rng,
            night=index % 4 == 3,
            people=int(rng.integers(0, 12)),
            cars=int(rng.integers(0, 8)),
        )
        yield _drawn(scene)


def draw_crowds(count: int, seed: int) -> Iterator[Labelled]:
    """Drawn crowds, by turns of people and of parked cars, from loose to touching."""
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        what, loosest = _CROWDS[index % 2]
        spacing = float(np.exp(rng.uniform(0, np.log(loosest))))
        yield from map(_drawn, crowd(int(rng.integers(2**31)), what, [spacing]))


def _drawn(scene: scenes.Scene) -> Labelled:
    mine = [i for i, label in enumerate(scene.labels) if label in NAMES]
    return Labelled(
        None,
        scene.boxes[mine].reshape(-1, 4),
        np.array([NAMES.index(scene.labels[i]) for i in mine], np.int64),
        *_nothing(),
        np.ones(len(NAMES), bool),
        pixels=scene.pixels,
    )


def redacted(sample: Labelled, redactor: Redactor, folder: Path) -> Labelled:
    """The sample with pixels as a detector gets them; `folder` keeps redacted files.

    Raises:
        BadConfiguration: the picture cannot be decoded or redacted.
    """
    if sample.path is None:
        assert sample.pixels is not None
        drawn = sample_of(sample, sample.taught, "drawn")
        return replace(sample, pixels=drawn.redacted(redactor, max(sample.pixels.shape)).pixels)
    return replace(sample, pixels=redacted_pixels(sample.path, redactor, folder))


def redacted_pixels(path: Path, redactor: Redactor, folder: Path) -> NDArray[np.uint8]:
    """A picture as a detector gets it, uint8 (H, W, 3) RGB; `folder` keeps it for the next time.

    Raises:
        BadConfiguration: the picture cannot be decoded or redacted.
    """
    kept = folder / redactor.model.replace("@", "-") / f"{path.stem}.jpg"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        try:
            made = redactor(read_frame(path, "training")).encoded
        except Reasoned as error:
            raise BadConfiguration(f"leave {path} out of the data: {error}") from error
        draft = kept.with_suffix(".tmp")
        draft.write_bytes(made)
        draft.replace(kept)
    image = cv2.imread(str(kept), cv2.IMREAD_COLOR)
    assert image is not None
    return np.ascontiguousarray(image[..., ::-1])


def turned(sample: Labelled, quarters: int) -> Labelled:
    """The picture turned anticlockwise by quarters: from above nothing is upright."""
    assert sample.pixels is not None
    for _ in range(quarters % 4):
        assert sample.pixels is not None
        width = sample.pixels.shape[1]
        sample = replace(
            sample,
            pixels=np.ascontiguousarray(np.rot90(sample.pixels)),
            boxes=_turned(sample.boxes, width),
            ignored=_turned(sample.ignored, width),
        )
    return sample


def from_above(sample: Labelled) -> bool:
    """Whether it is a picture of a flight."""
    return sample.path is not None and "aerial" in sample.path.parent.name


def _turned(boxes: Boxes, width: int) -> Boxes:
    x1, y1, x2, y2 = boxes.T
    return np.stack([y1, width - x2, y2, width - x1], 1)


def _images(path: Path) -> list[tuple[dict[str, Any], Annotations]]:
    return read_coco(path, f"the folder with {', '.join(_TOPICS)}")


def _labelled(path: Path, annotations: Annotations) -> Labelled:
    sure = [a for a in annotations if not a["iscrowd"]]
    ignored = [
        (a, label)
        for a in annotations
        if a["iscrowd"]
        # What a teacher takes for one kind of vehicle may be another.
        for label in ((NAMES.index("person"),) if a["name"] == "person" else _VEHICLES)
    ]
    return Labelled(
        path,
        xyxy(sure),
        np.array([NAMES.index(a["name"]) for a in sure], np.int64),
        xyxy([a for a, _ in ignored]),
        np.array([label for _, label in ignored], np.int64),
        np.ones(len(NAMES), bool),
    )


def _nothing() -> tuple[Boxes, NDArray[np.int64]]:
    return np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
