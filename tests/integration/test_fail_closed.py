"""Whatever fails, nothing is published: faults injected into the line on a real store."""

import random
import re
from pathlib import Path
from types import SimpleNamespace

import pyrage
import pytest

from models.errors import BadWeights
from models.redaction import Redactor
from services import batches
from services.audit import line_of, linked
from services.catalog import Catalog
from services.eyes import Eyes
from services.opening import open_line
from services.seal import Seal, new_identity, unsealed
from services.settings import Settings
from serving.pictures import look_at, pictures_in
from serving.sight import Sight
from tests.faults import (
    ERRORS,
    GPS,
    NAME,
    SITE,
    WITNESS,
    Finder,
    Kit,
    Looker,
    fails,
    injections,
    injections_into_a_window,
    injections_without_a_line,
    picture,
    raised,
)
from tests.mapping import submitted
from tests.orthophotos import Green, Parcels, line, ortho


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    return tmp_path_factory.mktemp("keys") / "admin.key"


@pytest.fixture
def catalog(tmp_path):
    return Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")


@pytest.fixture(scope="module")
def seal(identity):
    return Seal(new_identity(identity))


def inject(kit, monkeypatch, expected, breaks):
    """Process the kit's picture with parts broken; gives the outcome, None where it raised."""
    with monkeypatch.context() as patch:
        for where in breaks:
            patch.setattr(*where)
        if expected == "quarantined":
            return kit.line.process(kit.item)
        with pytest.raises(expected):
            kit.line.process(kit.item)
        return None


def clean_jpeg(kit):
    """What the line publishes when nothing fails; taken back."""
    outcome = kit.line.process(kit.item)
    data, _ = kit.store.get("redacted", outcome.redacted_key)
    kit.store.delete("redacted", outcome.redacted_key)
    return data


def test_a_thousand_injected_failures_publish_nothing(store, seal, identity, monkeypatch):
    kit, rng = Kit(store), random.Random(7)
    publications = injected = 0
    for expected, breaks in injections(rng, kit, clean_jpeg(kit)):
        kit.seal = rng.choice([None, seal])
        told = f"injection {injected}: {breaks}"
        item, outcome = kit.item, inject(kit, monkeypatch, expected, breaks)
        injected += 1
        publications += len(kit.published())
        assert publications == 0, told
        if outcome is None:
            continue
        assert outcome.status == "quarantined", told
        assert re.fullmatch(r"[a-z_]+(:\w+)?", outcome.reason), told
        assert (outcome.redacted_key, outcome.sha256) == (None, None), told
        (kept,) = store.list("quarantine")
        content, info = store.get("quarantine", kept.key)
        assert info.metadata["reason"] == outcome.reason, told
        if kit.seal:
            assert kept.key.endswith(".age") == bool(content), told
        if content:
            original = unsealed(content, identity) if kit.seal else content
            assert original == store.get("inbox", item.key)[0], told
        store.delete("quarantine", kept.key)
    assert injected >= 1000
    assert publications == 0


def test_failures_injected_into_a_window_of_a_raster_publish_neither_picture_nor_heights(
    store, catalog, monkeypatch
):
    monkeypatch.setattr(batches, "purposes_of", lambda site, names: {"waste": Parcels()})
    _, manifest = submitted(store, catalog, ortho((300, 300)))
    item = manifest.items[0]
    kit, rng = SimpleNamespace(finder=Finder(), heights=Green, purpose=Parcels), random.Random(7)
    one = line(store, locator=kit.finder)
    whole = one.process(item)
    published = {info.key for info in store.list("redacted")}
    assert item.window and published == {whole.redacted_key, whole.files["cells"]}
    clean = store.get("redacted", whole.redacted_key)[0]
    for key in published:
        store.delete("redacted", key)
    injected = 0
    for _, breaks in injections_into_a_window(rng, kit, clean):
        with monkeypatch.context() as patch:
            for where in breaks:
                patch.setattr(*where)
            outcome = one.process(item)
        injected += 1
        assert outcome.status == "quarantined", f"injection {injected}: {breaks}"
        assert not list(store.list("redacted")), f"injection {injected}: {breaks}"
    assert injected > 500
    assert one.process(item).status == "redacted"


def test_failures_injected_into_the_redaction_of_files_write_nothing(tmp_path, monkeypatch):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(picture())
    kit, rng = SimpleNamespace(finder=Finder(), looker=Looker(), purpose=None), random.Random(7)
    sight = Sight(Eyes(Redactor([kit.finder], cover=["face"]), {"looker": kit.looker}), WITNESS)
    clean = sight("a.jpg", picture()).encoded

    def redacted():
        pictures = pictures_in(str(folder), str(out), Settings())
        (row,) = look_at(pictures, sight, WITNESS, detecting=True)
        return row["status"]

    injected = 0
    for expected, breaks in injections_without_a_line(rng, kit, clean):
        told = f"injection {injected}: {breaks}"
        with monkeypatch.context() as patch:
            for where in breaks:
                patch.setattr(*where)
            if expected == "quarantined":
                assert redacted() == expected, told
            else:
                with pytest.raises(expected):
                    redacted()
        injected += 1
        assert not out.exists(), told
    for _ in range(150):  # cut short, or nothing but noise
        (folder / "a.jpg").write_bytes(picture()[: rng.randint(0, 600)] + rng.randbytes(9))
        assert redacted() == "quarantined"
        assert not out.exists()
    assert injected > 400
    (folder / "a.jpg").write_bytes(picture())
    assert redacted() == "redacted"
    assert [path.name for path in out.iterdir()] == ["a.jpg"]


def test_good_pictures_among_failing_ones_are_published(store, seal, monkeypatch):
    kit = Kit(store, seal)
    good = {f"good-{i}.jpg": kit.put(f"good-{i}.jpg", picture(i)) for i in range(6)}
    bad = kit.item
    outcomes = []
    for error, item in zip(ERRORS, good.values(), strict=False):
        kit.item = bad
        breaks = [(kit.finder, "act", fails(error("no")))]
        outcomes.append(inject(kit, monkeypatch, "quarantined", breaks))
        outcomes.append(kit.line.process(item))
    redacted = [o for o in outcomes if o.status == "redacted"]
    assert [o.key for o in redacted] == list(good)
    assert kit.published() == sorted(o.redacted_key for o in redacted)
    for outcome in redacted:
        assert outcome.covered.keys() == {"face"}
        assert outcome.original == WITNESS.original(store.get("inbox", outcome.key)[0])
        assert (outcome.redactor, outcome.thresholds) == (
            kit.line.eyes.redactor.model,
            {"face": 0.5},
        )


def test_where_sealing_fails_the_original_lies_nowhere_but_in_the_inbox(store, seal, monkeypatch):
    kit = Kit(store, seal)
    monkeypatch.setattr("pyrage.encrypt", fails(pyrage.EncryptError("no entropy")))
    kit.finder.act = fails(ValueError())
    outcome = kit.line.process(kit.item)
    assert outcome.reason == "redactor_error"
    (kept,) = store.list("quarantine")
    assert (kept.size_bytes, kept.key) == (0, f"{outcome.work}/{outcome.key}")
    assert store.get("inbox", kit.item.key)[0] == kit.data


@pytest.mark.parametrize("damage", ["missing", "flipped", "cut"])
@pytest.mark.parametrize("name", ["privacy", "waste"])
def test_without_the_right_weights_no_line_opens(store, state_dir, monkeypatch, name, damage):
    read = Path.read_bytes

    def damaged(path):
        data = read(path)
        if path.name != f"{name}.safetensors":
            return data
        if damage == "missing":
            raise FileNotFoundError(path)
        return data[:-1] if damage == "cut" else bytes([data[0] ^ 1]) + data[1:]

    monkeypatch.setattr(Path, "read_bytes", damaged)
    with pytest.raises(BadWeights):
        open_line(store, SITE, ["waste"], Settings(state_dir=state_dir))


def test_no_personal_data_in_reasons_audit_and_logs(store, monkeypatch, caplog, capsys):
    caplog.set_level("INFO")
    kit = Kit(store)
    planted = (NAME.encode(), *GPS, b"dupont", b"0612345678")
    assert all(text in kit.data for text in GPS)
    outcomes = [kit.line.process(kit.item)]
    (key,) = kit.published()
    pictures = store.get("redacted", key)[0]
    for error in ERRORS:
        breaks = [(kit.finder, "act", fails(raised(error, f"{NAME} at {GPS}")))]
        outcomes.append(inject(kit, monkeypatch, "quarantined", breaks))
    link = None
    told = [caplog.text, *capsys.readouterr()]
    for outcome in outcomes:
        link = linked(WITNESS.entry(outcome, "b1"), link, WITNESS.key)
        told += [line_of(link), outcome.reason or ""]
        # The object key is what the town called the picture; nothing else may hold it.
        told.append(outcome.model_dump_json(exclude={"key", "redacted_key"}))
    everything = "\n".join(told).encode() + pictures
    assert not [text for text in planted if text in everything]
