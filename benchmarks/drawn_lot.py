"""A drawn day before a small car park that is at its limit for hours, then in fog.

`python -m benchmarks.drawn_lot [SEED ...]` shows each picture beside the truth, and the events:
one when the lot fills, none while it wavers, one when there is room again, unknown in fog.
"""

import sys
from collections import Counter
from pathlib import Path

from models.detectors.occupancy import load
from models.frame import Frame
from services.events import Observation
from services.judgement import State, judge_all
from services.opening import open_redactor
from services.purposes import occupancy
from services.settings import Settings
from services.sites import Site, parse_site
from services.view import View
from training import scenes
from training.scenes import Scene

SEEDS = (1, 2, 3)
SITE = """
territory: t
site: lot
name: Parking
time_zone: Europe/Paris
purposes:
  occupancy:
    legal_basis: public_task
    retention_days: {images: 30, events: 365}
    notice: https://www.example.org
cameras:
  - {id: cam, name: Mât, size_wh: [800, 600], key_prefix: lot/cam/, key_time: "%Y%m%dT%H%M%SZ"}
assets:
"""
ASSET = """
  - id: {id}
    purpose: occupancy
    kind: {kind}
    geometry: {{type: Point, coordinates: [-3.356, 47.7288]}}
    views: {{cam: {outline}}}
    limits: {limits}
"""
WHOLE = [[0, 0], [800, 0], [800, 600], [0, 600]]


def site_of(scene: Scene) -> Site:
    """The car park and its stalls."""
    outlines = {name: stall.polygon.tolist() for name, stall in scene.stalls.items()}
    rows = [ASSET.format(id="lot", kind="car-park", outline=WHOLE, limits={"capacity": 4})]
    rows += [ASSET.format(id=i, kind="stall", outline=o, limits={}) for i, o in outlines.items()]
    return parse_site(SITE + "".join(rows), "drawn.yaml")


def day(seed: int, settings: Settings) -> None:
    detector, redactor = load(settings.cache, settings.precision), open_redactor(settings)
    histories: dict[tuple[str, str], list[Observation]] = {}
    right: Counter[tuple[str, bool]] = Counter()
    in_fog: Counter[bool] = Counter()
    site = None
    for when, scene, fog in scenes.lot_day(seed):
        site = site or site_of(scene)
        scene.pixels.setflags(write=False)
        key = f"lot/cam/{when:%Y%m%dT%H%M%SZ}.jpg"
        frame = redactor(Frame(key, scene.pixels, "cam", when, "key"))
        found, models = {"occupancy": detector(frame)}, {"occupancy": detector.model}
        eyes = {"occupancy": detector}
        view = View(site, site.cameras[0], frame, found, models, key, key, detectors=eyes)
        told = []
        for one in occupancy.measure(view):
            name = Path(one.asset.replace(":", "/")).name
            histories.setdefault((name, one.quantity), []).append(one)
            if fog:
                in_fog[one.value is None] += 1
            elif one.quantity == "occupancy.taken" and one.value is not None:
                right["stall", (one.value >= 0.5) == scene.stalls[name].occupied] += 1
            elif one.quantity == "occupancy.count" and one.low is not None and one.high is not None:
                truth = sum(stall.occupied for stall in scene.stalls.values())
                right["interval", one.low <= truth <= one.high] += 1
                told.append(f"{one.value:g} [{one.low:g}, {one.high:g}] of {truth}")
        print(f"{when:%H:%M} {'fog' if fog else ''.join(told)}")
    for (name, quantity), history in histories.items():
        if quantity in occupancy.judgement({}):
            limits = occupancy.judgement({"capacity": 4})[quantity]
            _, events = judge_all(State(), history, limits, "drawn")
            said = ", ".join(f"{e.time:%H:%M} {e.type.split('.')[-2]}" for e in events)
            print(f"{name} {quantity}: {len(events)} events: {said}")
    print(f"seed {seed}: right {dict(right)}, unknown in fog {dict(in_fog)}")


def main() -> None:
    for seed in [int(seed) for seed in sys.argv[1:]] or SEEDS:
        day(seed, Settings())


if __name__ == "__main__":
    main()
