"""Parking stalls to learn from: real ones with their state, drawn ones, vehicles and bare ground.

One real car park is known. So that the network does not learn that place alone, it also sees the
feet of vehicles elsewhere as taken stalls, and ground on which nothing stands as free ones.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from models.detections import Detections
from models.frame import Frame
from models.redaction import RedactedFrame, Redactor
from models.stalls import Outline
from services.lot import evidence, shift, terms
from training import scenes
from training.bar import bar
from training.coco import read_coco
from training.dataset import read_frame
from training.evaluate import Figure, calibration_error, of_both, resampled
from training.labelled import Boxes
from training.occupancy import GROUND_VEHICLES, from_above, read_train

_FOOT = 0.6  # of a vehicle's box, from below: what hides the ground it stands on
_LEAST_PX = 28.0  # height of a vehicle that is cut out
_TRIES = 12  # to find bare ground in a picture


@dataclass(frozen=True, slots=True, eq=False)
class Stall:
    """A stall, or what may pass for one.

    Attributes:
        picture: index of its picture.
        outline: float32 (4, 2) px.
        taken: whether a vehicle stands in it.
        captured: of real ones, when: the days of one car park are alike.
    """

    picture: int
    outline: Outline
    taken: bool
    captured: str = ""


Lot = tuple[list[Path], list[Stall]]
"""Picture files, and the stalls in them."""


def read_lot(data: Path, split: str) -> Lot:
    """The real car park.

    Raises:
        BadConfiguration: the data is not there.
    """
    pictures = read_coco(data / "parking" / f"{split}.json", "the folder with parking, occupancy")
    stalls = [
        Stall(
            number,
            np.array(a["segmentation"][0], np.float32).reshape(-1, 2),
            a["name"] == "occupied",
            image["captured"],
        )
        for number, (image, annotations) in enumerate(pictures)
        for a in annotations
    ]
    return [data / "parking" / image["file_name"] for image, _ in pictures], stalls


def resampled_by(
    pictures: NDArray[np.integer], figure: Callable[[NDArray[np.intp]], float]
) -> Figure:
    """As `resampled`, but of stalls (N,): those of one picture are drawn together."""
    stalls = [np.flatnonzero(pictures == picture) for picture in np.unique(pictures)]
    return resampled(
        len(stalls),
        lambda chosen: figure(np.concatenate([stalls[i] for i in chosen])),
        len(pictures),
    )


@dataclass(frozen=True, slots=True)
class Said:
    """What is known of one stall.

    Attributes:
        picture: index of its picture.
        taken: the truth.
        look: probability that it is taken, by its look alone.
        box: evidence of boxes on it (`services.lot.evidence`).
        hidden: a vehicle before it hides it.
    """

    picture: int
    taken: bool
    look: float
    box: float
    hidden: bool


class Eyes(Protocol):
    """What sees vehicles, and the look of stalls."""

    def __call__(self, frame: RedactedFrame) -> Detections:
        """People and vehicles."""
        ...

    def taken(self, frame: RedactedFrame, outlines: Sequence[Outline]) -> NDArray[np.float32]:
        """Probabilities (N,) that a vehicle stands in each stall, by its look alone."""
        ...


def say(frame: Frame, stalls: Sequence[Stall], redactor: Redactor, eyes: Eyes) -> list[Said]:
    """What is seen of each stall of a picture, once it is redacted."""
    redacted = redactor(frame)
    found = eyes(redacted)
    vehicles = found.where(np.isin(found.labels, GROUND_VEHICLES))
    looks = eyes.taken(redacted, [stall.outline for stall in stalls]).tolist()
    return [
        Said(stall.picture, stall.taken, look, *evidence(stall.outline, vehicles))
        for stall, look in zip(stalls, looks, strict=True)
    ]


def say_of_lot(
    data: Path, split: str, redactor: Redactor, eyes: Eyes, days: tuple[str, ...] = ("",)
) -> list[Said]:
    """The stalls of the real car park on days whose date begins so.

    Raises:
        BadConfiguration: the data is not there.
        BadImage: a picture cannot be decoded.
    """
    paths, stalls = read_lot(data, split)
    said = []
    for number, path in enumerate(bar(paths, "pictures")):
        mine = [s for s in stalls if s.picture == number and s.captured.startswith(days)]
        if mine:
            said += say(read_frame(path, "lot"), mine, redactor, eyes)
    return said


def truth_of(said: Sequence[Said]) -> NDArray[np.bool_]:
    """Which stalls (N,) are taken."""
    return np.array([s.taken for s in said], bool)


def in_own_light(
    said: Sequence[Said], looks: NDArray[np.float64], boxes: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What to add to the log odds (N,) of each stall by `services.lot.shift` of its picture."""
    pictures = np.array([s.picture for s in said])
    clear = np.array([not s.hidden for s in said])
    moved = np.zeros(len(said))
    for picture in np.unique(pictures):
        mine = pictures == picture
        moved[mine] = shift(looks[mine & clear], boxes[mine & clear])
    return moved


def told(said: Sequence[Said]) -> dict[str, NDArray[np.float64]]:
    """Probabilities (N,) that stalls are taken: by look and boxes as shipped, and by look alone."""
    looks, boxes = np.array([terms(s.look, s.box) for s in said]).T
    odds = looks + boxes + in_own_light(said, looks, boxes)
    return {
        "stalls": 1 / (1 + np.exp(-odds)),
        "stalls, look alone": np.array([s.look for s in said]),
    }


def figures(said: Sequence[Said]) -> dict[str, dict[str, Figure]]:
    """How well taken is told from free."""
    truth, pictures = truth_of(said), np.array([s.picture for s in said])

    def figure(rate: Callable[[NDArray[Any], NDArray[Any]], float], p: NDArray[Any]) -> Figure:
        return resampled_by(pictures, of_both(rate, truth, p))

    return {
        name: {
            "balanced accuracy": figure(balanced_accuracy_score, p >= 0.5),
            "AUC": figure(roc_auc_score, p),
            "ECE": figure(calibration_error, p),
        }
        for name, p in told(said).items()
    }


def find_elsewhere(data: Path, rng: np.random.Generator) -> Lot:
    """Vehicles' feet and bare ground in pictures of streets.

    Raises:
        BadConfiguration: the data is not there.
    """
    paths: list[Path] = []
    stalls: list[Stall] = []
    for sample in read_train(data):
        assert sample.path is not None
        if from_above(sample):
            continue  # there a box is the whole vehicle, and drawn car parks show it
        vehicles = sample.boxes[np.isin(sample.labels, GROUND_VEHICLES)]
        vehicles = vehicles[vehicles[:, 3] - vehicles[:, 1] >= _LEAST_PX]
        if not len(vehicles):
            continue
        number = len(paths)
        paths.append(sample.path)
        sizes = vehicles[:, 2:] - vehicles[:, :2]
        feet = vehicles.copy()
        feet[:, 1] = vehicles[:, 3] - _FOOT * sizes[:, 1]
        stalls += [Stall(number, _corners(foot), taken=True) for foot in feet]
        known = np.concatenate([sample.boxes, sample.ignored])
        stalls += [Stall(number, _corners(b), taken=False) for b in _bare(feet, known, rng)]
    return paths, stalls


def draw_lots(count: int, seed: int) -> Iterator[tuple[NDArray[np.uint8], list[Stall]]]:
    """Drawn streets and orthophotos with stalls; their truth is complete."""
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        above = index % 3 == 2
        scene = scenes.aerial(rng) if above else scenes.street(rng, cars=6, night=index % 6 == 1)
        stalls = [
            Stall(index, np.asarray(stall.polygon, np.float32), stall.occupied)
            for stall in scene.stalls.values()
        ]
        if stalls:
            yield scene.pixels, stalls


def _bare(feet: Boxes, known: Boxes, rng: np.random.Generator) -> Iterator[Boxes]:
    """As many places beside vehicles, as large as they, on which nothing known stands."""
    for foot in feet:
        size = foot[2:] - foot[:2]
        for _ in range(_TRIES):
            start = foot[:2] + size * rng.uniform([-3, -0.3], [3, 1.2])
            place = np.concatenate([start, start + size]).astype(np.float32)
            apart = (
                (known[:, 0] >= place[2])
                | (known[:, 2] <= place[0])
                | (known[:, 1] >= place[3])
                | (known[:, 3] <= place[1])
            )
            if apart.all() and (start > 0).all():
                yield place
                break


def _corners(box: Boxes) -> Outline:
    x1, y1, x2, y2 = box
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float32)
