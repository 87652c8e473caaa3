"""Whether a container needs attention: by its look, by waste beside it, by changes of its place."""

import math

from services.odds import log_odds, probability

# Logistic regressions on drawn days (benchmarks/drawn_waste.py): constant, slope on the log odds by
# the detector, slope on the root of the change of colour; and constant and slope on that alone.
_TOGETHER = (-0.61, 2.02, 23.8)
_BY_CHANGE = (-2.2, 25.11)
_SUREST = 0.99  # that the detector's answer counts for, either way


def need(clean: float | None, waste_beside: float, change: float | None = None) -> float:
    """Probability that a container needs attention.

    Its own look and waste found beside it: either is enough (noisy-or), for a full container may
    have nothing beside it, and a bag beside it does not change its look. A fixed camera also knows
    what the place should look like: another colour on top of it speaks for waste, none against it.
    Where the detector misses the container (`clean` is None), that stands for its look.

    Args:
        clean: probability that it is by the look of the container.
        waste_beside: score of the best waste found beside it.
        change: `Change.colour` of its place; None without references.
    """
    if clean is None:
        assert change is not None
        constant, slope = _BY_CHANGE
        return 1 - probability(-constant - slope * math.sqrt(change)) * (1 - waste_beside)
    needs = 1 - clean * (1 - waste_beside)
    if change is None:
        return needs
    constant, by_look, by_change = _TOGETHER
    look = by_look * log_odds(needs, _SUREST)
    return probability(constant + look + by_change * math.sqrt(change))
