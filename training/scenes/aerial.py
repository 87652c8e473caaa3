"""Aerial scenes: orthophotos of streets, gardens, parked cars, containers, and their heights."""

from collections.abc import Mapping

import numpy as np

from training.scenes import overhead
from training.scenes.camera import floats
from training.scenes.canvas import extents
from training.scenes.scene import Scene, Stall
from training.scenes.survey import Survey, grass, pave, photograph

_STALL_M = (2.5, 5.0)
_MIN_VISIBLE = 0.2
_MIN_SIDE_PX = 3


def aerial(
    rng: np.random.Generator, size_hw: tuple[int, int] = (512, 512), gsd_m: float = 0.2
) -> Scene:
    """An orthophoto from straight above, with `height_m` and the stalls of its car parks.

    Labels are building, tree, hedge, car and container; `height_m` is above 0.9 m on them and
    nowhere else. Grass is up to 0.3 m, rough meadow up to 0.8 m high.

    Args:
        rng: of everything; the same state of it draws the same scene.
        size_hw: height and width in px.
        gsd_m: ground sampling distance, metres per px.
    """
    survey = Survey(size_hw, gsd_m, float(rng.uniform(-np.pi, np.pi)))
    reach = float(np.hypot(*size_hw)) * gsd_m / 2
    grass(rng, survey)
    road = float(rng.uniform(-0.25, 0.25)) * reach
    half = float(rng.uniform(2.8, 4.2))
    _road(rng, survey, road, half)
    park = road + half + 4, float(rng.uniform(-0.4, 0.1)) * reach
    stalls = _car_park(rng, survey, park)
    for way in (-1.0, 1.0):
        _houses(rng, survey, road + way * (half + 7), way, reach, park)
    _greenery(rng, survey, road, half, reach, park)
    _traffic(rng, survey, road, half, reach)
    clean = {i: "clean" for i, label in enumerate(survey.labels) if label == "container"}
    return _scene(rng, survey, clean, stalls)


def container_park(
    rng: np.random.Generator, size_hw: tuple[int, int] = (512, 512), gsd_m: float = 0.025
) -> Scene:
    """Containers and open skips from straight above, waste beside and over them, and dumps.

    Labels are container, waste, car and tree; arguments as of `aerial`. At more than 3 cm a px a
    bag is a few px.
    """
    survey = Survey(size_hw, gsd_m, float(rng.uniform(-np.pi, np.pi)))
    reach = float(np.hypot(*size_hw)) * gsd_m / 2
    grass(rng, survey)
    if rng.random() < 0.8:
        pave(rng, survey, np.abs(survey.y) < rng.uniform(0.4, 2) * reach, rng.uniform(0.35, 0.62))
    states: dict[int, str | None] = {}
    for _ in range(int(rng.integers(1, 3))):
        _row(rng, survey, reach, states)
    for label, radius in (("car", 2.6), ("tree", 1.6), ("waste", 0.8)):
        for _ in range(int(rng.integers(0, 3))):
            at = float(rng.uniform(-reach, reach)), float(rng.uniform(-reach, reach))
            if survey.free(at, radius):
                shape = {
                    "car": overhead.car(rng),
                    "tree": overhead.tree(rng, radius),
                    "waste": overhead.heap(rng, radius),
                }[label]
                survey.put(label, at, 1.3 * radius, shape, float(rng.uniform(0, 6.3)))
    return _scene(rng, survey, states, {})


def _row(
    rng: np.random.Generator, survey: Survey, reach: float, states: dict[int, str | None]
) -> None:
    """A row of containers of one kind, clean or not."""
    kind = str(rng.choice(list(overhead.CONTAINERS)))
    wide, deep, tall = overhead.CONTAINERS[kind]
    x, y = float(rng.uniform(-0.8, 0.2)) * reach, float(rng.uniform(-0.5, 0.5)) * reach
    for _ in range(int(rng.integers(1, 5))):
        at = x + wide / 2, y + float(rng.normal(0, 0.1))
        x += wide + float(rng.uniform(0.1, 0.8))
        if not survey.free(at, max(wide, deep) / 2):
            continue
        turn = float(rng.normal(0, 0.05))
        number = survey.put("container", at, wide, overhead.container(rng, kind), turn)
        state = str(rng.choice(["clean", "side_waste", "overflow"], p=[0.55, 0.27, 0.18]))
        states[number] = state
        if state == "overflow":
            survey.put("waste", at, wide, overhead.heap(rng, 0.35 * deep, tall + 0.2))
        elif state == "side_waste":
            side = float(rng.choice([-1, 1]))
            beside = at[0] + float(rng.uniform(-0.4, 0.4)) * wide, at[1] + side * (deep / 2 + 0.5)
            survey.put("waste", beside, 1.6, overhead.heap(rng, float(rng.uniform(0.25, 0.7))))


def _scene(
    rng: np.random.Generator,
    survey: Survey,
    states: Mapping[int, str | None],
    stalls: dict[str, Stall],
) -> Scene:
    pixels = photograph(rng, survey)
    counts, boxes = extents(survey.owner, len(survey.labels))
    sides = (boxes[:, 2:] - boxes[:, :2]).min(1, initial=1e9)
    seen = counts >= _MIN_VISIBLE * np.maximum(survey.claimed, 1)
    kept = np.flatnonzero(seen & (counts > 0) & (sides >= _MIN_SIDE_PX))
    renumber = np.full(len(survey.labels) + 1, -1, np.int16)
    renumber[kept] = np.arange(len(kept), dtype=np.int16)
    return Scene(
        pixels=pixels,
        boxes=boxes[kept],
        labels=tuple(survey.labels[i] for i in kept),
        states=tuple(states.get(int(i)) for i in kept),
        ids=(None,) * len(kept),
        dirty="waste" in {survey.labels[i] for i in kept},
        owner=renumber[survey.owner],
        night=False,
        height_m=survey.height,
        stalls=stalls,
    )


def _road(rng: np.random.Generator, survey: Survey, road: float, half: float) -> None:
    away = np.abs(survey.y - road)
    pave(rng, survey, away < half + 2.2, 0.60)
    pave(rng, survey, away < half, float(rng.uniform(0.36, 0.46)))
    dashes = (away < 0.09) & (np.mod(survey.x, 6) < 3)
    survey.colour[dashes] = 0.82
    for x in rng.uniform(-40, 40, 2):
        crossing = (
            (np.abs(survey.x - x) < 1.6) & (away < half - 0.2) & (np.mod(survey.y, 1.0) < 0.5)
        )
        survey.colour[crossing] = 0.82


def _car_park(
    rng: np.random.Generator, survey: Survey, corner: tuple[float, float]
) -> dict[str, Stall]:
    """Two rows of stalls on either side of an aisle; `corner` is its y and x in the street."""
    wide, deep = _STALL_M
    near, left = corner
    count = int(rng.integers(7, 14))
    right, far = left + count * wide, near + 2 * deep + 6
    paved = (
        (survey.x > left - 1)
        & (survey.x < right + 1)
        & (survey.y > near - 0.5)
        & (survey.y < far + 0.5)
    )
    pave(rng, survey, paved, 0.42)
    stalls = {}
    share = rng.uniform(0.3, 0.85)
    height, width = survey.height.shape
    for row, y in enumerate((near, far - deep)):
        in_row = (
            (survey.y > y)
            & (survey.y < y + deep)
            & (survey.x > left - 0.1)
            & (survey.x < right + 0.1)
        )
        lines = in_row & (np.abs(np.mod(survey.x - left + wide / 2, wide) - wide / 2) < 0.08)
        survey.colour[lines] = 0.85
        for k in range(count):
            x = left + k * wide
            corners = floats([[x, y], [x + wide, y], [x + wide, y + deep], [x, y + deep]])
            polygon = survey.to_px(corners)
            taken = bool(rng.random() < share)
            if taken:
                at = (
                    x + wide / 2 + float(rng.normal(0, 0.1)),
                    y + deep / 2 + float(rng.normal(0, 0.15)),
                )
                turn = np.pi / 2 * float(rng.choice([-1, 1])) + float(rng.normal(0, 0.03))
                survey.put("car", at, 2.8, overhead.car(rng), turn)
            if (polygon >= 0).all() and (polygon <= [width, height]).all():
                stalls[f"P-{row * count + k + 1:02d}"] = Stall(polygon, taken)
    return stalls


def _houses(
    rng: np.random.Generator,
    survey: Survey,
    line: float,
    way: float,
    reach: float,
    park: tuple[float, float],
) -> None:
    x = -reach
    while x < reach:
        long, deep = float(rng.uniform(8, 17)), float(rng.uniform(7, 11))
        for back in (0.0, float(rng.uniform(19, 26))):
            at = x + long / 2, line + way * (deep / 2 + back)
            on_park = way > 0 and park[1] - long < at[0] < park[1] + 33 + long / 2 and back < 22
            if not on_park and rng.random() < 0.8:
                reach_m = float(np.hypot(long, deep)) / 2
                survey.put(
                    "building",
                    at,
                    reach_m,
                    overhead.house(rng, long, deep),
                    float(rng.normal(0, 0.04)),
                )
        x += long + float(rng.uniform(3, 9))


def _greenery(
    rng: np.random.Generator,
    survey: Survey,
    road: float,
    half: float,
    reach: float,
    park: tuple[float, float],
) -> None:
    if rng.random() < 0.7:
        for x in np.arange(-reach, reach, float(rng.uniform(8, 12))):
            for way in (-1.0, 1.0):
                radius = float(rng.uniform(1.4, 2.6))
                at = float(x + rng.normal(0, 0.6)), road + way * (half + 1.2)
                survey.put("tree", at, radius * 1.2, overhead.tree(rng, radius))
    for _ in range(int(rng.integers(4, 12))):
        long = float(rng.uniform(5, 16))
        at = float(rng.uniform(-reach, reach)), float(rng.uniform(-reach, reach))
        clear = abs(at[1] - road) > half + 4 and not _in_park(at, park, 6)
        if clear and not survey.built(at):
            survey.put(
                "hedge",
                at,
                long / 2 + 1,
                overhead.hedge(rng, long),
                float(rng.choice([0, np.pi / 2])),
            )
    for _ in range(int(reach**2 * 4 / 180)):
        at = float(rng.uniform(-reach, reach)), float(rng.uniform(-reach, reach))
        radius = float(np.clip(rng.gamma(5, 0.5), 0.8, 5.5))
        clear = abs(at[1] - road) > half + 4 + radius and not _in_park(at, park, radius)
        if clear and not survey.built(at):
            survey.put("tree", at, radius * 1.2, overhead.tree(rng, radius))


def _in_park(at: tuple[float, float], park: tuple[float, float], margin: float) -> bool:
    inside_x = park[1] - margin < at[0] < park[1] + 33 + margin
    return inside_x and park[0] - margin < at[1] < park[0] + 16 + margin


def _traffic(
    rng: np.random.Generator, survey: Survey, road: float, half: float, reach: float
) -> None:
    for way in (-1.0, 1.0):
        x = -reach + float(rng.uniform(0, 20))
        while x < reach:
            survey.put(
                "car",
                (x, road + way * half * 0.5),
                2.8,
                overhead.car(rng),
                0.0 if way > 0 else np.pi,
            )
            x += float(rng.uniform(7, 40))
    for x in rng.uniform(-0.6, 0.6, 3) * reach:
        survey.put(
            "container", (float(x), road + half + 1.0), 1.3, overhead.container(rng, "metal")
        )
