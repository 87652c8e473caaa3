"""Bytes to `Frame`: decode a still picture safely, oriented, with its capture time."""

import re
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from io import BytesIO
from typing import NamedTuple

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from models import capture
from models.errors import BadImage
from models.ground import GEO_TAGS, Ground, read_ground
from models.jpeg import APP1, APP14, SOS, jpeg_segments

TimeSource = capture.TimeSource
Position = capture.Position

# Pillow's plug-ins are called directly: `Image.open` would guess among forty formats.
_JPEG_MAGIC = b"\xff\xd8\xff"
_PLUGINS: dict[bytes, type[ImageFile]] = {
    b"\x89PNG\r\n\x1a\n": PngImageFile,
    b"II*\0": TiffImageFile,
    b"MM\0*": TiffImageFile,
}
_OTHER_FORMATS = re.compile(
    rb"GIF8|%PDF|BM|8BPS|II\+\0|MM\0\+|.{4}ftyp|.{4}JXL |.{4}jP  |\s*(<\?xml.*?)?<svg", re.DOTALL
)
_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}

_MAX_SCANS = 100  # a progressive file of a few kB may ask for thousands of passes over all pixels


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One still picture, personal data included: never leaves the process before redaction.

    Attributes:
        key: object key.
        pixels: uint8 (H, W, 3) RGB, EXIF orientation applied, read-only.
        source: camera or survey id.
        captured_at: aware UTC datetime.
        time_source: where `captured_at` comes from.
        ground: georeference, or None.
        position: where EXIF says that it was taken, coarse (`models.capture.read_position`).
        gsd_m: metres of ground that a px shows in a picture from straight above; None for others.
    """

    key: str
    pixels: NDArray[np.uint8]
    source: str
    captured_at: datetime
    time_source: TimeSource
    ground: Ground | None = None
    position: Position | None = None
    gsd_m: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a picture may cost: file size, width × height, long ÷ short side, short side.

    All are checked from the header, before memory is taken for pixels, of a TIFF's tiles too.
    """

    max_bytes: int = 64 * 2**20
    max_pixels: int = 100_000_000
    max_aspect: float = 20
    min_side_px: int = 16

    def check(self, height: int, width: int) -> None:
        """Refuse pictures of a size outside the limits.

        Raises:
            BadImage: too_many_pixels, too_small, extreme_aspect.
        """
        short, long = sorted((height, width))
        if short * long > self.max_pixels:
            raise BadImage("too_many_pixels", f"{width}×{height} px")
        if short < self.min_side_px:
            raise BadImage("too_small", f"{width}×{height} px")
        if long > self.max_aspect * short:
            raise BadImage("extreme_aspect", f"{width}×{height} px")


def decode(
    key: str,
    data: bytes,
    *,
    source: str,
    stored_at: datetime,
    key_time: datetime | None = None,
    zone: tzinfo = UTC,
    gsd_m: float | None = None,
    limits: Limits | None = None,
) -> Frame:
    """Decode a JPEG, PNG, WebP or TIFF still; what it is, its bytes say, never its name.

    Transparent pictures are laid on white, 16-bit samples scaled to 8. Colour profiles are not
    applied.

    The capture time is EXIF's DateTimeOriginal, with OffsetTimeOriginal or else as local time of
    the camera; else the time in the key; else `stored_at`. A time before 1990 or more than a day
    after `stored_at` is not believed, and the next source is asked.

    Args:
        key: object key.
        data: the file.
        source: camera or survey id.
        stored_at: aware time at which the object was stored.
        key_time: aware time that the key holds, or None.
        zone: the camera's time zone, for times without an offset.
        gsd_m: of a picture from straight above; what a GeoTIFF says of itself comes first.
        limits: `Limits()` when None.

    Raises:
        BadImage: empty, not_an_image, unsupported_format, unsupported_samples, animated,
            truncated, damaged, too_many_bytes, too_many_pixels, too_many_scans, too_small,
            extreme_aspect, out_of_memory.
    """
    limits = limits or Limits()
    if not data:
        raise BadImage("empty")
    if len(data) > limits.max_bytes:
        raise BadImage("too_many_bytes", f"{len(data)} bytes")
    try:
        pixels, tags, exif, ground = _decode_any(data, limits)
    except MemoryError as error:
        raise BadImage("out_of_memory") from error
    pixels = np.ascontiguousarray(pixels)
    pixels.setflags(write=False)
    captured_at, time_source = capture.time_of(tags, key_time, zone, stored_at)
    position = capture.read_position(exif, tags)
    if ground is not None:
        gsd_m = ground.gsd_m(pixels.shape[:2])
    return Frame(key, pixels, source, captured_at, time_source, ground, position, gsd_m)


class _Decoded(NamedTuple):
    """Pixels, EXIF tags, the bytes that they lie in, the georeference."""

    pixels: NDArray[np.uint8]
    tags: capture.Tags
    exif: bytes
    ground: Ground | None = None


def _decode_any(data: bytes, limits: Limits) -> _Decoded:
    if data.startswith(_JPEG_MAGIC):
        return _decode_jpeg(data, limits)
    for magic, plugin in _PLUGINS.items():
        if data.startswith(magic):
            return _decode_pillow(data, plugin, limits)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        if int.from_bytes(data[4:8], "little") + 8 > len(data):
            raise BadImage("truncated")
        return _decode_pillow(data, WebPImageFile, limits)
    if _OTHER_FORMATS.match(data[:1024]):
        raise BadImage("unsupported_format")
    raise BadImage("not_an_image")


def _decode_jpeg(data: bytes, limits: Limits) -> _Decoded:
    exif, scans, adobe = b"", 0, False
    for marker, start, end in jpeg_segments(data):
        if marker == APP1 and not exif and data.startswith(b"Exif\0\0", start, end):
            exif = data[start + 6 : end]
        adobe |= marker == APP14 and data.startswith(b"Adobe", start, end)
        scans += marker == SOS
    if scans > _MAX_SCANS:
        raise BadImage("too_many_scans")
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        limits.check(height, width)
        if colours in ("CMYK", "YCCK"):
            inks = simplejpeg.decode_jpeg(data, "CMYK").astype(np.uint16)  # (H, W, 4)
            # Adobe stores 255 − ink (its Technical Note 5116); other writers store the ink.
            light = inks if adobe else 255 - inks
            pixels = (light[..., :3] * light[..., 3:] // 255).astype(np.uint8)
        else:
            pixels = simplejpeg.decode_jpeg(data, "RGB")
    except ValueError as error:
        raise BadImage(_reason(error)) from error
    tags = capture.read_tags(exif)
    return _Decoded(_oriented(pixels, tags.get(capture.ORIENTATION)), tags, exif)


def _decode_pillow(data: bytes, plugin: type[ImageFile], limits: Limits) -> _Decoded:
    try:
        if plugin is WebPImageFile:
            # libwebp takes memory for the whole canvas as soon as it opens the file.
            limits.check(*_webp_size_hw(data))
        tags = capture.read_tags(data) if plugin is TiffImageFile else {}
        _check_tiles(tags, limits)
        image = plugin(BytesIO(data))
        limits.check(image.height, image.width)
        if _has_second_frame(image):
            raise BadImage("animated")
        if plugin is PngImageFile:
            PngImageFile(BytesIO(data)).verify()  # loading alone skips the checksums of pixels
        image.load()
        pixels = _rgb(image)
        tiff = image.tag_v2 if isinstance(image, TiffImageFile) else {}
        geo = {tag: tiff.get(tag) for tag in GEO_TAGS}
    except (BadImage, MemoryError):
        raise
    except Exception as error:  # on hostile input Pillow raises whatever its parsers trip over
        raise BadImage(_reason(error), type(error).__name__) from error
    if plugin is TiffImageFile:
        # Pillow turns TIFF upright itself, which its georeference does not know.
        turned = tags.get(capture.ORIENTATION, 1) != 1
        ground = None if turned else read_ground(geo, pixels.shape[:2])
        return _Decoded(pixels, tags, data, ground)
    exif = image.info.get("exif", b"").removeprefix(b"Exif\0\0")
    tags = capture.read_tags(exif)
    return _Decoded(_oriented(pixels, tags.get(capture.ORIENTATION)), tags, exif)


def _reason(error: Exception) -> str:
    text = str(error).lower()
    if "truncated" in text or "premature end of jpeg" in text:
        return "truncated"
    return "unsupported_format" if "unsupported" in text else "damaged"


def _webp_size_hw(data: bytes) -> tuple[int, int]:
    """Canvas size from the first chunk (RFC 9649, sections 2.5 to 2.7)."""
    if data[12:16] == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
    elif data[12:16] == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    return height, width


def _check_tiles(tags: capture.Tags, limits: Limits) -> None:
    """Refuse large tiles: libtiff takes memory for a whole one, however small the picture is."""
    width, height = (tags.get(side, 0) for side in capture.TILE_SIDES)
    if isinstance(width, str) or isinstance(height, str):
        raise BadImage("damaged", "sides of tiles")
    if width * height > limits.max_pixels:
        raise BadImage("too_many_pixels", f"tiles of {width}×{height} px")


def _has_second_frame(image: ImageFile) -> bool:
    if not isinstance(image, TiffImageFile):
        return bool(getattr(image, "is_animated", False))
    try:
        image.seek(1)  # asking for the number of pages would walk all of a hostile file's
    except EOFError:
        return False
    return True


def _rgb(image: ImageFile) -> NDArray[np.uint8]:
    if image.mode.startswith("I;16"):
        if isinstance(image, TiffImageFile):
            bits, photometric = image.tag_v2.get(258), image.tag_v2.get(262)
            if bits != (16,) or photometric != 1:  # 12 bits, or white is zero
                raise BadImage("unsupported_samples", f"{bits} bits, photometric {photometric}")
        grey = (np.asarray(image).astype(np.float32) / 257).round().astype(np.uint8)  # (H, W)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode not in _MODES:
        raise BadImage("unsupported_samples", image.mode)
    if not image.has_transparency_data:
        return np.array(image.convert("RGB"))
    layer = image.convert("RGBA")
    flat = Image.new("RGB", image.size, "white")
    flat.paste(layer, mask=layer.getchannel("A"))
    return np.array(flat)


def _oriented(pixels: NDArray[np.uint8], orientation: int | str | None) -> NDArray[np.uint8]:
    """Upright (H, W, 3) pixels; an orientation outside EXIF's 1 to 8 is taken for upright."""
    if orientation in (3, 4, 6, 7):
        pixels = pixels[::-1]
    if orientation in (2, 3, 7, 8):
        pixels = pixels[:, ::-1]
    return pixels.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else pixels
