"""Ray that starts slowly, or not at all; and a batch that is cut off at its first picture."""

import json
from types import SimpleNamespace

import pytest
import ray
from typer.testing import CliRunner

from models.errors import BatchError
from services import batches, fleet
from services.catalog import Catalog
from services.items import Item
from services.manifest import Manifest
from services.settings import Settings
from services.storage import Store
from serving.cli import app
from tests.faults import SITE, WITNESS


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


def test_a_batch_that_is_cut_off_and_never_resumed_is_in_the_audit(monkeypatch, tmp_path):
    """Pictures are published before their entries; so the batch's own entry comes before them."""
    items = tuple(Item(key=f"{n}.jpg", etag="e") for n in range(3))
    manifest = Manifest(site=SITE.model_dump(mode="json"), purposes=(), models=("m",), items=items)
    settings = Settings(state_dir=tmp_path / "state", secret="s" * 32)
    catalog = Catalog(settings.catalog_url)
    catalog.add_batch(manifest.batch, SITE.source, len(items), {})
    eyes = SimpleNamespace(redactor=SimpleNamespace(model="privacy@0"))
    line = SimpleNamespace(models=("m",), eyes=eyes, witness=WITNESS, work=lambda item: item.key)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "connect", lambda settings: None)
    monkeypatch.setattr(fleet, "open_line", lambda *_: line)
    monkeypatch.setattr(batches, "committed_shards", lambda *_: ())
    monkeypatch.setattr(fleet, "_work", killed)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            fleet.run(manifest.batch, manifest, settings, catalog)
    (link,) = catalog.audit()
    assert (link.entry["batch"], link.entry["outcome"]) == (manifest.batch, "begun")
    state = {"VIGIE_STATE_DIR": str(tmp_path / "state"), "VIGIE_SECRET": None}
    told = CliRunner().invoke(app, ["audit", "verify"], env=state).stdout
    assert f"3 images of batch {manifest.batch} have no entry" in told
    told = CliRunner().invoke(app, ["audit", "verify", "--json"], env=state).stdout
    assert json.loads(told)["missing"] == {manifest.batch: 3}
