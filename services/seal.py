"""Sealed originals: encrypted with age for one recipient, whose identity the administrator keeps.

The format is age v1 with an X25519 recipient (https://age-encryption.org/v1), so any age tool opens
it. Whoever seals holds the public key only and can open nothing, not even what it sealed itself.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

import pyrage
from pyrage import x25519

from models.errors import BadConfiguration

SUFFIX = ".age"


class Seal:
    """Encrypts for one recipient.

    Args:
        recipient: age public key, `age1…`.

    Raises:
        BadConfiguration: it is none. The message does not repeat it: it may be the private one.
    """

    def __init__(self, recipient: str) -> None:
        try:
            self._recipient = x25519.Recipient.from_str(recipient.strip())
        except pyrage.RecipientError:
            raise BadConfiguration(
                "VIGIE_QUARANTINE_RECIPIENT: no age public key (age1…); "
                "`vigie quarantine keygen FILE` makes one"
            ) from None

    def sealed(self, key: str, data: bytes) -> tuple[str, bytes]:
        """The object to keep instead of `data` under `key`: its key, with `.age`, and content.

        Where there is nothing to seal, or sealing fails whatever the cause, the content is empty:
        an original never lies there open.
        """
        if not data:
            return key, b""
        try:
            return key + SUFFIX, pyrage.encrypt(data, [self._recipient])
        except Exception:  # noqa: BLE001 - any failure must close, never open
            return key, b""


def unsealed(data: bytes, identity_file: Path) -> bytes:
    """What was sealed, with the identity of a file as `age-keygen` writes it.

    Raises:
        BadConfiguration: the file cannot be read or holds no identity, another one is needed, or
            the sealed data was changed.
    """
    try:
        lines = [line.strip() for line in identity_file.read_text().splitlines()]
        identities = [
            x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")
        ]
    except OSError as error:
        raise BadConfiguration(f"cannot read {identity_file}: {error.strerror}") from None
    except (pyrage.IdentityError, UnicodeDecodeError):
        raise BadConfiguration(f"{identity_file} is no age identity file") from None
    if not identities:
        raise BadConfiguration(f"{identity_file} holds no age identity")
    try:
        opened: bytes = pyrage.decrypt(data, identities)
    except pyrage.DecryptError as error:
        raise BadConfiguration(f"{identity_file} does not open it: {error}") from None
    return opened


def new_identity(path: Path) -> str:
    """Write a fresh identity into `path` (mode 0600), which must not exist; gives its recipient.

    Raises:
        BadConfiguration: the file exists already or cannot be written.
    """
    identity = x25519.Identity.generate()
    recipient = str(identity.to_public())
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    write_private(path, f"# created: {now}\n# public key: {recipient}\n{identity}\n".encode())
    return recipient


def write_private(path: Path, data: bytes) -> None:
    """Write a new file that its owner alone can read.

    Raises:
        BadConfiguration: the file exists already or cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError as error:
        raise BadConfiguration(f"cannot write {path}: {error.strerror}") from None
