"""What went wrong, picture by picture: the errors that a person should look at, the worst first."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.evaluate import Scored, hits

_IOU = 0.5
Kind = Literal["missed", "invented", "overlooked", "alarm", "state_overlooked", "state_alarm"]


@dataclass(frozen=True, slots=True, eq=False)
class Mistake:
    """One error.

    Attributes:
        kind: an object `missed` or `invented`; a fact about the image `overlooked`, or an `alarm`
            where it is not true; the same of the need for attention of an object that was found.
        what: the class or the fact.
        by: how far it was from right, in probability; how sure an invented object was.
        box: xyxy px of the object, None where it is about the image.
        image: the picture.
    """

    kind: Kind
    what: str
    by: float
    box: NDArray[np.float32] | None
    image: Scored


def mistakes(
    scored: Sequence[Scored],
    names: Sequence[str],
    facts: Sequence[str],
    thresholds: Mapping[str, float],
    bad: Sequence[int] = (),
) -> list[Mistake]:
    """All errors at the shipped thresholds, the worst first; arguments as of `figures`."""
    found: list[Mistake] = []
    for image in scored:
        for index, fact in enumerate(facts):
            found += _about_image(image, index, fact, thresholds.get(fact, 0.5))
        for label, name in enumerate(names):
            found += _objects(image, label, name, thresholds[name], bad)
    return sorted(found, key=lambda mistake: -mistake.by)


def _about_image(image: Scored, index: int, fact: str, cut: float) -> Iterator[Mistake]:
    truth, p = image.sample.facts[index], image.found.image_scores[fact]
    if truth > 0.5 and p < cut:
        yield Mistake("overlooked", fact, cut - p, None, image)
    elif truth < 0.5 and p >= cut:
        yield Mistake("alarm", fact, p - cut, None, image)


def _objects(
    image: Scored, label: int, name: str, cut: float, bad: Sequence[int]
) -> Iterator[Mistake]:
    sure = (image.found.labels == label) & (image.found.scores >= cut)
    boxes, scores = image.found.boxes[sure], image.found.scores[sure]
    mine = np.flatnonzero(image.sample.labels == label)
    truth = image.sample.boxes[mine]
    for number, one in zip(mine, truth, strict=True):
        right = hits(boxes, scores, one[None], _IOU)
        if not right.any():
            if not image.sample.loose:
                best = _best(image, label, one)
                yield Mistake("missed", name, cut - min(best, cut), one, image)
            continue
        state = image.sample.states[number]
        if state >= 0 and bad:
            p = float(image.found.states[sure][right.argmax(), list(bad)].sum())
            if (p >= 0.5) != (state in bad):
                kind: Kind = "state_alarm" if p >= 0.5 else "state_overlooked"
                yield Mistake(kind, name, abs(p - 0.5), one, image)
    if image.scores_class(label):
        for wrong in np.flatnonzero(~hits(boxes, scores, truth, _IOU)):
            yield Mistake("invented", name, float(scores[wrong]), boxes[wrong], image)


def _best(image: Scored, label: int, box: NDArray[np.float32]) -> float:
    """The best score that the object got below the threshold."""
    mine = image.found.labels == label
    near = hits(image.found.boxes[mine], image.found.scores[mine], box[None], _IOU)
    return float(image.found.scores[mine][near].max(initial=0.0))
