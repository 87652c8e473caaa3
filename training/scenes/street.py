"""Street scenes: a place, what happens in it at one moment, and the picture of both."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from models.errors import BadConfiguration
from training.scenes import facades, ground, rubbish, surroundings
from training.scenes.camera import floats
from training.scenes.canvas import Canvas
from training.scenes.cars import Car
from training.scenes.containers import Container
from training.scenes.optics import Moment, develop
from training.scenes.people import Person
from training.scenes.place import (
    Place,
    random_cars,
    random_centre,
    random_people,
    random_place,
)
from training.scenes.scene import Scene, Stall
from training.scenes.solids import UP, Light, Pose, Shadows

STATES = ("clean", "minor_litter", "side_waste", "overflow")
_SHARES = (0.42, 0.13, 0.27, 0.18)  # of the states, where none is asked for
_LAMP_M = 5.0


@dataclass(frozen=True, slots=True)
class Happening:
    """What is there at one moment: states of the containers, cars, people, loose rubbish."""

    states: list[str]
    seeds: list[int]  # of each container's rubbish, so that a heap stays the same from hour to hour
    cars: list[Car]
    people: list[Person]


def street(
    rng: np.random.Generator,
    size_hw: tuple[int, int] = (600, 800),
    *,
    state: str | None = None,
    night: bool = False,
    containers: int | None = None,
    people: int | None = None,
    cars: int | None = None,
) -> Scene:
    """A street seen from eye level or from a mast.

    Args:
        rng: of everything; the same state of it draws the same scene.
        size_hw: height and width in px.
        state: of every container, one of `STATES`; None draws each at random.
        night: by night.
        containers, people, cars: how many are put there, not all of which end up visible; None
            for a usual number.

    Raises:
        BadConfiguration: no such state.
    """
    if state is not None and state not in STATES:
        raise BadConfiguration(f"no container state {state!r}; known: {', '.join(STATES)}")
    if containers is None:
        containers = int(rng.choice([1, 2, 3, 4], p=[0.35, 0.35, 0.2, 0.1]))
    place = random_place(rng, size_hw, containers)
    states, seeds = _states(rng, len(place.containers), state)
    happening = Happening(
        states,
        seeds,
        random_cars(rng, place, int(rng.integers(0, 4)) if cars is None else cars),
        random_people(rng, place, int(rng.integers(0, 4)) if people is None else people),
    )
    return compose(place, happening, Moment.random(rng, night), rng)


def recycling_centre(
    rng: np.random.Generator, size_hw: tuple[int, int] = (600, 800), *, night: bool = False
) -> Scene:
    """Open skips at a recycling centre, some heaped over the rim; arguments as of `street`."""
    return scene_of(rng, random_centre(rng, size_hw, int(rng.integers(1, 5))), night=night)


def scene_of(rng: np.random.Generator, place: Place, *, night: bool = False) -> Scene:
    """A place with its containers in states drawn at random, and nobody there."""
    happening = Happening(*_states(rng, len(place.containers), None), [], [])
    return compose(place, happening, Moment.random(rng, night), rng)


def _states(rng: np.random.Generator, count: int, state: str | None) -> tuple[list[str], list[int]]:
    """The state of each container, and the seed of what lies in and around it."""
    states = [state or str(rng.choice(STATES, p=_SHARES)) for _ in range(count)]
    return states, [int(v) for v in rng.integers(0, 2**31, count)]


def compose(place: Place, happening: Happening, moment: Moment, rng: np.random.Generator) -> Scene:
    """Draw a place at a moment; `rng` varies only the camera's picture of it."""
    canvas, light = Canvas(place.camera), moment.light()
    traces = np.random.default_rng(place.seed)
    surroundings.sky(canvas, traces, moment)
    shadows = _shadows(canvas, light, place, happening)
    ground.draw_ground(canvas, light, place.bands, shadows, moment.rain)
    for building in sorted(place.buildings, key=lambda b: -b.t):
        facades.draw_building(canvas, light, building, moment.night)
    _mark_stalls(canvas, light, place)
    ground.draw_traces(canvas, light, place.bands, traces)

    stage = _Stage(canvas, light)
    for tree in place.trees:
        stage.put(
            tree.pose, partial(surroundings.draw_tree, canvas, light, tree, canvas.add("tree"))
        )
    for pose in place.bollards:
        stage.put(pose, partial(surroundings.draw_bollard, canvas, light, pose))
    for pose in place.lamps:
        stage.put(pose, partial(surroundings.draw_lamp, canvas, light, pose, _LAMP_M, moment.night))
    for car in happening.cars:
        stage.put(car.pose, partial(car.draw, canvas, light, canvas.add("car"), lit=moment.night))
    for person in happening.people:
        stage.put(
            Pose(person.s, person.t), partial(person.draw, canvas, light, canvas.add("person"))
        )
    for container, state, seed in zip(
        place.containers, happening.states, happening.seeds, strict=True
    ):
        stage.put_container(container, state, np.random.default_rng(seed))
    stage.draw()

    lamps = [(lamp.s, lamp.t - 1.2, _LAMP_M) for lamp in place.lamps]
    pixels = develop(canvas, moment, lamps, place.facade_t, rng)
    return canvas.truth(pixels, _stalls_seen(place, happening), moment.night)


def _shadows(canvas: Canvas, light: Light, place: Place, happening: Happening) -> Shadows:
    shadows = Shadows(canvas, light)
    for container in place.containers:
        shadows.cast(container.pose, container.size)
    for car in happening.cars:
        long, wide, tall = car.size
        shadows.cast(car.pose, (long * 0.94, wide * 0.92, tall * 0.85))
    for person in happening.people:
        shadows.cast(Pose(person.s, person.t), (0.4, 0.25, 1.65))
    for tree in place.trees:
        shadows.dapple(tree.pose, surroundings.crown_shadow(tree), tree.crown_m, tree.tall * 0.65)
    return shadows


class _Stage:
    """What is to be drawn, from far to near."""

    def __init__(self, canvas: Canvas, light: Light) -> None:
        self._canvas, self._light = canvas, light
        self._planned: list[tuple[float, Callable[[], None]]] = []

    def put(self, pose: Pose, draw: Callable[[], None], nearer_m: float = 0.0) -> None:
        """Plan to draw what stands at `pose`, as if `nearer_m` nearer to the camera."""
        depth = self._canvas.camera.depth(floats([[pose.s, pose.t, 0]]))[0]
        self._planned.append((float(depth) - nearer_m, draw))

    def put_container(self, container: Container, state: str, rng: np.random.Generator) -> None:
        """Plan a container, and the rubbish in, on and around it."""
        canvas, light = self._canvas, self._light
        number = canvas.add("container", state, container.asset)
        over = canvas.add("waste", beside=number) if state == "overflow" else None
        self.put(container.pose, partial(container.draw, canvas, light, number, over))
        wide, deep, _ = container.size
        if state == "minor_litter":
            spot = container.pose.beside(float(rng.uniform(-1, 1)) * wide, -deep / 2 - 0.5)
            few = int(rng.integers(2, 6))
            self.put(spot, partial(rubbish.litter, canvas, light, rng, spot, 0.6, few), 0.5)
        if state == "side_waste" or (state == "overflow" and rng.random() < 0.6):
            self._put_heap(container, canvas.add("waste", beside=number), rng)

    def _put_heap(self, container: Container, heap: int, rng: np.random.Generator) -> None:
        canvas, light = self._canvas, self._light
        wide, deep, _ = container.size
        front, side = -deep / 2, float(rng.choice([-1, 0, 1]))
        x, y = side * (wide / 2 + 0.25), front - 0.45 if side == 0 else front * 0.6
        spread, pieces = float(rng.uniform(0.2, 0.55)), int(rng.integers(10, 110))
        spot = container.pose.beside(x, y - 0.15)
        scraps = rng.spawn(1)[0]
        self.put(
            spot, partial(rubbish.litter, canvas, light, scraps, spot, spread, pieces, heap), -0.6
        )
        for own in rng.spawn(int(rng.integers(3, 14))):
            dx, dy = float(own.normal(0, spread)), float(own.normal(0, 0.22))
            before = front - 0.3 if abs(x + dx) < wide / 2 + 0.2 else deep / 2
            at = x + dx, min(y + dy, before)
            pose = container.pose.beside(*at, float(own.uniform(0, 2 * np.pi)))
            # What lies before the front hides the container, however that is turned.
            nearer = deep if at[1] < front else 0.0
            self.put(pose, partial(rubbish.item, canvas, light, own, pose, heap), nearer)

    def draw(self) -> None:
        """Draw all that was planned."""
        for _, draw in sorted(self._planned, key=lambda planned: -planned[0]):
            draw()


def _mark_stalls(canvas: Canvas, light: Light, place: Place) -> None:
    paint = light.on(UP) * floats([206, 206, 202])
    near, far = place.kerb_t - 2.1, place.kerb_t
    for s in sorted({end for stall in place.stalls for end in stall}):
        bar = [(s - 0.05, near, 0), (s + 0.05, near, 0), (s + 0.05, far, 0), (s - 0.05, far, 0)]
        canvas.cells(floats([bar]), paint[None])


def _stalls_seen(place: Place, happening: Happening) -> dict[str, Stall]:
    """The stalls that are wholly in front of the camera and mostly in the picture."""
    near, far = place.kerb_t - 2.1, place.kerb_t
    height, width = place.camera.size_hw
    seen = {}
    for index, (s1, s2) in enumerate(place.stalls):
        corners = floats([[s1, near, 0], [s2, near, 0], [s2, far, 0], [s1, far, 0]])
        if place.camera.depth(corners).min() < 2:
            continue
        polygon = place.camera.project(corners)
        x, y = polygon.mean(0)
        if 0 <= x < width and 0 <= y < height:
            taken = any(s1 < car.pose.s < s2 and near < car.pose.t < far for car in happening.cars)
            seen[f"P-{index + 1:02d}"] = Stall(polygon, taken)
    return seen
