"""`ngsi-ld://user:password@broker.example/`: a context broker that speaks NGSI-LD, over https.

Entities (`services.ngsi`) go by Batch Entity Upsert (ETSI GS CIM 009, v1.8, clauses 5.6.8 and
6.15): those of assets with `options=update`, which leaves alone what others say of them, those that
events tell whole without it. A path in the URL stands before `/ngsi-ld/v1`; a user and password
become basic authentication.

`#tenant=NAME` goes as `NGSILD-Tenant`. `#context=URL` names the file `services/ngsi-context.jsonld`
where the town serves it, in place of its terms inside every entity. `#plain=yes` takes http, and
only to this machine.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import urllib3

from models.errors import BadConfiguration, EventRefused, SinkUnavailable
from services import ngsi
from services.events import Event
from services.sinks import THIS_MACHINE, Target, https, server_of

_TIMEOUT = urllib3.Timeout(connect=5, read=15)
_BATCH_BYTES = 512 * 1024  # of a request: Orion-LD takes 1 MiB by default
_DONE, _PARTLY = frozenset({201, 204}), 207
# What is an entity's own fault; all else is the address's, the key's or the moment's.
_REFUSED = frozenset({400, 413, 422})
_NOT_ITS_FAULT = frozenset({"InternalError", "LdContextNotAvailable"})
_TENANT = re.compile(r"[\w.~-]{1,100}", re.ASCII)

_Told = tuple[Event, list[ngsi.Entity]]
_Attribute = tuple[str, str]  # id of the entity, name


class Broker:
    """Keeps the entities of a context broker as events say.

    Several events of one entity are merged into one: of each attribute the youngest observation is
    told, of an alert the last event. Brokers differ in what they do with an entity that comes twice
    in a batch, and a request for each event of a busy asset would hold up all others; a history
    that the broker keeps has one value a call instead. The times of what the broker has from this
    sink, one for each attribute of an asset, are remembered: a picture that comes late overwrites
    nothing.
    """

    def __init__(self, url: str, host: str, headers: Mapping[str, str], context: str | None):
        self._path, self._host, self._context = urlsplit(url).path, host, context
        self._headers = dict(headers)
        self._held: dict[_Attribute, datetime] = {}
        self._pool = urllib3.connection_from_url(url, maxsize=1, retries=False, timeout=_TIMEOUT)

    def send(self, events: Sequence[Event]) -> None:
        """See `services.sinks.Sink`; events that no entity tells of are passed."""
        self._send([(event, ngsi.entities(event)) for event in events])

    def remember(self, events: Sequence[Event]) -> None:
        """See `services.sinks.Remembering`."""
        self._held |= self._merged([(event, ngsi.entities(event)) for event in events])[1]

    def close(self) -> None:
        """Close the connection."""
        self._pool.close()

    def _send(self, told: Sequence[_Told]) -> None:
        """Upsert what events say; where something is refused, find the first event to blame."""
        entities, times = self._merged(told)
        refused: dict[str, str] = {}
        for request in self._requests(entities):
            refused |= self._post(request)
        self._held |= {key: time for key, time in times.items() if key[0] not in refused}
        suspects = [one for one in told if any(entity["id"] in refused for entity in one[1])]
        if len(suspects) == 1:
            event, made = suspects[0]
            reason = next(refused[entity["id"]] for entity in made if entity["id"] in refused)
            raise EventRefused(event.id, reason)
        if suspects:
            half = len(suspects) // 2
            self._send(suspects[:half])
            self._send(suspects[half:])

    def _merged(
        self, told: Iterable[_Told]
    ) -> tuple[Iterable[ngsi.Entity], dict[_Attribute, datetime]]:
        """One entity for each id, and the times of the attributes that hold observations."""
        merged: dict[str, ngsi.Entity] = {}
        times: dict[_Attribute, datetime] = {}
        for event, entities in told:
            for entity in entities:
                name = entity["id"]
                if entity["type"] in ngsi.REPLACED:
                    merged[name] = entity
                    continue
                for attribute, content in entity.items():
                    if attribute in ("id", "type"):
                        continue
                    key = name, attribute
                    before = times.get(key) or self._held.get(key)
                    if before is None or event.time >= before:
                        known = merged.setdefault(name, {"id": name, "type": entity["type"]})
                        known[attribute] = content
                        times[key] = event.time
        return merged.values(), times

    def _requests(self, entities: Iterable[ngsi.Entity]) -> Iterator["_Request"]:
        """Entities as requests, none much larger than `_BATCH_BYTES`."""
        open_: dict[str, _Request] = {}
        for entity in entities:
            query = "" if entity["type"] in ngsi.REPLACED else "?options=update"
            request = open_.setdefault(query, _Request(query, [], []))
            content = ngsi.in_context(entity, self._context)
            request.ids.append(entity["id"])
            request.parts.append(json.dumps(content, ensure_ascii=False, separators=(",", ":")))
            if sum(map(len, request.parts)) >= _BATCH_BYTES:
                yield open_.pop(query)
        yield from open_.values()

    def _post(self, request: "_Request") -> dict[str, str]:
        """Upsert; gives which entities were refused, and why.

        Raises:
            SinkUnavailable: not all that could be are there.
        """
        try:
            answer = self._pool.urlopen(
                "POST",
                self._path + request.query,
                body=f"[{','.join(request.parts)}]".encode(),
                headers=self._headers,
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise SinkUnavailable(f"{self._host}: {type(error).__name__}") from None
        if answer.status in _DONE:
            return {}
        told = f"{self._host} answered {answer.status}"
        unavailable = SinkUnavailable(told, https.retry_after_s(answer.headers.get("retry-after")))
        body = _json(answer.data)
        refused: dict[str, str] = {}
        if answer.status in _REFUSED:
            refused = dict.fromkeys(request.ids, _reason(body, told))
            problems = [body]
        elif answer.status == _PARTLY and (errors := _errors(body)):
            problems = [one.get("error") for one in errors]
            for one, problem in zip(errors, problems, strict=True):
                # Where it cannot be told which entity it was, any may be.
                name = one.get("entityId")
                ids = [name] if name in request.ids else request.ids
                refused |= dict.fromkeys(ids, _reason(problem, told))
        else:
            raise unavailable
        if any(map(_passes, problems)):
            raise unavailable
        return refused


class _Request(NamedTuple):
    """A batch on its way: the query, and the ids of its entities beside their JSON."""

    query: str
    ids: list[str]
    parts: list[str]


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _errors(result: Any) -> list[dict[str, Any]]:
    """What a BatchOperationResult (clause 5.2.16) says of entities in error; nothing if broken."""
    errors = result.get("errors") if isinstance(result, dict) else None
    return [one for one in errors if isinstance(one, dict)] if isinstance(errors, list) else []


def _reason(problem: Any, otherwise: str) -> str:
    """The title of a ProblemDetails (RFC 7807), in one line."""
    title = problem.get("title") if isinstance(problem, dict) else None
    return " ".join(str(title).split())[:200] if title else otherwise


def _passes(problem: Any) -> bool:
    """Whether a ProblemDetails tells of a trouble of the broker's, not of the entity's."""
    if not isinstance(problem, dict):
        return False
    status, kind = str(problem.get("status")), str(problem.get("type")).rpartition("/")[2]
    return kind in _NOT_ITS_FAULT or status == "429" or status.startswith("5")


def open_sink(target: Target) -> Broker:
    """The sink of an `ngsi-ld:` URL.

    Raises:
        BadConfiguration: the URL names no server, an option is wrong, or what is plain leaves this
            machine.
    """
    target.only("tenant", "context", "plain")
    plain = target.option("plain", ("no", "yes")) == "yes"
    parts = urlsplit(target.url)
    host, _ = server_of(parts.netloc, "ngsi-ld://host/")
    if plain and host not in THIS_MACHINE:
        raise BadConfiguration("#plain=yes: entities leave this machine encrypted")
    headers = {"user-agent": "vigie", "content-type": "application/ld+json"}
    if parts.username is not None:
        user, password = unquote(parts.username), unquote(parts.password or "")
        headers |= urllib3.make_headers(basic_auth=f"{user}:{password}")
    if (tenant := target.options.get("tenant")) is not None:
        if not _TENANT.fullmatch(tenant):
            raise BadConfiguration("#tenant=…: letters, digits, '.', '_', '~' and '-'")
        headers["ngsild-tenant"] = tenant
    context = target.options.get("context")
    if context is not None and urlsplit(context).scheme not in ("http", "https"):
        raise BadConfiguration("#context=…: an https: URL")
    where = f"{'http' if plain else 'https'}://{parts.netloc.rpartition('@')[2]}"
    url = f"{where}{parts.path.rstrip('/')}/ngsi-ld/v1/entityOperations/upsert"
    return Broker(url, host, headers, context)
