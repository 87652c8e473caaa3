"""Labelled pictures as training samples, honest about what their labels leave out."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from models.errors import BadConfiguration, Reasoned
from models.frame import Frame, decode
from models.redaction import Redactor
from training import scenes
from training.coco import read_coco, xyxy

T = TypeVar("T")
U = TypeVar("U")

_NOW = datetime(2026, 1, 1, tzinfo=UTC)  # when a picture was taken teaches nothing


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One labelled picture.

    Attributes:
        path: picture file; None where `pixels` are given.
        pixels: uint8 (H, W, 3) RGB, or None until `redacted`.
        boxes: float32 (N, 4) xyxy px.
        labels: int64 (N,) class indices.
        states: int64 (N,) state index of each object, -1 where unknown.
        exhaustive: bool (C,), whether every object of the class is labelled. Where it is not,
            missing boxes teach nothing.
        facts: float32 (K,) truth of each fact about the image, NaN where unknown.
        source: data source, by which figures are reported.
        loose: the boxes are too rough to score against.
        night: taken by night, None where nobody said.
        ignored: float32 (M, 4) xyxy px, within which a class teaches nothing.
        ignored_labels: int64 (M,) the class that it holds for.
    """

    path: Path | None
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    states: NDArray[np.int64]
    exhaustive: NDArray[np.bool_]
    facts: NDArray[np.float32]
    source: str
    loose: bool = False
    night: bool | None = None
    pixels: NDArray[np.uint8] | None = None
    ignored: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    ignored_labels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def frame(self) -> Frame:
        """The picture at full size, personal data included.

        Raises:
            BadImage: it cannot be decoded.
        """
        if self.pixels is not None:
            return Frame("drawn", self.pixels, self.source, _NOW, "object")
        assert self.path is not None
        return read_frame(self.path, self.source)

    def redacted(self, redactor: Redactor, longest_px: int) -> "Sample":
        """The sample with pixels as a detector gets them: redacted, long side `longest_px` at most.

        Raises:
            BadConfiguration: the picture cannot be decoded or redacted.
        """
        try:
            pixels = redactor(self.frame()).pixels
        except Reasoned as error:
            raise BadConfiguration(f"leave {self.path} out of the data: {error}") from error
        scale = min(1.0, longest_px / max(pixels.shape[:2]))
        if scale < 1:
            small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            pixels = np.asarray(small, np.uint8)
        return replace(self, pixels=pixels, boxes=self.boxes * np.float32(scale))


def usable(samples: Iterable[T], redact: Callable[[T], U]) -> Iterator[U]:
    """What `redact` makes of samples to learn from; those that it refuses are told and left out.

    A detector never gets such a picture, so it need not know it.
    """
    for sample in samples:
        try:
            yield redact(sample)
        except BadConfiguration as error:
            Console(stderr=True).print(f"not learned from: {error}", markup=False)


def read_frame(path: Path, source: str) -> Frame:
    """A picture file at full size, personal data included.

    Raises:
        BadImage: it cannot be decoded.
    """
    return decode(path.name, path.read_bytes(), source=source, stored_at=_NOW)


WASTE_NAMES = ("container", "waste")
WASTE_STATES = ("clean", "minor_litter", "side_waste", "overflow")
WASTE_BAD = ("side_waste", "overflow")  # the states that need attention
WASTE_FACTS = ("dirty",)
_WASTE_SCENES: tuple[Callable[[np.random.Generator], scenes.Scene], ...] = (
    *[scenes.street] * 3,
    scenes.recycling_centre,
    scenes.container_park,
)


def _container_states(
    image: dict[str, Any], boxes: NDArray[np.float32], labels: NDArray[np.int64]
) -> NDArray[np.int64]:
    """State of each box: the image's state, but clean where no reviewed waste is near."""
    states = np.full(len(boxes), -1, np.int64)
    known = [i for i, name in enumerate(WASTE_STATES) if name in str(image.get("state"))]
    waste = boxes[labels == 1]
    for index in np.flatnonzero(labels == 0):
        if known == [0]:
            states[index] = 0
        elif known:
            x1, y1, x2, y2 = boxes[index]
            reach = 0.5 * (y2 - y1)
            near = (waste[:, 0] < x2 + reach) & (waste[:, 2] > x1 - reach)
            near &= (waste[:, 1] < y2 + reach) & (waste[:, 3] > y1 - reach)
            if near.any() or not len(waste):
                states[index] = max(known)
            elif image.get("boxes") == "reviewed":
                states[index] = 0
    return states


def read_waste(data: Path, split: str) -> list[Sample]:
    """Samples of the waste data in `data` (COCO files with image states).

    Raises:
        BadConfiguration: the folder does not hold the data.
    """
    samples = []
    for image, annotations in read_coco(data / f"{split}.json", "the waste data folder"):
        boxes = xyxy(annotations)
        size = np.array([image["width"], image["height"]] * 2, np.float32)
        boxes = np.clip(boxes, 0, size)
        labels = np.array([a["category_id"] - 1 for a in annotations], np.int64)
        state, drawn = image.get("state"), image.get("boxes") in ("reviewed", "loose")
        bags_only = image["source"] == "korea_bags"
        samples.append(
            Sample(
                data / image["file_name"],
                boxes,
                labels,
                _container_states(image, boxes, labels),
                np.array(
                    [
                        (drawn and not bags_only) or state in ("negative", "dump_no_container"),
                        drawn or state in ("negative", "clean"),
                    ]
                ),
                np.array([np.nan if image.get("dirty") is None else image["dirty"]], np.float32),
                image["source"],
                image.get("boxes") == "loose",
                image.get("night"),
            )
        )
    return samples


def draw_waste(count: int, seed: int) -> list[Sample]:
    """Drawn streets, of five scenes one recycling centre and one container park from above.

    Their truth is complete.
    """
    return [
        drawn(_WASTE_SCENES[i % len(_WASTE_SCENES)](np.random.default_rng((seed, i))), "drawn")
        for i in range(count)
    ]


def drawn(scene: scenes.Scene, source: str) -> Sample:
    """A drawn scene of containers and waste as a sample."""
    mine = [i for i, label in enumerate(scene.labels) if label in WASTE_NAMES]
    own = [scene.states[i] for i in mine]
    states = [WASTE_STATES.index(s) if s in WASTE_STATES else -1 for s in own]  # else hidden
    return Sample(
        None,
        scene.boxes[mine].reshape(-1, 4),
        np.array([WASTE_NAMES.index(scene.labels[i]) for i in mine], np.int64),
        np.array(states, np.int64),
        np.array([True, True]),
        np.array([scene.dirty], np.float32),
        source,
        night=scene.night,
        pixels=scene.pixels,
    )


def augment(sample: Sample, side_px: int, rng: np.random.Generator) -> Sample:
    """A random view of `sample` on a square of `side_px`: scale, shift, tilt, flip, light, blur.

    Mild on purpose: a crop that loses the waste would make the image's facts untrue.
    """
    assert sample.pixels is not None
    height, width = sample.pixels.shape[:2]
    scale = side_px / max(height, width) * rng.uniform(0.75, 1.25)
    angle = np.deg2rad(rng.normal(0, 4))
    flip = -1.0 if rng.random() < 0.5 else 1.0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = scale * turn @ np.diag([flip, 1.0])
    shift = side_px / 2 * (1 + rng.uniform(-0.12, 0.12, 2))
    affine = np.concatenate([linear, (shift - linear @ [width / 2, height / 2])[:, None]], 1)
    pixels = cv2.warpAffine(
        sample.pixels, affine, (side_px, side_px), flags=cv2.INTER_LINEAR, borderValue=(127,) * 3
    )
    x1, y1, x2, y2 = sample.boxes.T
    corners = np.stack([x1, y1, x2, y1, x2, y2, x1, y2], 1).reshape(-1, 4, 2) @ linear.T
    corners += affine[:, 2]
    boxes = np.concatenate([corners.min(1), corners.max(1)], 1)
    seen = np.clip(boxes, 0, side_px)
    area = np.prod(boxes[:, 2:] - boxes[:, :2], 1)
    keep = np.prod(seen[:, 2:] - seen[:, :2], 1) > 0.3 * np.maximum(area, 1)
    return replace(
        sample,
        pixels=relight(pixels, rng),
        boxes=seen[keep].astype(np.float32),
        labels=sample.labels[keep],
        states=sample.states[keep],
    )


def relight(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Exposure, white balance, saturation, gamma, then sometimes blur or sensor noise."""
    levels = np.linspace(0, 1, 256) ** np.exp(rng.normal(0, 0.25))
    gain = np.exp(rng.normal(0, 0.08, 3) + rng.normal(0, 0.12))
    table = np.clip(levels[:, None] * gain * 255, 0, 255).astype(np.uint8)[None]
    lit: NDArray[np.uint8] = cv2.LUT(pixels, table)
    if rng.random() < 0.3:
        grey = cv2.cvtColor(cv2.cvtColor(lit, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        share = rng.uniform(0, 0.9)
        lit = cv2.addWeighted(lit, 1 - share, grey, share, 0)
    if rng.random() < 0.2:
        lit = cv2.GaussianBlur(lit, (0, 0), rng.uniform(0.5, 1.5))
    if rng.random() < 0.2:
        noise = rng.normal(0, rng.uniform(2, 12), lit.shape).astype(np.float32)
        lit = np.clip(lit + noise, 0, 255).astype(np.uint8)
    return lit


def batches(
    samples: list[Sample], batch: int, side_px: int, rng: np.random.Generator
) -> Iterator[list[Sample]]:
    """One shuffled pass over `samples` in augmented batches; the last short one is dropped."""
    order = rng.permutation(len(samples))
    for start in range(0, len(order) - batch + 1, batch):
        yield [augment(samples[i], side_px, rng) for i in order[start : start + batch]]
