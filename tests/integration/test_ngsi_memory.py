"""What a context broker shows when several processes deliver to it, and what comes is late."""

from datetime import UTC, datetime, timedelta

import pytest

from services import delivery
from services import event_types as types
from services.catalog import Catalog
from services.event_types import recorded
from services.events import Observation
from tests.context_broker import problem
from tests.faults import WITNESS
from tests.integration.test_ngsi_sink import (
    SETTINGS,
    SOURCE,
    alert,
    broker,
    container,
    refuse,
    seen,
)
from tests.patience import stopping
from tests.told import outcome_of

__all__ = ["broker"]  # a fixture


@pytest.fixture
def catalog(tmp_path):
    return Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")


def known(catalog, *told):
    """Take in what was observed, and tell of it and of events."""
    events = [recorded(one, SOURCE) if isinstance(one, Observation) else one for one in told]
    done = [outcome_of(one) for one in told if isinstance(one, Observation)]
    catalog.take_in("b1", done, WITNESS)
    catalog.judge("b1", lambda _: events)


def delivered(catalog, broker, *told):
    """As a process that delivers, and ends."""
    known(catalog, *told)
    (done,) = delivery.deliver(catalog.outbox, [broker.url], SETTINGS, patience_s=0)
    assert not done.error
    return done


def test_what_came_late_overwrites_nothing_that_an_earlier_process_told(broker, catalog):
    delivered(catalog, broker, seen("A", 0.7, 7), seen("A", 0.2, 1, "waste.fill_level"))
    delivered(catalog, broker, seen("A", 0.3, 3), seen("A", 0.5, 5, "waste.fill_level"))
    assert broker.value(container("A"), "overflow") == 0.7
    assert broker.value(container("A"), "fillingLevel") == 0.5
    now = datetime.now(UTC)
    for since in (timedelta(hours=1), timedelta(0)):
        delivery.replay(catalog.outbox, broker.url, SETTINGS, now - since)
        assert broker.value(container("A"), "overflow") == 0.7


def test_nothing_younger_is_overwritten_however_much_was_told_since(broker, catalog):
    delivered(catalog, broker, seen("A", 0.1, 600), seen("A", 0.5, 600, "waste.fill_level"))
    delivered(catalog, broker, seen("A", None, 700))
    delivered(catalog, broker, *(seen("A", 0.9, minute) for minute in range(60)))
    delivered(catalog, broker, *(seen("A", 0.9, minute) for minute in range(60, 70)))
    delivered(catalog, broker, seen("A", 0.9, 80, "waste.fill_level"))
    assert broker.value(container("A"), "overflow") == 0.1
    assert broker.value(container("A"), "overflowStatus") == "unknown"
    assert broker.value(container("A"), "fillingLevel") == 0.5
    delivered(catalog, broker, seen("A", 0.2, 650))
    assert broker.value(container("A"), "overflow") == 0.2
    assert broker.value(container("A"), "overflowStatus") == "unknown"


def test_a_service_knows_what_another_process_delivered_beside_it(broker, catalog):
    known(catalog, seen("A", 0.1, 1))
    sent = []

    def beside(done):
        if done.sent in sent:
            return
        sent.append(done.sent)
        if done.sent == 1:
            delivered(catalog, broker, seen("A", 0.2, 600))
            known(catalog, seen("A", 0.9, 5))
        else:
            stop.set()

    with stopping() as stop:
        delivery.deliver(catalog.outbox, [broker.url], SETTINGS, until=stop, progress=beside)
    assert sent == [1, 2]
    assert broker.value(container("A"), "overflow") == 0.2


def test_what_is_sent_again_by_hand_brings_no_old_state_back(broker, catalog):
    started, ended = (
        alert(k, "A", m) for k, m in ((types.OVERFLOW_STARTED, 1), (types.OVERFLOW_ENDED, 9))
    )
    refuse(broker, "cam/bad.jpg")
    delivered(catalog, broker, seen("A", 0.4, 0, key="cam/bad.jpg"))
    broker.verdict = lambda entity: problem(422, "No") if entity["type"] == "Alert" else None
    delivered(catalog, broker, seen("A", 0.9, 1), started)
    broker.verdict = lambda _: None
    delivered(catalog, broker, seen("A", 0.1, 9), ended)
    done = delivery.redeliver(catalog.outbox, broker.url, SETTINGS)
    assert (done.sent, done.refused) == (2, 0)
    assert broker.value(container("A"), "overflow") == 0.1
    assert broker.value("urn:ngsi-ld:Alert:t:s:A:waste.overflow", "status") == "ended"
    assert catalog.outbox.dead() == []
