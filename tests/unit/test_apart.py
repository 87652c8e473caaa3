"""What runs in a process of its own cannot hold up, or take down, who asks."""

import os
from contextlib import closing

import numpy as np
import pytest
import simplejpeg

from models.errors import BadWeights, RedactionFailed
from services.apart import Apart
from services.audit import Journal, read_links, verify
from services.settings import Settings
from serving.pictures import look_at, pictures_in
from tests import stuck
from tests.faults import WITNESS


def test_answers_come_from_one_process_that_goes_at_the_end():
    with closing(Apart(stuck.echo, 60)) as call:
        (one, told), (two, _) = call(1, "a"), call(2)
    assert told == (1, "a")
    assert one == two != os.getpid()
    with pytest.raises(ProcessLookupError):
        os.kill(one, 0)


def test_a_call_that_takes_too_long_is_ended_and_the_next_one_is_done():
    with closing(Apart(stuck.naps, 5)) as nap:
        first = nap(0)
        with pytest.raises(RedactionFailed, match="timed_out"):
            nap(3600)
        with pytest.raises(ProcessLookupError):
            os.kill(first, 0)
        assert nap(0) != first


def test_a_process_that_dies_is_replaced():
    with closing(Apart(stuck.ends, 60)) as end:
        first = end(0)
        with pytest.raises(RedactionFailed, match="worker_died"):
            end(1)
        assert end(0) != first


def test_what_cannot_be_opened_is_told_at_once():
    with pytest.raises(BadWeights, match="is missing"):
        Apart(stuck.refuses, 60)
    with pytest.raises(RedactionFailed, match="worker_died"):
        Apart(stuck.dies, 60)


def test_a_picture_that_takes_too_long_is_refused_and_the_others_are_published(tmp_path):
    (tmp_path / "in").mkdir()
    for name, shade in (("a", 90), ("b", 250), ("c", 120)):
        data = simplejpeg.encode_jpeg(np.full((96, 96, 3), shade, np.uint8))
        (tmp_path / "in" / f"{name}.jpg").write_bytes(data)
    pictures = pictures_in(str(tmp_path / "in"), str(tmp_path / "out"), Settings())
    journal = tmp_path / "journal"
    with closing(Apart(stuck.sight, 10)) as see:
        rows = list(look_at(pictures, see, WITNESS, Journal(journal, WITNESS.key)))
    assert [row["reason"] for row in rows] == [None, "timed_out", None]
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == ["a.jpg", "c.jpg"]
    begun, *entries = (link.entry for link in read_links(journal))
    assert (begun["outcome"], begun["images"]) == ("begun", 3)
    assert [entry["reason"] for entry in entries] == [None, "timed_out", None]
    assert all(entry["original"] for entry in entries)
    assert not verify(read_links(journal), WITNESS.key).missing
