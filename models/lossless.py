"""Cover blocks of a JPEG and leave the coefficients of all others as the camera wrote them.

Decoding and encoding again would change every pixel a little. Here the quantised DCT coefficients
(ITU-T T.81) of all MCUs that no cover touches are copied bit for bit.
"""

import ctypes
import importlib.util
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from models.errors import BadConfiguration, BadImage
from models.jpeg import APP14, EOI, SOS, jpeg_segments
from models.plan import GRID_PX, Blocks

_SOF, _DHT, _DQT, _DRI = (0xC0, 0xC1, 0xC2), 0xC4, 0xDB, 0xDD
_SIDE = 8  # samples, of a DCT block
_MAX_AC, _MIN_DC = 1023, -1024  # what baseline Huffman codes hold, T.81 tables F.1 and F.2
_GREY, _YCBCR = 1, 3  # J_COLOR_SPACE of libjpeg
_K = np.arange(_SIDE)
_DCT = np.where(_K[:, None] > 0, 0.5, 0.5**1.5) * np.cos(np.pi * _K[:, None] * (2 * _K + 1) / 16)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Height and width in px, and the sampling factors (vertical, horizontal) by component."""

    size_hw: tuple[int, int]
    factors_vh: tuple[tuple[int, int], ...]

    @property
    def most_vh(self) -> tuple[int, int]:
        return max(v for v, _ in self.factors_vh), max(h for _, h in self.factors_vh)

    @property
    def mcus_hw(self) -> tuple[int, int]:
        height, width = (
            -(-side // (_SIDE * most))
            for side, most in zip(self.size_hw, self.most_vh, strict=True)
        )
        return height, width

    def blocks_hw(self, component: int) -> tuple[int, int]:
        """DCT blocks of a component, those that only fill up the last MCU left out (A.2.4)."""
        rows, columns = (
            -(-side * factor // (_SIDE * most))
            for side, factor, most in zip(
                self.size_hw, self.factors_vh[component], self.most_vh, strict=True
            )
        )
        return rows, columns


def require() -> None:
    """Make sure that `splice` can work here.

    Raises:
        BadConfiguration: jpeglib is not installed, or this system keeps no files in memory.
    """
    if importlib.util.find_spec("jpeglib") is None:
        raise BadConfiguration("lossless redaction needs jpeglib: install vigie[lossless]")
    if not hasattr(os, "memfd_create"):
        raise BadConfiguration("lossless redaction needs Linux")


def splice(
    original: bytes, before: NDArray[np.uint8], after: NDArray[np.uint8], covered: Blocks
) -> bytes | None:
    """The original JPEG with every MCU that a cover touches taken from the covered picture.

    Args:
        original: JPEG file, baseline or progressive, grey or YCbCr, 8 bits. Never written to disk.
        before: uint8 (H, W, 3) RGB, what the original decodes to.
        after: uint8 (H, W, 3) RGB, the same with its covers.
        covered: bool (rows, columns), the blocks of 16 px that covers touch.

    Returns:
        A baseline JPEG without any metadata; None where it cannot be done: no JPEG, other colours
        or samples, a picture that was turned, tables or values that baseline cannot hold.
    """
    parsed = _parsed(original)
    if parsed is None or parsed[0].size_hw != before.shape[:2]:
        return None
    layout, bare = parsed
    # libjpeg behind jpeglib ends the process on some damaged files: only what the strict decoder
    # takes as it is goes there. That it gives the frame's pixels proves that the file is the
    # frame's, upright, and read in the same colours.
    try:
        if not np.array_equal(simplejpeg.decode_jpeg(bare, "RGB"), before):
            return None
        coefficients, tables = _read(bare, layout)
    except (ValueError, OSError):
        return None
    if tables.min() < 1 or tables.max() > 255:
        return None
    mcus = _touched_mcus(covered, layout)
    planes = _planes(after, layout)
    for i, (plane, table) in enumerate(zip(planes, tables, strict=True)):
        rows, columns = layout.blocks_hw(i)
        vertical, horizontal = layout.factors_vh[i]
        touched = mcus.repeat(vertical, axis=0).repeat(horizontal, axis=1)[:rows, :columns]
        blocks = plane.reshape(-1, _SIDE, plane.shape[1] // _SIDE, _SIDE).swapaxes(1, 2)
        chosen = blocks[:rows, :columns][touched].astype(np.float64) - 128  # (N, 8, 8)
        quantised = np.rint(_DCT @ chosen @ _DCT.T / table)
        coefficients[i][touched] = quantised.clip(-_MAX_AC, _MAX_AC).astype(np.int16)
    return _write(coefficients, tables, layout) if all(map(_fits, coefficients)) else None


def _parsed(data: bytes) -> tuple[_Layout, bytes] | None:
    """Layout, and the file without anything that is not needed to decode it."""
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    try:
        segments = list(jpeg_segments(data))
    except BadImage:
        return None
    layouts, parts, scanned = [], [data[:2]], False
    for (marker, start, end), (next_marker, next_start, _) in pairwise(segments):
        if marker in _SOF:
            layouts.append(_layout(data[start:end]))
        if marker == APP14 and data[start:end].startswith(b"Adobe") and data[end - 1] != 1:
            return None  # RGB or inks
        if marker == _DQT and scanned:
            return None  # what was looked at was decoded with the table before
        scanned = scanned or marker == SOS
        if marker in (*_SOF, _DHT, _DQT, _DRI):
            parts.append(data[start - 4 : end])
        if marker == SOS:  # behind it, up to the next marker, lies its scan
            parts.append(data[start - 4 : next_start - (2 if next_marker == EOI else 4)])
    if len(layouts) != 1 or layouts[0] is None:
        return None
    return layouts[0], b"".join((*parts, b"\xff\xd9"))


def _layout(header: bytes) -> _Layout | None:
    """Of a frame header (T.81, B.2.2): 8 bits, one or three components."""
    if len(header) not in (9, 15) or len(header) != 6 + 3 * header[5]:
        return None
    bits, height, width = struct.unpack_from(">BHH", header)
    ids = header[6::3]
    factors = tuple((byte & 15, byte >> 4) for byte in header[7::3])
    layout = _Layout((height, width), factors)
    whole = all(
        0 < v <= 4 and 0 < h <= 4 and layout.most_vh[0] % v == 0 and layout.most_vh[1] % h == 0
        for v, h in factors
    )
    return layout if whole and bits == 8 and height and width and ids != b"RGB" else None


def _fits(coefficients: NDArray[np.int16]) -> bool:
    """Whether baseline Huffman codes can hold them."""
    flat = coefficients.reshape(-1, _SIDE * _SIDE)
    low, high = int(flat[:, 1:].min()), int(flat.max())
    return int(flat[:, 0].min()) >= _MIN_DC and low >= -_MAX_AC and high <= _MAX_AC


def _touched_mcus(covered: Blocks, layout: _Layout) -> Blocks:
    """Bool (rows, columns) of the MCUs that share a pixel with a covered block."""
    fine = covered.repeat(GRID_PX // _SIDE, axis=0).repeat(GRID_PX // _SIDE, axis=1)
    (rows, columns), (vertical, horizontal) = layout.mcus_hw, layout.most_vh
    whole = np.zeros((rows * vertical, columns * horizontal), np.bool_)
    height, width = (min(a, b) for a, b in zip(fine.shape, whole.shape, strict=True))
    whole[:height, :width] = fine[:height, :width]
    touched: Blocks = whole.reshape(rows, vertical, columns, horizontal).max(axis=(1, 3)) > 0
    return touched


def _planes(pixels: NDArray[np.uint8], layout: _Layout) -> list[NDArray[np.uint8]]:
    """Samples of each component, the last ones repeated to fill up the last MCUs."""
    (rows, columns), (most_v, most_h) = layout.mcus_hw, layout.most_vh
    below = rows * most_v * _SIDE - layout.size_hw[0]
    beside = columns * most_h * _SIDE - layout.size_hw[1]
    full = cv2.copyMakeBorder(pixels, 0, below, 0, beside, cv2.BORDER_REPLICATE)
    luma, red, blue = cv2.split(cv2.cvtColor(full, cv2.COLOR_RGB2YCrCb))
    return [
        cv2.resize(
            plane,
            (columns * horizontal * _SIDE, rows * vertical * _SIDE),
            interpolation=cv2.INTER_AREA,
        )
        for plane, (vertical, horizontal) in zip((luma, blue, red), layout.factors_vh, strict=False)
    ]


@cache
def _library() -> Any:
    """libjpeg-turbo's coefficients; jpeglib's own functions copy the original to a file on disk."""
    import jpeglib  # noqa: PLC0415 - an optional extra
    from jpeglib._bind import CJpegLib  # noqa: PLC0415

    jpeglib.version.set("turbo210")
    return CJpegLib


def _read(bare: bytes, layout: _Layout) -> tuple[list[NDArray[np.int16]], NDArray[np.uint16]]:
    """Coefficients int16 (rows, columns, 8, 8) and quantisation tables (8, 8) by component."""
    count = len(layout.factors_vh)
    coefficients = [np.zeros((*layout.blocks_hw(i), _SIDE, _SIDE), np.int16) for i in range(count)]
    tables, numbers = np.zeros((4, _SIDE, _SIDE), np.uint16), np.zeros(4, np.int16)
    file = os.memfd_create("original")
    try:
        with open(file, "wb", closefd=False) as stream:
            stream.write(bare)
        _library().read_jpeg_dct(
            f"/proc/self/fd/{file}", *_four(coefficients), _pointer(tables), _pointer(numbers)
        )
    finally:
        os.close(file)
    return coefficients, tables[numbers[:count]]


def _write(
    coefficients: Sequence[NDArray[np.int16]], tables: NDArray[np.uint16], layout: _Layout
) -> bytes:
    """A baseline JPEG of one interleaved scan, with its own Huffman tables."""
    count = len(coefficients)
    shapes = np.array([one.shape[:2] for one in coefficients], np.int32)
    file = os.memfd_create("redacted")
    try:
        _library().write_jpeg_dct(
            srcfile=None,
            dstfile=f"/proc/self/fd/{file}",
            **dict(zip(("Y", "Cb", "Cr", "K"), _four(coefficients), strict=True)),
            image_dims=_pointer(np.array(layout.size_hw, np.int32)),
            block_dims=_pointer(shapes),
            in_color_space=_GREY if count == 1 else _YCBCR,
            in_components=count,
            samp_factor=_pointer(np.array(layout.factors_vh, np.int32)),
            qt=_pointer(tables),
            quality=ctypes.c_short(-1),
            quant_tbl_no=None,
            num_markers=0,
            marker_types=None,
            marker_lengths=None,
            markers=None,
            flags=["+OPTIMIZE_CODING"],
        )
        with open(file, "rb", closefd=False) as stream:
            return stream.read()
    finally:
        os.close(file)


def _four(arrays: Sequence[NDArray[np.int16]]) -> list[ctypes.c_void_p | None]:
    return [*map(_pointer, arrays), *[None] * (4 - len(arrays))]


def _pointer(array: NDArray[Any]) -> ctypes.c_void_p:
    """Where C finds the samples; it keeps the array alive."""
    return array.ctypes.data_as(ctypes.c_void_p)
