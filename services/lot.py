"""A car park in its own light: by how much the looks of all its stalls in one picture mislead."""

import numpy as np
from numpy.typing import NDArray

Odds = NDArray[np.float64]

_TRUE = 3.0  # log odds of taken stalls, of free ones negative, where looks do not mislead
_MISLED = 0.5  # standard deviation of what they are off by, before any stall is seen
_UNBOXED = 0.5  # log odds that a stall without a box loses: most vehicles have one
_EXPECTED = 5.0  # taken stalls, and as many free ones, before any is seen
_ROUNDS = 20  # by then it has settled


def shift(looks: Odds, boxes: Odds) -> float:
    """What to add to the log odds of every stall of one picture.

    The look of stalls is learned on other ground, in other light: all of a picture then seem more
    taken, or more free, than they are. Expectation maximisation (Dempster et al., 1977) finds where
    between two groups the threshold lies, and how full the car park is, from the stalls themselves
    and the boxes on them: nobody need label any. Both groups lie as far apart as their variance,
    which is what true log odds do (van Leeuwen and Brümmer, Interspeech 2013).

    Args:
        looks: (N,) log odds that a stall is taken, by its look.
        boxes: (N,) what boxes on it add to them, at least 0.
    """
    variance = 2 * _TRUE
    moved = 0.0
    for _ in range(_ROUNDS):
        taken = 1 / (1 + np.exp(-(looks + moved + boxes - _UNBOXED)))
        full = (taken.sum() + _EXPECTED) / (len(taken) + 2 * _EXPECTED)
        off = (looks - _TRUE * (2 * taken - 1)).sum() / variance
        off /= len(looks) / variance + 1 / _MISLED**2
        moved = float(np.log(full / (1 - full)) - off)
    return moved
