"""Plain pictures to look at: from S3 prefixes and folders, to S3 prefixes and folders."""

from dataclasses import replace
from datetime import UTC, datetime
from unittest.mock import Mock

import numpy as np
import pytest
import simplejpeg

from models.errors import BadConfiguration, BadImage, NoSuchBucket, NoSuchObject
from models.redaction import Redactor
from services.eyes import Eyes
from services.settings import Settings
from services.storage import ObjectInfo, Store
from services.tiles import LIMITS
from serving import pictures as pictures_module
from serving.pictures import look_at, pictures_in
from serving.sight import Sight
from tests.faults import WITNESS

FIRST, SECOND, THIRD = (
    simplejpeg.encode_jpeg(np.full((16, 16, 3), shade, np.uint8)) for shade in (50, 100, 150)
)


@pytest.fixture
def settings(store_server, state_dir):
    return Settings(
        s3_endpoint=store_server.url,
        s3_access_key=store_server.access_key,
        s3_secret_key=store_server.secret_key,
        state_dir=state_dir,
    )


@pytest.fixture
def inbox(store):
    """The full name of a bucket that holds quay/a.jpg and quay/deep/b.png."""
    store.put("inbox", "quay/a.jpg", FIRST)
    store.put("inbox", "quay/deep/b.png", SECOND)
    store.put("inbox", "elsewhere/c.jpg", THIRD)
    return store.bucket_name("inbox")


@pytest.mark.parametrize("prefix", ["quay/", "quay", "qu"])
def test_a_prefix_keeps_relative_names_below_another(store, inbox, settings, prefix):
    redacted = store.bucket_name("redacted")
    pictures = pictures_in(f"s3://{inbox}/{prefix}", f"s3://{redacted}/public", settings)
    assert [p.name for p in pictures] == [f"s3://{inbox}/quay/{n}" for n in ("a.jpg", "deep/b.png")]
    assert [p.read() for p in pictures] == [FIRST, SECOND]
    for picture in pictures:
        picture.write(picture.read())
    below = "public/" if prefix == "quay/" else "public/quay/"
    assert {i.key: store.get("redacted", i.key)[0] for i in store.list("redacted")} == {
        f"{below}a.jpg": FIRST,
        f"{below}deep/b.png.jpg": SECOND,
    }


def test_from_a_bucket_to_a_folder_and_back(store, inbox, settings, tmp_path):
    out = tmp_path / "out"
    for picture in pictures_in(f"s3://{inbox}/", str(out), settings):
        picture.write(picture.read())
    assert (out / "quay" / "deep" / "b.png.jpg").read_bytes() == SECOND
    for picture in pictures_in(str(out), f"s3://{store.bucket_name('redacted')}", settings):
        picture.write(picture.read())
    assert sorted(i.key for i in store.list("redacted")) == [
        "elsewhere/c.jpg",
        "quay/a.jpg",
        "quay/deep/b.png.jpg",
    ]


def test_an_original_in_a_bucket_is_never_overwritten(inbox, settings):
    with pytest.raises(BadConfiguration, match="overwrite"):
        pictures_in(f"s3://{inbox}/quay/", f"s3://{inbox}/quay/", settings)
    assert pictures_in(f"s3://{inbox}/quay/", f"s3://{inbox}/public/", settings)


def test_a_key_never_leaves_the_target_folder(settings, tmp_path, monkeypatch):
    # This server's keys are files and hold no '..'; those of others may.
    evil = ObjectInfo("quay/x/../../../evil.jpg", "e", 1, datetime.now(UTC))
    monkeypatch.setattr(Store, "list", lambda *_: iter([evil]))
    with pytest.raises(BadConfiguration, match=r"\.\."):
        pictures_in("s3://inbox/quay/", str(tmp_path / "out"), settings)


@pytest.mark.parametrize(("url", "told"), [("s3://", "BUCKET"), ("s3://{}/nothing/", "no object")])
def test_what_names_nothing_is_refused(inbox, settings, url, told):
    with pytest.raises(BadConfiguration, match=told):
        pictures_in(url.format(inbox), None, settings)


def test_a_bucket_that_is_not_there(settings):
    with pytest.raises(NoSuchBucket):
        pictures_in("s3://no-such-bucket-here/", None, settings)


def test_an_object_that_vanished_or_is_too_large_is_reported(store, inbox, settings, monkeypatch):
    pictures = pictures_in(f"s3://{inbox}/quay/", None, settings)
    store.delete("inbox", "quay/a.jpg")
    with pytest.raises(NoSuchObject):
        pictures[0].read()
    monkeypatch.setattr(pictures_module, "LIMITS", replace(LIMITS, max_bytes=3))
    with pytest.raises(BadImage):
        pictures[1].read()
    finder = Mock(model="m@1", thresholds={"face": 0.5})
    rows = list(
        look_at(
            pictures,
            Sight(Eyes(Redactor([finder], cover=["face"]), {}), WITNESS),
            WITNESS,
        )
    )
    assert [row["reason"] for row in rows] == ["unreadable:NoSuchObject", "too_many_bytes"]
