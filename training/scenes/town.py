"""A small drawn town: three fixed cameras on a quay, day and night, for demonstrations."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np

from training.scenes.camera import Camera
from training.scenes.canvas import Canvas
from training.scenes.cars import Car
from training.scenes.containers import KINDS, Container
from training.scenes.facades import Building
from training.scenes.ground import street_bands
from training.scenes.optics import Moment
from training.scenes.place import Place, random_people
from training.scenes.scene import Pixels, Scene
from training.scenes.solids import Pose
from training.scenes.street import Happening, compose
from training.scenes.surroundings import Tree

_SITE = "quai-nord"
_START = datetime(2026, 6, 12, 4, 40, tzinfo=UTC)
# Two containers a camera: asset id, kind, and the pixel at the middle of its front foot.
_CAMERAS: dict[str, tuple[tuple[str, str, tuple[int, int]], ...]] = {
    "cam-01": (("C-041", "metal", (235, 448)), ("C-042", "metal", (525, 448))),
    "cam-02": (("C-043", "bin4", (235, 448)), ("C-044", "bin4", (525, 448))),
    "cam-03": (("C-045", "igloo", (235, 448)), ("C-046", "metal", (525, 448))),
}
_GROUND = {
    "cam-01": ("asphalt", "slabs"),
    "cam-02": ("setts", "flags"),
    "cam-03": ("asphalt", "bricks"),
}
_SIZE_HW = (600, 800)
_NOON = Moment()
_SUNRISE_H, _SUNSET_H = 3.8, 20.1  # UTC, in June on the Atlantic coast


def cameras(seed: int) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Polygons in px of the containers that each camera of the town sees: camera → asset → polygon.

    Each is the convex hull of what is seen of the closed container when nothing hides it, and
    holds for every frame of `town(seed, …)`.
    """
    polygons: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for name in _CAMERAS:
        place = _place(seed, name)
        polygons[name] = {}
        for container in place.containers:
            canvas = Canvas(place.camera)
            number = canvas.add("container")
            container.draw(canvas, _NOON.light(), number, None)
            pixels = cv2.findNonZero((canvas.owners() == number).astype(np.uint8))
            hull = cv2.approxPolyDP(cv2.convexHull(pixels), 1.5, True)[:, 0]
            assert container.asset is not None
            polygons[name][container.asset] = [(float(x), float(y)) for x, y in hull]
    return polygons


def town(seed: int, count: int) -> Iterator[tuple[str, Scene]]:
    """`count` frames of the town, hour by hour, every camera in turn.

    Containers fill, get rubbish beside them, burst and are collected; the sun moves, a shower
    passes, lamps come on. Object ids are the assets of `cameras`.

    Yields:
        object key (site, camera, UTC time) and its scene.
    """
    for index in range(count):
        hour, turn = divmod(index, len(_CAMERAS))
        name = list(_CAMERAS)[turn]
        when = _START + timedelta(hours=hour)
        rng = np.random.default_rng((seed, turn, hour))
        place = _place(seed, name)
        histories = [_state(seed, turn, which, hour) for which in range(len(place.containers))]
        happening = Happening(
            [state for state, _ in histories],
            [heap for _, heap in histories],
            _passing(rng, place),
            random_people(rng, place, int(rng.choice([0, 1, 2], p=[0.55, 0.3, 0.15]))),
        )
        key = f"{_SITE}/{name}/{when:%Y%m%dT%H%M%SZ}.jpg"
        yield key, compose(place, happening, _moment(seed, when), rng)


def two_days(
    seed: int, every: timedelta = timedelta(hours=1), state: str = "overflow"
) -> Iterator[tuple[str, Scene]]:
    """Two days before the first camera of the town, with their nights and showers.

    C-041 fills on the first day, needs attention from hour 14 and is emptied at hour 31; C-042
    stays as clean as it is. From hour 24 to 27 and from 36 to 39 a van stands before C-041.

    Args:
        seed: of all that is drawn.
        every: time between pictures.
        state: what C-041 comes to: overflow or side_waste.

    Yields:
        object key (site, camera, UTC time) and its scene, in order.
    """
    name = next(iter(_CAMERAS))
    place = _place(seed, name)
    first = place.containers[0]
    van = Car("van", Pose(first.pose.s, place.kerb_t - 1.4, 0.0), seed)
    for index in range(timedelta(hours=48) // every):
        when = _START + index * every
        hour = index * every / timedelta(hours=1)
        now = state if 14 <= hour < 31 else "minor_litter" if 10 <= hour < 14 else "clean"
        parked = [van] if 24 <= hour < 27 or 36 <= hour < 39 else []
        rng = np.random.default_rng((seed, 3, index))
        people = random_people(rng, place, int(rng.choice([0, 1], p=[0.7, 0.3])))
        happening = Happening([now, "clean"], [seed, seed + 1], parked, people)
        key = f"{_SITE}/{name}/{when:%Y%m%dT%H%M%SZ}.jpg"
        yield key, compose(place, happening, _moment(seed, when), rng)


def before_two_days(seed: int) -> list[Pixels]:
    """The view of `two_days` as it should be, the day before: in the morning, at noon, at night."""
    name = next(iter(_CAMERAS))
    place = _place(seed, name)
    pictures = []
    for hours in (21, 17, 5):
        rng = np.random.default_rng((seed, 4, hours))
        happening = Happening(["clean", "clean"], [seed, seed + 1], [], [])
        moment = _moment(seed, _START - timedelta(hours=hours))
        pictures.append(compose(place, happening, moment, rng).pixels)
    return pictures


def _place(seed: int, name: str) -> Place:
    turn = list(_CAMERAS).index(name)
    rng = np.random.default_rng((seed, turn))
    camera = Camera(_SIZE_HW, focal_px=700, height_m=4.0, pitch=0.253)
    stand = []
    for asset, kind, foot_px in _CAMERAS[name]:
        s, t = camera.at(*foot_px)
        pose = Pose(s, t + KINDS[kind][0][1] / 2, float(rng.normal(0, 0.05)))
        stand.append(Container(kind, pose, int(rng.integers(2**31)), asset))
    front = min(c.pose.t - c.size[1] / 2 for c in stand)
    kerb, facade_t = front - 0.5, front + float(rng.uniform(4.5, 6))
    bands = street_bands(kerb, facade_t, *_GROUND[name])
    buildings, s = [], -16.0
    while s < 16:
        wide = float(rng.uniform(7, 11))
        buildings.append(
            Building(
                "house", s, s + wide, facade_t, float(rng.uniform(8, 13)), int(rng.integers(2**31))
            )
        )
        s += wide
    trees = [
        Tree(Pose(s, kerb + 2.6), float(rng.uniform(5, 7)), int(rng.integers(2**31)))
        for s in (-7.2, 7.0)
    ]
    lamps = [Pose(-5.4, kerb + 0.4), Pose(5.6, kerb + 0.4)]
    return Place(
        camera,
        bands,
        buildings,
        trees,
        lamps,
        [],
        stand,
        kerb,
        facade_t,
        seed=int(rng.integers(2**31)),
    )


def _state(seed: int, turn: int, which: int, hour: int) -> tuple[str, int]:
    """State of a container after `hour` hours, and the seed of its rubbish until collection."""
    rng = np.random.default_rng((seed, turn, which, 1))
    level, dumped, emptied = float(rng.uniform(0.2, 0.8)), False, 0
    rate, collected_at = float(rng.uniform(0.06, 0.16)), int(rng.integers(6, 15))
    for h in range(hour + 1):
        clock = (_START.hour + h) % 24
        busy = 0.25 if clock < 5 or clock > 21 else 1.0
        level += rate * busy * float(rng.uniform(0.4, 1.6))
        dumped |= bool(rng.random() < 0.045 * busy)
        litter = bool(rng.random() < 0.25)
        if clock == collected_at and rng.random() < 0.85:
            level, dumped, emptied = 0.0, False, emptied + 1
    heap = int(np.random.default_rng((seed, turn, which, 2, emptied)).integers(2**31))
    if level >= 1:
        return "overflow", heap
    if dumped:
        return "side_waste", heap
    return ("minor_litter" if litter and level > 0.5 else "clean"), heap


def _moment(seed: int, when: datetime) -> Moment:
    hours = when.hour + when.minute / 60
    day = (hours - _SUNRISE_H) / (_SUNSET_H - _SUNRISE_H)  # 0 at sunrise, 1 at sunset
    night = not -0.03 < day < 1.03
    weather = np.random.default_rng((seed, when.toordinal()))
    shower, grey = float(weather.uniform(9, 17)), float(weather.uniform(0, 0.3))
    raining = abs(hours - shower) < 1.3
    dusk = float(np.clip(1 - min(abs(day), abs(1 - day)) / 0.08, 0, 1))
    return Moment(
        elevation=float(max(0.25, 1.12 * np.sin(np.pi * np.clip(day, 0, 1)))),
        azimuth=float(np.clip(2.4 * (day - 0.5), -1.2, 1.2)),
        overcast=1.0 if raining else grey,
        night=night,
        dusk=0.0 if night else dusk,
        rain=0.7 if raining else 0.0,
    )


def _passing(rng: np.random.Generator, place: Place) -> list[Car]:
    if rng.random() > 0.25:
        return []
    kind = "van" if rng.random() < 0.4 else str(rng.choice(["hatch", "suv", "saloon"]))
    along = 0.0 if rng.random() < 0.5 else np.pi
    pose = Pose(float(rng.uniform(-4, 4)), place.kerb_t - 1.4, along)
    return [Car(kind, pose, int(rng.integers(2**31)))]
