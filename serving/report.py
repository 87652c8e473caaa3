"""The batch report: one self-contained HTML file, in French and English."""

import base64
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import NoSuchObject
from services import event_types as types
from services.batches import read_manifest
from services.catalog import Catalog
from services.events import Event, Observation
from services.judgement import CONDITIONS
from services.outcome import Outcome
from services.sites import Site
from services.statistics import Hour, day_profile, quarter_hours
from services.storage import Store
from serving.page import render, small, write_page

_GALLERY = 60  # pictures shown; the rest are counted
_CHANGES = {
    types.OVERFLOW_STARTED: ("bad", "débordement commencé", "overflow started"),
    types.OVERFLOW_ENDED: ("good", "débordement terminé", "overflow ended"),
    types.CONTAINER_FOUND: ("warn", "conteneur non enregistré", "unregistered container"),
    types.OCCUPANCY_CHANGED: ("warn", "taux d’occupation changé", "occupancy changed"),
    types.OCCUPANCY_FULL: ("bad", "complet", "full"),
    types.OCCUPANCY_AVAILABLE: ("good", "de nouveau des places", "room again"),
    types.STALL_TAKEN: ("bad", "place occupée", "stall taken"),
    types.STALL_FREED: ("good", "place libérée", "stall freed"),
    types.USE_STARTED: ("bad", "utilisation commencée", "use started"),
    types.USE_ENDED: ("good", "utilisation terminée", "use ended"),
    types.MOWING_DUE: ("bad", "tonte à faire", "mowing due"),
    types.MOWING_DONE: ("good", "tonte faite", "mowing done"),
    types.PRUNING_DUE: ("bad", "taille à faire", "pruning due"),
    types.PRUNING_DONE: ("good", "taille faite", "pruning done"),
    types.ENCROACHMENT_STARTED: ("bad", "empiètement commencé", "encroachment started"),
    types.ENCROACHMENT_ENDED: ("good", "empiètement terminé", "encroachment ended"),
    types.DRYNESS_STARTED: ("warn", "signe de sécheresse", "sign of dryness"),
    types.DRYNESS_ENDED: ("good", "sécheresse terminée", "dryness over"),
    types.EVENT_WITHDRAWN: ("warn", "événement retiré", "event withdrawn"),
}
"""Type of event → how it looks, and how it is said in French and in English."""

_STAGES = ("read", "decode", "redact", "detect", "blend", "measure", "write")


@dataclass(frozen=True, slots=True)
class Picture:
    """A redacted picture of the gallery, its JPEG as base64, with what to draw over it."""

    outcome: Outcome
    jpeg: str
    time: str


@dataclass(frozen=True, slots=True)
class Map:
    """The map of a raster, its quick-look as base64."""

    outcome: Outcome
    png: str
    time: str


@dataclass(frozen=True, slots=True)
class Course:
    """One asset's observations of one quantity over time.

    Attributes:
        top: the value at the top of the plot: 1 for a probability or a share.
        known: (x in 0..1 of the span, value) of the known ones.
        ranges: (x, low, high) where there is an interval, or nothing but a range is told.
        unknown: x of the unknown ones.
        changes: (x, whether a condition started) of the events.
        day: what a day is like; empty for other purposes, or where it would be one hour.
    """

    asset: str
    quantity: str
    last: Observation
    top: float
    known: list[tuple[float, float]]
    ranges: list[tuple[float, float, float]]
    unknown: list[float]
    changes: list[tuple[float, bool]]
    day: list[Hour]
    start: str
    end: str


def write_report(path: Path, batch: str, catalog: Catalog, store: Store) -> None:
    """Write the report of a batch, finished or not, to `path`.

    Raises:
        BatchError: no such batch.
        BadConfiguration: the file cannot be written.
    """
    row = catalog.batch(batch)
    manifest = read_manifest(store, batch)
    site = manifest.read_site()
    outcomes = catalog.outcomes(batch)
    events = [event for _, event in catalog.outbox.events(batch=batch)]
    counts = Counter(o.status for o in outcomes)
    html = render(
        "report.html.j2",
        batch=row,
        site=site,
        manifest=manifest,
        counts=counts,
        missing=len(manifest.items) - len(outcomes),
        reasons=Counter(o.reason for o in outcomes if o.reason).most_common(),
        quarantined=[o for o in outcomes if o.status == "quarantined"],
        covered=_covered(outcomes),
        pictures=_pictures(outcomes, store, site),
        maps=_maps(outcomes, store, site),
        redacted=counts["redacted"],
        courses=_courses(outcomes, events, site),
        events=Counter(event.type.removeprefix("vigie.") for event in events).most_common(),
        changes=[
            _change(event, site)
            for event in sorted(events, key=lambda e: (e.time, e.subject))
            if event.type in _CHANGES
        ],
        timings=_timings(outcomes),
        dirty=_histogram([o.facts["dirty"] for o in outcomes if "dirty" in o.facts]),
    )
    write_page(path, html)


def _covered(outcomes: list[Outcome]) -> Counter[str]:
    labels: Counter[str] = Counter()
    for outcome in outcomes:
        labels.update({label: sum(heights.values()) for label, heights in outcome.covered.items()})
    return labels


def _local(time: Any, site: Site) -> str:
    return str(time.astimezone(site.time_zone).strftime("%Y-%m-%d %H:%M"))


def _change(event: Event, site: Site) -> dict[str, Any]:
    return {
        "time": _local(event.time, site),
        "subject": event.subject.partition(":unregistered:")[2] or event.subject.rpartition(":")[2],
        "said": _CHANGES[event.type],
        "value": event.data.get("value"),
    }


def _pictures(outcomes: list[Outcome], store: Store, site: Site) -> list[Picture]:
    """The pictures an operator would look at first: the dirtiest or the fullest, then the rest."""
    shown = [o for o in outcomes if str(o.redacted_key).endswith(".jpg")]
    shown.sort(key=lambda o: (-o.facts.get("dirty", 0.0), -len(o.detections)))
    if len(shown) > _GALLERY:  # two thirds from the top, one third from the other end
        shown = shown[: _GALLERY * 2 // 3] + shown[-_GALLERY // 3 :]
    pictures = []
    for outcome in shown:
        try:
            data, _ = store.get("redacted", str(outcome.redacted_key))
        except NoSuchObject:  # purged after its retention; the record stays
            continue
        pictures.append(Picture(outcome, small(data), _local(outcome.captured_at, site)))
    return pictures


def _maps(outcomes: list[Outcome], store: Store, site: Site) -> list[Map]:
    maps = []
    for outcome in (o for o in outcomes if "quicklook" in o.files):
        try:
            data, _ = store.get("redacted", outcome.files["quicklook"])
        except NoSuchObject:  # purged after its retention; the record stays
            continue
        png = base64.b64encode(data).decode()
        maps.append(Map(outcome, png, _local(outcome.captured_at, site)))
    return maps


def _courses(outcomes: list[Outcome], events: list[Event], site: Site) -> list[Course]:
    histories: dict[tuple[str, str], list[Observation]] = {}
    registered = {asset.id for asset in site.assets}
    for outcome in outcomes:
        for observation in outcome.observations:
            if observation.asset in registered:
                key = observation.asset, observation.quantity
                histories.setdefault(key, []).append(observation)
    courses = []
    for (asset, quantity), history in sorted(histories.items()):
        history.sort(key=lambda o: o.observed_at)
        judged = [c for c in CONDITIONS.values() if c.quantity == quantity and c.rises != c.falls]
        starts, ends = {c.rises for c in judged}, {c.falls for c in judged}
        first, last = history[0].observed_at, history[-1].observed_at
        span = (last - first).total_seconds() or 1.0

        def at(time: Any, first: Any = first, span: float = span) -> float:
            return float((time - first).total_seconds() / span)

        courses.append(
            Course(
                asset.rpartition(":")[2],
                quantity,
                history[-1],
                max([1.0, *(v for o in history for v in (o.value, o.high) if v is not None)]),
                [(at(o.observed_at), o.value) for o in history if o.value is not None],
                [
                    (at(o.observed_at), o.low, o.high)
                    for o in history
                    if o.low is not None and o.high is not None
                ],
                [at(o.observed_at) for o in history if o.value is None and o.high is None],
                [
                    (at(event.time), event.type in starts)
                    for event in events
                    if event.subject == asset and event.type in starts | ends
                ],
                _day(history, site),
                _local(first, site),
                _local(last, site),
            )
        )
    return courses


def _day(history: list[Observation], site: Site) -> list[Hour]:
    hours = day_profile(quarter_hours(history, "occupancy"), site.time_zone)
    return hours if len(hours) > 1 else []


def _timings(outcomes: list[Outcome]) -> list[tuple[str, float, float]]:
    """Stage, median ms, 95th percentile ms."""
    rows = []
    for stage in _STAGES:
        seconds = [o.seconds[stage] for o in outcomes if stage in o.seconds]
        if seconds:
            median, high = np.percentile(seconds, [50, 95]) * 1000
            rows.append((stage, float(median), float(high)))
    return rows


def _histogram(values: list[float]) -> list[int]:
    return [int(n) for n in np.histogram(values, 20, (0, 1))[0]] if values else []
