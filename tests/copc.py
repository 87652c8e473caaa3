"""Writes the smallest COPC, which laspy can only read."""

import struct
from pathlib import Path

import laspy


def write_copc(path: Path, laz: Path) -> None:
    """The smallest COPC: all points in the octree's root (https://copc.io, 1.0)."""
    file = laspy.read(laz)
    assert len(file.points) <= 50_000  # one chunk of LAZ
    file.header.vlrs.insert(0, laspy.VLR("copc", 1, "", bytes(160)))
    file.write(path)
    data = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", data, 96)
    (table,) = struct.unpack_from("<q", data, start)
    root = struct.pack("<iiiiQii", 0, 0, 0, 0, start + 8, table - start - 8, len(file.points))
    evlr = len(data)
    data += struct.pack("<H16sHQ32s", 0, b"copc", 1000, len(root), b"") + root
    struct.pack_into("<QI", data, 235, evlr, 1)
    middle = (file.header.mins + file.header.maxs) / 2
    info = struct.pack("<5d2Q2d", *middle, 100.0, 1.0, evlr + 60, len(root), 0.0, 0.0)
    at = data.index(b"copc") - 2 + 54
    data[at : at + len(info)] = info
    path.write_bytes(data)
