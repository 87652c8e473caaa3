"""A drawn day before a small car park that is at its limit for hours, then in fog.

`python -m benchmarks.drawn_lot [SEED ...]` shows each picture beside the truth, and the events:
one when the lot fills, none while it wavers, one when there is room again, unknown in fog.
"""

import sys
from collections import Counter

from benchmarks.drawn_site import one_camera
from models.detectors.occupancy import OccupancyDetector, load
from models.frame import Frame
from models.redaction import Redactor
from services.events import Observation
from services.judgement import CONDITIONS
from services.opening import open_redactor
from services.purposes import occupancy
from services.record import judge_all
from services.settings import Settings
from services.sites import Site
from services.view import View
from training import scenes
from training.scenes import Scene

SEEDS = (1, 2, 3)
PREFIX = "lot/cam/"
WHOLE = [[0, 0], [800, 0], [800, 600], [0, 600]]


def site_of(scene: Scene) -> Site:
    """The car park and its stalls."""
    lot = ("lot", "car-park", WHOLE, {"capacity": len(scene.stalls)})
    stalls = [(name, "stall", stall.polygon, {}) for name, stall in scene.stalls.items()]
    return one_camera("occupancy", PREFIX, [lot, *stalls])


def day(seed: int, detector: OccupancyDetector, redactor: Redactor) -> None:
    histories: dict[tuple[str, str], list[Observation]] = {}
    right: Counter[tuple[str, bool]] = Counter()
    in_fog: Counter[bool] = Counter()
    pictures = list(scenes.lot_day(seed))
    site = site_of(pictures[0][1])
    for when, scene, fog in pictures:
        scene.pixels.setflags(write=False)
        key = f"{PREFIX}{when:%Y%m%dT%H%M%SZ}.jpg"
        frame = redactor(Frame(key, scene.pixels, "cam", when, "key"))
        found, models = {"occupancy": detector(frame)}, {"occupancy": detector.model}
        eyes = {"occupancy": detector}
        view = View(site, site.cameras[0], frame, found, models, key, key, detectors=eyes)
        told = ""
        for one in occupancy.measure(view):
            name = one.asset.rpartition(":")[2]
            histories.setdefault((name, one.quantity), []).append(one)
            if fog:
                in_fog[one.value is None] += 1
            elif one.quantity == "occupancy.taken" and one.value is not None:
                right["stall", (one.value >= 0.5) == scene.stalls[name].occupied] += 1
            elif one.quantity == "occupancy.count" and one.low is not None and one.high is not None:
                truth = sum(stall.occupied for stall in scene.stalls.values())
                right["interval", one.low <= truth <= one.high] += 1
                told = f"{one.value:g} [{one.low:g}, {one.high:g}] of {truth}"
        print(f"{when:%H:%M} {'fog' if fog else told}")
    limits = occupancy.judgement({})
    for (name, quantity), history in histories.items():
        for condition in (c for c in limits if CONDITIONS[c].quantity == quantity):
            _, events = judge_all(history, condition, limits[condition], "drawn")
            said = ", ".join(f"{e.time:%H:%M} {e.type.split('.')[-2]}" for e in events)
            print(f"{name} {condition}: {len(events)} events: {said}")
    print(f"seed {seed}: right {dict(right)}, unknown in fog {dict(in_fog)}")


def main() -> None:
    settings = Settings()
    detector, redactor = load(settings.cache, settings.precision), open_redactor(settings)
    for seed in [int(seed) for seed in sys.argv[1:]] or SEEDS:
        day(seed, detector, redactor)


if __name__ == "__main__":
    main()
