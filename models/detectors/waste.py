"""Waste containers, waste lying about, and the state of each container.

Classes: `container`, `waste`. States: `clean`, `minor_litter`, `side_waste`, `overflow`. Fact about
the image: `dirty`, the calibrated probability that waste lies beside or over a container, or dumped
alone.

Pictures from straight above (`gsd_m` is known) are looked at in squares at one scale. The network
learned these from drawn scenes alone: how well it does on real ones, nobody has measured.
"""

from pathlib import Path

from models.backends import Precision
from models.detections import Detections
from models.redaction import RedactedFrame
from models.runtime import Runtime

MAX_GSD_M = 0.03 * 1.02
"""Ground sampling distance up to which waste can be seen from above: a bag is some 10 px. That is
3 cm, and 2 % more, as a projection's metres are not quite those of the ground."""

_GSD_M = 0.025  # as drawn scenes have it


class WasteDetector:
    """`RedactedFrame` → containers with their state, and waste."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    @property
    def model(self) -> str:
        """`waste@digest`."""
        return self._runtime.card.model

    @property
    def names(self) -> tuple[str, ...]:
        """Object classes."""
        return self._runtime.card.architecture.names

    def __call__(self, frame: RedactedFrame) -> Detections:
        """Detect at the thresholds of the model card; nothing where a px shows too much ground."""
        if frame.gsd_m is None:
            return self._runtime.detect(frame.pixels)
        if frame.gsd_m > MAX_GSD_M:
            return Detections.empty(self.names, frame.pixels.shape[:2])
        return self._runtime.detect_tiled(frame.pixels, frame.gsd_m / _GSD_M)


def load(cache: Path | None = None, precision: Precision = "int8") -> WasteDetector:
    """The shipped waste detector.

    Raises:
        BadWeights: its weights are missing or damaged.
    """
    return WasteDetector(Runtime("waste", cache=cache, precision=precision))
