"""What observations of one picture, or of one map, have in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from models.frame import Position, TimeSource
from services.events import Evidence, Observation
from services.sites import Site


@dataclass(frozen=True, slots=True)
class Origin:
    """Where observations come from.

    Attributes:
        site: the site.
        camera: id of the fixed camera, None for any other picture.
        work: identity of image, models and configuration.
        observed_at, time_source: of the picture.
        key, sha256: of the redacted object that is the evidence.
        redactor: name@digest of what covered personal data in it.
        models: detector name → `name@digest`.
    """

    site: Site
    camera: str | None
    work: str
    observed_at: datetime
    time_source: TimeSource
    key: str
    sha256: str
    redactor: str
    models: Mapping[str, str]


class Observing:
    """Whatever can be observed in: it has an `origin`."""

    __slots__ = ()

    @property
    def origin(self) -> Origin:
        """What all that is observed here has in common."""
        raise NotImplementedError

    def observe(
        self,
        asset: str,
        quantity: str,
        polygon: NDArray[np.float32],
        model: str,
        *,
        value: float | None = None,
        unit: str = "1",
        low: float | None = None,
        high: float | None = None,
        reason: str | None = None,
        confidence: float | None = None,
        detail: Mapping[str, float] | None = None,
        position: Position | None = None,
    ) -> Observation:
        """An observation of `asset` (URN) here, its outline (N, 2) px as evidence.

        Where `value` is None, `reason` says why; `low` and `high` are its 90 % interval, None for a
        probability.
        """
        origin = self.origin
        outline = tuple((round(float(x), 1), round(float(y), 1)) for x, y in polygon)
        return Observation(
            work=origin.work,
            asset=asset,
            kind=origin.site.kinds.get(asset),
            camera=origin.camera,
            quantity=quantity,
            value=rounded(value, unit),
            unit=unit,
            low=rounded(low, unit),
            high=rounded(high, unit),
            reason=reason,
            confidence=None if confidence is None else round(confidence, 4),
            observed_at=origin.observed_at,
            time_source=origin.time_source,
            evidence=Evidence(
                key=origin.key, sha256=origin.sha256, polygon=outline, redactor=origin.redactor
            ),
            model=origin.models[model],
            detail={name: round(float(share), 4) for name, share in (detail or {}).items()},
            position=position,
        )


def rounded(value: float | None, unit: str) -> float | None:
    """To four decimals; on a square metre to four digits: in a large place decimals leave none."""
    if value is None:
        return None
    return float(f"{value:.4g}") if unit.endswith("/m2") else round(value, 4)
