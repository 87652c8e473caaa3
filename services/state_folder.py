"""The private folder of this installation, and the secret that is drawn into it."""

import os
import secrets
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from models.errors import BadConfiguration

MIN_SECRET_CHARACTERS = 32
"""16 bytes in hexadecimal digits: no search finds it."""

_SECRET_BYTES = 32


def secret_file(state_dir: Path) -> Path:
    """Where the drawn secret is kept (mode 0600)."""
    return state_dir / "secret"


def drawn_secret(state_dir: Path) -> str:
    """The secret of `state_dir`, drawn where there is none: processes that race agree on one.

    Raises:
        BadConfiguration: it can be neither read nor drawn.
    """
    path = secret_file(private_folder(state_dir))
    try:
        if not path.exists():
            draft_file, draft = tempfile.mkstemp(dir=state_dir, prefix="secret-")  # mode 0600
            try:
                with os.fdopen(draft_file, "w") as file:
                    file.write(secrets.token_hex(_SECRET_BYTES))
                    file.flush()
                    os.fsync(file.fileno())
                # Unlike a rename, a link appears whole and never replaces what another one drew.
                with suppress(FileExistsError):
                    path.hardlink_to(draft)
            finally:
                Path(draft).unlink()
        secret = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a secret of ours"
        raise BadConfiguration(f"{path}: {reason}; set VIGIE_SECRET instead") from None
    if len(secret) < MIN_SECRET_CHARACTERS:
        raise BadConfiguration(f"{path} is damaged: restore it from a backup, or set VIGIE_SECRET")
    return secret


def private_folder(path: Path) -> Path:
    """Make `path` (mode 0700) where absent, and refuse it where others may look inside.

    Raises:
        BadConfiguration: it cannot be made, is not ours, or is open to others.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
    except OSError as error:
        raise BadConfiguration(
            f"cannot make the state folder {path}: {error.strerror}; set VIGIE_STATE_DIR"
        ) from error
    if status.st_uid != os.geteuid():
        raise BadConfiguration(f"the state folder {path} belongs to another user")
    if stat.S_IMODE(status.st_mode) & 0o077:
        # Changing it ourselves could lock others out of a folder named by mistake, like /tmp.
        raise BadConfiguration(f"the state folder {path} is open to others: chmod 700 {path}")
    return path
