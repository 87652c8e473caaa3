"""What a state says at a time, and why it says unknown."""

from datetime import timedelta

from services.record import judge_all
from services.status import State
from tests.unit.test_judgement import LIMITS, OVERFLOW, SOURCE, START, TOGETHER, observation


def known_at(hours, *observations):
    """The status some hours after `START`, and why it is unknown."""
    state, _ = judge_all(observations, OVERFLOW, LIMITS, SOURCE)
    time = START + timedelta(hours=hours)
    return state.status_at(time, LIMITS.stale), state.reason_at(time, LIMITS.stale)


def test_a_status_that_is_unknown_has_its_reason():
    raised = [observation(m, 0.9) for m in (0, 20, 40)]
    dark = [observation(m, None, "dark") for m in range(60, 1200, 60)]
    hidden = observation(1210, None, "occluded")
    assert known_at(0) == ("unknown", "silent")
    assert known_at(2, *raised) == ("raised", None)
    assert known_at(2, *raised, *dark[:2]) == ("raised", None)
    assert known_at(13, *raised) == ("unknown", "silent")
    assert known_at(20, *raised, *dark) == ("unknown", "dark")
    assert known_at(21, *raised, *dark, hidden) == ("unknown", "occluded")
    assert known_at(40, *raised, *dark, hidden) == ("unknown", "silent")
    assert known_at(21, *raised, *dark, hidden, observation(1220, 0.9)) == ("raised", None)
    assert known_at(1, *dark[:1]) == ("unknown", "dark")
    # Past a limit, but not for long enough.
    assert known_at(1, observation(0, 0.9)) == ("unknown", "unsure")


def test_values_between_the_limits_confirm_nothing_and_are_in_the_end_unsure():
    between = [observation(m, 0.5) for m in range(60, 1200, 60)]
    assert known_at(1, *between[:1]) == ("unknown", "unsure")  # nothing says that it is clean
    for first, status in ((0.9, "raised"), (0.1, "clear")):
        settled = [observation(m, first) for m in (0, 20, 40)]
        assert known_at(12, *settled, *between[:11]) == (status, None)
        assert known_at(20, *settled, *between) == ("unknown", "unsure")
        again = observation(1210, first)
        assert known_at(21, *settled, *between, again) == (status, None)
        assert judge_all([*settled, *between, again], OVERFLOW, LIMITS, SOURCE)[1][1:] == []


def test_a_number_with_its_interval_is_known_between_the_limits_too():
    share = observation(0, 0.5).model_copy(update={"confidence": None, "low": 0.45, "high": 0.55})
    assert known_at(1, share) == ("clear", None)


def test_what_one_camera_cannot_see_is_no_doubt_while_another_sees_it():
    both = [observation(0, 0.1, camera="A"), observation(0, None, "occluded", "B")]
    states = [judge_all(order, OVERFLOW, TOGETHER, SOURCE)[0] for order in (both, both[::-1])]
    assert states[0] == states[1]
    assert states[0].doubt is None


def test_a_state_from_before_there_were_reasons_is_read():
    old = State.model_validate({"status": "raised", "level": 1, "last_known_at": START})
    assert old.status_at(START, LIMITS.stale) == "raised"
