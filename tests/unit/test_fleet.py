"""Ray that starts slowly, or not at all."""

import pytest
import ray

from models.errors import BatchError
from services import fleet


@pytest.fixture
def starts(monkeypatch):
    """Makes `ray.init` fail that many times; gives the addresses it was asked for."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    asked = []

    def failing(times):
        def init(*, address, **_):
            asked.append(address)
            if len(asked) <= times:
                raise Exception("The current node timed out")

        monkeypatch.setattr(ray, "init", init)
        return asked

    return failing


def test_a_node_that_starts_slowly_is_started_again(starts):
    asked = starts(2)
    assert fleet.start(2) == 2
    assert asked == ["local"] * 3


def test_a_node_that_never_starts_is_told(starts):
    starts(99)
    with pytest.raises(BatchError, match=r"this machine does not start: .* timed out"):
        fleet.start(2)


def test_a_cluster_that_is_away_is_asked_once(starts, monkeypatch):
    asked = starts(99)
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    with pytest.raises(BatchError, match="ray://head:10001 does not start"):
        fleet.start(2)
    assert len(asked) == 1
