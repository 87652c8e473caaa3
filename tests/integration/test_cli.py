"""The command as a person or a program runs it."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from services import ngsi
from services.events import Event
from tests.unit.test_events import validate
from tests.unit.test_ngsi import check

ROOT = Path(__file__).parents[2]
SITE = ROOT / "examples" / "port-quay.yaml"


@pytest.fixture
def vigie(state_dir):
    """Run the command with a private state folder; gives the finished process."""

    def run(*arguments, **environment):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("VIGIE_")}
        return subprocess.run(
            [sys.executable, "-m", "serving.cli", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=clean | {"VIGIE_STATE_DIR": str(state_dir)} | environment,
            timeout=150,
            check=False,
        )

    return run


def store_of(endpoint, **changes):
    return {
        "VIGIE_S3_ENDPOINT": endpoint.url,
        "VIGIE_S3_ACCESS_KEY": endpoint.access_key,
        "VIGIE_S3_SECRET_KEY": endpoint.secret_key.get_secret_value(),
        "VIGIE_S3_PREFIX": "cli",
    } | changes


def picture(path, size_wh=(160, 120), **options):
    small = np.random.default_rng(1).integers(40, 220, (6, 8, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(small).resize(size_wh, Image.Resampling.BICUBIC).save(path, **options)


def one_line(done):
    """Standard error of a failed command: one line, no traceback."""
    assert done.returncode not in (0, 1)
    assert "Traceback" not in done.stderr
    (line,) = [x for x in done.stderr.splitlines() if x.strip()]
    return line


def test_a_batch_from_end_to_end(vigie, store_server, tmp_path):
    for i in range(3):
        picture(
            tmp_path / "in" / "quai-nord" / "cam-01" / f"20260612T0{i}0000Z.jpg", (160 + i, 120)
        )
    (tmp_path / "in" / "bad.jpg").write_text("not a picture")
    env = store_of(store_server)
    assert vigie("up", **env).returncode == 0
    done = vigie("submit", SITE, tmp_path / "in", "--json", **env)
    assert done.returncode == 0, done.stderr
    batch = json.loads(done.stdout)["batch"]
    sink = f"file://{tmp_path}/events.jsonl"
    done = vigie("run", batch, "--sink", sink, "--json", **env)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["counts"] == {"redacted": 3, "quarantined": 1}
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert len(lines) == result["new_events"] == result["delivered"]
    listed = vigie("events", "list", "--json", **env).stdout.splitlines()
    assert [json.loads(x) for x in listed] == [json.loads(x) for x in lines]
    for event in map(Event.model_validate_json, lines):
        validate(event)
        for entity in ngsi.entities(event):
            check(entity)
    declared = json.loads(lines[-1])["data"]["purposes"]
    assert declared["waste"]["legal_basis"] == "public_task"
    proposed = json.loads(vigie("references", batch, "--json", **env).stdout)
    (key,) = proposed["cam-01"]  # all were taken at night, local time
    assert key.startswith("quai-nord/cam-01/20260612T0")
    assert key in vigie("references", batch, **env).stdout
    status = json.loads(vigie("status", batch[:6], "--json", **env).stdout)
    assert status["finished"]
    assert vigie("report", batch, "-o", tmp_path / "r.html", **env).returncode == 0
    html = (tmp_path / "r.html").read_text()
    assert html.count("<figure>") == 3
    assert "not_an_image" in html
    assert 'src="http' not in html
    assert "<link" not in html


def test_redact_prints_one_json_line_an_image_and_nothing_else(vigie, tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "CONFIDENTIAL"
    exif[0x0112] = 6
    picture(tmp_path / "in" / "a.jpg", (160, 120), exif=exif)
    picture(tmp_path / "in" / "sub" / "b.png", (90, 80))
    (tmp_path / "in" / "c.jpg").write_bytes(b"")
    done = vigie("redact", tmp_path / "in", tmp_path / "out", "--json")
    assert done.returncode == 1
    rows = {Path(row["file"]).name: row for row in map(json.loads, done.stdout.splitlines())}
    assert rows["a.jpg"]["status"] == "redacted"
    assert (rows["a.jpg"]["width"], rows["a.jpg"]["height"]) == (120, 160)
    assert rows["c.jpg"] | {"file": ""} == {
        "file": "",
        "status": "quarantined",
        "reason": "empty",
        "width": 0,
        "height": 0,
        "regions": [],
    }
    assert "detections" not in rows["a.jpg"]
    written = sorted(
        p.relative_to(tmp_path / "out").as_posix() for p in tmp_path.glob("out/**/*.*")
    )
    assert written == ["a.jpg", "sub/b.png.jpg"]
    data = (tmp_path / "out" / "a.jpg").read_bytes()
    assert b"CONFIDENTIAL" not in data
    assert Image.open(io.BytesIO(data)).size == (120, 160)


def test_detect_adds_detections_and_dirty(vigie, tmp_path):
    picture(tmp_path / "a.jpg")
    done = vigie("detect", "waste", tmp_path / "a.jpg", "--json")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0
    (row,) = map(json.loads, done.stdout.splitlines())
    assert set(row) == {
        "file", "status", "reason", "width", "height", "regions", "detections", "dirty",
    }  # fmt: skip
    assert 0 <= row["dirty"] <= 1


def test_no_store_says_what_to_do(vigie):
    assert "vigie up" in one_line(vigie("submit", SITE))


def test_wrong_credentials(vigie, store_server):
    done = vigie("up", **store_of(store_server, VIGIE_S3_SECRET_KEY="wrong"))
    assert "VIGIE_S3_SECRET_KEY" in one_line(done)
    assert done.returncode == 77


def test_missing_bucket(vigie, store_server):
    done = vigie("submit", SITE, **store_of(store_server, VIGIE_S3_PREFIX="nobody"))
    assert "nobody-inbox" in one_line(done) or "bucket" in one_line(done)
    assert done.returncode == 66


def test_server_away(vigie, store_server):
    done = vigie("up", **store_of(store_server, VIGIE_S3_ENDPOINT="http://127.0.0.1:9"))
    assert "http://127.0.0.1:9" in one_line(done)
    assert done.returncode == 69


def test_unknown_detector_batch_and_site(vigie, tmp_path):
    picture(tmp_path / "a.jpg")
    told = one_line(vigie("detect", "nosuch", tmp_path / "a.jpg"))
    assert "known: occupancy, vegetation, waste" in told
    assert "vigie status" in one_line(vigie("run", "nosuch"))
    (tmp_path / "site.yaml").write_text("territory: T\n")
    done = vigie("submit", tmp_path / "site.yaml")
    assert done.returncode == 78
    assert "site.yaml:1" in done.stderr


def test_an_original_is_never_overwritten(vigie, tmp_path):
    picture(tmp_path / "a.jpg")
    before = (tmp_path / "a.jpg").read_bytes()
    assert "overwrite" in one_line(vigie("redact", tmp_path / "a.jpg", tmp_path / "a.jpg"))
    assert (tmp_path / "a.jpg").read_bytes() == before
