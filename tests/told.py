"""Many events of a few assets, as judgement would put them into the outbox."""

from datetime import UTC, datetime, timedelta

from services.event_types import recorded
from services.events import Evidence, Observation
from services.outcome import Outcome

START = datetime(2026, 6, 12, 5, tzinfo=UTC)
SOURCE = "/territories/t/sites/s"


def seen(number, assets=10):
    """The `number`th observation, of one of the assets in turn."""
    return Observation(
        work=f"{number:032x}",
        asset=f"urn:vigie:t:s:C-{number % assets:03d}",
        camera="cam",
        quantity="waste.overflow",
        value=0.5,
        unit="1",
        observed_at=START + timedelta(minutes=number // assets),
        time_source="key",
        evidence=Evidence(key="a.jpg", sha256="0" * 64, polygon=(), redactor="privacy@0"),
        model="waste@0",
    )


def outcome_of(observation):
    """An image that shows nothing but this."""
    return Outcome(
        key=f"{observation.id}.jpg",
        work=observation.work,
        status="redacted",
        captured_at=observation.observed_at,
        observations=(observation,),
    )


def many(count, assets=10, first=0):
    """Events, in order, without the numbers that the outbox gives them."""
    return [recorded(seen(n, assets), SOURCE) for n in range(first, first + count)]


def ids(events):
    return [event.id for event in events]


def in_order(bodies):
    """Whether the first sight of each event (as JSON) follows its asset's numbers without a gap."""
    last = {}
    for body in bodies:
        key, number = body["partitionkey"], int(body["sequence"])
        if number > last.get(key, 0) + 1:
            return False
        last[key] = max(number, last.get(key, 0))
    return True
