"""What is published, parsed: a picture, and nothing that tells more than the picture."""

import io
import json
import struct
import warnings
from xml.etree import ElementTree

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from models.bare import verify_bare

_PNG = b"\x89PNG\r\n\x1a\n"
_CHUNKS = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_TAGS = {
    *(254, 256, 257, 258, 259, 262, 277, 284, 317, 338, 339),  # how pixels are stored
    *(273, 278, 279, 322, 323, 324, 325),  # where: strips, tiles
    *(33550, 33922, 34264, 34735, 34736, 34737, 42113),  # where on the ground; what says "nothing"
    42112,  # names of the bands
}
_BAND_NAMES, _MAX_NAME = 42112, 40


def must_hold_no_metadata(data: bytes) -> None:
    """Fail where a published file holds more than its form needs; what is no picture is text."""
    if data.startswith(b"\xff\xd8"):
        verify_bare(data)
    elif data.startswith(_PNG):
        _verify_png(data)
    elif data.startswith(_TIFF):
        _verify_tiff(data)
    else:
        assert data.startswith(b"PAR1") or json.loads(data), "neither picture nor table nor JSON"


def _verify_png(data: bytes) -> None:
    at, kind = len(_PNG), b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        assert kind in _CHUNKS, f"PNG chunk {kind!r}"
        at += length + 12
    assert at == len(data), "bytes after the end of a PNG"


def _verify_tiff(data: bytes) -> None:
    file, head = io.BytesIO(data), data[: 16 if b"+" in data[2:4] else 8]
    at = ImageFileDirectory_v2(head).next
    while at:
        directory = ImageFileDirectory_v2(head)
        file.seek(at)
        with warnings.catch_warnings(action="error"):  # it goes on after damage
            directory.load(file)
        at = directory.next
        assert not (more := set(directory) - _TAGS), f"TIFF tags {sorted(more)}"
        if text := directory.get(_BAND_NAMES):
            for item in ElementTree.fromstring(text.rstrip("\0")):
                assert item.get("role") == "description", f"TIFF metadata {item.attrib}"
                assert len(item.text or "") <= _MAX_NAME, "a long name of a band"
