"""A Cloud Optimized GeoTIFF of any size, from one drawn pattern again and again.

GDAL would compress every pixel of it; here a tile of the pattern is compressed once, and its bytes
are written wherever it comes again, so 50,000 px to a side take seconds, memory for the pattern,
and as much of the disk as any JPEG raster.
"""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

PATTERN_PX = 4096
_TILE_PX = 512
_QUALITY = 85
_GRAIN = 6  # standard deviation of the noise, without which JPEG tiles would be small
_TYPES = {"H": 3, "I": 4, "d": 12, "Q": 16}  # struct's letter → TIFF 6.0's, BigTIFF's


class Level(NamedTuple):
    """One resolution: its side in px, and the JPEG tiles that come again along both axes."""

    side_px: int
    tiles: list[list[bytes]]

    def placed(self) -> Iterator[bytes]:
        """All tiles, row by row."""
        count = -(-self.side_px // _TILE_PX)
        for row in range(count):
            for column in range(count):
                yield self.tiles[row % len(self.tiles)][column % len(self.tiles)]


def write_cog(
    path: Path,
    pattern: NDArray[np.uint8],
    side_px: int,
    *,
    gsd_m: float,
    corner: tuple[float, float],
) -> None:
    """Write a square raster in Lambert-93.

    Args:
        path: the file.
        pattern: uint8 (PATTERN_PX, PATTERN_PX, 3) RGB.
        side_px: of the raster.
        gsd_m: metres a px.
        corner: east and north of its upper left corner.
    """
    grain = np.random.default_rng(0).normal(0, _GRAIN, pattern.shape)
    pixels = (pattern + grain).clip(1, 254).astype(np.uint8)
    levels = [Level(side_px, _tiles(pixels))]
    while levels[-1].side_px > _TILE_PX:
        pixels = np.asarray(cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
        if pixels.shape[0] < _TILE_PX:
            pixels = np.tile(pixels, (2, 2, 1))
        levels.append(Level(-(-levels[-1].side_px // 2), _tiles(pixels)))
    sizes = [[len(tile) for tile in level.placed()] for level in levels]
    begin = 16
    begins = []
    for number, counts in enumerate(sizes):
        begins.append(begin)
        begin += len(_directory(number, side_px, counts, counts, gsd_m, corner, 0))
    offsets: list[list[int]] = []
    for counts in reversed(sizes):  # a COG holds the coarsest first
        ends = np.cumsum([begin, *counts])
        offsets.insert(0, ends[:-1].tolist())
        begin = int(ends[-1])
    with path.open("wb") as file:
        file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, begins[0]))
        for number, level in enumerate(levels):
            following = begins[number + 1] if level is not levels[-1] else 0
            args = level.side_px, offsets[number], sizes[number], gsd_m, corner, following
            file.write(_directory(number, *args, begin=begins[number]))
        for level in reversed(levels):
            file.writelines(level.placed())


def _tiles(pixels: NDArray[np.uint8]) -> list[list[bytes]]:
    count = pixels.shape[0] // _TILE_PX
    cut = pixels.reshape(count, _TILE_PX, count, _TILE_PX, 3).swapaxes(1, 2)
    return [
        [simplejpeg.encode_jpeg(np.ascontiguousarray(t), _QUALITY, "RGB", "420") for t in row]
        for row in cut
    ]


def _directory(
    level: int,
    side_px: int,
    offsets: Sequence[int],
    counts: Sequence[int],
    gsd_m: float,
    corner: tuple[float, float],
    following: int,
    begin: int = 0,
) -> bytes:
    """A directory of BigTIFF at byte `begin`, with the values that do not fit into its entries."""
    tags: list[tuple[int, str, Sequence[float]]] = [
        (254, "I", [int(level > 0)]),
        (256, "I", [side_px]),
        (257, "I", [side_px]),
        (258, "H", [8, 8, 8]),
        (259, "H", [7]),  # JPEG
        (262, "H", [6]),  # YCbCr
        (277, "H", [3]),
        (284, "H", [1]),
        (322, "H", [_TILE_PX]),
        (323, "H", [_TILE_PX]),
        (324, "Q", offsets),
        (325, "I", counts),
        (530, "H", [2, 2]),
    ]
    if level == 0:
        tags += [
            (33550, "d", [gsd_m, gsd_m, 0]),
            (33922, "d", [0, 0, 0, *corner, 0]),
            (34735, "H", [1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 2154]),
        ]
    room = 8 + 20 * len(tags) + 8
    entries, values = b"", b""
    for tag, letter, numbers in tags:
        data = struct.pack(f"<{len(numbers)}{letter}", *numbers)
        entries += struct.pack("<HHQ", tag, _TYPES[letter], len(numbers))
        if len(data) > 8:
            entries += struct.pack("<Q", begin + room + len(values))
            values += data + bytes(-len(data) % 8)
        else:
            entries += data.ljust(8, b"\0")
    return struct.pack("<Q", len(tags)) + entries + struct.pack("<Q", following) + values
