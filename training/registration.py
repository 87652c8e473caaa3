"""How far a picture shows beside where it stands what LiDAR measured (see `training.leaning`).

No network is asked, it is found by synthesis: ground, vegetation and buildings, in light and in
shadow, are laid over by some lean, and the one is taken of which these kinds tell most of the
picture's colours (mutual information, Viola & Wells, IJCV 1997, of colours normally distributed
within each kind). Pictures are mosaics of several flights, so it is found block by block, and
chosen so that neighbours agree.
"""

from collections.abc import Mapping, Sequence
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from models.heights import GRID_M
from training.bar import bar
from training.leaning import CLEAR_M, Field, shadows
from training.lidar import BUILDING, NOTHING, VEGETATION, Measured

Sun = tuple[int, int]
"""Degrees, as `shadows` takes them."""

Lean = tuple[float, ...]
"""Four, as in a field."""

Place = tuple[int, int]
"""Row and column of a block."""

_WIDE, _NARROW = 256, 128  # cells, compared at once: first to find leans, then to choose of them
_BEYOND = 72  # cells around it, from where trees may lean into it
_COARSER = 2  # cells to a side of what is compared: so no gaps open between those that lean
_HIDDEN = 6  # shows nothing measured; below: ground, vegetation, building, in light or shadow
_FEWEST = 20  # px, of which a covariance says something
_NOISE = 1.0  # variance of a colour within a kind, at least
_SUNS: list[tuple[int, int]] = [(a, e) for a in range(0, 360, 15) for e in (25, 32, 40, 50, 60)]
"""Degrees: where shadows fall, from rows to columns; elevation of the sun."""
_NEAR = [(a, e) for a in range(-12, 13, 4) for e in range(-6, 7, 2)]
_SAMPLED = 12  # blocks by which the sun is found
_LEANS: list[Lean] = [(0.0, 0.0, r / 10, c / 10) for r in range(-8, 9, 2) for c in range(-8, 9, 2)]
_FEW = [lean for lean in _LEANS if max(map(abs, lean)) in (0.0, 0.4)]
_GOES = ((4, 4, 0.1, 0.1), (2, 2, 0.05, 0.05), (1, 1, 0.025, 0.025))  # steps of the search
_MOST = (8, 8, 0.8, 0.8)  # cells, metres a metre: no camera sees the ground more from the side
_PRICE = 0.05  # nats, of a lean quite unlike that of a neighbour
_SWEEPS = 10


def field_of(measured: Measured) -> Field:
    """By how much a picture shows what was measured elsewhere than where it stands."""
    wide = _widened(measured)
    blocks, size = _blocks(wide, _WIDE)
    sampled = sorted(blocks, key=lambda at: abs(blocks[at].vegetation - 0.25))[:_SAMPLED]
    lit = [blocks[at] for at in sampled]
    sun = _sun(lit, [_FEW] * len(lit), _SUNS)
    near = [(sun[0] + a, sun[1] + e) for a, e in _NEAR]
    sun = _sun(lit, [[block.best()] for block in lit], near)
    for block in blocks.values():
        block.light(sun)
    found = _outvoted(blocks, {at: b.best() for at, b in bar(blocks.items(), "leans")}, 2)
    found = _outvoted(blocks, {at: b.near(found[at]) for at, b in bar(blocks.items(), "again")}, 1)
    narrow, narrow_size = _blocks(wide, _NARROW)
    choices = {}
    for (row, column), block in bar(narrow.items(), "parts"):
        block.light(sun)
        above, left = row * size[0] // narrow_size[0], column * size[1] // narrow_size[1]
        around = product(range(above - 2, above + 3), range(left - 2, left + 3))
        leans = np.array([found[at] for at in around if at in found])
        weight = min(1.0, 0.05 + 2 * block.vegetation)  # ground tells next to nothing of leans
        choices[row, column] = leans, weight * np.array([block.told(lean) for lean in leans])
    return _agreed(choices, narrow_size)


def _widened(measured: Measured) -> Measured:
    """What stands, with nothing around it."""
    beyond = ((_BEYOND, _BEYOND), (_BEYOND, _BEYOND))
    return Measured(
        np.pad(measured.pixels, (*beyond, (0, 0))),
        np.pad(measured.standing(), beyond),
        np.pad(measured.kinds, beyond, constant_values=NOTHING),
    )


def _blocks(wide: Measured, side: int) -> tuple[dict[Place, "_Block"], tuple[int, int]]:
    """Squares of so many cells, half of each in the next one; and how many by how many."""
    starts = []
    for length in (n - 2 * _BEYOND for n in wide.metres.shape):
        count = max(1, round(2 * length / side))
        middles = ((np.arange(count) + 0.5) * length / count).astype(int)
        starts.append(np.clip(middles - side // 2, 0, length - side).tolist())
    rows, columns = starts
    places = product(enumerate(rows), enumerate(columns))
    blocks = {(i, j): _Block(wide, side, row, column) for (i, row), (j, column) in places}
    return blocks, (len(rows), len(columns))


def _outvoted(
    blocks: Mapping[Place, "_Block"], leans: Mapping[Place, Lean], reach: int
) -> dict[Place, Lean]:
    """Of each block and those around it the median, by how much trees tell there.

    Where all trees are as high as each other, a lean and an offset of the ground do the same.
    """
    weights = {at: 1e-6 + b.vegetation * b.told(leans[at]) for at, b in blocks.items()}
    medians = {}
    for row, column in blocks:
        rows, columns = (range(n - reach, n + reach + 1) for n in (row, column))
        around = [at for at in product(rows, columns) if at in blocks]
        near, weigh = (np.array([of[at] for at in around]) for of in (leans, weights))
        order = near.argsort(0)
        half = (np.cumsum(weigh[order], 0) >= weigh.sum() / 2).argmax(0)
        medians[row, column] = tuple(near[order[half, range(4)], range(4)].tolist())
    return medians


def _agreed(
    choices: Mapping[Place, tuple[NDArray[np.float64], NDArray[np.float64]]],
    size_hw: tuple[int, int],
) -> Field:
    """Of the leans that each block may have, those that tell most and are like their neighbours'.

    Where two flights meet they may differ by anything (iterated conditional modes, Besag 1986, with
    a truncated penalty).
    """
    field = np.zeros((*size_hw, 4), np.float32)
    for at, (leans, told) in choices.items():
        others = np.mean([_unlike(leans, other) for other in leans], 0)
        field[at] = leans[(told - 4 * others).argmax()]
    for _ in range(_SWEEPS):
        for (row, column), (leans, told) in choices.items():
            beside = ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1))
            unlike = [_unlike(leans, field[at]) for at in beside if at in choices]
            field[row, column] = leans[(told - np.sum(unlike, 0)).argmax()]
    return field


def _unlike(leans: NDArray[np.float64], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """What it costs, in nats, to have one of these leans (N, 4) beside another (4,)."""
    apart = np.abs(leans - other)
    return np.asarray(
        _PRICE * np.minimum(1, apart[:, 2:].sum(1) / 0.2 + apart[:, :2].sum(1) / 8), np.float64
    )


def _sun(blocks: Sequence["_Block"], leans: Sequence[Sequence[Lean]], suns: Sequence[Sun]) -> Sun:
    """The sun by which most is told at the best of each block's leans; it shines on them."""
    most = {}
    for sun in bar(suns, "suns"):
        told = []
        for block, of in zip(blocks, leans, strict=True):
            block.light(sun)
            told.append(max(map(block.told, of)))
        most[sun] = sum(told)
    best = max(most, key=most.__getitem__)
    for block in blocks:
        block.light(best)
    return best


class _Block:
    """A square of a picture, beside what may be shown there; to be lit before it tells anything."""

    def __init__(self, wide: Measured, side: int, row: int, column: int):
        self._side = side // _COARSER
        around = np.s_[row : row + side + 2 * _BEYOND, column : column + side + 2 * _BEYOND]
        inner = np.s_[_BEYOND:-_BEYOND, _BEYOND:-_BEYOND]
        self._standing, self._of = wide.metres[around], wide.kinds[around]
        high = np.flatnonzero(self._standing.ravel() >= CLEAR_M)
        self._high = high[np.argsort(self._standing.ravel()[high], kind="stable")]
        self._metres = self._standing.ravel()[self._high, None] / GRID_M
        at = np.stack(np.divmod(self._high, self._standing.shape[1]), 1) - _BEYOND
        self._at = at.astype(np.float32)
        trees = (self._of[inner] == VEGETATION) & (self._standing[inner] >= CLEAR_M)
        self.vegetation = float(trees.mean())
        size = self._side, self._side
        small = cv2.resize(wide.pixels[around][inner], size, interpolation=cv2.INTER_AREA)
        colours = cv2.cvtColor(np.asarray(small, np.uint8), cv2.COLOR_RGB2LAB).astype(np.float32)
        light = colours[..., 0]
        rough = cv2.blur(light * light, (5, 5)) - cv2.blur(light, (5, 5)) ** 2
        self._seen = np.asarray(small).any(2)
        self._features = np.dstack([colours, np.sqrt(np.maximum(rough, 0))])[self._seen]
        self._all = _entropy(self._features) if self._seen.mean() >= 0.5 else 0.0

    def light(self, sun: Sun) -> None:
        """Let the sun shine from there: degrees, see `shadows`."""
        height, width = self._standing.shape
        coarse = self._standing[::_COARSER, ::_COARSER]
        small = shadows(coarse, *sun, cell_m=_COARSER * GRID_M).astype(np.uint8)
        dark = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
        kinds = 2 * np.minimum(self._of, BUILDING) + dark
        self._kinds = kinds.ravel()[self._high]
        ground = np.where(self._standing >= CLEAR_M, _HIDDEN, dark)
        self._ground = ground[::_COARSER, ::_COARSER].astype(np.uint8)

    def told(self, lean: Lean) -> float:
        """Nats a pixel that kinds, laid over so, tell of colours."""
        if self._all == 0:
            return 0.0
        top, left = (round((_BEYOND - by) / _COARSER) for by in lean[:2])
        kinds = self._ground[top : top + self._side, left : left + self._side].ravel()
        by, leaning = np.array(lean[:2], np.float32), np.array(lean[2:], np.float32)
        there = np.floor((self._at + by + self._metres * leaning) / _COARSER).astype(np.int32)
        inside = ((there >= 0) & (there < self._side)).all(1)
        rows, columns = there[inside].T
        kinds[rows * self._side + columns] = self._kinds[inside]
        kinds = kinds[self._seen.ravel()]
        left_over = 0.0
        for kind in range(_HIDDEN + 1):
            of_kind = self._features[kinds == kind]
            known = kind != _HIDDEN and len(of_kind) >= _FEWEST
            left_over += len(of_kind) / len(kinds) * (_entropy(of_kind) if known else self._all)
        return self._all - left_over

    def best(self) -> Lean:
        """The lean at which most is told."""
        likely = sorted(((self.told(start), start) for start in _LEANS), reverse=True)[:3]
        return max(self._climb(most, start) for most, start in likely)[1]

    def near(self, lean: Lean) -> Lean:
        """The lean near this one at which most is told."""
        return self._climb(self.told(lean), lean)[1]

    def _climb(self, most: float, lean: Lean) -> tuple[float, Lean]:
        for steps in _GOES:
            gained = True
            while gained:
                gained = False
                for i, by in product(range(4), (-1, 1)):
                    tried = (*lean[:i], lean[i] + by * steps[i], *lean[i + 1 :])
                    may_be = abs(tried[i]) <= _MOST[i]
                    if may_be and (told := self.told(tried)) > most + 1e-5:
                        most, lean, gained = told, tried, True
        return most, lean


def _entropy(colours: NDArray[np.float32]) -> float:
    """Differential entropy (nats) of a normal distribution, but for its constant."""
    spread = np.cov(colours.T) + _NOISE * np.eye(colours.shape[1])
    return float(np.linalg.slogdet(spread)[1]) / 2
