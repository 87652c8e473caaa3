"""Detectors: one file each, offering `load(cache, precision)`; see `models.detectors.waste`."""

from typing import Protocol

from models.detections import Detections
from models.redaction import RedactedFrame


class Detector(Protocol):
    """Finds objects in a redacted frame.

    Attributes:
        model: `name@digest` of weights and thresholds.
        names: object classes.
    """

    @property
    def model(self) -> str: ...  # noqa: D102 - see the class

    @property
    def names(self) -> tuple[str, ...]: ...  # noqa: D102 - see the class

    def __call__(self, frame: RedactedFrame) -> Detections: ...  # noqa: D102 - see the class
