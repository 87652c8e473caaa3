"""An event of every type, as it would be told: the examples in the contract with platforms."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from services import event_types as types
from services.events import Event, Evidence, Observation

_SOURCE = "/territories/port-des-embruns/sites/quai-nord"
_URN = "urn:vigie:port-des-embruns:quai-nord:"
_NOON = datetime(2026, 6, 12, 12, tzinfo=UTC)


def example(kind: str) -> Event:
    """An event of this type, as it would be told."""
    event: Event = _EXAMPLES[kind]()
    return event.numbered(7) if event.partitionkey else event


def _seen(asset: str, quantity: str, value: float | None, **more: Any) -> Observation:
    fields = {
        "work": "5f0c" * 8,
        "asset": _URN + asset,
        "camera": "cam-01",
        "quantity": quantity,
        "value": value,
        "unit": "1",
        "observed_at": _NOON,
        "time_source": "exif",
        "evidence": Evidence(
            key="quai-nord/cam-01/20260612T120000Z.5f0c5f0c.jpg",
            sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            polygon=((412.0, 300.5), (520.0, 300.5), (520.0, 431.0), (412.0, 431.0)),
            redactor="privacy@1f2e3d4c",
        ),
        "model": f"{quantity.partition('.')[0]}@0a1b2c3d",
    }
    return Observation.model_validate(fields | more)


_OVERFLOW = partial(
    _seen,
    "C-042",
    "waste.overflow",
    0.86,
    kind="container",
    confidence=0.86,
    detail={"clean": 0.05, "minor_litter": 0.09, "side_waste": 0.25, "overflow": 0.61},
)
_SHARE = partial(_seen, "P-1", "occupancy.share", 0.97, low=0.9, high=1.02, kind="car-park")
_STALL = partial(_seen, "P-1-17", "occupancy.taken", 0.98, confidence=0.98, kind="stall")
_PITCH = partial(_seen, "stade-2", "occupancy.use", 0.93, confidence=0.93, kind="pitch")
_GRASS = partial(
    _seen, "pelouse-3", "vegetation.grass", 14.2, unit="cm", low=12.9, high=15.4, kind="gauge"
)
_OVER = partial(
    _seen,
    "haie-7",
    "vegetation.over",
    0.42,
    low=0.33,
    high=0.5,
    kind="parcel",
    detail={"analysed": 0.98, "height_m": 2.0},
)
_NEAR = partial(
    _seen, "ligne-2", "vegetation.encroachment", 4.6, unit="m", low=3.1, high=6.2, kind="clearance"
)
_DRY = partial(
    _seen,
    "stade-1",
    "vegetation.dryness",
    0.47,
    low=0.33,
    high=0.58,
    kind="parcel",
    detail={"analysed": 0.98},
)
_FLIGHTS = {"camera": None, "time_source": "key"}
_LOST = partial(
    _seen, "view:cam-01", "site.view.lost", 1.0, detail={"matches": 3.0}, model="registration@1"
)
_START = partial(types.changed, source=_SOURCE, since=_NOON - timedelta(hours=1))
_END = partial(_START, until=_NOON)


def _example_changes() -> dict[str, Any]:
    clean = {"confidence": 0.96, "detail": {"clean": 0.94, "overflow": 0.01}}
    found = _seen(
        "unregistered:cam-01:5.7", "waste.container", 0.81, confidence=0.81, model="waste@0a1b2c3d"
    )
    empty = {"value": 0.03, "low": 0.0, "high": 0.1}
    low = {"value": None, "low": 0.0, "high": 0.5, "reason": "low"}
    return {
        types.OVERFLOW_STARTED: lambda k: _START(k, _OVERFLOW()),
        types.OVERFLOW_ENDED: lambda k: _END(
            k, _OVERFLOW().model_copy(update={"value": 0.04} | clean)
        ),
        types.CONTAINER_FOUND: lambda k: types.changed(k, found, _SOURCE, since=_NOON),
        types.STALL_TAKEN: lambda k: _START(k, _STALL()),
        types.STALL_FREED: lambda k: _END(k, _STALL().model_copy(update={"value": 0.02})),
        types.USE_STARTED: lambda k: _START(k, _PITCH()),
        types.USE_ENDED: lambda k: _END(k, _PITCH().model_copy(update={"value": 0.04})),
        types.OCCUPANCY_CHANGED: lambda k: _START(k, _SHARE(), band=(0.75, None), was=(0.5, 0.75)),
        types.OCCUPANCY_FULL: lambda k: _START(k, _SHARE()),
        types.OCCUPANCY_AVAILABLE: lambda k: _END(k, _SHARE().model_copy(update=empty)),
        types.MOWING_DUE: lambda k: _START(k, _GRASS()),
        types.MOWING_DONE: lambda k: _END(
            k, _GRASS().model_copy(update={"value": 5.1, "low": 4.0, "high": 6.3})
        ),
        types.PRUNING_DUE: lambda k: _START(k, _OVER(**_FLIGHTS)),
        types.PRUNING_DONE: lambda k: _END(k, _OVER(**_FLIGHTS).model_copy(update=empty)),
        types.ENCROACHMENT_STARTED: lambda k: _START(k, _NEAR(**_FLIGHTS)),
        types.ENCROACHMENT_ENDED: lambda k: _END(k, _NEAR(**_FLIGHTS).model_copy(update=low)),
        types.DRYNESS_STARTED: lambda k: _START(k, _DRY(**_FLIGHTS)),
        types.DRYNESS_ENDED: lambda k: _END(
            k, _DRY(**_FLIGHTS).model_copy(update={"value": 0.1, "low": 0.0, "high": 0.22})
        ),
        types.VIEW_LOST: lambda k: _START(k, _LOST()),
        types.VIEW_RESTORED: lambda k: _END(k, _LOST().model_copy(update={"value": 0.0})),
    }


def _examples() -> Mapping[str, Any]:
    changes = {kind: partial(make, kind) for kind, make in _example_changes().items()}
    started = changes[types.OVERFLOW_STARTED]
    return changes | {
        types.OBSERVATION_RECORDED: lambda: types.recorded(_OVERFLOW(), _SOURCE),
        types.EVENT_WITHDRAWN: lambda: types.withdrawn(
            started().id, types.OVERFLOW_STARTED, _URN + "C-042", _NOON, _SOURCE
        ),
        types.IMAGE_QUARANTINED: lambda: types.quarantined(
            "5f0c" * 8, "quai-nord/cam-01/20260612T121000Z.jpg", "truncated", _NOON, _SOURCE
        ),
        types.BATCH_COMPLETED: lambda: types.completed(
            "3fa2c0d1e5b6",
            {"redacted": 129, "quarantined": 1},
            _NOON,
            _SOURCE,
            {
                "waste": types.Declared(
                    legal_basis="public_task",
                    images_days=30,
                    events_days=1095,
                    notice="https://www.example.org/cameras",
                )
            },
        ),
    }


_EXAMPLES = _examples()
