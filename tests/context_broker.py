"""A context broker for tests: batch upsert and retrieval of ETSI GS CIM 009, and faults on demand.

It is strict where real brokers differ: an entity twice in a batch, a context that is missing, a
null and an attribute without a type are refused.
"""

import json
import select
import socket
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

API = "/ngsi-ld/v1"
ERRORS = "https://uri.etsi.org/ngsi-ld/errors/"
MAX_BYTES = 1024 * 1024  # of a request


def problem(status, title, kind="BadRequestData"):
    return {"type": ERRORS + kind, "title": title, "status": status}


class ContextBroker:
    """Listens on loopback.

    Attributes:
        entities: id → entity, of every tenant.
        plan: what becomes of the next requests: a status with its body and headers, or a word that
            `_Handler.do_POST` knows; None lets a request pass.
        verdict: entity → the problem that it is refused with, or None.
        mercy: whether one refused entity leaves the others of its batch alone (207), or not (400).
        requests: path, headers and entities of all that came and met no planned fault.
        asked: headers of what was read.
    """

    def __init__(self):
        self.entities, self.plan, self.requests, self.asked = {}, deque(), [], []
        self.verdict, self.mercy = lambda entity: None, True
        self.closing, self.turn = threading.Event(), threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.broker = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()
        self.port = self._server.server_address[1]
        self.url = f"ngsi-ld://127.0.0.1:{self.port}/#plain=yes"

    def close(self):
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def value(self, entity, attribute):
        return self.entities[entity][attribute]["value"]

    def upsert(self, entities, *, update):
        """The answer to a batch, as status and body (clause 6.15.3.1)."""
        wrong = [_wrong(entity) or self.verdict(entity) for entity in entities]
        ids = [entity["id"] for entity in entities]
        if len(set(ids)) < len(ids):
            return 400, problem(400, "Duplicated entity")
        if any(wrong) and not self.mercy:
            return next(one["status"] for one in wrong if one), next(one for one in wrong if one)
        done = [one for one, bad in zip(entities, wrong, strict=True) if not bad]
        created = [one["id"] for one in done if one["id"] not in self.entities]
        for entity in done:
            before = self.entities.get(entity["id"], {}) if update else {}
            self.entities[entity["id"]] = before | entity
        if any(wrong):
            errors = [
                {"entityId": name, "error": bad}
                for name, bad in zip(ids, wrong, strict=True)
                if bad
            ]
            return 207, {"success": [one["id"] for one in done], "errors": errors}
        return (201, created) if created else (204, None)


def _wrong(entity):
    attributes = [v for n, v in entity.items() if n not in ("id", "type", "@context")]
    if not (entity.get("@context") and entity["id"].startswith("urn:") and attributes):
        return problem(400, "No entity")
    for one in attributes:
        key = {"Property": "value", "GeoProperty": "value", "Relationship": "object"}[one["type"]]
        if one[key] in (None, "urn:ngsi-ld:null"):
            return problem(400, "Null in an attribute")
    return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        self.server.broker.asked.append({n.lower(): v for n, v in self.headers.items()})
        entity = self.server.broker.entities.get(
            unquote(self.path.removeprefix(f"{API}/entities/"))
        )
        self._answer(200, entity) if entity else self._answer(404, problem(404, "No such entity"))

    def do_POST(self):
        broker, url = self.server.broker, urlsplit(self.path)
        body = self.rfile.read(int(self.headers["content-length"]))
        fault = broker.plan.popleft() if broker.plan else None
        if fault == "hang up":
            self.close_connection = True
            return
        if fault == "silence":
            broker.closing.wait(10)
            self.close_connection = True
            return
        if isinstance(fault, tuple):
            self._answer(*fault)
            return
        entities = json.loads(body)
        broker.requests.append(
            (self.path, {n.lower(): v for n, v in self.headers.items()}, entities)
        )
        update = parse_qs(url.query).get("options") == ["update"]
        if not url.path.endswith(f"{API}/entityOperations/upsert"):
            self._answer(404, problem(404, "No such resource"))
        elif self.headers["content-type"] != "application/ld+json":
            self._answer(415, problem(415, "No JSON-LD"))
        elif len(body) > MAX_BYTES:
            self._answer(413, problem(413, "Too large"))
        elif not entities:
            self._answer(400, problem(400, "Empty batch"))
        else:
            with broker.turn:
                if self._abandoned():  # carried out now, it would overwrite what was sent since
                    self.close_connection = True
                    return
                verdict = broker.verdict
                if fault == "partly":  # every other entity meets a broker that is too busy for it
                    busy = {entity["id"] for entity in entities[::2]}
                    trouble = problem(503, "Too busy", "InternalError")
                    broker.verdict = lambda e: trouble if e["id"] in busy else verdict(e)
                answer = broker.upsert(entities, update=update)
                broker.verdict = verdict
            if fault == "lost answer":
                self.close_connection = True
            else:
                self._answer(*answer)

    def _abandoned(self):
        """Whether the sender waited too long and hung up, as it does on a busy machine."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

    def _answer(self, status, body=None, headers=()):
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass
