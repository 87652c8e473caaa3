"""Probabilities as the logarithm of their odds, in which evidence adds up, and back."""

import math


def log_odds(probability: float, surest: float) -> float:
    """Logarithm of the odds of a probability, which counts for no surer than `surest`, either way.

    Args:
        probability: 0 to 1.
        surest: above 0.5 and below 1.
    """
    sure = min(max(probability, 1 - surest), surest)
    return math.log(sure / (1 - sure))


def probability(log_odds: float) -> float:
    """The probability, 0 to 1, whose odds have this logarithm."""
    return 1 / (1 + math.exp(-log_odds))
