"""Strict decoding of a camera's JPEG, against Pillow, which most would pick."""

import io
from datetime import UTC, datetime

import numpy as np
import simplejpeg
from PIL import Image

from benchmarks.record import milliseconds, record
from models.frame import decode
from training import scenes


def main() -> None:
    scene = scenes.street(np.random.default_rng(0), (1080, 1920))
    data = simplejpeg.encode_jpeg(scene.pixels, quality=90)
    now = datetime.now(UTC)
    ours = milliseconds(lambda: decode("a.jpg", data, source="cam", stored_at=now))
    theirs = milliseconds(lambda: np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    what = "decode 1920×1080 JPEG to oriented RGB with capture time"
    record("decode_1080p", ours, "ms", "Pillow", theirs, what)


if __name__ == "__main__":
    main()
