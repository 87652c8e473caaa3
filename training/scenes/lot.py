"""A day before four parking stalls, seen by a camera on a mast: at its limit, then in fog."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np

from training.scenes.camera import Camera
from training.scenes.cars import Car
from training.scenes.facades import Building
from training.scenes.ground import street_bands
from training.scenes.optics import Moment
from training.scenes.place import Place
from training.scenes.scene import Pixels, Scene
from training.scenes.solids import Pose
from training.scenes.street import Happening, compose
from training.scenes.surroundings import Tree

EVERY = timedelta(minutes=10)
_START, _LENGTH = datetime(2026, 6, 12, 6, tzinfo=UTC), timedelta(hours=14)
_STALLS, _STALL_M = 4, 5.3
_KERB_M = 17.0
_FOG = 0.06  # what is left of contrast


def lot_day(seed: int) -> Iterator[tuple[datetime, Scene, bool]]:
    """A picture every ten minutes from 6 to 20 o'clock UTC: time, scene, whether there is fog.

    One to three of the four stalls are taken until 10 o'clock. Until 14 o'clock the lot is full,
    but for every third picture, in which one car has left. Until 16 o'clock it is full and in fog,
    then half empty.
    """
    place = _place(seed)
    for index in range(_LENGTH // EVERY):
        when = _START + index * EVERY
        fog = 14 <= when.hour < 16
        rng = np.random.default_rng((seed, 5, index))
        cars = _cars(seed, place, _taken(index, when.hour))
        moment = Moment(elevation=0.3 + 0.7 * np.sin(np.pi * index * EVERY / _LENGTH))
        scene = compose(place, Happening([], [], cars, []), moment, rng)
        if fog:
            scene.pixels[:] = _fogged(scene.pixels)
        yield when, scene, fog


def _taken(index: int, hour: int) -> int:
    """How many of the stalls are taken."""
    if hour < 10:
        return 1 + (hour - 6) // 2 + (index // 5) % 2
    if hour < 14:
        return _STALLS - (index % 3 == 2)
    return _STALLS if hour < 16 else _STALLS // 2


def _cars(seed: int, place: Place, count: int) -> list[Car]:
    kinds = ("hatch", "saloon", "suv", "van")
    return [
        Car(kinds[(seed + i) % len(kinds)], Pose((s1 + s2) / 2, place.kerb_t - 1.08), seed + i)
        for i, (s1, s2) in enumerate(place.stalls[:count])
    ]


def _fogged(pixels: Pixels) -> Pixels:
    soft = cv2.GaussianBlur(pixels, (0, 0), 3).astype(np.float32)
    return np.asarray(_FOG * soft + (1 - _FOG) * 190, np.uint8)


def _place(seed: int) -> Place:
    rng = np.random.default_rng((seed, 6))
    kerb, facade = _KERB_M, _KERB_M + 5.0
    bands = street_bands(kerb, facade, "asphalt", "slabs")
    wide = 9.0
    buildings = [
        Building("house", s, s + wide, facade, float(rng.uniform(8, 13)), int(rng.integers(2**31)))
        for s in np.arange(-3, 3) * wide
    ]
    trees = [Tree(Pose(s, kerb + 2.6), 6.0, int(rng.integers(2**31))) for s in (-14.0, 14.0)]
    first = -_STALLS / 2 * _STALL_M
    stalls = [(first + i * _STALL_M, first + (i + 1) * _STALL_M) for i in range(_STALLS)]
    camera = Camera((600, 800), focal_px=560, height_m=6.0, pitch=0.30)
    seed_of_ground = int(rng.integers(2**31))
    return Place(
        camera, bands, buildings, trees, [], [], [], kerb, facade, stalls, seed=seed_of_ground
    )
