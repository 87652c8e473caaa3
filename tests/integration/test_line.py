"""The line on a real store, a real Ray and the shipped models."""

import io
import json
import os
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ray import cloudpickle

from models.errors import BatchError, ObjectExists, PurposeRefused, StoreUnavailable
from models.redaction import verify_bare
from services import batches, fleet
from services.catalog import Catalog
from services.opening import open_line
from services.sites import load_site
from tests.hostile import write_all

SITE = Path(__file__).parents[2] / "examples" / "port-quay.yaml"
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="session")
def ray_cluster():
    fleet.start(2)
    yield
    fleet.stop()


@pytest.fixture
def settings(store_settings, tmp_path):
    own = {"catalog_url": f"sqlite:///{tmp_path / 'catalog.sqlite'}", "workers": 2}
    return store_settings.model_copy(update=own)


def picture(seed, size_hw=(96, 128)):
    """A small textured JPEG."""
    rng = np.random.default_rng(seed)
    small = rng.integers(40, 220, (6, 8, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize(size_hw[::-1], Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


class Batch:
    """A submitted batch and all that belongs to it."""

    def __init__(self, store, settings, keys):
        self.store, self.settings = store, settings
        self.catalog = Catalog(settings.catalog_url)
        self.site = load_site(SITE)
        self.line = open_line(store, self.site, ["waste"], settings)
        self.id, self.manifest = batches.submit(
            store, self.catalog, self.site, ["waste"], self.line.eyes.models, keys
        )

    def run(self):
        return fleet.run(self.id, self.manifest, self.settings, self.catalog)

    def outcomes(self):
        return {outcome.key: outcome for outcome in self.catalog.outcomes(self.id)}


@pytest.fixture
def pictures(store):
    keys = [f"{i:02d}.jpg" for i in range(12)]
    for i, key in enumerate(keys):
        store.put("inbox", key, picture(i))
    return keys


def test_keys_as_long_as_s3_allows_are_published_and_quarantined(store, settings):
    folder = ("dossier-très-long" * 10 + "/") * 5
    keys = [f"{folder}{name}" for name in ("bonne", "mauvaise")]
    keys = [key + ".é" * ((1024 - len(key.encode())) // 3) for key in keys]
    assert all(1020 <= len(key.encode()) <= 1024 for key in keys)
    store.put("inbox", keys[0], picture(1))
    store.put("inbox", keys[1], b"no picture")
    batch = Batch(store, settings, keys)
    outcomes = [batch.line.process(item) for item in batch.manifest.items]
    assert {o.status for o in outcomes} == {"redacted", "quarantined"}
    (shown,) = (o for o in outcomes if o.redacted_key)
    assert store.get("redacted", shown.redacted_key)[0]
    assert len(list(store.list("quarantine", ""))) == 1


@pytest.mark.usefixtures("ray_cluster")
def test_forty_hostile_files_end_counted_each_with_its_reason(store, settings, tmp_path):
    expected = dict(write_all(tmp_path / "in"))
    assert len(expected) >= 40
    batch = Batch(store, settings, batches.upload(store, tmp_path / "in"))
    batch.run()
    outcomes = batch.outcomes()
    assert {key: outcome.reason or "redacted" for key, outcome in outcomes.items()} == expected
    for outcome in outcomes.values():
        if outcome.status == "redacted":
            verify_bare(store.get("redacted", outcome.redacted_key)[0])
        else:
            info = store.head("quarantine", f"{outcome.work}/{outcome.key}")
            assert info.metadata["reason"] == outcome.reason
    published = {info.key for info in store.list("redacted")}
    assert published == {o.redacted_key for o in outcomes.values() if o.redacted_key}
    types = Counter(event.type for _, event in batch.catalog.outbox.events())
    assert types["vigie.image.quarantined.v1"] == sum(v != "redacted" for v in expected.values())
    assert types["vigie.batch.completed.v1"] == 1


@pytest.mark.usefixtures("ray_cluster")
def test_a_second_run_does_nothing_twice_and_fills_a_lost_catalog(
    store, settings, pictures, tmp_path
):
    batch = Batch(store, settings, pictures)
    assert batch.run() > 0

    def written():
        return [
            (i.key, i.etag, i.modified_at)
            for bucket, prefix in (("redacted", ""), ("batches", batch.id))
            for i in store.list(bucket, prefix)
        ]

    before = written()
    assert batch.run() == 0
    assert written() == before
    fresh = settings.model_copy(update={"catalog_url": f"sqlite:///{tmp_path / 'other.sqlite'}"})
    again = Batch(store, fresh, pictures)
    again.run()
    assert written() == before
    assert again.outcomes() == batch.outcomes()
    first, second = ({e.id for _, e in b.catalog.outbox.events()} for b in (batch, again))
    assert first == second


def test_the_same_pictures_submitted_again_are_the_same_batch(store, settings, pictures):
    first, second = Batch(store, settings, pictures), Batch(store, settings, pictures)
    assert first.id == second.id
    assert len(first.catalog.batches()) == 1


@pytest.mark.usefixtures("ray_cluster")
def test_work_done_in_one_batch_is_not_done_again_in_another(store, settings, pictures):
    small = Batch(store, settings, pictures[:4])
    small.run()
    before = {i.key: i.modified_at for i in store.list("redacted")}
    large = Batch(store, settings, pictures)
    large.run()
    after = {i.key: i.modified_at for i in store.list("redacted")}
    assert before.items() <= after.items()
    assert len(large.outcomes()) == len(pictures)
    ids = [event.id for _, event in large.catalog.outbox.events()]
    assert len(ids) == len(set(ids))


class _Deadly(fleet._Worker):
    """Dies of one picture, as a crash in a native library would."""

    def process(self, items):
        if any("05" in item.key for item in items):
            os._exit(1)
        return super().process(items)


@pytest.mark.usefixtures("ray_cluster")
def test_a_picture_that_kills_its_worker_is_quarantined_and_no_other(
    store, settings, pictures, monkeypatch
):
    monkeypatch.setattr(fleet, "_Worker", _Deadly)
    batch = Batch(store, settings, pictures)
    batch.run()
    reasons = {key: outcome.reason for key, outcome in batch.outcomes().items()}
    assert reasons.pop("05.jpg") == "worker_died"
    assert set(reasons.values()) == {None}
    assert len(reasons) == 11


class _Unplugged(fleet._Worker):
    """Loses the store in the second shard."""

    def process(self, items):
        if any("09" in item.key for item in items):
            raise StoreUnavailable("the store is away; start it and run again")
        return super().process(items)


@pytest.mark.usefixtures("ray_cluster")
def test_a_store_that_goes_away_stops_the_run_and_a_rerun_finishes_it(
    store, settings, pictures, monkeypatch
):
    batch = Batch(store, settings, pictures)
    with monkeypatch.context() as patch:
        patch.setattr(fleet, "_Worker", _Unplugged)
        with pytest.raises(StoreUnavailable, match="run again"):
            batch.run()
    assert list(batch.catalog.outbox.events()) == []  # nothing is judged on half a batch
    done = {i.key: (i.etag, i.modified_at) for i in store.list("batches", f"{batch.id}/shards/")}
    batch.run()
    assert len(batch.outcomes()) == len(pictures)
    after = {i.key: (i.etag, i.modified_at) for i in store.list("batches", f"{batch.id}/shards/")}
    assert done.items() <= after.items()


def test_one_image_through_the_line(store, settings):
    key = "quai-nord/cam-01/20260612T074000Z.jpg"
    store.put("inbox", key, picture(1, (600, 800)))
    batch = Batch(store, settings, [key])
    outcome = batch.line.process(batch.manifest.items[0])
    assert outcome.status == "redacted"
    assert outcome.captured_at == datetime(2026, 6, 12, 7, 40, tzinfo=UTC)
    assert set(outcome.seconds) == {"read", "decode", "redact", "detect", "measure", "write"}
    assert {o.quantity for o in outcome.observations} >= {"waste.overflow", "waste.dirty"}
    again = batch.line.process(batch.manifest.items[0])
    assert again.sha256 == outcome.sha256  # evidence names what was published first
    assert [o.id for o in again.observations] == [o.id for o in outcome.observations]


def test_what_changes_after_submission_is_quarantined(store, settings, pictures):
    batch = Batch(store, settings, pictures[:2])
    store.put("inbox", "00.jpg", picture(99))
    store.delete("inbox", "01.jpg")
    reasons = [batch.line.process(item).reason for item in batch.manifest.items]
    assert reasons == ["changed_since_submission", "gone_since_submission"]


def test_a_failing_detector_publishes_nothing(store, settings, pictures):
    batch = Batch(store, settings, pictures[:1])

    def broken(frame):
        raise FloatingPointError("secret")

    broken.model = "broken@0"
    batch.line.eyes.detectors["waste"] = broken
    outcome = batch.line.process(batch.manifest.items[0])
    assert outcome.reason == "internal_error:FloatingPointError"
    assert list(store.list("redacted")) == []


def test_a_batch_never_mixes_two_models(store, settings, pictures):
    batch = Batch(store, settings, pictures)
    other = batch.manifest.model_copy(update={"models": ("faces@1", "waste@2")})
    with pytest.raises(BatchError, match="submit the images again"):
        batches.check_models(other, batch.line.eyes.models)


def test_an_undeclared_purpose_is_refused(store, settings, pictures):
    site = load_site(SITE)
    with pytest.raises(PurposeRefused, match="waste"):
        batches.submit(store, Catalog(settings.catalog_url), site, ["occupancy"], [], pictures)


def test_a_manifest_that_was_changed_is_refused(store, settings, pictures):
    batch = Batch(store, settings, pictures)
    body = json.loads(batch.manifest.model_dump_json())
    body["items"] = body["items"][1:]
    store.put("batches", f"{batch.id}/manifest.json", json.dumps(body).encode())
    with pytest.raises(BatchError, match="was changed"):
        batches.read_manifest(store, batch.id)


def test_upload_sends_once_and_never_overwrites(store, tmp_path):
    folder = tmp_path / "pictures"
    (folder / "cam").mkdir(parents=True)
    (folder / "cam" / "a.jpg").write_bytes(picture(1))
    (folder / ".hidden").write_bytes(b"x")
    assert batches.upload(store, folder) == ["cam/a.jpg"]
    assert batches.upload(store, folder) == ["cam/a.jpg"]
    (folder / "cam" / "a.jpg").write_bytes(picture(2))
    with pytest.raises(Exception, match="--prefix"):
        batches.upload(store, folder)
    assert store.get("inbox", "cam/a.jpg")[0] == picture(1)


def test_a_shard_is_committed_once(store):
    batches.commit_shard(store, "b", 0, [])
    batches.commit_shard(store, "b", 0, [])
    assert list(batches.committed_shards(store, "b")) == [0]
    with pytest.raises(ObjectExists):
        store.put("batches", batches.shard_path("b", 0), b"", only_if_absent=True)
