"""What a published JPEG may hold: one baseline picture and nothing else."""

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from models.errors import BadImage, RedactionFailed
from models.jpeg import EOI, SOS, jpeg_segments

QUALITY = 90  # of 100
_JFIF, _SOF0, _DHT, _DQT = 0xE0, 0xC0, 0xC4, 0xDB


def encode_bare(pixels: NDArray[np.uint8]) -> bytes:
    """A JPEG of uint8 (H, W, 3) RGB, its colours at half the size, in blocks of 16 px."""
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), QUALITY, "RGB", "420"))


def verify_bare(encoded: bytes) -> None:
    """Make sure that a JPEG holds one baseline picture and nothing else.

    Raises:
        RedactionFailed: unclean_output, where it holds EXIF, XMP, a profile, a comment, a
            thumbnail, anything after its end, or cannot be parsed.
    """
    end = 0
    try:
        for marker, start, end in jpeg_segments(encoded):
            bare_jfif = marker == _JFIF and (
                end - start == 14
                and encoded.startswith(b"JFIF\0", start)
                and encoded[start + 12 : end] == b"\0\0"  # the size of its thumbnail
            )
            if not bare_jfif and marker not in (_SOF0, _DHT, _DQT, SOS, EOI):
                raise RedactionFailed("unclean_output", f"segment {marker:#x}")
    except BadImage as error:
        raise RedactionFailed("unclean_output", error.reason) from error
    if end != len(encoded):
        raise RedactionFailed("unclean_output", "bytes after the end")
