"""What is missed on drawn streets, by day and night: figures, and a gallery that may be published.

`python -m benchmarks.drawn_redaction [STREETS]`. The truth of a drawn scene is complete, so heads
that are turned away, for which no real picture is labelled, are measured here. Training draws with
other seeds.
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.record import ROOT, percent
from models.frame import Frame
from models.redaction import Redactor, Region
from services.opening import open_locators
from services.settings import Settings
from training.labelled import Labelled
from training.privacy.figures import BINS_PX, Look, figures
from training.privacy.labels import FACE, HEAD, PLATE, draw

STREETS = 60  # a third of them by night
SIZE_HW = (960, 1280)
SEED = 7
GALLERY = ROOT / "docs" / "misses.jpg"
TOPICS = {"faces": FACE, "plates": PLATE, "heads": HEAD}
COVER = {
    "faces": ("face", "plate"),
    "plates": ("face", "plate"),
    "heads": ("face", "plate", "head"),
}
TILE_PX, COLUMNS = 112, 8
CONTEXT = 5  # sides of a miss that its tile shows
NOW = datetime(2026, 1, 1, tzinfo=UTC)

Pixels = NDArray[np.uint8]


def tile(published: Pixels, box: NDArray[np.float32]) -> Pixels:
    """A square around a miss as it would be published, the miss outlined."""
    x, y = (box[:2] + box[2:]) / 2
    side = max(CONTEXT * float((box[2:] - box[:2]).max()), 24.0)
    scale = TILE_PX / side
    affine = np.array([[scale, 0, TILE_PX / 2 - scale * x], [0, scale, TILE_PX / 2 - scale * y]])
    seen = cv2.warpAffine(published, affine, (TILE_PX, TILE_PX), flags=cv2.INTER_CUBIC)
    corners = ((box.reshape(2, 2) - [x, y]) * scale + TILE_PX / 2).round().astype(int).tolist()
    cv2.rectangle(seen, corners[0], corners[1], (230, 40, 40), 1)
    return np.asarray(cv2.copyMakeBorder(seen, 1, 1, 1, 1, cv2.BORDER_CONSTANT), np.uint8)


def looks_at(street: Labelled, night: bool, find: Callable[[Pixels], list[Region]]) -> list[Look]:
    assert street.pixels is not None
    found = tuple(find(street.pixels))
    size_hw = street.pixels.shape[0], street.pixels.shape[1]
    return [
        Look(topic, "drawn", night, size_hw, street.boxes[street.labels == label], found)
        for topic, label in TOPICS.items()
    ]


def missed(look: Look, published: Pixels) -> list[Pixels]:
    """Tiles of what one look misses."""
    hits = look.hits(look.mask(dict.fromkeys(COVER[look.topic], 0.0)))
    return [
        tile(published, box)
        for box, hit in zip(look.truth, hits, strict=True)
        if not hit and box[3] - box[1] >= BINS_PX[0]
    ]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else STREETS
    locators = open_locators(Settings())
    redactors = {cover: Redactor(locators, cover=cover) for cover in set(COVER.values())}
    looks: list[Look] = []
    tiles: dict[str, list[Pixels]] = {topic: [] for topic in TOPICS}
    for night in (False, True):
        number = count // 3 if night else count - count // 3
        for street in draw(number, SEED, SIZE_HW, night=night, people=6, cars=5):
            assert street.pixels is not None
            street.pixels.setflags(write=False)
            frame = Frame("drawn.jpg", street.pixels, "drawn", NOW, "object")
            published = {cover: redact(frame).pixels for cover, redact in redactors.items()}
            here = looks_at(street, night, redactors[COVER["heads"]].find)
            looks += here
            for look in here:
                tiles[look.topic] += missed(look, published[COVER[look.topic]])
    for topic, cover in COVER.items():
        table = figures([one for one in looks if one.topic == topic], dict.fromkeys(cover, 0.0))
        print(f"{topic}, covering {', '.join(cover)}: {len(tiles[topic])} missed")
        for name, (value, low, high, n) in table[topic].items():
            print(f"    {name:22} {percent((value, low, high))}, n = {n}")
    shown = [tiles[topic][:COLUMNS] for topic in TOPICS if tiles[topic]]
    if shown:
        blank = np.full((TILE_PX + 2, TILE_PX + 2, 3), 255, np.uint8)
        rows = [np.concatenate(row + [blank] * (COLUMNS - len(row)), 1) for row in shown]
        gallery = np.ascontiguousarray(np.concatenate(rows)[..., ::-1])
        cv2.imwrite(str(GALLERY), gallery, [cv2.IMWRITE_JPEG_QUALITY, 85])
        print(f"gallery, a row each of {', '.join(t for t in TOPICS if tiles[t])}: {GALLERY}")


if __name__ == "__main__":
    main()
