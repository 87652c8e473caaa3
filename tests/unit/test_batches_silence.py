"""The look for silence goes on where one site cannot be read, and says so at the end."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from models.errors import BatchError
from services import batches


def test_a_site_without_manifest_keeps_no_other_from_being_looked_at(monkeypatch):
    rows = [
        SimpleNamespace(source=f"/territories/t/sites/{name}", batch=name, finished="then")
        for name in ("lost", "north", "south")
    ]

    def read_manifest(_, batch):
        if batch == "lost":
            raise BatchError("there is no manifest of lost")
        return SimpleNamespace(read_site=lambda: SimpleNamespace(purposes=()))

    monkeypatch.setattr(batches, "read_manifest", read_manifest)
    judged = []
    catalog = SimpleNamespace(
        batches=lambda: rows, judge=lambda batch, _: judged.append(batch) or 0
    )
    with pytest.raises(BatchError, match="lost"):
        batches.look_for_silence(None, catalog, datetime(2026, 6, 12, tzinfo=UTC))
    assert sorted(judged) == ["north", "south"]
