"""A square or a car park that gets closer: as many as before, each hiding more of the next."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from training.scenes.camera import Camera
from training.scenes.cars import Car
from training.scenes.facades import Building
from training.scenes.ground import Band
from training.scenes.optics import Moment
from training.scenes.people import Person
from training.scenes.place import Place
from training.scenes.scene import Scene
from training.scenes.solids import Pose
from training.scenes.street import Happening, compose

_ACROSS, _DEEP = 4, 3
CROWD = _ACROSS * _DEEP
"""How many there are."""

_FACADE_M = 40.0
_AWAY_M = {"person": 12.0, "car": 20.0}
_MAST_M = {"person": (2.5, 4.5), "car": (4.5, 6.5)}
_SPACE_M = {"person": (0.5, 0.35), "car": (2.0, 4.7)}  # wide and deep
_UNEVEN = 0.15  # of the space of each
_CAR_KINDS = ("hatch", "saloon", "suv")


def crowd(seed: int, what: Literal["person", "car"], spacings: Sequence[float]) -> list[Scene]:
    """`CROWD` people on a square, or cars side by side in rows, the same ones in every scene.

    Args:
        seed: who they are, the place and the light.
        what: people or cars.
        spacings: of each scene, how far apart they are: at 1 they touch.

    Returns:
        A scene of 600×800 px for each spacing. Its boxes leave out whom others hide nearly whole.
    """
    rng = np.random.default_rng((seed, 8))
    height_m = float(rng.uniform(*_MAST_M[what]))
    camera = Camera((600, 800), focal_px=620, height_m=height_m, pitch=0.2)
    place = Place(
        camera,
        [Band(-40, _FACADE_M, "slabs" if what == "person" else "asphalt")],
        [
            Building("house", s, s + 9.0, _FACADE_M, float(rng.uniform(8, 13)), int(own))
            for s, own in zip(np.arange(-5, 5) * 9.0, rng.integers(2**31, size=10), strict=True)
        ],
        *([], [], [], []),
        kerb_t=_FACADE_M - 3,
        facade_t=_FACADE_M,
        seed=int(rng.integers(2**31)),
    )
    moment = Moment.random(rng, night=False)
    seeds, ways = rng.integers(2**31, size=CROWD), rng.normal(0, 0.8, CROWD)
    uneven = rng.uniform(-_UNEVEN, _UNEVEN, (CROWD, 2))
    across = np.arange(CROWD) % _ACROSS - (_ACROSS - 1) / 2
    deep = np.arange(CROWD) // _ACROSS - (_DEEP - 1) / 2
    across = across + np.where(deep == 0, 0.5, 0)  # those of the second row in the gaps
    scenes = []
    for spacing in spacings:
        where = (np.stack([across, deep], 1) + uneven) * _SPACE_M[what] * spacing
        where[:, 1] += _AWAY_M[what]
        people, cars = [], []
        for (s, t), own, way in zip(where.tolist(), seeds.tolist(), ways.tolist(), strict=True):
            if what == "person":
                people.append(Person(s, t, way, own))
            else:
                cars.append(Car(_CAR_KINDS[own % 3], Pose(s, t, np.pi / 2), own))
        happening = Happening([], [], cars, people)
        scenes.append(compose(place, happening, moment, np.random.default_rng((seed, 9))))
    return scenes
