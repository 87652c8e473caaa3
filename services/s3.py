"""The wire to an S3 server: connections, time-outs, retries, and what its failures mean.

Requests have connect and read time-outs. What may be repeated without harm is repeated a few
times, with exponential back-off and jitter; POST, which opens and closes a multipart upload, is
not.
"""

import random
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote
from xml.etree.ElementTree import ParseError

import urllib3
from minio import Minio
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3.exceptions import HTTPError, MaxRetryError, SSLError

from models.errors import (
    AccessRefused,
    BadConfiguration,
    NoSuchBucket,
    NoSuchObject,
    ObjectExists,
    StorageError,
    StoreFull,
    StoreUnavailable,
)
from services.settings import Endpoint

ATTEMPTS = 4
BACKOFF_S = 0.25
CONNECT_S = 5.0
READ_S = 30.0

# Answers that may pass by themselves.
_PASSING_STATUS = (429, 500, 502, 503, 504)
_BY_CODE: dict[str, type[StorageError]] = {
    "NoSuchKey": NoSuchObject,
    "NoSuchVersion": NoSuchObject,
    "NoSuchBucket": NoSuchBucket,
    "PreconditionFailed": ObjectExists,
    "AccessDenied": AccessRefused,
    "AllAccessDisabled": AccessRefused,
    "AuthorizationHeaderMalformed": AccessRefused,
    "ExpiredToken": AccessRefused,
    "InvalidAccessKeyId": AccessRefused,
    "InvalidToken": AccessRefused,
    "RequestTimeTooSkewed": AccessRefused,
    "SignatureDoesNotMatch": AccessRefused,
    "InsufficientStorage": StoreFull,
    "QuotaExceeded": StoreFull,
    "XMinioAdminBucketQuotaExceeded": StoreFull,
    "XMinioStorageFull": StoreFull,
    "ConditionalRequestConflict": StoreUnavailable,
    "InternalError": StoreUnavailable,
    "RequestTimeout": StoreUnavailable,
    "ServiceUnavailable": StoreUnavailable,
    "SlowDown": StoreUnavailable,
}
_BY_STATUS: dict[int, type[StorageError]] = {
    401: AccessRefused,
    403: AccessRefused,
    412: ObjectExists,
    507: StoreFull,
    **dict.fromkeys(_PASSING_STATUS, StoreUnavailable),
}
_ADVICE: dict[type[StorageError], str] = {
    NoSuchBucket: "no such bucket; `vigie up` or the store's owner makes it",
    NoSuchObject: "no such object",
    ObjectExists: "the key is already taken",
    AccessRefused: "access refused; check VIGIE_S3_ACCESS_KEY, VIGIE_S3_SECRET_KEY, their rights "
    "and this machine's clock",
    StoreFull: "the store is full; make room and run again",
    StoreUnavailable: "the store is away, slow or failing; check that it runs and run again",
}
_CHECK = "check VIGIE_S3_ENDPOINT and VIGIE_S3_REGION"

_META = "x-amz-meta-"
# Metadata travels in HTTP headers: printable ASCII passes, the rest is percent-encoded.
_PLAIN = "".join(chr(c) for c in range(0x20, 0x7F) if chr(c) != "%")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What the store knows of one object.

    Attributes:
        key: its key.
        etag: version of its content, without quotes; opaque.
        size_bytes: length of its content.
        modified_at: aware UTC datetime of its last write.
        metadata: user metadata, names in lower case; always empty in listings.
    """

    key: str
    etag: str
    size_bytes: int
    modified_at: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)


class _CreateOnly(urllib3.PoolManager):
    """Sends each PUT with `If-None-Match: *`, which the SDK has no argument for.

    The header is not an `x-amz-` one, so the request's signature need not cover it. A presigned
    URL could carry it too, but then AWS refuses user metadata.
    """

    def urlopen(  # type: ignore[override]  # as PoolManager itself does
        self, method: str, url: str, redirect: bool = True, **kw: Any
    ) -> urllib3.BaseHTTPResponse:
        if method == "PUT":
            kw["headers"] = {**kw["headers"], "If-None-Match": "*"}
        return super().urlopen(method, url, redirect=redirect, **kw)


def client(endpoint: Endpoint, pool: urllib3.PoolManager) -> Minio:
    """A client that sends its requests through `pool`.

    Raises:
        BadConfiguration: the SDK does not take the endpoint or the region.
    """
    scheme, _, host = endpoint.url.partition("://")
    try:
        return Minio(
            host,
            access_key=endpoint.access_key,
            secret_key=endpoint.secret_key.get_secret_value(),
            secure=scheme == "https",
            region=endpoint.region,
            http_client=pool,
        )
    except ValueError as error:
        raise BadConfiguration(f"VIGIE_S3_ENDPOINT or VIGIE_S3_REGION: {error}") from error


def patient(endpoint: Endpoint) -> Minio:
    """A client that repeats GET, HEAD, PUT and DELETE up to ATTEMPTS times."""
    retry = urllib3.Retry(
        total=ATTEMPTS - 1,
        redirect=False,  # never send pictures to a host that nobody configured
        status_forcelist=_PASSING_STATUS,
        raise_on_status=False,  # the last answer's body says why
        respect_retry_after_header=False,  # it may ask for hours
        backoff_factor=BACKOFF_S,
        backoff_jitter=BACKOFF_S,
    )
    return client(endpoint, urllib3.PoolManager(maxsize=16, timeout=_timeout(), retries=retry))


def create_only(endpoint: Endpoint) -> Minio:
    """A client that sends every request once, and whose PUT never replaces an object."""
    return client(endpoint, _CreateOnly(maxsize=16, timeout=_timeout(), retries=False))


def patiently(attempt: Callable[[int], T]) -> T:
    """Call `attempt(0)`, `attempt(1)`, … until one does not raise StoreUnavailable."""
    for n in range(ATTEMPTS - 1):
        try:
            return attempt(n)
        except StoreUnavailable:
            time.sleep(random.uniform(0, BACKOFF_S * 2 ** (n + 1)))  # noqa: S311  no secret
    return attempt(ATTEMPTS - 1)


def metadata_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    """User metadata as request headers."""
    return {_META + name: quote(value, safe=_PLAIN) for name, value in metadata.items()}


def info_from(key: str, headers: Mapping[str, str]) -> ObjectInfo:
    """What an answer's headers tell of the object `key`; metadata values are percent-decoded.

    Raises:
        ValueError, KeyError: they are not those of S3.
    """
    return ObjectInfo(
        key=key,
        etag=headers["ETag"].strip('"'),
        size_bytes=int(headers["Content-Length"]),
        modified_at=parsedate_to_datetime(headers["Last-Modified"]).astimezone(UTC),
        metadata={
            name[len(_META) :].lower(): unquote(value)
            for name, value in headers.items()
            if name.lower().startswith(_META)
        },
    )


@contextmanager
def told(doing: str, endpoint: Endpoint) -> Iterator[None]:
    """Turn what the SDK, urllib3 and the system raise inside into one of our errors.

    Args:
        doing: start of the message, such as `reading inbox/a.jpg`.
        endpoint: the server; named in the message.

    Raises:
        StorageError: or one of its kinds, one line that says what to do.
    """
    try:
        yield
    except (MinioException, HTTPError, OSError) as error:
        kind, why = _diagnose(error, endpoint.folder)
        raise kind(f"{doing} at {endpoint.url}: {why}") from error
    except (ParseError, ValueError, TypeError, LookupError, AttributeError) as error:
        # The SDK checks its arguments and parses answers with bare exceptions.
        raise StorageError(
            f"{doing} at {endpoint.url}: bad key or prefix, or the answer is not S3; {_CHECK}"
        ) from error


def _diagnose(error: Exception, folder: Path | None) -> tuple[type[StorageError], str]:
    code, status = "", 0
    if isinstance(error, S3Error):
        code, status = error.code or "", error.response.status
    elif isinstance(error, ServerError):
        status = error.status_code
    elif isinstance(error, InvalidResponseError):
        # The status is private, but pickling is not.
        status = error.__reduce__()[1][0]
    else:
        reason = error.reason if isinstance(error, MaxRetryError) else error
        if isinstance(reason, SSLError):
            return StorageError, (
                "no TLS there, or a certificate that is not trusted; check http:// or https:// in "
                "VIGIE_S3_ENDPOINT, or name the authority's file in SSL_CERT_FILE"
            )
        return StoreUnavailable, _ADVICE[StoreUnavailable]
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status) or StorageError
    if kind is StoreUnavailable and folder is not None and _is_full(folder):
        kind = StoreFull
    said = f"{status} {code}".strip()
    return (
        kind,
        f"{_ADVICE[kind]} ({said})" if kind in _ADVICE else f"unexpected answer {said}; {_CHECK}",
    )


def _is_full(folder: Path) -> bool:
    """Whether an embedded server has no room: SeaweedFS answers only 500 InternalError then."""
    if not folder.is_dir():
        return False
    disk = shutil.disk_usage(folder)
    # It stops writing at 1 % of the disk, or where a new object does not fit.
    return disk.free < max(disk.total // 100, 64 * 1024**2)


def _timeout() -> urllib3.Timeout:
    return urllib3.Timeout(connect=CONNECT_S, read=READ_S)
