import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from services.audit import Witness
from services.catalog import Catalog
from services.events import Evidence, Observation
from services.outcome import Outcome
from services.statistics import Hour, day_profile, quarter_hours, without_gaps
from serving.cli import app
from tests.views import OCCUPANCY_HEAD

NOON = datetime(2026, 6, 12, 12, tzinfo=UTC)


def observation(
    minutes,
    value,
    *,
    low=None,
    high=None,
    reason=None,
    asset="urn:a",
    work=None,
    key="a.jpg",
    unit="{person}",
):
    return Observation(
        work=work or str(minutes),
        asset=asset,
        quantity="occupancy.count",
        value=value,
        unit=unit,
        low=low,
        high=high,
        reason=reason,
        observed_at=NOON + timedelta(minutes=minutes),
        time_source="key",
        evidence=Evidence(key=key, sha256="0", polygon=(), redactor="privacy@0"),
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


def test_the_peak_is_a_value_where_there_is_one():
    few = observation(0, None, low=0, high=10, reason="below_min_count")
    assert quarter_hours([few, observation(5, 8, low=7, high=11)], "occupancy")[0].peak == 8
    assert quarter_hours([few], "occupancy")[0].peak == 10


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


def test_between_two_quarters_nothing_is_known_of_those_without_pictures():
    history = [observation(0, 4, low=4, high=4), observation(50, 6, low=6, high=6)]
    other = observation(20, 1, low=1, high=1, asset="urn:b")
    quarters = quarter_hours([*history, other], "occupancy")
    told = list(without_gaps(quarters))
    mine = [row for row in told if row.asset == "urn:a"]
    assert [(row.start - NOON) / timedelta(minutes=15) for row in mine] == [0, 1, 2, 3]
    assert [(row.pictures, row.unknown, row.mean, row.peak) for row in mine] == [
        (1, 0, 4, 4),
        (0, 1, None, None),
        (0, 1, None, None),
        (1, 0, 6, 6),
    ]
    assert [row for row in told if row.pictures] == quarters
    assert list(without_gaps([])) == []


def test_a_wrong_clock_makes_no_million_rows():
    week = 7 * 24 * 60
    for gap, rows in ((week + 15, 4 * 24 * 7 + 2), (week + 30, 2), (26 * 365 * 24 * 60, 2)):
        history = [observation(minutes, 4, low=4, high=4) for minutes in (-gap, 0)]
        assert len(list(without_gaps(quarter_hours(history, "occupancy")))) == rows


def test_a_density_keeps_its_digits_in_a_large_place():
    history = [
        observation(minutes, value, low=value, high=value, unit="{vehicle}/m2")
        for minutes, value in ((0, 1.5234e-5), (5, 2.5e-5))
    ]
    quarters = quarter_hours(history, "occupancy")
    (hour,) = day_profile(quarters, ZoneInfo("UTC"))
    assert (quarters[0].mean, hour.mean) == (2.012e-5, 2.012e-5)


def outcome(key, *observations):
    (work,) = {one.work for one in observations}
    return Outcome(
        key=key,
        work=work,
        status="redacted",
        captured_at=observations[0].observed_at,
        observations=observations,
    )


@pytest.fixture
def vigie(tmp_path, monkeypatch):
    """The command on a catalog of a quarter-hour that two batches share."""
    url = f"sqlite:///{tmp_path / 'catalog.sqlite'}"
    monkeypatch.setenv("VIGIE_CATALOG_URL", url)
    catalog, witness = Catalog(url), Witness("", "/territories/t/sites/s", b"k" * 32)
    first = observation(2, 10, low=9, high=11, work="1", key="a.1.jpg")
    again = observation(2, 90, low=80, high=99, work="2", key="a.2.jpg")  # another model's look
    next_door = observation(2, 3, low=3, high=3, work="1", asset="urn:vigie:t:s:b", key="a.1.jpg")
    later = observation(12, 20, low=19, high=21, work="3", key="b.3.jpg")
    evening = observation(300, 1, low=1, high=1, work="4", key="c.4.jpg")
    batches = {
        "b1": [outcome("a.jpg", first, next_door)],
        "b2": [outcome("a.jpg", again), outcome("b.jpg", later), outcome("c.jpg", evening)],
    }
    for batch, outcomes in batches.items():
        catalog.add_batch(batch, "/territories/t/sites/s", len(outcomes), {})
        catalog.take_in(batch, outcomes, witness)

    def run(*arguments, code=0):
        done = CliRunner().invoke(app, ["statistics", *arguments, "--json"])
        assert done.exit_code == code, done.output
        return [json.loads(line) for line in done.output.splitlines()] if not code else done.output

    return run


def test_a_quarter_hour_that_two_batches_share_is_told_once(vigie):
    (row, _) = vigie("--since", "2026-06-12", "--until", "2026-06-12T13:00:00")
    assert (row["asset"], row["pictures"], row["mean"], row["peak"]) == ("urn:a", 2, 15, 20)
    assert [row["mean"] for row in vigie("b1")] == [10, 3]
    assert vigie("--since", "2026-06-13") == []
    rows = vigie("--since", "2026-06-12T12:00:00")
    assert [row["unknown"] for row in rows if row["asset"] == "urn:a"] == [0, *[1] * 19, 0]


def test_statistics_of_a_site_leave_other_sites_out(vigie, tmp_path):
    site = tmp_path / "site.yaml"
    site.write_text(
        OCCUPANCY_HEAD
        + """assets:
  - {id: b, purpose: occupancy, kind: square, geometry: {type: Point, coordinates: [-1.15, 46.1]}}
"""
    )
    (row,) = vigie("--since", "2026-06-12", "--site", str(site))
    assert (row["asset"], row["mean"]) == ("urn:vigie:t:s:b", 3)


@pytest.mark.parametrize("wrong", [[], ["b1", "--since", "2026-06-12"], ["b1", "--until", "2026"]])
def test_either_a_batch_or_a_time_is_asked_for(vigie, wrong):
    assert "Usage" in vigie(*wrong, code=2)
