"""The parrot attack on our covers and on others': `python -m benchmarks.attack_redaction [FACES]`.

See training/attack.py. The photographs have no names, so a probe is another view of the same one:

- same: the very photograph, covered anew. No attacker can have more.
- varied: mirrored, moved, turned, relit and compressed again.

On random ground only the face itself can match: that is what is promised of a cover. On its own
ground, given for information, whatever is visible beside the face helps too.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import cv2
import numpy as np
import simplejpeg
import torch

from benchmarks import peer_deface
from benchmarks.pictures import DATA, labelled
from benchmarks.record import percent, rate, record
from models.bare import QUALITY
from models.frame import Frame, decode
from models.redaction import Region, Style, redact
from training import attack
from training.attack import FACE, Descriptor
from training.scenes.scene import Pixels

FACES = 100
MIN_FACE_PX = 24
DEFAULT = "mosaic"
PEER = "Gaussian of deface"
# A draw of all that is random has one hit by chance, however many faces there are: a figure near
# chance takes many draws.
DRAWS = {DEFAULT: 20}
CELLS = 4
NOW = datetime(2026, 1, 1, tzinfo=UTC)

Figure = tuple[float, float, float]
Cover = Callable[[Pixels], Pixels]
Ground = Callable[[Pixels, np.random.Generator], Pixels]


def ours(style: Style) -> Cover:
    def cover(picture: Pixels) -> Pixels:
        frame = Frame("attack.jpg", picture, "attack", NOW, "object")
        region = Region(FACE, "face", 1.0)
        made = redact(frame, [region], redactor="attack@0", style=style)
        return simplejpeg.decode_jpeg(made.encoded, "RGB")

    return cover


def published(picture: Pixels) -> Pixels:
    return simplejpeg.decode_jpeg(simplejpeg.encode_jpeg(picture, QUALITY, "RGB", "420"), "RGB")


def deface(picture: Pixels) -> Pixels:
    covered = picture.copy()
    peer_deface.blur(covered, peer_deface.grown(list(FACE), covered.shape[:2]))
    return published(covered)


def block_means(picture: Pixels) -> Pixels:
    """Pixelation as it is known: each cell the mean of what it covers."""
    covered = picture.copy()
    x1, y1, x2, y2 = FACE
    means = cv2.resize(covered[y1:y2, x1:x2], (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    covered[y1:y2, x1:x2] = cv2.resize(means, (x2 - x1, y2 - y1), interpolation=cv2.INTER_NEAREST)
    return published(covered)


COVERS: Mapping[str, Cover] = {
    DEFAULT: ours("mosaic"),
    "solid": ours("solid"),
    "blur": ours("blur"),
    PEER: deface,
    f"block means, {CELLS} across": block_means,
    "nothing": published,
}
GROUNDS: Mapping[str, Ground] = {
    "random ground": attack.on_random_ground,
    "own ground": lambda face, _: face,
}


def photographs(count: int) -> list[Pixels]:
    """Faces of `MIN_FACE_PX` and more, as many as asked for, evenly from all there are."""
    faces = []
    for path, boxes in labelled("faces"):
        high = boxes[boxes[:, 3] - boxes[:, 1] >= MIN_FACE_PX]
        if len(high):
            frame = decode(path.name, path.read_bytes(), source="faces", stored_at=NOW)
            faces += [attack.photograph(frame.pixels, box) for box in high.tolist()]
    chosen = np.unique(np.linspace(0, len(faces) - 1, min(count, len(faces))).round().astype(int))
    return [faces[i] for i in chosen]


def attacked(
    faces: Sequence[Pixels],
    cover: Cover,
    ground: Ground,
    descriptors: Mapping[str, Descriptor],
    draws: int,
) -> dict[str, Figure]:
    """Top-1 with its 95 % interval over faces, by descriptor and protocol."""
    credits_: dict[str, list[np.ndarray]] = {}
    for draw in range(draws):
        views = {
            "gallery": lambda face, _: face,
            "same": lambda face, _: face,
            "varied": attack.varied,
        }
        covers = {}
        for number, (name, view) in enumerate(views.items()):
            rng = np.random.default_rng((draw, number))
            pictures = [cover(ground(view(face, rng), rng)) for face in faces]
            covers[name] = [attack.face_of(picture) for picture in pictures]
        for name, describe in descriptors.items():
            rows = {view: describe(crops) for view, crops in covers.items()}
            for view in ("same", "varied"):
                won = attack.credits_of(rows["gallery"], rows[view])
                credits_.setdefault(f"{name}, {view}", []).append(won)
    return {
        name: rate(np.mean(rows, 0).tolist(), [1.0] * len(faces)) for name, rows in credits_.items()
    }


def main() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    faces = photographs(int(sys.argv[1]) if len(sys.argv) > 1 else FACES)
    if not faces:
        print(f"skipped: no face pictures in {DATA}; name their folder by VIGIE_DATA")
        return
    descriptors = {
        "pixels": attack.standardised,
        "dlib": attack.open_recogniser(),
        "ImageNet": attack.open_features(),
    }
    chance = 1 / len(faces)
    print(f"{len(faces)} faces, chance {100 * chance:.2f} %: top-1 with 95 % interval\n")
    table: dict[str, dict[str, dict[str, Figure]]] = {}
    for on, ground in GROUNDS.items():
        table[on] = {}
        for style, cover in COVERS.items():
            began = time.perf_counter()
            draws = DRAWS.get(style, 1) if on == "random ground" else 1
            table[on][style] = attacked(faces, cover, ground, descriptors, draws)
            print(f"{on}, {style} ({time.perf_counter() - began:.0f} s)")
            for name, figure in table[on][style].items():
                print(f"    {name:18} {percent(figure)}")
    worst = {
        style: max(f[0] for f in row.values()) for style, row in table["random ground"].items()
    }
    record(
        "attack",
        100 * worst[DEFAULT],
        "% re-identified",
        PEER,
        100 * worst[PEER],
        f"parrot attack, best of three descriptors, {len(faces)} faces, "
        f"chance {100 * chance:.1f} %",
        {"chance": chance, "times_chance": worst[DEFAULT] / chance, "top1": table},
    )


if __name__ == "__main__":
    main()
