"""`vigie redact`: what it refuses before it begins, and names that are odd."""

import json
import os
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import simplejpeg

from models.errors import BadConfiguration
from services import apart, opening
from services.audit import read_links, verify
from services.batches import files_below
from services.opening import open_redactor
from services.settings import Settings
from services.sites import Redaction
from serving.cli import main
from serving.pictures import pictures_in
from tests.faults import FACE, Finder

PICTURE = simplejpeg.encode_jpeg(np.full((32, 48, 3), 90, np.uint8))


class Here:
    """`Apart` without another process."""

    def __init__(self, open_function, limit_s):
        self.function = open_function()

    def __call__(self, *arguments):
        return self.function(*arguments)

    def close(self):
        pass


class Done(NamedTuple):
    """A command that ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(autouse=True)
def finder(monkeypatch, state_dir):
    """In the place of our network a locator that finds nothing, and knows faces alone.

    It is in this process, where it can be put: `tests/unit/test_apart.py` has the other one.
    """
    for name in [name for name in os.environ if name.startswith("VIGIE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VIGIE_STATE_DIR", str(state_dir))
    monkeypatch.setenv("VIGIE_S3_ENDPOINT", "http://127.0.0.1:9")  # nothing there: no test asks it
    monkeypatch.setenv("VIGIE_S3_ACCESS_KEY", "a")
    monkeypatch.setenv("VIGIE_S3_SECRET_KEY", "b")
    finder = Finder()
    finder.act = lambda pixels: []
    monkeypatch.setattr(opening, "open_locators", lambda settings: [finder])
    monkeypatch.setattr(apart, "Apart", Here)
    return finder


@pytest.fixture
def redact(monkeypatch, capsys):
    def run(*arguments, cover="face"):
        words = ["vigie", "redact", *map(str, arguments), "--cover", cover]
        with monkeypatch.context() as patch:
            patch.setattr("sys.argv", words)
            with pytest.raises(SystemExit) as ended:
                main()
        return Done(ended.value.code or 0, *capsys.readouterr())

    return run


def folder_of(path, *names):
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(PICTURE)
    return path


def test_a_label_that_the_weights_do_not_find_is_refused_before_a_picture_is_read(redact, tmp_path):
    folder = folder_of(tmp_path / "in", "a.jpg")
    done = redact(folder, tmp_path / "out", cover="face,plate")
    assert done.returncode == 78
    assert "plate, which finder@0 cannot find" in done.stderr
    assert not (tmp_path / "out").exists()
    with pytest.raises(BadConfiguration, match="asks for plate"):
        open_redactor(Settings())
    assert open_redactor(Settings(), Redaction(cover=("face",))).thresholds == {"face": 0.5}


@pytest.mark.parametrize("target", ["out", "s3://public/quay"])
def test_two_pictures_for_one_output_are_refused_before_any_work(redact, tmp_path, target):
    folder = folder_of(tmp_path / "in", "a.png", "a.png.jpg", "b.png")
    target = target if target.startswith("s3:") else tmp_path / target
    done = redact(folder, target)
    assert done.returncode == 78
    assert all(f"{folder / name} " in done.stderr for name in ("a.png", "a.png.jpg"))
    assert "b.png" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_links_among_the_outputs_are_followed(redact, tmp_path):
    folder, out = folder_of(tmp_path / "in", "a.jpg", "b.jpg"), folder_of(tmp_path / "out", "a.jpg")
    (out / "b.jpg").symlink_to("a.jpg")
    assert "would both be written" in redact(folder, out).stderr


@pytest.mark.parametrize("name", ["[red]x[/]", "[bold", "a:smile:b", "[@click=f]z"])
def test_names_that_look_like_markup_are_told_as_they_are(redact, tmp_path, name):
    folder = folder_of(tmp_path / "in", f"{name}.jpg")
    done = redact(folder, tmp_path / "out")
    assert done.returncode == 0
    assert str(folder / f"{name}.jpg") in done.stdout
    missing = redact(tmp_path / name, tmp_path / "out")
    assert missing.stderr.startswith(f"vigie: {tmp_path / name}: no such file")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_name_that_is_no_utf8_is_told_escaped(redact, tmp_path, options):
    folder = folder_of(tmp_path / "in", os.fsdecode(b"caf\xe9.jpg"), "b.jpg")
    done = redact(folder, tmp_path / "out", "--audit", tmp_path / "journal", *options)
    assert done.returncode == 0
    told = str(folder / r"caf\udce9.jpg")
    lines = done.stdout.splitlines()
    assert told in ([json.loads(line)["file"] for line in lines] if options else done.stdout)
    assert (tmp_path / "out" / os.fsdecode(b"caf\xe9.jpg")).exists()


def test_a_name_that_is_no_utf8_gets_a_key_that_is_and_its_original_stays(tmp_path):
    folder = folder_of(tmp_path / "in", name := os.fsdecode(b"caf\xe9.jpg"))
    with pytest.raises(BadConfiguration, match="overwrite an original"):
        pictures_in(str(folder), str(folder), Settings())
    assert (folder / name).read_bytes() == PICTURE
    (picture,) = pictures_in(str(folder), "s3://public/quay", Settings())
    (_, _, key) = picture.write.args
    assert key == r"quay/caf\udce9.jpg"


def test_a_kill_while_writing_leaves_what_was_there_and_a_draft_nobody_takes_up(
    redact, tmp_path, monkeypatch
):
    """What stood there stays whole, and neither journal nor folder tell of more."""
    folder, out = folder_of(tmp_path / "in", "a.jpg"), folder_of(tmp_path / "out", "a.jpg")
    journal = tmp_path / "journal"

    def killed(self, target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        patch.setattr(Path, "unlink", lambda *_, **__: None)  # a kill would not get there
        assert redact(folder, out, "--audit", journal).returncode
    assert (out / "a.jpg").read_bytes() == PICTURE
    assert len(list(out.iterdir())) == 2
    assert [path.name for path in files_below(out)] == ["a.jpg"]
    (begun,) = read_links(journal)
    assert begun.entry["outcome"] == "begun"
    assert list(verify(read_links(journal)).missing.values()) == [1]
    done = redact(folder, out, "--audit", journal)
    assert done.returncode == 0
    assert (out / "a.jpg").read_bytes() != PICTURE
    assert list(verify(read_links(journal)).missing.values()) == [1]


def test_of_a_quarantined_picture_no_earlier_output_is_left(redact, tmp_path, finder):
    """It may show what was to be covered this time."""
    folder, out = folder_of(tmp_path / "in", "a.jpg"), folder_of(tmp_path / "out", "a.jpg", "b.jpg")

    def fail(pixels):
        raise ValueError

    finder.act = fail
    assert redact(folder, out).returncode == 1
    assert [path.name for path in out.iterdir()] == ["b.jpg"]


def test_a_device_is_written_to_and_stays_one(redact, tmp_path):
    folder_of(tmp_path, "a.jpg")
    os.mkfifo(pipe := tmp_path / "pipe")
    end = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    assert redact(tmp_path / "a.jpg", pipe).returncode == 0
    assert os.read(end, 1 << 16).startswith(b"\xff\xd8")
    assert pipe.is_fifo()
    os.close(end)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_covered_and_go_out_as_eight(redact, tmp_path, finder, suffix):
    """What is under a cover leaves no trace in any bit; outside the high bits are what is shown."""
    finder.act = lambda pixels: [FACE]
    x1, y1, x2, y2 = FACE.box
    pixels = np.random.default_rng(0).integers(0, 2**16, (96, 128, 3), np.uint16)
    pixels[...] = cv2.GaussianBlur(pixels, (0, 0), 6)
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / f"{name}.{suffix}"), pixels)
        pixels[y1:y2, x1:x2] ^= 0xFFFF
    published = []
    for name in ("a", "b"):
        assert redact(tmp_path / f"{name}.{suffix}", tmp_path / f"{name}.jpg").returncode == 0
        published.append((tmp_path / f"{name}.jpg").read_bytes())
    assert published[0] == published[1]
    seen = simplejpeg.decode_jpeg(published[0]).astype(int)
    assert np.abs(seen - (pixels[..., ::-1] >> 8).astype(int))[:8, :8].mean() < 4
