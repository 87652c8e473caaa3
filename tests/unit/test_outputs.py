"""Nothing with metadata leaves a test unseen."""

import io
import struct
import zlib

import numpy as np
import piexif
import pytest
import rasterio
import simplejpeg
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from models.cells import NOT_ANALYSED, Cells, encode
from models.errors import RedactionFailed
from models.ground import Ground
from services.storage import Store
from serving import pictures
from tests.outputs import must_hold_no_metadata

PIXELS = np.full((32, 48, 3), 90, np.uint8)
JPEG = simplejpeg.encode_jpeg(PIXELS)


def png(**options):
    out = io.BytesIO()
    Image.fromarray(PIXELS).save(out, "PNG", **options)
    return out.getvalue()


def tiff(path=None, **tags):
    cells = Cells(
        np.full((3, 8, 8), NOT_ANALYSED, np.uint16),
        np.zeros((3, 8, 8), np.uint8),
        Ground((0.5, 0, 500_000, 0, -0.5, 5_290_000), "EPSG:32630"),
    )
    if path is None:
        return encode(cells)
    path.write_bytes(encode(cells))
    with rasterio.open(path, "r+") as data:
        data.update_tags(**tags)
    return path.read_bytes()


def named():
    info = PngInfo()
    info.add_text("Author", "somebody")
    return info


def with_exif():
    out = io.BytesIO()
    exif = piexif.dump({"0th": {piexif.ImageIFD.Artist: b"somebody"}})
    Image.fromarray(PIXELS).save(out, "JPEG", exif=exif)
    return out.getvalue()


def late_chunk():
    body = b"tIME" + bytes(7)
    return png() + struct.pack(">I", 7) + body + struct.pack(">I", zlib.crc32(body))


@pytest.mark.parametrize("data", [JPEG, png(), tiff(), b'{"a": 1}', b"PAR1"])
def test_what_holds_nothing_but_itself_passes(data):
    must_hold_no_metadata(data)


@pytest.mark.parametrize(
    "data",
    [
        *(with_exif(), JPEG + b"x", JPEG[:-1]),
        *(png(pnginfo=named()), png() + b"x", late_chunk(), png(exif=b"Exif\0\0MM")),
        b"x" + JPEG,
    ],
)
def test_what_holds_more_fails(data):
    with pytest.raises((AssertionError, RedactionFailed, ValueError)):
        must_hold_no_metadata(data)


@pytest.mark.parametrize("tag", ["AUTHOR", "TIFFTAG_DATETIME", "TIFFTAG_ARTIST"])
def test_a_geotiff_that_tells_more_fails(tmp_path, tag):
    with pytest.raises(AssertionError, match="TIFF"):
        must_hold_no_metadata(tiff(tmp_path / "a.tif", **{tag: "somebody"}))


def test_every_way_out_is_watched(tmp_path):
    tiff(file := tmp_path / "a.tif", AUTHOR="somebody")
    store = Store.__new__(Store)  # it never comes to the server
    ways = (
        lambda: store.put("redacted", "a.jpg", JPEG + b"x", "image/jpeg"),
        lambda: store.put_file("redacted", "a.tif", file),
        lambda: pictures._put(store, "public", "a.jpg", JPEG + b"x"),
        lambda: pictures._write(tmp_path / "a.jpg", JPEG + b"x"),
    )
    for way in ways:
        with pytest.raises((AssertionError, RedactionFailed)):
            way()
    assert list(tmp_path.iterdir()) == [file]
