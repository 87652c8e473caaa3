"""Two drawn days before a container that fills, overflows, is hidden by a van, and is emptied.

`python -m benchmarks.drawn_waste [SEED ...]` shows each hour beside the truth, and the events. It
also fits, to all seeds but the first, what the change of a place says beside the detector, and
alone: where the figures of `services.purposes.waste.need` come from.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.drawn_site import one_camera
from models import detectors, plugins
from models.frame import Frame
from models.registration import MODEL, KnownView
from services.events import Observation
from services.opening import open_redactor
from services.purposes import waste
from services.record import judge_all
from services.settings import Settings
from services.sites import Site
from services.view import View
from training import scenes

SEEDS = (7, 11, 12, 13)
ASSETS = ("C-041", "C-042")


@dataclass(frozen=True, slots=True)
class Hour:
    """One frame: hours since the start, what is true of each asset, what was observed."""

    hour: int
    truth: dict[str, str | None]
    observed: dict[str, Observation]


def site_of(seed: int) -> Site:
    """The camera's site, with the outlines that hold for this seed."""
    outlines = scenes.cameras(seed)["cam-01"]
    listed = ((asset, "container", outlines[asset], {}) for asset in ASSETS)
    return one_camera("waste", "quai-nord/cam-01/", listed)


def hours(seed: int, every: timedelta = timedelta(hours=1)) -> Iterator[Hour]:
    """The two days of a seed, hour by hour."""
    settings = Settings()
    site, detector = site_of(seed), plugins.load(detectors, "waste").load(settings.cache)
    redactor = open_redactor(settings)
    camera = site.cameras[0]
    known = KnownView(scenes.before_two_days(seed), camera.size_wh)
    now = datetime.now(UTC)
    for hour, (key, scene) in enumerate(scenes.two_days(seed, every)):
        at = camera.captured_at(key, site.time_zone) or now
        scene.pixels.setflags(write=False)
        frame = redactor(Frame(key, scene.pixels, camera.id, at, "key"))
        models = {"waste": detector.model, "registration": MODEL}
        sight = known.find(frame.pixels, frame.regions)
        found = {"waste": detector(frame)}
        view = View(site, camera, frame, found, models, key, key, known, sight)
        truth = dict(zip(scene.ids, scene.states, strict=True))
        yield Hour(
            hour,
            {asset: truth.get(asset, "hidden") for asset in ASSETS},
            {
                asset: one
                for one in waste.measure(view)
                for asset in ASSETS
                if one.asset.endswith(asset)
            },
        )


def rows_of(days: list[Hour]) -> Iterator[tuple[float | None, float, bool]]:
    """Of what is seen: what the detector makes of it or None, change, and the truth."""
    for one in days:
        for asset, seen in one.observed.items():
            truth = one.truth[asset]
            if truth in ("hidden", "unknown") or seen.value is None:
                continue
            by_detector = seen.value if "clean" in seen.detail else None
            yield by_detector, seen.detail["change"], truth in ("overflow", "side_waste")


def fit(days: list[Hour]) -> None:
    rows = list(rows_of(days))
    seen = [(p, d, y) for p, d, y in rows if p is not None]
    p = np.clip([row[0] for row in seen], 0.01, 0.99)
    x = np.stack([np.log(p / (1 - p)), [row[1] for row in seen]], 1)
    model = LogisticRegression(C=10).fit(x, [row[2] for row in seen])
    print(
        "constant, detector, change",
        model.intercept_.round(2),
        model.coef_.round(2),
        f"of {len(seen)}",
    )
    alone = [(d, y) for _, d, y in rows]
    model = LogisticRegression(C=10).fit([[d] for d, _ in alone], [y for _, y in alone])
    print(
        "constant, change alone",
        model.intercept_.round(2),
        model.coef_.round(2),
        f"of {len(alone)}",
    )


def show(days: list[Hour]) -> None:
    for one in days:
        told = (
            f"{asset} {one.truth[asset] or '–':13} "
            + (seen.reason or f"{seen.value:.2f}")
            + f" {seen.detail.get('change', float('nan')):.2f}"
            for asset, seen in one.observed.items()
        )
        print(f"{one.hour:3} h  " + "   ".join(told))
    for asset in ASSETS:
        history = [one.observed[asset] for one in days]
        limits = waste.judgement({})["waste.overflow"]
        _, events = judge_all(history, "waste.overflow", limits, "drawn")
        for event in events:
            print(f"{asset}: {event.type} {event.data['since']} {event.data.get('until', '')}")


def main() -> None:
    seeds = [int(seed) for seed in sys.argv[1:]] or list(SEEDS)
    days = {seed: list(hours(seed)) for seed in seeds}
    for seed, one in days.items():
        print(f"seed {seed}")
        show(one)
    if len(seeds) > 1:
        fit([one for seed in seeds[1:] for one in days[seed]])


if __name__ == "__main__":
    main()
