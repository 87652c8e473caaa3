"""Pictures that do not come: what that says, in capture time.

Between two observations of an asset, or after the last, an observation without a value stands where
the patience with it ends (`judgement.SILENT`). Its time and identity hang on the observation before
it alone, so it is the same whoever notices it, and when: a clock that looks in the middle of the
silence, or the pictures that follow.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import chain, pairwise

from services.events import Observation, derived_id
from services.status import SILENT


def with_silences(
    observations: Iterable[Observation], patience: timedelta, now: datetime
) -> Iterator[Observation]:
    """Observations, in the order of capture, and the silences that they and `now` show."""
    for one, following in pairwise(chain(observations, [None])):
        assert one is not None
        yield one
        ends = now if following is None else following.observed_at
        if (due := due_after(one, patience)) is not None and due < ends:
            yield _silent(one, due)


def due_after(observation: Observation, patience: timedelta) -> datetime | None:
    """When the patience ends unless something comes; None where that is what it says itself."""
    return None if observation.reason == SILENT else observation.observed_at + patience


def _silent(last: Observation, at: datetime) -> Observation:
    """That nothing came since; `last`, the last that was seen, stays the evidence."""
    unknown = {"value": None, "low": None, "high": None, "confidence": None, "reason": SILENT}
    where = {"work": derived_id(last.work, SILENT, at.isoformat()), "observed_at": at, "detail": {}}
    return last.model_copy(update=unknown | where)
