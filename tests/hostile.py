"""Bad and odd pictures, drawn by code: what cameras, networks and attackers send."""

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import piexif
from PIL import Image
from PIL.PngImagePlugin import PngInfo

REDACTED = "redacted"
SECRET = b"CONFIDENTIAL-METADATA"  # stands in every piece of metadata: no output may hold it
_SIZE_WH = (200, 136)  # no multiple of 16, so that borders are tested too
_PNG = b"\x89PNG\r\n\x1a\n"

Drawn = tuple[str, bytes, str]


def write_all(folder: Path) -> list[tuple[str, str]]:
    """Write every input to `folder`.

    Returns:
        file name, and "redacted" or the reason of the BadImage it must give, for each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    expected = []
    for name, data, outcome in draw_all():
        (folder / name).write_bytes(data)
        expected.append((name, outcome))
    return expected


def draw_all() -> Iterator[Drawn]:
    """File name, content, and "redacted" or the reason of the BadImage, of every input."""
    for draw in (
        _odd_samples,
        _orientations,
        _metadata,
        _disguised,
        _truncated,
        _damaged,
        _moving,
        _too_big_or_small,
    ):
        yield from draw()


def scene(size_wh: tuple[int, int] = _SIZE_WH, seed: int = 0) -> Image.Image:
    """A street of coloured blocks: RGB, no face, no two quarters alike."""
    width, height = size_wh
    rng = np.random.default_rng(seed)
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[...] = np.linspace(60, 220, width)[:, None]
    pixels[height // 2 :] = (90, 90, 95)
    for _ in range(12):
        x, y = rng.integers(0, max(1, width - 20)), rng.integers(0, max(1, height - 20))
        pixels[y : y + 20, x : x + 24] = rng.integers(0, 255, 3)
    return Image.fromarray(pixels)


def save(image: Image.Image, kind: str, **options: object) -> bytes:
    """`image` as a file of this Pillow format."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(tags: dict[str, dict[int, object]], thumbnail: bytes | None = None) -> bytes:
    """An EXIF block, header included, from piexif's dictionaries ("0th", "Exif", "GPS")."""
    return piexif.dump({**tags, **({"thumbnail": thumbnail, "1st": {}} if thumbnail else {})})


def insert(jpeg: bytes, marker: int, payload: bytes) -> bytes:
    """`jpeg` with one more segment right behind its start."""
    segment = struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload
    return jpeg[:2] + segment + jpeg[2:]


def png(header: tuple[int, int, int, int], rows: bytes, *more: bytes) -> bytes:
    """A PNG of (width, height, bits, colour type) with correct checksums and raw `rows`."""
    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", *header, 0, 0, 0))
    return b"".join((_PNG, ihdr, *more, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")))


def chunk(kind: bytes, payload: bytes) -> bytes:
    """A PNG chunk with its checksum."""
    crc = zlib.crc32(kind + payload)
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", crc)


def grey16() -> Image.Image:
    """16-bit grey from 0 to 65535, left to right."""
    width, height = _SIZE_WH
    row = np.linspace(0, 65535, width).astype(np.uint16)
    return Image.fromarray(np.tile(row, (height, 1)))


def _patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def _without_segment(jpeg: bytes, marker: int) -> bytes:
    at = jpeg.index(bytes((0xFF, marker)))
    return jpeg[:at] + jpeg[at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big") :]


def _odd_samples() -> Iterator[Drawn]:
    picture = scene()
    width, height = _SIZE_WH
    layer = picture.copy()
    layer.putalpha(Image.linear_gradient("L").resize(_SIZE_WH))
    palette = picture.convert("P", palette=Image.Palette.ADAPTIVE)
    cmyk = save(picture.convert("CMYK"), "JPEG")
    rows16 = (b"\0" + np.arange(width * 3, dtype=">u2").tobytes()) * height
    third = (b"\0" + bytes([200]) * width) * (height // 3)
    good: dict[str, bytes] = {
        "plain.jpg": save(picture, "JPEG"),
        "grey.jpg": save(picture.convert("L"), "JPEG"),
        "progressive.jpg": save(picture, "JPEG", progressive=True),
        "cmyk_adobe.jpg": cmyk,
        "cmyk_no_adobe.jpg": _without_segment(cmyk, 0xEE),
        "grey16.png": save(grey16(), "PNG"),
        "rgb16.png": png((width, height, 16, 2), rows16),
        "palette_transparent.png": save(palette, "PNG", transparency=bytes(range(256))),
        "rgba.png": save(layer, "PNG"),
        "grey_alpha.png": save(layer.convert("LA"), "PNG"),
        "one_bit.png": save(picture.convert("1"), "PNG"),
        "interlaced.png": _interlaced(),
        "a_third_of_its_rows.png": png((width, height, 8, 0), third),  # the rest comes out black
        "lossy.webp": save(picture, "WEBP"),
        "lossless_alpha.webp": save(layer, "WEBP", lossless=True),
        "grey16.tif": save(grey16(), "TIFF"),
        "grey16_deflate.tif": save(grey16(), "TIFF", compression="tiff_deflate"),
        "cmyk.tif": save(picture.convert("CMYK"), "TIFF"),
        "palette.tif": save(palette, "TIFF"),
        "rgba_lzw.tif": save(layer, "TIFF", compression="tiff_lzw"),
        "jpeg_inside.tif": save(picture, "TIFF", compression="jpeg"),
    }
    for name, data in good.items():
        yield name, data, REDACTED
    floats = Image.fromarray(np.eye(height, width, dtype=np.float32))
    yield "float.tif", save(floats, "TIFF"), "unsupported_samples"
    yield "int32.tif", save(floats.convert("I"), "TIFF"), "unsupported_samples"
    twelve_bits = save(picture, "JPEG")
    frame_header = twelve_bits.index(b"\xff\xc0")
    yield "twelve_bits.jpg", _patched(twelve_bits, frame_header + 4, b"\x0c"), "unsupported_format"


def _interlaced() -> bytes:
    """Adam7 (PNG specification, section 8.1) of one grey."""
    width, height = _SIZE_WH
    steps = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
    rows = b""
    for x, y, dx, dy in (*steps, (0, 1, 1, 2)):
        rows += (b"\0" + b"\x80" * len(range(x, width, dx))) * len(range(y, height, dy))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return _PNG + body


def _orientations() -> Iterator[Drawn]:
    picture = scene()
    for orientation in range(1, 9):
        block = exif({"0th": {piexif.ImageIFD.Orientation: orientation}})
        yield f"orientation_{orientation}.jpg", save(picture, "JPEG", exif=block), REDACTED
    block = exif({"0th": {piexif.ImageIFD.Orientation: 9}})
    yield "orientation_9.jpg", save(picture, "JPEG", exif=block), REDACTED
    block = exif({"0th": {piexif.ImageIFD.Orientation: 6}})
    other = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta tiff:Orientation='3'/>"
    contradicting = insert(save(picture, "JPEG", exif=block), 0xE1, other)
    yield "orientation_contradicting.jpg", contradicting, REDACTED
    yield "orientation_6.png", save(picture, "PNG", exif=block), REDACTED
    yield "orientation_6.webp", save(picture, "WEBP", exif=block), REDACTED
    upright = Image.Exif()
    upright[piexif.ImageIFD.Orientation] = 6
    yield "orientation_6.tif", save(picture, "TIFF", exif=upright), REDACTED


def _metadata() -> Iterator[Drawn]:
    picture = scene()
    jpeg = save(picture, "JPEG")
    huge = exif({"Exif": {piexif.ExifIFD.MakerNote: SECRET * (60_000 // len(SECRET))}})
    thumbnail = insert(save(scene((64, 48), seed=9), "JPEG"), 0xFE, SECRET)
    north = ((48, 1), (51, 1), (30, 1))
    located = exif(
        {
            "0th": {piexif.ImageIFD.Artist: SECRET, piexif.ImageIFD.Orientation: 1},
            "Exif": {piexif.ExifIFD.DateTimeOriginal: b"2025:06:01 12:00:00"},
            "GPS": {piexif.GPSIFD.GPSLatitudeRef: b"N", piexif.GPSIFD.GPSLatitude: north},
        },
        thumbnail,
    )
    text = PngInfo()
    text.add_text("Author", SECRET.decode(), zip=True)
    text.add_itxt("XML:com.adobe.xmp", f"<x:xmpmeta>{SECRET.decode()}</x:xmpmeta>")
    xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>" + SECRET + b"</x:xmpmeta>"
    good: dict[str, bytes] = {
        "huge_exif.jpg": save(picture, "JPEG", exif=huge),
        "gps_and_thumbnail.jpg": save(picture, "JPEG", exif=located),
        "gps_and_thumbnail.webp": save(picture, "WEBP", exif=located),
        "text.png": save(picture, "PNG", pnginfo=text, exif=located),
        "artist.tif": save(picture, "TIFF", tiffinfo={piexif.ImageIFD.Artist: SECRET.decode()}),
        "xmp.jpg": insert(jpeg, 0xE1, xmp),
        "icc.jpg": insert(jpeg, 0xE2, b"ICC_PROFILE\0\1\1" + SECRET),
        "iptc.jpg": insert(jpeg, 0xED, b"Photoshop 3.0\0" + SECRET),
        "comment.jpg": insert(jpeg, 0xFE, SECRET),
        "corrupt_exif.jpg": insert(jpeg, 0xE1, b"Exif\0\0MM\0*\xff\xff\xff\xf0" + SECRET),
        "looping_exif.jpg": insert(
            jpeg, 0xE1, b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0" + SECRET
        ),
        "two_exif.jpg": insert(save(picture, "JPEG", exif=located), 0xE1, b"Exif\0\0" + SECRET),
        "trailing_zip.jpg": jpeg + b"PK\x03\x04" + SECRET,
        "trailing_picture.jpg": jpeg + thumbnail,
        "trailing.png": save(picture, "PNG") + SECRET,
    }
    for name, data in good.items():
        yield name, data, REDACTED


def _disguised() -> Iterator[Drawn]:
    picture = scene()
    jpeg = save(picture, "JPEG")
    page = b"<!doctype html><script>alert(1)</script>" + SECRET
    yield "png_inside.jpg", save(picture, "PNG"), REDACTED
    yield "polyglot_html.jpg", insert(jpeg, 0xFE, b"-->" + page + b"<!--"), REDACTED
    yield "empty.jpg", b"", "empty"
    yield "zeros.jpg", bytes(5000), "not_an_image"
    yield "text.jpg", b"This is not a picture. " * 40, "not_an_image"
    yield "page.jpg", page, "not_an_image"
    yield "archive.png", b"PK\x03\x04" + bytes(200), "not_an_image"
    yield "picture_after_text.jpg", b"GET / HTTP/1.1\r\n\r\n" + jpeg, "not_an_image"
    drawing = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>'
    yield "drawing.svg", drawing, "unsupported_format"
    yield "document.pdf", b"%PDF-1.7\n" + jpeg, "unsupported_format"
    yield "film.mp4", b"\0\0\0\x18ftypisom" + bytes(100), "unsupported_format"
    yield "phone.heic", b"\0\0\0\x18ftypheic" + bytes(100), "unsupported_format"
    yield "bitmap.bmp", save(picture, "BMP"), "unsupported_format"
    yield "still.gif", save(picture, "GIF"), "unsupported_format"


def _truncated() -> Iterator[Drawn]:
    jpeg = save(scene(), "JPEG")
    for name, end in {"magic": 3, "header": 100, "half": len(jpeg) // 2, "tail": -2}.items():
        yield f"truncated_{name}.jpg", jpeg[:end], "truncated"
    for kind, suffix in (("PNG", "png"), ("WEBP", "webp"), ("TIFF", "tif")):
        data = save(scene(), kind)
        yield f"truncated_half.{suffix}", data[: len(data) // 2], "truncated"


def _damaged() -> Iterator[Drawn]:
    jpeg = save(scene(), "JPEG")
    size_at = jpeg.index(b"\xff\xc0") + 5
    middle = len(jpeg) * 2 // 3
    rubbish = np.random.default_rng(1).integers(0, 255, 80, np.uint8).tobytes()
    yield "garbage_in_the_middle.jpg", _patched(jpeg, middle, rubbish), "damaged"
    yield "marker_length_0.jpg", insert(jpeg, 0xE1, b"")[:4] + b"\0\0" + jpeg[2:], "damaged"
    yield "marker_length_short.jpg", _patched(jpeg, 4, b"\x00\x09"), "damaged"
    yield "marker_length_long.jpg", _patched(jpeg, 4, b"\xff\xff"), "truncated"
    yield "claims_more_rows.jpg", _patched(jpeg, size_at, b"\x03\xe8"), "damaged"
    yield "claims_fewer_rows.jpg", _patched(jpeg, size_at, b"\x00\x20"), "damaged"
    yield "claims_no_rows.jpg", _patched(jpeg, size_at, b"\x00\x00"), "damaged"
    image = save(scene(), "PNG")
    checksum_at = image.index(b"IEND") - 8
    yield "wrong_checksum.png", _patched(image, checksum_at, b"\0\0\0\0"), "damaged"
    yield "wrong_header_checksum.png", _patched(image, 29, b"\0\0\0\0"), "damaged"
    picture = save(scene(), "WEBP")
    yield "garbage.webp", _patched(picture, 30, rubbish), "damaged"
    tiff = save(scene(), "TIFF")
    yield "endless_directory.tif", _patched(tiff, 4, b"\xff\xff\xff\x7f"), "damaged"
    scans = save(scene(), "JPEG", progressive=True)
    last = scans.rindex(b"\xff\xda")
    yield "many_scans.jpg", scans[:-2] + scans[last:-2] * 500 + scans[-2:], "too_many_scans"


def _moving() -> Iterator[Drawn]:
    frames = [scene(seed=seed) for seed in range(3)]
    for name, kind, outcome in (
        ("animated.gif", "GIF", "unsupported_format"),
        ("animated.png", "PNG", "animated"),
        ("animated.webp", "WEBP", "animated"),
        ("pages.tif", "TIFF", "animated"),
    ):
        yield name, save(frames[0], kind, save_all=True, append_images=frames[1:]), outcome


def _too_big_or_small() -> Iterator[Drawn]:
    side = 30_000
    rows = (b"\0" + bytes(side // 8)) * side
    yield "bomb.png", png((side, side, 1, 0), rows), "too_many_pixels"
    jpeg = save(scene(), "JPEG")
    size_at = jpeg.index(b"\xff\xc0") + 5
    yield "claims_65500.jpg", _patched(jpeg, size_at, b"\xff\xdc\xff\xdc"), "too_many_pixels"
    canvas = b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x3f\0\xff\x3f\0"
    yield "claims_16384.webp", canvas, "too_many_pixels"
    yield "one_pixel.png", save(scene((1, 1)), "PNG"), "too_small"
    yield "one_column.jpg", save(scene((1, 5000)), "JPEG"), "too_small"
    yield "ribbon.jpg", save(scene((5000, 20)), "JPEG"), "extreme_aspect"
