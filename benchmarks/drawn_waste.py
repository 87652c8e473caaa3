"""Two drawn days before a container that fills, is hidden by a van, and is emptied.

`python -m benchmarks.drawn_waste [SEED ...]` shows each hour beside the truth, and the events: of
days on which it overflows, and of days on which waste is put beside it. It also fits what the
change of a place says beside the detector, and alone, to the seeds from FITTED on: where the
figures of `services.attention.need` come from.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product

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

SEEDS = (7, 11, 12, 13, 14, 15)
FITTED = 20
"""Seeds from which on days are for fitting; those before are for measuring."""

ASSETS = ("C-041", "C-042")
NEEDY = ("overflow", "side_waste")
DWELLS = (0, 60)
"""Minutes: as shipped, and where a picture an hour comes, two in a row."""


@dataclass(frozen=True, slots=True)
class Hour:
    """One frame: hours since the start, what is true of each asset, what was observed.

    `alone` is what the detector says without references.
    """

    hour: int
    truth: dict[str, str | None]
    observed: dict[str, Observation]
    alone: dict[str, Observation]


def site_of(seed: int) -> Site:
    """The camera's site, with the outlines that hold for this seed."""
    outlines = scenes.cameras(seed)["cam-01"]
    listed = ((asset, "container", outlines[asset], {}) for asset in ASSETS)
    return one_camera("waste", "quai-nord/cam-01/", listed)


def hours(
    seed: int, every: timedelta = timedelta(hours=1), state: str = "overflow"
) -> Iterator[Hour]:
    """The two days of a seed, hour by hour, on which the first container comes to a state."""
    settings = Settings()
    site, detector = site_of(seed), plugins.load(detectors, "waste").load(settings.cache)
    redactor = open_redactor(settings)
    camera = site.cameras[0]
    known = KnownView(scenes.before_two_days(seed), camera.size_wh)
    now = datetime.now(UTC)
    for hour, (key, scene) in enumerate(scenes.two_days(seed, every, state)):
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
            _of_assets(waste.measure(view)),
            _of_assets(waste.measure(replace(view, known=None))),
        )


def _of_assets(observations: list[Observation]) -> dict[str, Observation]:
    return {asset: o for o in observations for asset in ASSETS if o.asset.endswith(asset)}


def fit(days: list[Hour]) -> None:
    """Print what `services.attention` joins change by."""
    seen = [
        (
            one.alone[asset].value,
            np.sqrt(told.detail["colour_change"]),
            truth in NEEDY,
        )
        for one in days
        for asset, told in one.observed.items()
        if (truth := one.truth[asset]) not in ("hidden", "unknown") and told.value is not None
        if "colour_change" in told.detail
    ]
    both = [row for row in seen if row[0] is not None]
    p = np.clip([row[0] for row in both], 0.01, 0.99)
    x = np.stack([np.log(p / (1 - p)), [row[1] for row in both]], 1)
    for name, values, truth in (
        ("constant, detector, change", x, [row[2] for row in both]),
        ("constant, change alone", [[row[1]] for row in seen], [row[2] for row in seen]),
    ):
        model = LogisticRegression(C=100).fit(values, truth)
        print(name, model.intercept_.round(2), model.coef_.round(2), f"of {len(truth)}")


def show(days: list[Hour]) -> None:
    for one in days:
        told = (
            f"{asset} {one.truth[asset] or '–':13} "
            + (seen.reason or f"{seen.value:.2f}")
            + f" {seen.detail.get('colour_change', float('nan')):.2f}"
            for asset, seen in one.observed.items()
        )
        print(f"{one.hour:3} h  " + "   ".join(told))
    for asset, minutes in product(ASSETS, DWELLS):
        history = [one.observed[asset] for one in days]
        limits = waste.judgement({"dwell_minutes": minutes})["waste.overflow"]
        _, events = judge_all(history, "waste.overflow", limits, "drawn")
        for event in events:
            told = f"{event.type} {event.data['since']} {event.data.get('until', '')}"
            print(f"{asset}, dwell {minutes} min: {told}")


def main() -> None:
    seeds = [int(seed) for seed in sys.argv[1:]] or list(SEEDS)
    fitted = []
    for seed, state in product(seeds, NEEDY):
        days = list(hours(seed, state=state))
        print(f"seed {seed}, {state}")
        show(days)
        fitted += days if seed >= FITTED else []
    if fitted:
        fit(fitted)


if __name__ == "__main__":
    main()
