"""`https://hub.example/hook`: a webhook, after CloudEvents' HTTP binding.

Each event is a POST of its own (structured mode), or with `#mode=batched` many are (batched mode).
Where `VIGIE_WEBHOOK_SECRET` is set, requests are signed as Standard Webhooks asks: `webhook-id`,
`webhook-timestamp` and `webhook-signature`. A user and password in the URL become basic
authentication.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote, urlsplit, urlunsplit

import urllib3

from models.errors import BadConfiguration, EventRefused, SinkUnavailable
from services.events import Event, derived_id
from services.sinks import Target, server_of

STRUCTURED = "application/cloudevents+json; charset=utf-8"
BATCHED = "application/cloudevents-batch+json; charset=utf-8"

_TIMEOUT = urllib3.Timeout(connect=5, read=15)
_BATCH_BYTES = 512 * 1024  # a batch goes when it has grown past this
# What is the event's own fault; all else is the address's, the key's or the moment's.
_REFUSED = frozenset({400, 406, 411, 413, 415, 422, 431})
_SECRET_PREFIX = "whsec_"  # noqa: S105 - what secrets begin with


class Webhook:
    """Posts events to an HTTP server."""

    def __init__(self, target: Target, *, batched: bool) -> None:
        parts = urlsplit(target.url)
        self._host = parts.hostname or ""
        self._path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        self._batched, self._key = batched, _key(target.signing_key)
        self._headers = {"user-agent": "vigie"}
        if parts.username is not None:
            user, password = unquote(parts.username), unquote(parts.password or "")
            self._headers |= urllib3.make_headers(basic_auth=f"{user}:{password}")
        # One server's pool: a manager of pools would read the URL again for each event.
        self._pool = urllib3.connection_from_url(
            target.url, maxsize=1, retries=False, timeout=_TIMEOUT
        )

    def send(self, events: Sequence[Event]) -> None:
        """See `services.sinks.Sink`."""
        sent = 0
        for some in self._batches(events):
            try:
                self._post_all(some)
            except SinkUnavailable as error:
                error.sent += sent
                raise
            sent += len(some)

    def _batches(self, events: Sequence[Event]) -> Iterator[list[Event]]:
        if not self._batched:
            yield from ([event] for event in events)
            return
        some: list[Event] = []
        size = 0
        for event in events:
            some.append(event)
            size += len(event.json_line())
            if size >= _BATCH_BYTES:
                yield some
                some, size = [], 0
        if some:
            yield some

    def close(self) -> None:
        """Close the connection."""
        self._pool.close()

    def _post_all(self, events: Sequence[Event]) -> None:
        """Post events at once; where they are refused, find the one that is to blame."""
        try:
            if self._batched:
                self._post(events, f"[{','.join(e.json_line() for e in events)}]", BATCHED)
            else:
                self._post(events, events[0].json_line(), STRUCTURED)
        except EventRefused:
            if len(events) == 1:
                raise
            half = len(events) // 2
            self._post_all(events[:half])
            try:
                self._post_all(events[half:])
            except SinkUnavailable as error:
                error.sent += half
                raise

    def _post(self, events: Sequence[Event], body: str, kind: str) -> None:
        data = body.encode()
        headers = self._headers | {"content-type": kind} | self._signed(events, data)
        try:
            answer = self._pool.urlopen(
                "POST", self._path, body=data, headers=headers, redirect=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise SinkUnavailable(f"{self._host}: {type(error).__name__}") from None
        if 200 <= answer.status < 300:
            return
        if answer.status in _REFUSED:
            raise EventRefused(events[0].id, f"{self._host} answered {answer.status}")
        after_s = retry_after_s(answer.headers.get("retry-after"))
        raise SinkUnavailable(f"{self._host} answered {answer.status}", after_s)

    def _signed(self, events: Sequence[Event], data: bytes) -> dict[str, str]:
        if self._key is None:
            return {}
        name = events[0].id if len(events) == 1 else derived_id(*(e.id for e in events))
        moment = str(int(time.time()))
        content = f"{name}.{moment}.".encode() + data
        signature = base64.b64encode(hmac.digest(self._key, content, hashlib.sha256)).decode()
        return {
            "webhook-id": name,
            "webhook-timestamp": moment,
            "webhook-signature": f"v1,{signature}",
        }


def _key(secret: bytes | None) -> bytes | None:
    """The key that a secret stands for: base64 after `whsec_`, as Standard Webhooks writes it."""
    if secret is None:
        return None
    text = secret.decode()
    try:
        key = base64.b64decode(text.removeprefix(_SECRET_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not text.startswith(_SECRET_PREFIX) or not 24 <= len(key) <= 64:
        raise BadConfiguration(
            "VIGIE_WEBHOOK_SECRET: whsec_ and the base64 of 24 to 64 random bytes"
        )
    return key


def retry_after_s(header: str | None) -> float | None:
    """Seconds that `Retry-After` asks to wait, a day at most (RFC 9110, section 10.2.3)."""
    if header is None:
        return None
    if header.strip().isdecimal():
        seconds = float(header)
    else:
        try:
            seconds = (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return None
    return min(max(seconds, 0.0), 86_400.0)


def open_sink(target: Target) -> Webhook:
    """The sink of an `https:` URL.

    Raises:
        BadConfiguration: the URL names no server, or the secret is none.
    """
    target.only("mode")
    server_of(urlsplit(target.url).netloc, "https://host/path")
    return Webhook(target, batched=target.option("mode", ("structured", "batched")) == "batched")
