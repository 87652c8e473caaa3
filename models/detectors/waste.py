"""Waste containers, waste lying about, and the state of each container.

Classes: `container`, `waste`. States: `clean`, `side_waste`, `overflow`. Fact about the image:
`dirty`, the calibrated probability that waste lies beside or over a container, or dumped alone.
"""

from pathlib import Path

from models.backends import Precision
from models.detections import Detections
from models.redaction import RedactedFrame
from models.runtime import Runtime


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
        """Detect at the thresholds of the model card."""
        return self._runtime.detect(frame.pixels)


def load(cache: Path | None = None, precision: Precision = "int8") -> WasteDetector:
    """The shipped waste detector.

    Raises:
        BadWeights: its weights are missing or damaged.
    """
    return WasteDetector(Runtime("waste", cache=cache, precision=precision))
