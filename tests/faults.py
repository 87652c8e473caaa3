"""A line on the real store whose parts can be made to fail, and a thousand ways to fail."""

import io
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import piexif

from models.detections import Detections
from models.errors import (
    AccessRefused,
    BadImage,
    BadWeights,
    RedactionFailed,
    StorageError,
    StoreFull,
    StoreUnavailable,
)
from models.redaction import Redactor, Region
from services.audit import Witness
from services.eyes import Eyes
from services.pipeline import Item, Line
from services.sites import load_site
from services.storage import Store
from tests.hostile import scene

SITE = load_site(Path(__file__).parents[1] / "examples" / "port-quay.yaml")
WITNESS = Witness("a.martin", SITE.source, b"k" * 32)
NAME = "jeanne-dupont-0612345678"
GPS = (b"47.728912N", b"3.356178W")
FACE = Region((40, 40, 60, 64), "face", 0.9)
ENCODER = "simplejpeg.encode_jpeg"
Q = "quarantined"


def picture(seed=0):
    """A small JPEG with everything in its metadata that must never leave."""
    exif = {
        "0th": {piexif.ImageIFD.Artist: NAME.encode()},
        "GPS": {piexif.GPSIFD.GPSAreaInformation: b"ASCII\0\0\0" + b" ".join(GPS)},
    }
    buffer = io.BytesIO()
    scene((96, 80), seed).save(buffer, "JPEG", quality=85, exif=piexif.dump(exif))
    return buffer.getvalue()


class Finder:
    """A locator that finds one face, unless it is told to do something else."""

    model = "finder@0"
    thresholds = {"face": 0.5}  # noqa: RUF012 - read only

    def __init__(self):
        self.act = lambda pixels: [FACE]

    def __call__(self, pixels, areas=None):
        return self.act(pixels)


class Looker:
    """A detector that finds nothing, unless it is told to do something else."""

    model = "looker@0"
    names = ("thing",)

    def __init__(self):
        self.act = lambda frame: Detections.empty(self.names, frame.pixels.shape[:2])

    def __call__(self, frame):
        return self.act(frame)


class Measure:
    """A purpose that measures nothing, unless it is told to do something else."""

    DETECTORS = ("looker",)

    def __init__(self):
        self.act = lambda view: []

    def measure(self, view):
        return self.act(view)


class Kit:
    """The parts, and a picture in the inbox with the item that names it."""

    def __init__(self, store, seal=None):
        self.finder, self.looker, self.purpose = Finder(), Looker(), Measure()
        self.store, self.seal, self.witness, self.data = store, seal, WITNESS, picture()
        self.item = self.put(f"{NAME}.jpg", self.data)

    @property
    def line(self):
        eyes = Eyes(Redactor([self.finder], cover=["face"]), {"looker": self.looker})
        return Line(self.store, SITE, eyes, {"waste": self.purpose}, self.witness, self.seal)

    def put(self, key, data):
        return Item(key=key, etag=self.store.put("inbox", key, data))

    def published(self):
        return [info.key for info in self.store.list("redacted")]


def raised(kind, text):
    """An error whose message holds `text`; the reason of ours is a code."""
    return kind("injected", text) if kind in (BadImage, RedactionFailed) else kind(text)


def fails(error):
    def act(*_, **__):
        raise error

    return act


def gives(value):
    return lambda *_, **__: value


ERRORS = (
    *(ValueError, TypeError, RuntimeError, SystemError, TimeoutError, MemoryError, OSError),
    *(KeyError, IndexError, ZeroDivisionError, FloatingPointError, RecursionError, AssertionError),
    *(AttributeError, StopIteration, UnicodeError, ConnectionError, ImportError, cv2.error),
    *(BadWeights, BadImage, RedactionFailed, NotImplementedError, EOFError, BufferError),
)
BAD_NUMBERS = (math.nan, math.inf, -math.inf)
NOT_REGIONS = (
    *(None, 1, 0.5, "face", b"face", [None], [1], ["face"], [FACE, None], [(40, 40, 60, 64)]),
    *([{"box": FACE.box}], np.ones((1, 4)), object(), Region, [Region], NotImplemented, [[FACE]]),
    *([Region((40, 40, 60), "face", 0.9)], [Region(None, "face", 0.9)]),
    *([Region("4444", "face", 0.9)], [Region(FACE.box, "face", None)]),
    *([Region(FACE.box, "face", "0.9")], [Region((1j, 2, 3, 4), "face", 0.9)]),
    *([Region(FACE.box, None, 0.9)], [Region(FACE.box, "", 0.9)], [Region(FACE.box, "Face", 0.9)]),
)
NOT_DETECTIONS = (None, 1, "x", [], {}, object(), Detections, [FACE])
NOT_OBSERVATIONS = (None, 1, "x", [None], [1], {"a": 1}, object(), [FACE], [[]])
STORE_ERRORS = (StoreFull, StoreUnavailable, AccessRefused, StorageError)


def bad_regions(rng):
    """Regions with one number that cannot be: not finite, out of range, empty, far outside."""
    for number in BAD_NUMBERS:
        for corner in range(4):
            box = list(FACE.box)
            box[corner] = number
            yield Region(tuple(box), "face", 0.9)
            yield Region(tuple(map(np.float32, box)), "face", 0.9)
        yield Region(FACE.box, "face", number)
        yield Region(FACE.box, "face", np.float32(number))
    for _ in range(40):
        x, y, side = rng.randint(0, 90), rng.randint(0, 70), rng.randint(1, 40)
        far = rng.choice([-1, 1]) * rng.randint(300, 10**9)
        yield Region((x, y, x, y + side), "face", 0.9)
        yield Region((x + side, y, x, y + side), "face", 0.9)
        yield Region((x, y + side, x + side, y), "face", 0.9)
        yield Region((x + far, y, x + far + side, y + side), "face", 0.9)
        yield Region((x, y + far, x + side, y + far + side), "face", 0.9)
        yield Region(FACE.box, "face", rng.choice([-1, 1]) * rng.uniform(1.001, 1e6))


def unclean(rng, clean):
    """Encodings that must not be published: with metadata, something after the end, cut short."""

    def segment(marker, body):
        return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body

    for marker in (*range(0xE1, 0xF0), 0xFE):
        body = rng.choice([b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0", b""])
        yield clean[:2] + segment(marker, body + rng.randbytes(rng.randint(0, 60))) + clean[2:]
        yield clean[:-2] + segment(marker, body) + clean[-2:]
    thumbnail = b"JFIF\0\1\1\0\0\1\0\1\2\2" + bytes(12)
    yield clean[:2] + segment(0xE0, thumbnail) + clean[2:]
    for _ in range(60):
        yield clean + rng.randbytes(rng.randint(1, 400))
        yield clean[: rng.randint(0, len(clean) - 1)]
    yield clean + clean
    yield from (b"", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"\x89PNG\r\n\x1a\n", b"GIF89a")


def put_failing(error, kind=""):
    """`Store.put` as it is, but for the redacted bucket, or for what is of one kind in it."""
    put = Store.put

    def act(self, bucket, key, data, content_type="", *arguments, **options):
        if bucket == "redacted" and content_type.startswith(kind):
            raise error
        return put(self, bucket, key, data, content_type, *arguments, **options)

    return act


def injections(rng, kit, clean):
    """A thousand and more: what must come of it, "quarantined" or an error, and what to break.

    What to break are arguments of `monkeypatch.setattr`; the picture is the kit's `item`.
    """
    yield from _raising(kit)
    yield from _giving_nonsense(rng, kit)
    yield from _encoding(rng, clean)
    yield from _storing()
    yield from _arriving(rng, kit)  # last: it changes the kit's item


def injections_without_a_line(rng, kit, clean):
    """Those that reach a picture which no line processes: no purpose, no store, nothing sealed."""
    parts = (kit.finder, kit.looker, "services.eyes.decode", ENCODER)
    for made in (_raising(kit), _giving_nonsense(rng, kit), _encoding(rng, clean)):
        for expected, breaks in made:
            if all(any(where is part for part in parts) for where, *_ in breaks):
                yield expected, breaks


def injections_into_a_window(rng, kit, clean):
    """What to break while a window of a raster is done; `kit` has finder, heights and purpose."""
    for error in ERRORS:
        broken = raised(error, NAME)
        yield Q, [(kit.finder, "act", fails(broken))]
        yield Q, [(kit.heights, "heights", fails(broken))]
        yield Q, [(kit.purpose, "measure", fails(broken))]
        yield Q, [("services.pipeline.described", fails(broken))]
        yield Q, [("services.tiles.encode", fails(broken))]
        yield Q, [(ENCODER, fails(broken))]
        for kind in ("image/tiff", "image/jpeg"):  # after the heights were written
            yield Q, [(Store, "put", put_failing(broken, kind))]
    for region in bad_regions(rng):
        yield Q, [(kit.finder, "act", gives([FACE, region]))]
    for value in NOT_REGIONS:
        yield Q, [(kit.finder, "act", gives(value))]
    for encoded in unclean(rng, clean):
        yield Q, [(ENCODER, gives(encoded))]


def _raising(kit):
    for error in ERRORS:
        for part in (kit.finder, kit.looker, kit.purpose):
            yield Q, [(part, "act", fails(raised(error, f"{NAME} {GPS}")))]
        yield Q, [("services.pipeline.described", fails(raised(error, NAME)))]
        yield Q, [("services.eyes.decode", fails(raised(error, NAME)))]
        broken = (kit.finder, "act", fails(raised(error, NAME)))
        yield Q, [broken, ("pyrage.encrypt", fails(raised(error, NAME)))]
    for part in (kit.finder, kit.looker, kit.purpose):
        for error in (KeyboardInterrupt, SystemExit, GeneratorExit):
            yield error, [(part, "act", fails(error()))]


def _giving_nonsense(rng, kit):
    for region in bad_regions(rng):
        found = [FACE] * rng.randint(0, 2) + [region] + [FACE] * rng.randint(0, 2)
        yield Q, [(kit.finder, "act", gives(found))]
    for value in NOT_REGIONS:
        yield Q, [(kit.finder, "act", gives(value))]
    for value in NOT_DETECTIONS:
        yield Q, [(kit.looker, "act", gives(value))]
    for number in BAD_NUMBERS:
        facts = replace(Detections.empty(("thing",), (80, 96)), image_scores={"dirty": number})
        yield Q, [(kit.looker, "act", gives(facts))]
    for value in NOT_OBSERVATIONS:
        yield Q, [(kit.purpose, "act", gives(value))]


def _encoding(rng, clean):
    for encoded in unclean(rng, clean):
        yield Q, [(ENCODER, gives(encoded))]
    for value in (None, 1, "jpeg", object(), []):
        yield Q, [(ENCODER, gives(value))]
    for error in ERRORS:
        yield Q, [(ENCODER, fails(raised(error, NAME)))]


def _storing():
    for error in ERRORS:
        yield Q, [(Store, "put", put_failing(raised(error, NAME)))]
    for error in STORE_ERRORS:
        yield error, [(Store, "put", put_failing(error("the store is away")))]


def _arriving(rng, kit):
    yield Q, [(kit, "item", Item(key=kit.item.key, etag="another"))]
    yield Q, [(kit, "item", Item(key="nothing.jpg", etag="gone"))]
    for _ in range(250):  # cut short on its way
        kit.item = kit.put("cut.jpg", kit.data[: rng.randint(0, len(kit.data) - 3)])
        yield Q, []
    for _ in range(60):
        kit.item = kit.put("noise.jpg", rng.randbytes(rng.randint(0, 2000)))
        yield Q, []
