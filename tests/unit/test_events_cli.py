"""`vigie events` and `vigie assets` on a catalog of a few events."""

import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from models.errors import BadConfiguration
from services.catalog import Catalog
from services.record import Record
from services.status import Doubt, State
from serving.cli import app
from serving.events_cli import _news
from tests.told import ids, many

AGO = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
def town(tmp_path, monkeypatch):
    """A catalog with six events of two assets."""
    monkeypatch.setenv("VIGIE_CATALOG_URL", f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    catalog = Catalog(os.environ["VIGIE_CATALOG_URL"])
    catalog.judge("b1", lambda _: many(6, assets=2))
    return catalog


def vigie(*arguments, code=0):
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == code, done.output
    return done.output


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


def test_events_are_listed_for_people_and_for_programs(town):
    assert [one["id"] for one in rows(vigie("events", "list", "--json"))] == ids(many(6, 2))
    told = rows(vigie("events", "list", "--asset", "C-001", "--json"))
    assert [one["sequence"] for one in told] == [f"{n:010d}" for n in (1, 2, 3)]
    assert rows(vigie("events", "list", "--type", "overflow", "--json")) == []
    table = vigie("events", "list", "--after", "5")
    assert "observation.recorded" in table
    assert table.count("C-00") == 1


def test_assets_say_what_is_known_now_and_why_the_rest_is_not(town):
    def judging(ledger):
        for name, age in (("new", timedelta(0)), ("old", timedelta(days=3))):
            state = State(status="raised", level=1, since=AGO - age, last_known_at=AGO - age)
            ledger.keep(name, "waste.overflow", Record(state=state, stale=timedelta(hours=12)))
        state = State(doubt=Doubt(reason="dark", since=AGO, until=AGO))
        ledger.keep("night", "waste.overflow", Record(state=state, stale=timedelta(hours=12)))
        return []

    town.judge("b2", judging)
    told = {one["asset"]: (one["status"], one["reason"]) for one in rows(vigie("assets", "--json"))}
    assert told == {
        "new": ("raised", None),
        "old": ("unknown", "silent"),
        "night": ("unknown", "dark"),
    }
    table = vigie("assets")
    assert all(word in table for word in ("reason", "raised", "silent", "dark"))


def test_events_are_delivered_to_what_is_configured(town, tmp_path, monkeypatch):
    sinks = [f"file://{tmp_path}/{name}.jsonl" for name in "ab"]
    monkeypatch.setenv("VIGIE_SINKS", " ".join(sinks))
    told = rows(vigie("events", "deliver", "--json"))
    assert [(one["sink"], one["sent"]) for one in told] == [(sink, 6) for sink in sinks]
    assert "0 events sent" in vigie("events", "deliver")


def test_a_sink_that_is_missing_or_away_is_told(town):
    assert "VIGIE_SINKS" in vigie("events", "deliver", code=2)
    away = "file:///proc/nowhere/x.jsonl"
    assert "its events wait" in vigie("events", "deliver", "--sink", away, code=69)


def test_what_was_refused_is_shown_and_sent_again(town, tmp_path):
    url = f"file://{tmp_path}/events.jsonl"
    town.outbox.bury(url, 2, "too strange")
    (letter,) = rows(vigie("events", "dead", "--json"))
    assert (letter["position"], letter["reason"]) == (2, "too strange")
    assert "too strange" in vigie("events", "dead")
    assert rows(vigie("events", "redeliver", "--sink", url, "--json"))[0]["sent"] == 1
    assert rows(vigie("events", "dead", "--json")) == []


def test_a_replay_sends_again_what_was_sent(town, tmp_path):
    url = f"file://{tmp_path}/events.jsonl"
    vigie("events", "deliver", "--sink", url)
    vigie("events", "replay", "--sink", url, "--since", f"{AGO:%Y-%m-%dT%H:%M:%S}")
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ids(many(6, 2)) * 2


def test_the_contract_is_written_where_it_is_wanted(tmp_path):
    vigie("events", "contract", str(tmp_path / "contract"))
    assert (tmp_path / "contract" / "asyncapi.json").exists()
    with pytest.raises(BadConfiguration, match="cannot write"):
        CliRunner().invoke(app, ["events", "contract", "/proc/nowhere"], catch_exceptions=False)


@pytest.mark.parametrize(
    ("wanted", "stop"), [([], signal.SIGINT), (["--asset", "C-001"], signal.SIGTERM)]
)
def test_a_tail_shows_what_comes_until_it_is_stopped(town, wanted, stop):
    command = [sys.executable, "-m", "serving.cli", "events", "tail", "--json", *wanted]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        heard = []
        reader = threading.Thread(target=lambda: heard.append(process.stdout.readline()))
        reader.start()
        try:
            new = many(600, 2)[6:]
            for event in new:  # it shows nothing that was there before it began
                town.judge("b1", lambda _, event=event: [event])
                reader.join(0.2)
                if heard:
                    break
            assert json.loads(heard[0])["id"] in ids(new)
            assert not wanted or json.loads(heard[0])["subject"].endswith("C-001")
            process.send_signal(stop)
            assert process.wait(60) == 0
        finally:
            process.kill()


def test_a_service_says_once_that_a_sink_fails_and_once_that_it_goes_on(capsys):
    news = _news()
    for error in ("", "hub: answered 401", "hub: answered 401", "", ""):
        news(SimpleNamespace(sink="https://hub/", error=error))
    assert capsys.readouterr().err.splitlines() == [
        "vigie: https://hub/: hub: answered 401",
        "vigie: https://hub/: goes on",
    ]
