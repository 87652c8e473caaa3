"""Places: where a street, its containers and its passers-by are, drawn at random."""

from dataclasses import dataclass, field

import numpy as np

from training.scenes.camera import Camera, floats
from training.scenes.cars import Car
from training.scenes.containers import KINDS, Container
from training.scenes.facades import Building
from training.scenes.ground import Band
from training.scenes.people import Person
from training.scenes.solids import Pose
from training.scenes.surroundings import Tree

_KIND_ODDS = {
    "metal": 0.38,
    "inlet": 0.22,
    "bin4": 0.20,
    "bin2": 0.08,
    "igloo": 0.08,
    "litter": 0.04,
}
_CAR_KINDS = ("hatch", "hatch", "saloon", "suv", "van")


@dataclass(frozen=True, slots=True)
class Place:
    """What stays: the camera, the street, and the containers in it."""

    camera: Camera
    bands: list[Band]
    buildings: list[Building]
    trees: list[Tree]
    lamps: list[Pose]
    bollards: list[Pose]
    containers: list[Container]
    kerb_t: float
    facade_t: float
    stalls: list[tuple[float, float]] = field(default_factory=list)  # s of both ends
    seed: int = 0  # of the sky and of the traces on the ground


def random_place(rng: np.random.Generator, size_hw: tuple[int, int], count: int) -> Place:
    """A street with a row of `count` containers, seen from eye level or from a mast."""
    width = size_hw[1]
    mast = rng.random() < 0.35
    away = float(rng.uniform(7, 11) if mast else rng.uniform(3.4, 8))
    height_m = float(rng.uniform(3.0, 5.5) if mast else rng.uniform(1.4, 1.9))
    camera = Camera(
        size_hw,
        focal_px=width * float(rng.uniform(0.85, 1.25)),
        height_m=height_m,
        pitch=float(np.arctan2(height_m - 0.8, away) + rng.uniform(-0.12, 0.04)),
        yaw=float(np.clip(rng.normal(0, 0.28), -0.6, 0.6)),
        roll=float(rng.normal(0, 0.015)),
    )
    kind = str(rng.choice(list(_KIND_ODDS), p=list(_KIND_ODDS.values())))
    wide, deep, _ = KINDS[kind][0]
    on_road = rng.random() < 0.5
    kerb = away + deep / 2 + 0.25 if on_road else away - deep / 2 - 0.3
    facade_t = max(kerb + rng.uniform(2.2, 5), away + 1.5)
    gap = float(rng.uniform(0.15, 0.9))
    middle = away * np.tan(camera.yaw) + float(rng.uniform(-0.15, 0.15)) * away
    turned = 0.0 if rng.random() < 0.6 else float(rng.uniform(-0.35, 0.35))
    stand = []
    for k in range(count):
        other = kind if rng.random() < 0.85 else str(rng.choice(list(KINDS)))
        s = middle + (k - (count - 1) / 2) * (wide + gap)
        angle = turned + float(rng.normal(0, 0.05))
        stand.append(Container(other, Pose(s, away, angle), int(rng.integers(2**31))))
    stalls = []
    if rng.random() < 0.5:
        free = middle + (count * (wide + gap) / 2 + 0.5 if on_road else -9)
        stalls = [(free + 5.3 * k, free + 5.3 * (k + 1)) for k in range(4)]
    return Place(
        camera,
        _bands(rng, kerb, facade_t, bool(stalls)),
        _front(rng, facade_t),
        _avenue(rng, kerb, facade_t, middle),
        [Pose(middle + float(rng.uniform(3.5, 7)) + 14 * k, kerb + 0.4) for k in (-1, 0)],
        _bollards(rng, kerb, middle, (count * (wide + gap)) / 2),
        stand,
        kerb,
        facade_t,
        stalls,
        int(rng.integers(2**31)),
    )


def random_centre(rng: np.random.Generator, size_hw: tuple[int, int], count: int) -> Place:
    """A row of `count` open skips at a recycling centre, seen from a mast or from the ramp."""
    away, height_m = float(rng.uniform(9, 17)), float(rng.uniform(3.2, 6.5))
    camera = Camera(
        size_hw,
        focal_px=size_hw[1] * float(rng.uniform(0.75, 1.1)),
        height_m=height_m,
        pitch=float(np.arctan2(height_m - 1.2, away) + rng.uniform(-0.08, 0.06)),
        yaw=float(np.clip(rng.normal(0, 0.25), -0.5, 0.5)),
        roll=float(rng.normal(0, 0.01)),
    )
    upright = rng.random() < 0.5  # their narrow sides to the camera
    wide, deep, _ = KINDS["skip"][0]
    step = (deep if upright else wide) + float(rng.uniform(0.4, 1.6))
    middle = away * np.tan(camera.yaw)
    stand = []
    for k in range(count):
        angle = (np.pi / 2 if upright else 0.0) + float(rng.normal(0, 0.04))
        pose = Pose(float(middle + (k - (count - 1) / 2) * step), away, angle)
        stand.append(Container("skip", pose, int(rng.integers(2**31))))
    behind = away + float(rng.uniform(5, 14))
    ground = str(rng.choice(["asphalt", "slabs"]))
    return Place(
        camera,
        [Band(-40, behind + 0.1, ground), Band(behind + 0.1, 150, "grass")],
        _front(rng, behind),
        [],
        [],
        [],
        stand,
        away + deep,
        behind,
        seed=int(rng.integers(2**31)),
    )


def _bands(rng: np.random.Generator, kerb: float, facade_t: float, lane: bool) -> list[Band]:
    road = str(rng.choice(["asphalt", "asphalt", "setts", "bricks"], p=[0.45, 0.25, 0.15, 0.15]))
    walk = str(rng.choice(["slabs", "flags", "asphalt", "bricks"]))
    verge = kerb + 1.6 if rng.random() < 0.25 else kerb + 0.16
    own = -kerb * 0.2 if rng.random() < 0.7 else float(rng.uniform(1.0, 2.5))
    bands = [Band(-40, own, walk), Band(own, kerb - 0.12, road)]
    if lane:
        bands.append(Band(kerb - 2.2, kerb - 2.1, "paint"))
    bands += [
        Band(kerb - 0.12, kerb, "gutter"),
        Band(kerb, kerb + 0.16, "kerb"),
        Band(kerb + 0.16, verge, "grass"),
        Band(verge, facade_t + 0.1, walk),
        Band(facade_t + 0.1, 150, "grass"),
    ]
    return bands


def _front(rng: np.random.Generator, facade_t: float) -> list[Building]:
    buildings, s = [], -45.0
    open_land = rng.random() < 0.25
    while s < 45:
        wide = float(rng.uniform(6, 12))
        kind = (
            str(rng.choice(["wall", "hedge"]))
            if open_land
            else str(rng.choice(["house", "wall", "hedge"], p=[0.86, 0.08, 0.06]))
        )
        tall = {"house": float(rng.uniform(7, 15)), "wall": float(rng.uniform(1.8, 3.2))}.get(
            kind, float(rng.uniform(1.0, 2.2))
        )
        buildings.append(Building(kind, s, s + wide, facade_t, tall, int(rng.integers(2**31))))
        if kind != "house":
            behind = facade_t + float(rng.uniform(9, 22))
            buildings.append(
                Building(
                    "house",
                    s - 2,
                    s + wide + 3,
                    behind,
                    float(rng.uniform(5, 11)),
                    int(rng.integers(2**31)),
                )
            )
        s += wide
    return buildings


def _avenue(rng: np.random.Generator, kerb: float, facade_t: float, middle: float) -> list[Tree]:
    if rng.random() < 0.35:
        return []
    spacing = float(rng.uniform(6, 11))
    start = middle + float(rng.uniform(1.8, 4.5))
    return [
        Tree(
            Pose(start + spacing * k, kerb + 0.9),
            float(rng.uniform(5, 9)),
            int(rng.integers(2**31)),
        )
        for k in (-3, -2, -1, 0, 1, 2)
        if rng.random() < 0.7
    ]


def _bollards(rng: np.random.Generator, kerb: float, middle: float, clear: float) -> list[Pose]:
    if rng.random() < 0.7:
        return []
    step = float(rng.uniform(1.2, 2))
    start = clear + float(rng.uniform(0.6, 1.5))
    way = float(rng.choice([-1, 1]))
    return [
        Pose(middle + way * (start + step * k), kerb + 0.4) for k in range(int(rng.integers(2, 7)))
    ]


def random_cars(rng: np.random.Generator, place: Place, count: int) -> list[Car]:
    """Parked along the kerb beside the containers, or passing nearer to the camera."""
    lane = place.kerb_t - 1.08
    blocked = [
        (c.pose.s - 1.2, c.pose.s + 1.2) for c in place.containers if c.pose.t < place.kerb_t
    ]
    middle = lane * np.tan(place.camera.yaw)
    cars: list[Car] = []
    for _ in range(count):
        kind, seed = str(rng.choice(_CAR_KINDS)), int(rng.integers(2**31))
        along = 0.0 if rng.random() < 0.5 else np.pi
        for _ in range(12):
            s = middle + float(rng.uniform(-9, 9))
            if place.stalls and rng.random() < 0.7:
                ends = place.stalls[rng.integers(len(place.stalls))]
                s = (ends[0] + ends[1]) / 2
            clear = [abs(s - car.pose.s) > 5.4 for car in cars]
            clear += [s + 2.7 < low or s - 2.7 > high for low, high in blocked]
            hides = place.kerb_t < place.containers[0].pose.t if place.containers else False
            clear += [
                abs(s - c.pose.s) > 3.4 or rng.random() < 0.1 for c in place.containers if hides
            ]
            pose = Pose(s, lane + float(rng.normal(0, 0.06)), along + float(rng.normal(0, 0.02)))
            near = float(place.camera.depth(floats([[s, lane, 0]]))[0]) > 4.5
            if all(clear) and near:
                cars.append(Car(kind, pose, seed))
                break
    return cars


def random_people(rng: np.random.Generator, place: Place, count: int) -> list[Person]:
    """On the pavement behind the containers, or in front of them on their way."""
    people: list[Person] = []
    camera = place.camera
    for _ in range(count):
        closest = 2.6 if camera.height_m < 2.5 else 6.0
        in_front = rng.random() < 0.45 and place.kerb_t > closest
        t = float(
            rng.uniform(closest, place.kerb_t)
            if in_front
            else rng.uniform(place.kerb_t + 0.4, place.facade_t - 0.4)
        )
        spread = 0.42 * camera.size_hw[1] / camera.focal_px * t
        s = t * np.tan(camera.yaw) + float(rng.uniform(-spread, spread))
        taken = [
            abs(s - c.pose.s) < 0.75 * c.size[0] and abs(t - c.pose.t) < 1.1
            for c in place.containers
        ]
        if any(taken):
            t = place.facade_t - 0.3
        turned = (
            float(rng.normal(0, 0.5)) if rng.random() < 0.65 else float(rng.uniform(-np.pi, np.pi))
        )
        people.append(Person(s, t, turned, int(rng.integers(2**31))))
    return people
