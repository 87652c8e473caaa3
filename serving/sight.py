"""What becomes of one picture: decoded, covered, looked at. Runs in a process of its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from models.errors import Reasoned
from models.redaction import Redactor, Region
from services import opening
from services.audit import Witness
from services.eyes import Eyes
from services.outcome import Outcome, described
from services.settings import Settings


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture, done.

    Attributes:
        outcome: what became of it.
        encoded: the redacted JPEG; None where the picture goes to quarantine.
        regions: the areas covered, margin included.
    """

    outcome: Outcome
    encoded: bytes | None = None
    regions: tuple[Region, ...] = ()


See = Callable[[str, bytes, str | None], Seen]
"""What `Sight` does, here or elsewhere."""


@dataclass(frozen=True, slots=True)
class Sight:
    """Looks at plain pictures, and raises nothing.

    Attributes:
        eyes: redactor and detectors.
        witness: who answers for what becomes of a picture.
    """

    eyes: Eyes
    witness: Witness

    def __call__(self, name: str, data: bytes, refused: str | None = None) -> Seen:
        """What becomes of the picture `name`; one `refused` for some reason goes to quarantine."""
        now, reason = datetime.now(UTC), refused or ""
        try:
            if refused is None:
                return self._seen(name, data, now)
        except Reasoned as error:
            reason = error.reason
        except Exception as error:  # noqa: BLE001 - one bad picture never stops a folder
            reason = f"internal_error:{type(error).__name__}"
        return Seen(
            Outcome(
                key=name,
                work="",
                status="quarantined",
                reason=reason,
                captured_at=now,
                **self.eyes.testimony(self.witness, data),
            )
        )

    def _seen(self, name: str, data: bytes, stored_at: datetime) -> Seen:
        frame, detections = self.eyes.see(name.rpartition("/")[2], data, stored_at=stored_at)
        outcome = Outcome(
            key=name,
            work="",
            status="redacted",
            captured_at=frame.captured_at,
            sha256=frame.digest,
            **self.eyes.testimony(self.witness, data),
            **described(frame, detections),
        )
        return Seen(outcome, frame.encoded, frame.regions)


def open_sight(
    detectors: Sequence[str],
    settings: Settings,
    witness: Witness,
    redaction: Mapping[str, Any] | None = None,
) -> Sight:
    """Load what looks at pictures.

    Args:
        detectors: plug-in names.
        settings: where networks are kept, their arithmetic, and the secret that noise hangs on.
        witness: who answers.
        redaction: what `models.redaction.Redactor` shall do, by its arguments' names; what sites do
            when None.

    Raises:
        UnknownPlugin: no such detector.
        BadWeights: weights are missing or damaged.
        BadConfiguration: what `Redactor` refuses.
    """
    redactor = None
    if redaction is not None:
        locators = opening.open_locators(settings)
        redactor = Redactor(locators, noise_key=settings.key("noise"), **redaction)
    return Sight(opening.open_eyes(detectors, settings, redactor), witness)
