"""A batch is judged while another of the same site is recorded but not judged yet."""

from services import batches
from services.catalog import Catalog
from tests.faults import SITE, WITNESS
from tests.integration.test_kill import IMAGES, manifest, outcomes

WITHDRAWN = "vigie.event.withdrawn.v1"


def told(path, order):
    """What stands of the events of two batches that are recorded, then judged in this order."""
    catalog = Catalog(f"sqlite:///{path}")
    for number in (0, 1):
        what = manifest(number)
        catalog.add_batch(what.batch, SITE.source, IMAGES, {})
        catalog.take_in(what.batch, list(outcomes(number)), WITNESS)
    for number in order:
        batches.close(catalog, manifest(number).batch, manifest(number))
    events = [event for _, event in catalog.outbox.events()]
    numbers = {}
    for event in (e for e in events if e.partitionkey):
        numbers.setdefault(event.partitionkey, []).append(int(event.sequence))
    assert all(found == [*range(1, len(found) + 1)] for found in numbers.values())
    gone = {event.data["event"] for event in events if event.type == WITHDRAWN}
    assert len({event.id for event in events}) == len(events)
    return {event.id for event in events if event.type != WITHDRAWN} - gone


def test_what_was_recorded_before_it_is_judged_is_told_once_whoever_judges_first(tmp_path):
    ordered = told(tmp_path / "a.sqlite", (0, 1))
    assert told(tmp_path / "b.sqlite", (1, 0)) == ordered
    assert len(ordered) > 2 * IMAGES
