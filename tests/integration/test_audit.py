"""The audit and the quarantine as an operator meets them: a line, a catalog, the command."""

import hashlib
import json
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import NamedTuple

import pytest
from PIL import Image

from services.catalog import Catalog
from services.seal import Seal
from services.settings import Settings
from serving.cli import main
from tests.faults import NAME, WITNESS, Kit, fails

SECRET = "0123456789abcdef" * 4


class Done(NamedTuple):
    """A command that ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def vigie(store, state_dir, monkeypatch, capsys):
    """Run the command, in this process, on the store with a private state folder."""
    for name in [name for name in os.environ if name.startswith("VIGIE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VIGIE_S3_ENDPOINT", store.endpoint.url)
    monkeypatch.setenv("VIGIE_S3_ACCESS_KEY", store.endpoint.access_key)
    monkeypatch.setenv("VIGIE_S3_SECRET_KEY", store.endpoint.secret_key.get_secret_value())
    monkeypatch.setenv("VIGIE_S3_PREFIX", store.prefix)
    monkeypatch.setenv("VIGIE_STATE_DIR", str(state_dir))

    def run(*arguments, **environment):
        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr("sys.argv", ["vigie", *map(str, arguments)])
            for name, value in environment.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main()
        return Done(ended.value.code or 0, *capsys.readouterr())

    return run


@pytest.fixture
def done(store, state_dir):
    """Three outcomes of a line, in a catalog: redacted, quarantined, redacted."""
    settings = Settings(state_dir=state_dir, secret=SECRET)
    kit = Kit(store)
    kit.witness = replace(WITNESS, key=settings.key("audit"))
    outcomes = [kit.line.process(kit.item)]
    kit.finder.act = fails(ValueError())
    outcomes.append(kit.line.process(kit.put("bad.jpg", kit.data)))
    kit.finder.act = lambda pixels: []
    outcomes.append(kit.line.process(kit.put("empty-street.jpg", kit.data)))
    Catalog(settings.catalog_url).take_in("b1", outcomes, kit.witness)
    return outcomes


def error_of(process):
    assert process.returncode == 74
    return process.stderr


def test_the_audit_is_verified_exported_and_verified_elsewhere(vigie, done, tmp_path):
    secret = {"VIGIE_SECRET": SECRET}
    verdict = json.loads(vigie("audit", "verify", "--json", **secret).stdout)
    assert (verdict["entries"], verdict["seals_checked"]) == (3, True)
    file = tmp_path / "audit.jsonl"
    assert vigie("audit", "export", "-o", file).returncode == 0
    assert vigie("audit", "export").stdout == file.read_text()
    entries = [json.loads(line)["entry"] for line in file.read_text().splitlines()]
    assert [(e["outcome"], e["reason"]) for e in entries] == [
        ("redacted", None),
        ("quarantined", "redactor_error"),
        ("redacted", None),
    ]
    assert entries[0]["covered"]["face"]
    assert entries[2]["covered"] == {}
    assert [e["redacted_sha256"] for e in entries] == [outcome.sha256 for outcome in done]
    assert NAME not in file.read_text()
    # Whoever has no secret still checks the hashes; none is drawn for that.
    elsewhere = vigie("audit", "verify", file, "--head", verdict["head"])
    assert elsewhere.returncode == 0
    assert "3 entries, seals not checked" in elsewhere.stdout
    assert verdict["head"] in elsewhere.stdout
    assert not (tmp_path / "state" / "secret").exists()


def test_tampering_is_told_by_position(vigie, done, tmp_path):
    secret = {"VIGIE_SECRET": SECRET}
    head = json.loads(vigie("audit", "verify", "--json").stdout)["head"]
    assert "entry 1 does not bear" in error_of(vigie("audit", "verify", VIGIE_SECRET="x" * 32))
    file = tmp_path / "audit.jsonl"
    vigie("audit", "export", "-o", file)
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:2]))
    assert vigie("audit", "verify", file, **secret).returncode == 0
    assert "entry 3 is missing" in error_of(vigie("audit", "verify", file, "--head", head))
    file.write_text(lines[0] + lines[1].replace("redactor_error", "truncated") + lines[2])
    assert "entry 2 was changed" in error_of(vigie("audit", "verify", file))
    with closing(sqlite3.connect(tmp_path / "state" / "catalog.sqlite")) as database, database:
        database.execute("DELETE FROM audit WHERE position = 2")
    assert "entry 2 is missing" in error_of(vigie("audit", "verify"))


def test_redacting_plain_pictures_keeps_a_journal(vigie, tmp_path):
    """An entry a run and one a picture, once it is written; verified like an export."""
    folder = tmp_path / "in"
    folder.mkdir()
    Image.new("RGB", (64, 48), (90, 120, 90)).save(folder / "a.jpg")
    (folder / "b.jpg").write_bytes(b"no picture")
    secret, journal = {"VIGIE_SECRET": SECRET}, tmp_path / "journal.jsonl"
    for _ in range(2):
        done = vigie("redact", folder, tmp_path / "out", "--audit", journal, "--json", **secret)
        assert done.returncode == 1
    verdict = json.loads(vigie("audit", "verify", journal, "--json", **secret).stdout)
    assert (verdict["entries"], verdict["seals_checked"], verdict["missing"]) == (6, True, {})
    begun, first, second = (json.loads(x)["entry"] for x in journal.read_text().splitlines()[:3])
    assert (begun["outcome"], begun["images"]) == ("begun", 2)
    assert begun["batch"] == first["batch"] == second["batch"]
    published = (tmp_path / "out" / "a.jpg").read_bytes()
    assert first["redacted_sha256"] == hashlib.sha256(published).hexdigest()
    assert (first["outcome"], second["outcome"]) == ("redacted", "quarantined")
    assert second["reason"] and second["original"] and first["thresholds"]
    assert str(folder) not in journal.read_text()
    missing = tmp_path / "missing" / "journal.jsonl"
    assert vigie("redact", folder, tmp_path / "no", "--audit", missing, **secret).returncode == 74
    assert not (tmp_path / "no").exists()


def test_the_administrator_alone_opens_what_is_sealed(vigie, store, tmp_path):
    key = tmp_path / "admin.key"
    recipient = vigie("quarantine", "keygen", key).stdout.strip()
    assert key.stat().st_mode & 0o777 == 0o600
    kit = Kit(store, Seal(recipient))
    kit.finder.act = fails(ValueError())
    sealed = kit.line.process(kit.item)
    kit.seal = None
    open_ = kit.line.process(kit.put("open.jpg", kit.data))
    marker = kit.line.quarantine(kit.put("stuck.jpg", kit.data), "timed_out")
    rows = list(map(json.loads, vigie("quarantine", "list", "--json").stdout.splitlines()))
    told = {row["key"]: (row["reason"], row["size_bytes"] > 0, row["sealed"]) for row in rows}
    assert told == {
        f"{sealed.work}/{sealed.key}.age": ("redactor_error", True, True),
        f"{open_.work}/open.jpg": ("redactor_error", True, False),
        f"{marker.work}/stuck.jpg": ("timed_out", False, False),
    }
    listed = vigie("quarantine", "list").stdout
    assert all(name in listed for name in told)

    target, name = tmp_path / "original.jpg", f"{sealed.work}/{sealed.key}.age"
    refused = vigie("quarantine", "open", name, target)
    assert (refused.returncode, target.exists()) == (78, False)
    assert "--identity" in refused.stderr
    vigie("quarantine", "keygen", tmp_path / "other.key")
    refused = vigie("quarantine", "open", name, target, "--identity", tmp_path / "other.key")
    assert (refused.returncode, target.exists()) == (78, False)
    opened = vigie("quarantine", "open", name, target, "--identity", key)
    assert opened.returncode == 0, opened.stderr
    assert target.read_bytes() == kit.data
    assert target.stat().st_mode & 0o777 == 0o600
    again = vigie("quarantine", "open", name, target, "--identity", key)
    assert "File exists" in again.stderr
    assert vigie("quarantine", "open", f"{open_.work}/open.jpg", tmp_path / "b.jpg").returncode == 0
    assert (tmp_path / "b.jpg").read_bytes() == kit.data
    assert "inbox" in vigie("quarantine", "open", f"{marker.work}/stuck.jpg", target).stderr
    assert vigie("quarantine", "open", "none", tmp_path / "c.jpg").returncode == 66
