"""Two drawn days before a container, judged: with nights, showers, a van, and a collection."""

from datetime import timedelta

import pytest

from benchmarks.drawn_waste import ASSETS, hours
from services.purposes import waste
from services.record import judge_all

EVERY = timedelta(hours=3)


@pytest.fixture(scope="module", params=[(11, "overflow"), (12, "side_waste")], ids=lambda p: p[1])
def days(request):
    seed, state = request.param
    return list(hours(seed, EVERY, state))


def events_of(days, asset):
    history = [one.observed[asset] for one in days]
    limits = waste.judgement({})["waste.overflow"]
    return judge_all(history, "waste.overflow", limits, "/territories/t/sites/s")[1]


def test_a_container_that_comes_to_need_attention_and_is_emptied_starts_once_and_ends_once(days):
    started, ended = events_of(days, ASSETS[0])
    assert started.type.endswith("started.v1")
    assert ended.type.endswith("ended.v1")
    assert days[0].observed[ASSETS[0]].observed_at + timedelta(hours=13) < started.time
    assert ended.time - started.time == pytest.approx(timedelta(hours=17), abs=timedelta(hours=3))


def test_a_container_that_stays_clean_raises_nothing(days):
    assert events_of(days, ASSETS[1]) == []


def test_behind_the_van_the_state_is_unknown(days):
    hidden = [one.observed[ASSETS[0]] for one in days if one.truth[ASSETS[0]] == "hidden"]
    assert hidden
    assert all(one.value is None for one in hidden)
