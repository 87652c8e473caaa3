from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.events import Evidence, Observation
from services.statistics import Hour, day_profile, quarter_hours

NOON = datetime(2026, 6, 12, 12, tzinfo=UTC)


def observation(minutes, value, *, low=None, high=None, reason=None, asset="urn:a"):
    return Observation(
        work=str(minutes),
        asset=asset,
        quantity="occupancy.count",
        value=value,
        unit="{person}",
        low=low,
        high=high,
        reason=reason,
        observed_at=NOON + timedelta(minutes=minutes),
        time_source="key",
        evidence=Evidence(key="a.jpg", sha256="0", polygon=(), redactor="privacy@0"),
        model="occupancy@0",
    )


def test_a_quarter_hour_says_mean_peak_and_what_is_unknown():
    (first, second) = quarter_hours(
        [
            observation(20, 4, low=3, high=6),
            observation(0, 10, low=8, high=13),
            observation(14, 20, low=16, high=25),
            observation(5, None, reason="dark"),
        ],
        "occupancy",
    )
    assert (first.start, first.pictures, first.unknown) == (NOON, 3, pytest.approx(0.3333))
    assert (first.mean, first.low, first.high, first.peak) == (15, 12, 19, 20)
    assert (second.start, second.mean) == (NOON + timedelta(minutes=15), 4)


def test_a_range_stays_a_range():
    few = observation(0, None, low=0, high=4, reason="below_min_count")
    for others in ([], [observation(5, 8, low=7, high=9)], [few]):
        (row,) = quarter_hours([few, *others], "occupancy")
        assert row.mean is None
        assert row.unknown == 0
        assert row.low <= row.high


def test_where_all_is_unknown_nothing_is_said():
    (row,) = quarter_hours([observation(0, None, reason="dark")], "occupancy")
    assert (row.unknown, row.mean, row.low, row.high, row.peak) == (1, None, None, None, None)


def test_other_purposes_are_left_out():
    assert quarter_hours([observation(0, 1, low=1, high=1)], "waste") == []


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 90)), min_size=1), st.randoms())
def test_the_order_of_pictures_means_nothing_and_none_is_lost(rows, random):
    history = [observation(minutes, value, low=value, high=value) for minutes, value in rows]
    told = quarter_hours(history, "occupancy")
    random.shuffle(history)
    assert quarter_hours(history, "occupancy") == told
    assert sum(row.pictures for row in told) == len(rows)
    assert [row.start for row in told] == sorted({row.start for row in told})


def test_a_day_is_what_its_hours_were_like_over_all_days():
    day = 24 * 60
    history = [
        observation(0, 10, low=8, high=14),
        observation(30, 30, low=24, high=34),
        observation(day, 20, low=16, high=24),
        observation(day + 60, None, low=0, high=4, reason="below_min_count"),
        observation(2 * day + 60, 9, low=7, high=12),
        observation(120, None, reason="dark"),
    ]
    profile = day_profile(quarter_hours(history, "occupancy"), ZoneInfo("Europe/Paris"))
    assert profile == [
        Hour(14, 0, 20, 16, 24),
        Hour(15, 0, None, 3.5, 8),  # what the range hides stays hidden
        Hour(16, 1, None, None, None),
    ]
