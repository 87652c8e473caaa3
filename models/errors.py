"""Every error Vigie raises on purpose, in one tree.

::

    VigieError
    ├── Reasoned              one image goes no further
    │   ├── BadImage          the picture is damaged, hostile or not a picture      quarantine
    │   ├── RedactionFailed   personal data could not be covered with certainty     quarantine
    │   ├── BadAnswer         what a network says of an image cannot be trusted     quarantine
    │   └── BadSurface        a surface model or point cloud does not fit its image quarantine
    ├── BadWeights            a weights file is missing, foreign or damaged         stop
    ├── UnknownPlugin         a configuration names a plug-in that does not exist   stop
    ├── BadConfiguration      a setting or a command's argument is wrong            stop
    ├── BadSite               a site file is wrong; names file, line and field      stop
    ├── PurposeRefused        a job asks for a purpose the site never declared      stop
    ├── BatchError            no such batch, or its models have changed since       stop
    ├── CatalogError          the durable record cannot be read or written          stop
    ├── SinkUnavailable       where events go is away, slow, or refuses for now     retry
    ├── EventRefused          a sink will never take one event                      dead letter
    └── StorageError
        ├── NoSuchObject      no such key                                           stop
        ├── NoSuchBucket      no such bucket                                        stop
        ├── AccessRefused     wrong or insufficient credentials                     stop
        ├── ObjectExists      a conditional put lost: the key is taken              stop
        ├── StoreFull         the server has no room left                           retry later
        ├── StoreUnavailable  the server is away, slow or failing                   retry
        └── StoreUnsuitable   the server ignores conditional puts                   stop

`retryable` says whether the same call may succeed later without anyone changing anything.
`exit_code` is what the command line returns (BSD sysexits where one fits).
"""

from typing import ClassVar


class VigieError(Exception):
    """Root of the tree. The message is one line that says what to do, free of personal data."""

    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 70


class Reasoned(VigieError):
    """One image goes no further; `reason` is a short stable code that batches count by."""

    exit_code = 65

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type["Reasoned"], tuple[str, str]]:
        return (type(self), (self.reason, self.detail))


class BadImage(Reasoned):
    """The input is damaged, hostile, too large, or no still picture at all (`truncated`, …)."""


class RedactionFailed(Reasoned):
    """Covering failed or could not be trusted: the frame must not be published."""


class BadAnswer(Reasoned):
    """What a network says of an image cannot be trusted (`not_finite`, `too_many_found`)."""


class BadSurface(Reasoned):
    """Heights cannot be taken from a surface model or point cloud.

    `unreadable`, `no_crs`, `units`, `vertical_datum`, `no_overlap`, `mixed_classes` or `mismatch`.
    """


class BadWeights(VigieError):
    """A weights file is missing, is not ours, or its digest does not match its card."""

    exit_code = 78


class UnknownPlugin(VigieError):
    """A configuration names a detector, purpose or sink that does not exist."""

    exit_code = 78


class BadConfiguration(VigieError):
    """A setting or argument is wrong."""

    exit_code = 78


class BadSite(VigieError):
    """A site file is wrong. The message names file, line, field, and what would be right."""

    exit_code = 78


class PurposeRefused(VigieError):
    """A job asks for a purpose that its site does not declare."""

    exit_code = 77


class BatchError(VigieError):
    """No such batch, or the batch was submitted for other models or another configuration."""

    exit_code = 66


class CatalogError(VigieError):
    """The durable record cannot be opened, read or written."""

    exit_code = 74


class SinkUnavailable(VigieError):
    """Where events go is away, slow, refuses for now, or refuses us; the same events wait.

    Attributes:
        after_s: seconds that the sink asks to wait; None where it does not say.
        sent: how many of the events, the first ones, are there nevertheless.
    """

    retryable = True
    exit_code = 69

    def __init__(self, message: str, after_s: float | None = None, sent: int = 0) -> None:
        super().__init__(message)
        self.after_s, self.sent = after_s, sent


class EventRefused(VigieError):
    """A sink will never take one event; those before it are taken.

    Attributes:
        event: its id.
        reason: why, in one line.
    """

    exit_code = 65

    def __init__(self, event: str, reason: str) -> None:
        super().__init__(f"event {event}: {reason}")
        self.event, self.reason = event, reason


class StorageError(VigieError):
    """Root of what object storage may answer."""

    exit_code = 74


class NoSuchObject(StorageError):
    """No object has this key."""

    exit_code = 66


class NoSuchBucket(StorageError):
    """No bucket has this name."""

    exit_code = 66


class AccessRefused(StorageError):
    """The credentials are wrong or do not allow this."""

    exit_code = 77


class ObjectExists(StorageError):
    """A conditional put lost the race: the key already holds an object."""


class StoreFull(StorageError):
    """The server has no room left."""

    retryable = True


class StoreUnavailable(StorageError):
    """The server is away, slow, or failing."""

    retryable = True
    exit_code = 69


class StoreUnsuitable(StorageError):
    """The server ignores conditional puts, so exactly-once effects cannot hold."""

    exit_code = 78
