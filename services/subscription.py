"""Which events go to a sink: what its URL says."""

import hashlib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import cast
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from models import plugins
from models.errors import BadConfiguration
from services import sinks
from services.event_types import EVENT_WITHDRAWN, OBSERVATION_RECORDED
from services.events import TYPE_PREFIX, Event
from services.settings import Settings
from services.sinks import Sink, Target


@dataclass(frozen=True, slots=True)
class Subscription:
    """Which events go where: a sink's URL, its fragment holding what is wanted.

    `#type=vigie.waste.*&site=quai-nord&purpose=waste`; each may come several times.

    Attributes:
        name: the URL without what is secret in it: what cursors and messages call it.
        target: for the sink.
        types: patterns of types, all where empty.
        sites: of a territory, all where empty.
        purposes: all where empty; else events of no purpose do not go either.
    """

    name: str
    target: Target
    types: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()

    def wants(self, event: Event) -> bool:
        """Whether an event goes there; a withdrawal goes where what it takes back went."""
        kinds, quantity, any_purpose = [event.type], str(event.data.get("quantity", "")), False
        if event.type == EVENT_WITHDRAWN:
            kinds.append(str(event.data["type"]))
            quantity = kinds[-1].removeprefix(TYPE_PREFIX)
            any_purpose = kinds[-1] == OBSERVATION_RECORDED  # whose type names none
        purpose = quantity.partition(".")[0]
        return (
            (not self.types or any(fnmatchcase(k, one) for k in kinds for one in self.types))
            and (not self.sites or event.source.rpartition("/")[2] in self.sites)
            and (not self.purposes or any_purpose or purpose in self.purposes)
        )

    def open(self) -> Sink:
        """Open the sink.

        Raises:
            UnknownPlugin: no sink serves this scheme.
            BadConfiguration: the sink refuses its URL.
        """
        scheme = urlsplit(self.target.url).scheme
        module = plugins.load(sinks, scheme.replace("-", "_"))
        try:
            return cast(Sink, module.open_sink(self.target))
        except ValueError:  # of what a sink builds on; it may hold the password
            raise BadConfiguration(
                f"{scheme}: no server can have this host, port, user or password"
            ) from None


def subscription(url: str, settings: Settings) -> Subscription:
    """Read a sink's URL.

    Raises:
        BadConfiguration: it cannot be read.
    """
    if "\0" in unquote(url):
        raise BadConfiguration("a sink's URL: no name holds a %00")
    try:
        parts = urlsplit(url)
        asked = parse_qsl(parts.fragment, strict_parsing=True) if parts.fragment else []
    except ValueError as error:
        raise BadConfiguration(f"a sink's URL: {error}") from None
    wanted: dict[str, tuple[str, ...]] = {"type": (), "site": (), "purpose": ()}
    options = {}
    for key, value in asked:
        if key in wanted:
            wanted[key] += (value,)
        else:
            options[key] = value
    # A query may hold a token: two that differ are told apart by their digests.
    query = hashlib.sha256(parts.query.encode()).hexdigest()[:8] if parts.query else ""
    name = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query))
    bare = urlunsplit(parts._replace(fragment=""))
    secret = settings.webhook_secret
    signing_key = None if secret is None else secret.get_secret_value().encode()
    target = Target(bare, options, signing_key)
    return Subscription(name, target, wanted["type"], wanted["site"], wanted["purpose"])
