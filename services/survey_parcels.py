"""What a map says of a parcel's vegetation, and of a line that shall be clear of it."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import numpy as np
from numpy.typing import NDArray

from models.heights import GRID_M, LOW_M
from models.parcels import Estimate, parcel, reached, share_over, vigour
from services.events import Observation
from services.sites import Asset
from services.status import LOW
from services.survey_cells import colours, gathered, pieces, strips
from services.survey_map import SurveyMap

_ANALYSED = 0.5  # share of a parcel that must be known
_CLEAR = 0.9  # share of a line that must be, to say that nothing grows into it
_SEASON = timedelta(days=120)


def parcels(
    of: SurveyMap,
    asset: Asset,
    rings: Sequence[NDArray[np.float64]],
    height_m: float,
    mow_m: float | None,
) -> list[Observation]:
    """Height, cover, shares over limits, vigour and dryness of a parcel.

    Args:
        of: the map.
        asset: the parcel.
        rings: its outlines (N, 2) in cells.
        height_m: height over which vegetation is to be pruned.
        mow_m: height over which it is to be mown, below that; None where it is not told.
    """
    window = of.window(rings)
    heights = gathered(of, strips(window, rings))
    found = parcel(heights)
    polygon, seen = np.asarray(rings[0], np.float32), {"analysed": found.analysed}
    if found.analysed < _ANALYSED:
        shares = ("vegetation.cover", "vegetation.over", *(["vegetation.unmown"] if mow_m else []))
        return [
            of.observe(
                asset.id, name, polygon, "vegetation", unit=unit, reason="not_analysed", detail=seen
            )
            for name, unit in (("vegetation.height", "m"), *((share, "1") for share in shares))
        ]  # fmt: skip
    told = partial(_told, of, asset, polygon)
    spread = seen | _named("median", found.median) | _named("p95", found.p95)
    observations = [
        _height(of, asset, "vegetation.height", polygon, found.mean, spread),
        told("vegetation.cover", found.cover, seen),
        told("vegetation.over", share_over(heights, height_m), seen | {"height_m": height_m}),
    ]
    if mow_m:
        share = share_over(heights, mow_m, height_m)
        observations.append(told("vegetation.unmown", share, seen | {"mow_m": mow_m}))
    plants = (heights.valid & (heights.vegetation >= 0.5))[0]
    index = vigour(colours(of, strips(window, rings), plants))
    if index is not None:
        observations += _water(of, asset, polygon, index, seen)
    return observations


def clearance(
    of: SurveyMap,
    asset: Asset,
    line: NDArray[np.float64],
    distance_m: float,
    encroached_m: float,
) -> Observation:
    """The height that vegetation near a line reaches.

    What is too high is told however little was seen. That nothing is, is told only where
    nearly all was.

    Args:
        of: the map.
        asset: the line.
        line: (N, 2) in cells.
        distance_m: on either side of it, within which it shall be clear.
        encroached_m: height from which vegetation grows into the way.
    """
    heights = gathered(of, pieces(of, line, distance_m))
    analysed = float(heights.valid.mean()) if heights.valid.size else 0.0
    found = reached(heights, GRID_M**2)
    place, detail = np.asarray(line, np.float32), {"analysed": analysed}
    quantity = "vegetation.encroachment"
    if found.value < encroached_m and analysed < _CLEAR:
        return of.observe(
            asset.id,
            quantity,
            place,
            "vegetation",
            unit="m",
            low=_bounds(found)[0] if analysed else None,
            reason="not_analysed",
            detail=detail,
        )
    return _height(of, asset, quantity, place, found, detail)


def _bounds(figure: Estimate) -> tuple[float, float]:
    """An interval of heights, as far as heights are told."""
    return figure.low if figure.low >= LOW_M else 0.0, max(figure.high, LOW_M)


def _height(
    of: SurveyMap,
    asset: Asset,
    quantity: str,
    polygon: NDArray[np.float32],
    figure: Estimate,
    detail: dict[str, float],
) -> Observation:
    is_low = figure.value < LOW_M
    low, high = _bounds(figure)
    return of.observe(
        asset.id,
        quantity,
        polygon,
        "vegetation",
        unit="m",
        value=None if is_low else figure.value,
        low=low,
        high=high,
        reason=LOW if is_low else None,
        detail=detail,
    )


def _told(
    of: SurveyMap,
    asset: Asset,
    polygon: NDArray[np.float32],
    quantity: str,
    figure: Estimate,
    detail: dict[str, float],
) -> Observation:
    value, low, high = figure
    return of.observe(
        asset.id, quantity, polygon, "vegetation", value=value, low=low, high=high, detail=detail
    )


def _named(name: str, figure: Estimate) -> dict[str, float]:
    low, high = _bounds(figure)
    value = {name: figure.value} if figure.value >= LOW_M else {}
    return value | {f"{name}_low": low, f"{name}_high": high}


def _water(
    of: SurveyMap,
    asset: Asset,
    polygon: NDArray[np.float32],
    index: Estimate,
    seen: dict[str, float],
) -> list[Observation]:
    """How green a parcel is, and how much less so than at its best of the season."""
    at, by = of.origin.observed_at, {"near_infrared": float(of.infrared)}
    vigorous = _told(of, asset, polygon, "vegetation.vigour", index, seen | by)
    before = [
        Estimate(one.value, one.low, one.high)
        for one in of.past(asset.id, "vegetation.vigour")
        if one.value is not None and one.low is not None and one.high is not None
        # When a raster was stored tells no season.
        if "object" not in (one.time_source, of.origin.time_source)
        if at - _SEASON <= one.observed_at < at
        # The two indices cannot be compared.
        if one.detail["near_infrared"] == by["near_infrared"]
    ]
    best = max(before, default=None)
    if best is None or best.value <= 0:
        return [vigorous]
    fall = Estimate(
        _fall(index.value, best.value), _fall(index.high, best.low), _fall(index.low, best.high)
    )
    return [vigorous, _told(of, asset, polygon, "vegetation.dryness", fall, seen)]


def _fall(now: float, best: float) -> float:
    """By how much of its best an index has fallen; none where the best may be none."""
    return min(max(1 - now / best, 0.0), 1.0) if best > 0 else 0.0
