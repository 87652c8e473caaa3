"""Settings from `VIGIE_*` environment variables, and where the object store is."""

import getpass
import hashlib
import hmac
import os
import re
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.errors import BadConfiguration
from services.seal import Seal
from services.state_folder import MIN_SECRET_CHARACTERS, drawn_secret, private_folder, secret_file

# Longest role is "quarantine"; S3 allows 63 characters in a bucket's name.
_PREFIX = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?")


class Endpoint(BaseModel):
    """An S3 server and the credentials for it.

    Attributes:
        url: `http://host:port` or `https://host:port`, without a path.
        access_key: the public half of the credentials.
        secret_key: the private half; never shown by `repr`.
        region: None asks the server.
        folder: where an embedded server keeps its data on this machine, else None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str
    access_key: str
    secret_key: SecretStr
    region: str | None = None
    folder: Path | None = None


def _state_dir() -> Path:
    base = Path(os.environ.get("XDG_STATE_HOME", ""))
    # The XDG specification says to ignore relative paths.
    try:
        return (base if base.is_absolute() else Path.home() / ".local" / "state") / "vigie"
    except RuntimeError:  # a container's user without a home
        raise BadConfiguration("this user has no home folder: set VIGIE_STATE_DIR") from None


def _operator() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user without a name
        return "unknown"


class Settings(BaseSettings):
    """How this process runs. Every field is read from `VIGIE_<NAME>`.

    Attributes:
        s3_endpoint: `http(s)://host[:port]` of any S3 server; unset means the embedded one.
        s3_access_key: access key for it.
        s3_secret_key: secret key for it; never shown by `repr`.
        s3_region: None asks the server.
        s3_prefix: buckets are `<prefix>-inbox`, `<prefix>-redacted`, …
        state_dir: private folder of the embedded server and the catalog.
        catalog_url: SQLAlchemy URL; not shown by `repr`, it may hold a password. The default is
            a SQLite file in `state_dir`.
        workers: processes that run the line; None means one a core.
        precision: arithmetic of inference on a CPU.
        secret: what every key of this installation is derived from, 32 characters at least; never
            shown by `repr`. Unset, one is drawn into the state folder when it is first needed.
        operator: who answers, in the audit, for what is processed; this account by default.
        quarantine_recipient: age public key; originals in quarantine are then encrypted for it.
        image_timeout_s: longest time one image may take; one that takes longer is quarantined.
        sinks: URLs to which events go (`services.delivery.Subscription`), blanks between; not shown
            by `repr`, they may hold passwords.
        webhook_secret: signs what goes to `https:` sinks; never shown by `repr`.

    Raises:
        BadConfiguration: a value is wrong or missing; the message names the variable and never
            repeats its value.
    """

    model_config = SettingsConfigDict(
        env_prefix="VIGIE_", env_ignore_empty=True, frozen=True, hide_input_in_errors=True
    )

    s3_endpoint: str | None = None
    s3_access_key: str | None = None
    s3_secret_key: SecretStr | None = None
    s3_region: str | None = None
    s3_prefix: str = "vigie"
    state_dir: Path = Field(default_factory=_state_dir)
    catalog_url: str = Field(default="", repr=False)
    workers: PositiveInt | None = None
    precision: Literal["int8", "bf16", "f32"] = "int8"
    secret: SecretStr | None = None
    operator: str = Field(default_factory=_operator)
    quarantine_recipient: str | None = None
    image_timeout_s: PositiveInt = 120
    sinks: str = Field(default="", repr=False)
    webhook_secret: SecretStr | None = None

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            wrong = "; ".join(
                f"VIGIE_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()
            )
            # `from None`: pydantic's own message is no place for secrets.
            raise BadConfiguration(wrong) from None

    @model_validator(mode="after")
    def _check(self) -> Self:
        triple = {
            "VIGIE_S3_ENDPOINT": self.s3_endpoint,
            "VIGIE_S3_ACCESS_KEY": self.s3_access_key,
            "VIGIE_S3_SECRET_KEY": self.s3_secret_key,
        }
        missing = [name for name, value in triple.items() if not value]
        if missing and len(missing) < len(triple):
            raise BadConfiguration(f"the object store is half set: set {' and '.join(missing)} too")
        if self.s3_endpoint is not None:
            _check_url(self.s3_endpoint)
        if not _PREFIX.fullmatch(self.s3_prefix):
            raise BadConfiguration(
                "VIGIE_S3_PREFIX: up to 50 of a-z, 0-9 and -, with no - at either end"
            )
        if self.secret and len(self.secret.get_secret_value()) < MIN_SECRET_CHARACTERS:
            raise BadConfiguration(
                f"VIGIE_SECRET: at least {MIN_SECRET_CHARACTERS} characters, drawn at random"
            )
        if self.quarantine_recipient is not None:
            Seal(self.quarantine_recipient)  # refuses what is no public key
        # The class is frozen for its users; its own derived defaults are set here, once.
        object.__setattr__(self, "state_dir", self.state_dir.expanduser().absolute())
        if not self.catalog_url:
            url = f"sqlite:///{self.state_dir / 'catalog.sqlite'}"
            object.__setattr__(self, "catalog_url", url)
        return self

    @property
    def cache(self) -> Path:
        """Folder for exported networks, in the private state folder.

        Raises:
            BadConfiguration: the state folder cannot be made, or is open to others.
        """
        return private_folder(self.state_dir) / "cache"

    def key(self, purpose: str) -> bytes:
        """32 bytes that depend on the secret and on what they are for: HMAC-SHA256.

        A key that leaks then opens nothing else. The secret is drawn where there is none yet.

        Raises:
            BadConfiguration: the secret can be neither read nor drawn.
        """
        secret = self.with_secret().secret
        assert secret is not None
        return hmac.digest(secret.get_secret_value().encode(), purpose.encode(), hashlib.sha256)

    @property
    def has_secret(self) -> bool:
        """Whether a secret is set or was drawn."""
        return self.secret is not None or secret_file(self.state_dir).exists()

    def with_secret(self) -> "Settings":
        """These settings with the secret in them, as processes elsewhere need them.

        Raises:
            BadConfiguration: the secret can be neither read nor drawn.
        """
        if self.secret is not None:
            return self
        return self.model_copy(update={"secret": SecretStr(drawn_secret(self.state_dir))})

    @property
    def endpoint(self) -> Endpoint:
        """The object store to use: the one set, else the embedded one recorded by `vigie up`.

        Raises:
            BadConfiguration: neither exists.
        """
        if self.s3_endpoint and self.s3_access_key and self.s3_secret_key:
            return Endpoint(
                url=self.s3_endpoint.rstrip("/"),
                access_key=self.s3_access_key,
                secret_key=self.s3_secret_key,
                region=self.s3_region,
            )
        recorded = recorded_endpoint(self.state_dir)
        if recorded is None:
            raise BadConfiguration(
                "no object store: run `vigie up` or set VIGIE_S3_ENDPOINT, VIGIE_S3_ACCESS_KEY "
                "and VIGIE_S3_SECRET_KEY"
            )
        return recorded


def endpoint_file(state_dir: Path) -> Path:
    """Where the embedded server's endpoint and credentials are recorded (mode 0600)."""
    return state_dir / "store.json"


def recorded_endpoint(state_dir: Path) -> Endpoint | None:
    """The embedded server's endpoint, running or not; None when there never was one.

    Raises:
        BadConfiguration: the record is damaged or cannot be read.
    """
    path = endpoint_file(state_dir)
    try:
        return Endpoint.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a record of ours"
        raise BadConfiguration(f"{path}: {reason}; correct or remove it") from None


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        right = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0  # reading it raises ValueError where it is no number
            and parts.path in ("", "/")
            and not (parts.query or parts.fragment or "@" in parts.netloc)
        )
    except ValueError:
        right = False
    if not right:
        raise BadConfiguration("VIGIE_S3_ENDPOINT: give http(s)://host[:port] and nothing else")
