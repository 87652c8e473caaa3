"""What is fitted on validation: probabilities from scores, and the threshold of a decision."""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score


def temperature(said: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """Slope on the logits of states that makes their softmax most likely (Guo et al., 2017)."""
    logits = np.log(np.clip(said, 1e-9, 1))

    def unlikely(slope: float) -> float:
        scaled = slope * logits
        return float((np.logaddexp.reduce(scaled, 1) - scaled[np.arange(len(truth)), truth]).sum())

    slopes = np.exp(np.linspace(np.log(0.05), np.log(5), 200))
    return round(float(min(slopes, key=unlikely)), 4) if len(truth) else 1.0


def balanced_threshold(said: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """The probability from which on "yes" gives the best balanced accuracy."""
    levels = np.unique(said)
    middles = np.concatenate([[0.5], (levels[1:] + levels[:-1]) / 2])
    rates = [balanced_accuracy_score(truth, said >= level) for level in middles]
    return round(float(middles[int(np.argmax(rates))]), 3)


def platt(logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and offset that make sigmoid(slope · logit + offset) a probability (Platt 1999)."""
    model = LogisticRegression().fit(logits[:, None], truth)
    return round(float(model.coef_[0, 0]), 4), round(float(model.intercept_[0]), 4)
