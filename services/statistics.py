"""Quarter-hours of what was counted, for open data: mean, peak, and how much is not known.

And from them what a day is like, hour by hour.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.events import Instant, Observation, Probability, Wire
from services.observing import rounded
from services.record import picture_of

QUARTER = timedelta(minutes=15)
_LONGEST_GAP = timedelta(days=7)
"""That is filled: a picture with a wrong clock, years off, would make millions of quarters."""


class QuarterHour(Wire):
    """What the pictures of a quarter-hour say of one asset.

    Attributes:
        asset: URN.
        quantity: what was measured.
        unit: UCUM.
        start: capture times from it on, and before the next quarter.
        pictures: how many there are.
        unknown: share of them that say nothing; 1 where there are none.
        mean: of the known values; None where there are none, or where one is told as a range: the
            mean would tell what the range hides.
        low, high: means of the ends of intervals and ranges; of the values where there are none.
        peak: the highest value; where there is none, the upper end of a range.
    """

    asset: str
    quantity: str
    unit: str
    start: Instant
    pictures: int
    unknown: Probability
    mean: float | None
    low: float | None
    high: float | None
    peak: float | None


class Hour(NamedTuple):
    """An hour of the day over all days.

    Attributes:
        hour: 0 to 23, local time.
        unknown: mean share of its quarter-hours that is not known.
        mean: of its quarter-hours' means; None where one of them has none but a range.
        low, high: means of the ends of their intervals and ranges; None where nothing is known.
    """

    hour: int
    unknown: float
    mean: float | None
    low: float | None
    high: float | None


def quarter_hours(observations: Iterable[Observation], purpose: str) -> list[QuarterHour]:
    """The quarter-hours in which there are pictures, by asset, quantity and time.

    Args:
        observations: in any order; those of several cameras count alike.
        purpose: whose quantities.
    """
    groups: dict[tuple[str, str, datetime], list[Observation]] = {}
    for one in observations:
        if one.quantity.startswith(f"{purpose}."):
            groups.setdefault((one.asset, one.quantity, _start(one.observed_at)), []).append(one)
    return [_summary(*key, group) for key, group in sorted(groups.items())]


def without_gaps(quarters: Iterable[QuarterHour]) -> Iterator[QuarterHour]:
    """The same, and between the first and last of an asset those without pictures, all unknown.

    A gap of more than a week stays one.

    Args:
        quarters: in the order of `quarter_hours`.
    """
    nothing = {"pictures": 0, "unknown": 1.0} | dict.fromkeys(("mean", "low", "high", "peak"))
    for _, group in groupby(quarters, lambda quarter: (quarter.asset, quarter.quantity)):
        due: datetime | None = None
        for quarter in group:
            if due is not None and quarter.start - due > _LONGEST_GAP:
                due = None
            while due is not None and due < quarter.start:
                yield quarter.model_copy(update=nothing | {"start": due})
                due += QUARTER
            yield quarter
            due = quarter.start + QUARTER


def first_looks(observations: Iterable[Observation]) -> Iterator[Observation]:
    """Those of the first look at each picture: another batch may hold the same one again.

    Args:
        observations: in the order of arrival.
    """
    seen = set()
    for one in observations:
        look = one.asset, one.quantity, one.observed_at, picture_of(one)
        if look not in seen:
            seen.add(look)
            yield one


def day_profile(quarters: Iterable[QuarterHour], zone: ZoneInfo) -> list[Hour]:
    """The hours of the day in which there are pictures, in order.

    Args:
        quarters: of one asset and quantity.
        zone: of the hours.
    """
    hours: dict[int, list[QuarterHour]] = {}
    for quarter in quarters:
        hours.setdefault(quarter.start.astimezone(zone).hour, []).append(quarter)
    profile = []
    for hour, group in sorted(hours.items()):
        known = [q for q in group if q.low is not None]
        unit = group[0].unit
        means = [q.mean for q in known if q.mean is not None]
        profile.append(
            Hour(
                hour,
                sum(q.unknown for q in group) / len(group),
                _mean(means, unit) if len(means) == len(known) else None,
                _mean([q.low for q in known if q.low is not None], unit),
                _mean([q.high for q in known if q.high is not None], unit),
            )
        )
    return profile


def _start(time: datetime) -> datetime:
    utc = time.astimezone(UTC)
    return utc.replace(minute=utc.minute // 15 * 15, second=0, microsecond=0)


def _summary(asset: str, quantity: str, start: datetime, group: list[Observation]) -> QuarterHour:
    spans = [
        (one.value if one.low is None else one.low, one.value if one.high is None else one.high)
        for one in group
    ]
    known = [(low, high) for low, high in spans if low is not None and high is not None]
    values = [one.value for one in group if one.value is not None]
    unit = group[0].unit
    return QuarterHour(
        asset=asset,
        quantity=quantity,
        unit=unit,
        start=start,
        pictures=len(group),
        unknown=round(1 - len(known) / len(group), 4),
        mean=_mean(values, unit) if len(values) == len(known) else None,
        low=_mean([low for low, _ in known], unit),
        high=_mean([high for _, high in known], unit),
        peak=max(values or [high for _, high in known], default=None),
    )


def _mean(values: list[float], unit: str) -> float | None:
    return rounded(sum(values) / len(values), unit) if values else None
