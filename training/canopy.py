"""How well heights are told: errors by band, their intervals, and what covers the ground."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.detectors.vegetation import Look, VegetationDetector
from models.heights import LOW_M
from models.parcels import ALIKE, Z90
from training.evaluate import Figure, bootstrap, resampled, told
from training.vegetation import COVERS, Land, read_heights, with_trees

BANDS_M = (LOW_M, 2.0, 5.0, 10.0)
"""Heights from which the next band begins."""

_BLOCK = 128  # cells of the blocks that bootstrap draws: neighbours are not independent
_SPLITS = {"val": ("val",), "test": ("test_inregion", "test_crossregion")}
_TRUTHS = (
    (True, False, ", highest of 3 × 3 cells"),
    (False, False, ", highest of 3 × 3 cells, not registered"),
    (False, True, ", raw cells"),
)
"""Whether heights are registered, whether they are of single cells, and how that is told."""
_LARGE = 40
_PARCELS = (10, 20, _LARGE, 80)  # cells of the sides of squares that stand for parcels


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A piece of land and what the network says of it."""

    land: Land
    look: Look
    sigma: NDArray[np.float32]


def see(detector: VegetationDetector, lands: Iterable[Land]) -> list[Seen]:
    """Look at land as the product does."""
    looks = ((land, detector.look(land.pixels)) for land in lands)
    return [Seen(land, look, detector.sigma(look.spread)) for land, look in looks]


def calibrate(data: Path, folder: Path) -> dict[str, tuple[float, float]]:
    """What the card's calibration says, from the validation split.

    `spread`: slope of sigma on the network's spread, so that 1.645 sigma hold nine of ten heights
    of vegetation.
    """
    detector = VegetationDetector(folder=folder, precision="f32")
    seen = see(detector, read_heights(data, "val"))
    off, spread = (np.concatenate(parts) for parts in zip(*map(_errors, seen), strict=True))
    slope = float(np.quantile(np.abs(off) / (Z90 * spread), 0.9))
    return {"spread": (slope, 0.0)}


def _errors(seen: Seen) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    high = _vegetation(seen.land)
    return (seen.look.metres - seen.land.metres)[high], seen.look.spread[high]


def _vegetation(land: Land) -> NDArray[np.bool_]:
    """Where vegetation stands that is higher than low."""
    return np.nan_to_num(land.metres, nan=-1) >= LOW_M


def _parcels(seen: Sequence[Seen]) -> dict[str, Figure]:
    """Of squares of land that stand for parcels: whether the interval of the mean holds it.

    And the share of sigma (`models.parcels.ALIKE`) at which nine of ten would.
    """
    held, shares, wrong, truths = [], [], [], []
    for one in seen:
        known = np.isfinite(one.land.metres)
        for side, top, left in _squares(known.shape):
            here = np.s_[top : top + side, left : left + side]
            inside = known[here]
            truth = one.land.metres[here][inside]
            if inside.mean() < 0.5 or truth.mean() < LOW_M:
                continue
            off = abs(float(one.look.metres[here][inside].mean() - truth.mean()))
            if side == _LARGE:
                wrong.append(off)
                truths.append(float(truth.mean()))
            shares.append(off / (Z90 * float(one.sigma[here][inside].mean())))
            held.append(float(shares[-1] <= ALIKE))
    values, means = np.array(shares), np.array(truths)
    return {
        "MAE of means of 20 m squares, m": bootstrap(np.array(wrong)),
        "MAE of their median, of 20 m squares, m": bootstrap(np.abs(means - np.median(means))),
        "coverage of 90 % intervals of means": bootstrap(np.array(held)),
        "share of sigma that would hold nine of ten": resampled(
            len(values), lambda chosen: float(np.quantile(values[chosen], 0.9)), len(values)
        ),
    }


def _squares(size_hw: tuple[int, ...]) -> Iterator[tuple[int, int, int]]:
    """Side, top and left of squares of several sizes that tile a piece of land."""
    for side in _PARCELS:
        for top in range(0, size_hw[0] - side + 1, side):
            for left in range(0, size_hw[1] - side + 1, side):
                yield side, top, left


def figures(data: Path, split: str, detector: VegetationDetector) -> dict[str, dict[str, Figure]]:
    """Figures by region, and of covers.

    Heights are those of the highest of 3 × 3 cells, or of single cells. Those that are not
    registered (`training.leaning`) are of what was delivered: heights known perfectly, but as
    far off as these are, would be wrong by as much.

    Args:
        data: the folder of all data.
        split: val, or test once at the end.
        detector: what is measured.
    """
    table: dict[str, dict[str, Figure]] = {}
    for registered, raw, as_told in _TRUTHS:
        lands = [
            land
            for name in _SPLITS[split]
            for land in read_heights(data, name, registered=registered, raw=raw)
        ]
        for region in sorted({land.region for land in lands}):
            own = see(detector, [land for land in lands if land.region == region])
            table[region + as_told] = _heights(_blocks(own)) | _parcels(own)
    marked = with_trees(data, split)
    covered = see(detector, [land for land, _ in marked])
    table["covers"] = _covers(covered) | _crowns(covered, [trees for _, trees in marked])
    return table


def measure(data: Path, folder: Path, split: str) -> Mapping[str, str]:
    """Figures of the weights in a folder as their card tells them."""
    return told(figures(data, split, VegetationDetector(folder=folder, precision="f32")))


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Sums over the cells of a block whose height is known, which bootstrap adds up."""

    sums: dict[str, float]
    right: NDArray[np.intp]
    all: NDArray[np.intp]


def _blocks(seen: Sequence[Seen]) -> list[_Block]:
    high = [one.land.metres[_vegetation(one.land)] for one in seen]
    median = float(np.median(np.concatenate(high)))
    found = []
    for one in seen:
        height, width = one.land.metres.shape
        for top in range(0, height, _BLOCK):
            for left in range(0, width, _BLOCK):
                here = np.s_[top : top + _BLOCK, left : left + _BLOCK]
                known = np.isfinite(one.land.metres[here])
                said, sigma = (part[here][known] for part in (one.look.metres, one.sigma))
                found.append(_block(one.land.metres[here][known], said, sigma, median))
    return found


def _block(
    truth: NDArray[np.float32],
    said: NDArray[np.float32],
    sigma: NDArray[np.float32],
    median: float,
) -> _Block:
    high = truth >= LOW_M
    off = (said - truth)[high]
    bands, told_as = np.digitize(truth, BANDS_M), np.digitize(said, BANDS_M)
    count = len(BANDS_M) + 1
    return _Block(
        {
            "high": float(high.sum()),
            "low": float((~high).sum()),
            "off": float(off.sum()),
            "apart": float(np.abs(off).sum()),
            "median": float(np.abs(truth[high] - median).sum()),
            "held": float((np.abs(off) <= Z90 * sigma[high]).sum()),
            "false": float(said[~high].sum()),
        },
        np.bincount(bands[bands == told_as], minlength=count),
        np.bincount(bands, minlength=count),
    )


_RATES = {
    "MAE, m": ("apart", "high"),
    "MAE of their median, m": ("median", "high"),
    "bias, m": ("off", "high"),
    "said height, m, where low": ("false", "low"),
    "coverage of 90 % intervals": ("held", "high"),
}


def _heights(blocks: Sequence[_Block]) -> dict[str, Figure]:
    sums = {name: np.array([b.sums[name] for b in blocks]) for name in blocks[0].sums}
    right, every = (np.stack([getattr(b, part) for b in blocks]) for part in ("right", "all"))

    def rate(above: str, below: str) -> Figure:
        def figure(chosen: NDArray[np.intp]) -> float:
            return float(sums[above][chosen].sum() / max(sums[below][chosen].sum(), 1))

        return resampled(len(blocks), figure, len(blocks))

    def balanced(chosen: NDArray[np.intp]) -> float:
        of_band = every[chosen].sum(0)
        there = of_band > 0
        return float((right[chosen].sum(0)[there] / of_band[there]).mean())

    return {name: rate(*parts) for name, parts in _RATES.items()} | {
        "balanced accuracy of height bands": resampled(len(blocks), balanced, len(blocks))
    }


def _covers(seen: Sequence[Seen]) -> dict[str, Figure]:
    """Share of each cover's cells that are said to be it; mean over pictures that show it."""
    found = {}
    for i, name in enumerate(COVERS):
        rights = []
        for one in seen:
            here = one.land.covers == 1 << i
            if here.sum() >= 100:
                rights.append(float((one.look.covers.argmax(0)[here] == i).mean()))
        found[f"{name} said to be it"] = bootstrap(np.array(rights, np.float64))
    return found


def _crowns(seen: Sequence[Seen], trees: Sequence[NDArray[np.float32]]) -> dict[str, Figure]:
    """Share of the trees that people marked, at whose mark a tree is said to be; by picture."""
    tree, rights = COVERS.index("tree"), []
    for one, marks in zip(seen, trees, strict=True):
        if len(marks):
            size_xy = np.array(one.land.covers.shape)[::-1]
            x, y = np.minimum(np.floor(marks).astype(int), size_xy - 1).T
            rights.append(float((one.look.covers.argmax(0)[y, x] == tree).mean()))
    return {"marked trees said to be one": bootstrap(np.array(rights, np.float64))}
