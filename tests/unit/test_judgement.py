from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.events import Evidence, Observation
from services.judgement import Limits, found
from services.places import around
from services.record import judge_all

START = datetime(2026, 6, 12, 5, tzinfo=UTC)
LIMITS = Limits(enter=(0.6,), leave=(0.4,), dwell=timedelta(minutes=30), stale=timedelta(hours=12))
SOURCE = "/territories/t/sites/s"
OVERFLOW = "waste.overflow"


def observation(minutes, value, reason=None, camera=None):
    return Observation(
        work=f"{minutes:031d}{camera or 0}",
        camera=camera,
        asset="urn:vigie:t:s:C-1",
        quantity="waste.overflow",
        value=value,
        unit="1",
        reason=reason if value is None else None,
        confidence=None if value is None else 0.9,
        observed_at=START + timedelta(minutes=minutes),
        time_source="key",
        evidence=Evidence(key="a.jpg", sha256="0" * 64, polygon=(), redactor="privacy@0"),
        model="waste@0",
    )


def history(*values, step=20):
    return [
        observation(i * step, value, None if value is not None else "dark")
        for i, value in enumerate(values)
    ]


def judged(*values, step=20):
    return judge_all(history(*values, step=step), OVERFLOW, LIMITS, SOURCE)


def kinds(events):
    return [event.type.split(".")[3] for event in events]


def test_a_container_that_fills_and_is_emptied_starts_and_ends_once():
    state, events = judged(0.1, 0.2, 0.7, 0.8, 0.9, 0.9, 0.1, 0.1, 0.1)
    assert kinds(events) == ["started", "ended"]
    assert state.status == "clear"


def test_since_is_when_the_value_first_passed_the_limit_not_when_dwell_was_over():
    _, events = judged(0.1, 0.7, 0.8, 0.9)
    assert events[0].data["since"] == "2026-06-12T05:20:00Z"
    assert events[0].time == START + timedelta(minutes=60)


def test_a_short_peak_raises_nothing():
    assert judged(0.1, 0.9, 0.1, 0.9, 0.1)[1] == []


def test_unknown_moves_nothing():
    state, events = judged(0.9, 0.9, 0.9, None, None, None, 0.9)
    assert kinds(events) == ["started"]
    assert state.level == 1


@given(st.lists(st.none() | st.floats(0, 1), max_size=30))
def test_what_is_unknown_breaks_no_run_as_if_nobody_had_looked(values):
    whole = history(*values)
    known = [one for one in whole if one.value is not None]
    (state, events), (same, told) = (judge_all(h, OVERFLOW, LIMITS, SOURCE) for h in (whole, known))
    assert events == told
    assert state.model_copy(update={"doubt": same.doubt}) == same


def test_fog_for_longer_than_the_dwell_breaks_no_run_and_for_longer_than_stale_does():
    fog = [observation(m, None, "fog") for m in range(20, 600, 20)]
    (started,) = judge_all(
        [observation(0, 0.9), *fog, observation(600, 0.9)], OVERFLOW, LIMITS, "/s"
    )[1]
    assert (started.data["since"], started.time) == (
        "2026-06-12T05:00:00Z",
        START + timedelta(minutes=600),
    )
    later = [observation(m, None, "fog") for m in range(600, 800, 20)]
    known = observation(800, 0.9)
    assert judge_all([observation(0, 0.9), *fog, *later, known], OVERFLOW, LIMITS, "/s")[1] == []


def test_a_value_between_the_limits_keeps_what_is():
    state, events = judged(0.9, 0.9, 0.9, 0.5, 0.45, 0.55, 0.5)
    assert kinds(events) == ["started"]
    assert state.status == "raised"


def test_after_a_long_silence_the_dwell_starts_anew():
    history = [observation(0, 0.9), observation(60 * 20, 0.9)]
    state, events = judge_all(history, OVERFLOW, LIMITS, SOURCE)
    assert kinds(events) == ["v1"]  # that it became unknown, see test_silence.py
    assert state.status == "unknown"


def test_what_was_not_confirmed_for_long_is_unknown():
    state, _ = judged(0.9, 0.9, 0.9)
    seen = state.last_known_at
    assert state.status_at(seen + LIMITS.stale, LIMITS.stale) == "raised"
    assert state.status_at(seen + LIMITS.stale * 1.01, LIMITS.stale) == "unknown"


@given(st.lists(st.floats(0.41, 0.59), min_size=1, max_size=40))
def test_a_signal_between_the_limits_never_raises_an_event(values):
    assert judged(*values)[1] == []


@given(st.lists(st.none() | st.floats(0, 1), max_size=40), st.randoms())
def test_order_of_arrival_and_repeats_change_nothing(values, random):
    ordered = history(*values)
    mixed = ordered + ordered[: len(ordered) // 2]
    random.shuffle(mixed)
    whole = judge_all(ordered, OVERFLOW, LIMITS, SOURCE)
    assert judge_all(mixed, OVERFLOW, LIMITS, SOURCE) == whole


@given(st.lists(st.none() | st.floats(0, 1), max_size=60))
def test_started_and_ended_alternate(values):
    _, events = judged(*values)
    assert kinds(events) == [("started", "ended")[i % 2] for i in range(len(events))]
    assert len({event.id for event in events}) == len(events)


TOGETHER = LIMITS.model_copy(update={"dwell": timedelta(0), "together": timedelta(minutes=30)})


def by_two_cameras(*pairs, step=10):
    return [
        observation(i * step + shift, value, None if value is not None else "occluded", camera)
        for i, pair in enumerate(pairs)
        for shift, camera, value in ((0, "A", pair[0]), (0, "B", pair[1]))
    ]


def test_waste_that_one_camera_sees_and_another_cannot_starts_and_ends_once():
    history = by_two_cameras((0.1, 0.1), (0.1, 0.9), (0.1, 0.9), (0.1, 0.9), (0.1, 0.1))
    _, events = judge_all(history, OVERFLOW, TOGETHER, SOURCE)
    assert kinds(events) == ["started", "ended"]
    assert [event.data["camera"] for event in events] == ["B", "B"]


def test_without_joining_the_same_pictures_flap():
    history = by_two_cameras((0.1, 0.1), (0.1, 0.9), (0.1, 0.9), (0.1, 0.9), (0.1, 0.1))
    for i, one in enumerate(history):
        at = one.observed_at + timedelta(minutes=i % 2)
        history[i] = one.model_copy(update={"observed_at": at})
    alone = TOGETHER.model_copy(update={"together": timedelta(0)})
    assert len(judge_all(history, OVERFLOW, alone, SOURCE)[1]) > 2


def test_a_camera_that_fell_silent_holds_nothing_up_for_longer_than_it_counts():
    history = [observation(0, 0.9, camera="B")]
    history += [observation(m, 0.1, camera="A") for m in (10, 20, 30, 40)]
    _, events = judge_all(history, OVERFLOW, TOGETHER, SOURCE)
    assert kinds(events) == ["started", "ended"]
    assert events[1].time == START + timedelta(minutes=40)


def test_a_start_is_evident_in_the_picture_that_its_event_names():
    dwell = TOGETHER.model_copy(update={"dwell": timedelta(minutes=5)})
    history = [observation(0, 0.9, camera="B"), observation(6, 0.1, camera="A")]
    assert judge_all(history, OVERFLOW, dwell, SOURCE)[1] == []
    history += [observation(7, 0.8, camera="B")]
    _, events = judge_all(history, OVERFLOW, dwell, SOURCE)
    assert [event.data["value"] for event in events] == [0.8]
    assert events[0].data["since"] == "2026-06-12T05:00:00Z"


@given(st.lists(st.tuples(*[st.none() | st.floats(0, 1)] * 2), max_size=30), st.randoms())
def test_joined_cameras_in_any_order_alternate_and_repeats_change_nothing(pairs, random):
    ordered = by_two_cameras(*pairs)
    mixed = ordered + ordered[::2]
    random.shuffle(mixed)
    state, events = judge_all(mixed, OVERFLOW, TOGETHER, SOURCE)
    assert (state, events) == judge_all(ordered, OVERFLOW, TOGETHER, SOURCE)
    assert kinds(events) == [("started", "ended")[i % 2] for i in range(len(events))]


def stranger(minutes, column, row, within="cam-01"):
    place = f"urn:vigie:t:s:unregistered:{within}:{column}.{row}"
    return observation(minutes, 0.7).model_copy(
        update={"asset": place, "quantity": "waste.container", "work": f"{minutes:032d}"}
    )


def test_what_nobody_registered_is_reported_once_a_place():
    trembling = [stranger(10 * i, 5 + i % 2, 7 - i % 2) for i in range(6)]
    elsewhere = [stranger(5, 9, 7), stranger(6, 5, 7, within="cam-02")]
    events = list(found(trembling + elsewhere, lambda _: False, SOURCE))
    assert [e.type for e in events] == ["vigie.waste.container.found.v1"] * 3
    assert events[0].subject.endswith("cam-01:5.7")
    assert events[0].data["since"] == "2026-06-12T05:00:00Z"
    told = {event.subject for event in events}
    assert list(found([stranger(90, 6, 8)], told.__contains__, SOURCE)) == []


@given(st.integers(-9, 9), st.integers(-9, 9))
def test_a_place_has_eight_neighbours_and_is_one_of_theirs(column, row):
    place = stranger(0, column, row, "earth").asset
    cells = list(around(place))
    assert cells[0] == place
    assert len(set(cells)) == 9
    assert all(place in around(cell) for cell in cells)


BANDS = Limits(
    enter=(0.25, 0.5, 0.75),
    leave=(0.2, 0.45, 0.7),
    dwell=timedelta(0),
    stale=timedelta(hours=12),
)


def banded(*values, dwell=0):
    share = {"quantity": "occupancy.share"}
    observed = [o.model_copy(update=share) for o in history(*values, step=10)]
    limits = BANDS.model_copy(update={"dwell": timedelta(minutes=dwell)})
    state, events = judge_all(observed, "occupancy.band", limits, SOURCE)
    return state.level, [(event.data["was"], event.data["band"]) for event in events]


def test_a_share_that_moves_from_band_to_band_tells_each():
    low, second, third, top = [0.0, 0.25], [0.25, 0.5], [0.5, 0.75], [0.75, None]
    level, moves = banded(0.1, 0.3, 0.8, 0.72, 0.6, 0.1)
    assert moves == [(low, second), (second, top), (top, third), (third, low)]
    assert level == 0


def test_a_share_that_wavers_at_an_edge_of_a_band_is_told_once():
    assert len(banded(*[0.49, 0.51] * 10)[1]) == 2  # into the second band, and into the third


def test_a_share_must_stay_before_its_band_changes():
    assert banded(0.1, 0.6, 0.1, 0.6, 0.1, dwell=20) == (0, [])
    assert banded(0.1, 0.6, 0.6, 0.6, dwell=20)[0] == 2


def test_each_band_is_stayed_in_since_its_own_first_picture():
    second, third, top = [0.25, 0.5], [0.5, 0.75], [0.75, None]

    def told(*values):
        observed = [
            o.model_copy(update={"quantity": "occupancy.share"}) for o in history(*values, step=10)
        ]
        limits = BANDS.model_copy(update={"dwell": timedelta(minutes=20)})
        events = judge_all(observed, "occupancy.band", limits, SOURCE)[1]
        return [(e.data["band"], e.data["since"][11:16], e.time.minute) for e in events]

    assert told(0.1, 0.3, 0.8, 0.8, 0.8) == [(second, "05:10", 30), (top, "05:20", 40)]
    # It wavers above what it has passed for good.
    assert told(0.1, 0.6, 0.8, 0.6, 0.8) == [(third, "05:10", 30)]
    assert told(0.8, 0.8, 0.8, 0.6, 0.3, 0.6) == [(top, "05:00", 20), (third, "05:30", 50)]


@given(st.lists(st.floats(0, 1.5), max_size=40))
def test_bands_follow_on_each_other_and_the_last_holds_the_share(shares):
    level, moves = banded(*shares)
    assert [was for was, _ in moves[1:]] == [band for _, band in moves[:-1]]
    if shares:
        low, high = BANDS.band(level)
        assert low - 0.05 <= shares[-1]
        assert high is None or shares[-1] < high
