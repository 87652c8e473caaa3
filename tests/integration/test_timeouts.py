"""A picture on which the line never ends, on a real Ray."""

import os
import sys
import time
from datetime import UTC, datetime

import pytest
import ray
from ray import cloudpickle

from services import batches, fleet
from services.audit import verify
from services.catalog import Catalog
from services.outcome import Outcome
from services.settings import Settings
from tests.faults import SITE, WITNESS, Kit, picture

cloudpickle.register_pickle_by_value(sys.modules[__name__])


class _Stub(fleet._Worker):
    """A worker without models; each outcome tells which process it was."""

    def prepare(self):
        pass

    def process(self, items):
        return [self.one(item) for item in items]

    def one(self, item):
        time.sleep(3600 if "stuck" in item.key else 2.2 if "slow" in item.key else 0)
        return Outcome(
            key=item.key,
            work=item.etag,
            status="quarantined",
            reason="done",
            captured_at=datetime(2026, 6, 12, tzinfo=UTC),
            seconds={"process": os.getpid()},
        )


@pytest.fixture(scope="module")
def ray_cluster():
    own = not ray.is_initialized()
    fleet.start(2)
    yield
    if own:
        fleet.stop()


def outcomes_of(keys, store, tmp_path, monkeypatch, **settings):
    """Run a batch of pictures under these keys on stub workers."""
    kit = Kit(store)
    for number, key in enumerate(keys):
        kit.put(key, picture(number))
    monkeypatch.setattr(fleet, "_Worker", _Stub)
    monkeypatch.setattr(fleet, "open_line", lambda *_: kit.line)
    made = Settings(
        s3_endpoint=store.endpoint.url,
        s3_access_key=store.endpoint.access_key,
        s3_secret_key=store.endpoint.secret_key,
        s3_prefix=store.prefix,
        state_dir=tmp_path / "state",
        **settings,
    )
    catalog = Catalog(made.catalog_url)
    models = kit.line.eyes.models
    batch, manifest = batches.submit(store, catalog, SITE, ["waste"], models, keys)
    fleet.run(batch, manifest, made, catalog)
    assert verify(catalog.audit(), WITNESS.key).entries == 1 + len(keys)
    return catalog.outcomes(batch)


@pytest.mark.usefixtures("ray_cluster")
def test_a_stuck_picture_times_out_and_no_other(store, tmp_path, monkeypatch):
    keys = [*(f"{i}.jpg" for i in range(8)), "8.jpg", "stuck.jpg"]
    outcomes = outcomes_of(keys, store, tmp_path, monkeypatch, workers=2, image_timeout_s=15)
    reasons = {outcome.key: outcome.reason for outcome in outcomes}
    assert reasons.pop("stuck.jpg") == "timed_out"
    assert set(reasons.values()) == {"done"}
    assert store.get("quarantine", f"{outcomes[-1].work}/stuck.jpg")[0] == b""
    assert list(store.list("redacted")) == []


@pytest.mark.usefixtures("ray_cluster")
def test_the_clock_of_a_shard_stands_while_another_is_at_work(store, tmp_path, monkeypatch):
    keys = [f"{i}-slow.jpg" for i in range(9)]
    # The second shard waits for 17.6 s, which is more than its one picture may take.
    outcomes = outcomes_of(keys, store, tmp_path, monkeypatch, workers=1, image_timeout_s=16)
    assert {outcome.reason for outcome in outcomes} == {"done"}
    assert len({outcome.seconds["process"] for outcome in outcomes}) == 1
