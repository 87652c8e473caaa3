"""Webhooks against a real HTTP server that fails in every way that servers fail."""

import json
import random
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import urllib3
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError

from services import delivery
from services.settings import Settings
from services.sinks import https
from tests.told import ids, in_order, many

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SETTINGS = Settings(webhook_secret=SecretStr(SECRET))


class Receiver:
    """What a platform would run; `answer` says what becomes of each request.

    A status, a status with headers, or a word: of those with "take" the receiver has the events,
    but says nothing.
    """

    def __init__(self):
        self.got, self.requests, self.lock = [], [], threading.Lock()
        self.closing = threading.Event()
        self.answer = lambda body, number: 204
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                with receiver.lock:
                    receiver.requests.append((dict(self.headers.items()), body))
                    number = len(receiver.requests)
                    told = receiver.answer(body, number)
                    status, headers = told if isinstance(told, tuple) else (told, {})
                    word = status if isinstance(status, str) else ""
                    if word.startswith("take") or (not word and 200 <= status < 300):
                        found = json.loads(body)
                        receiver.got += found if isinstance(found, list) else [found]
                if word:
                    if word.endswith("silence"):
                        receiver.closing.wait(60)  # the sender hangs up long before
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/hook"


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.closing.set()
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(delivery, "_FIRST_WAIT_S", 0.002)


def test_a_request_is_a_signed_cloudevent_as_both_standards_have_it(receiver, outbox):
    (event,) = many(1)
    delivery.deliver(outbox([event]), [receiver.url], SETTINGS)
    ((headers, body),) = receiver.requests
    headers = {name.lower(): value for name, value in headers.items()}
    read = from_http_event(HTTPMessage(headers=headers, body=body))
    assert read.get_id() == headers["webhook-id"] == event.id
    assert read.get_data() == event.data
    assert Webhook(SECRET).verify(body, headers) == json.loads(body)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.replace(b"0.5", b"0.6"), headers)


def test_batches_hold_whole_events_in_order_and_a_signature(receiver, outbox):
    events = many(600)
    delivery.deliver(outbox(events), [receiver.url + "#mode=batched"], SETTINGS)
    assert [one["id"] for one in receiver.got] == ids(events)
    assert len(receiver.requests) < 10
    headers, body = receiver.requests[0]
    assert headers["content-type"].startswith("application/cloudevents-batch+json")
    Webhook(SECRET).verify(body, {name.lower(): value for name, value in headers.items()})


def test_without_a_secret_nothing_is_signed(receiver, outbox):
    delivery.deliver(outbox(many(1)), [receiver.url], Settings(webhook_secret=None))
    assert not [name for name in receiver.requests[0][0] if name.lower().startswith("webhook")]


def test_a_user_and_password_become_basic_authentication_and_leave_the_url(receiver, outbox):
    url = receiver.url.replace("//", "//town:pa55@")
    delivery.deliver(outbox(many(1)), [url], SETTINGS)
    assert receiver.requests[0][0]["authorization"] == "Basic dG93bjpwYTU1"


@pytest.mark.parametrize("mode", ["structured", "batched"])
def test_ten_thousand_events_arrive_in_order_at_a_server_that_fails_in_every_way(
    receiver, outbox, mode, monkeypatch
):
    # Where the machine itself is that slow, there is a time-out more.
    monkeypatch.setattr(https, "_TIMEOUT", urllib3.Timeout(connect=15, read=1.5))
    events = many(10_000, assets=40)
    chance = random.Random(7)
    faults = [500, 503, 429, 408, "hang up", "take and hang up", 302, (429, {"retry-after": "0"})]
    share = 0.02 if mode == "structured" else 0.3
    silences = {3: "silence", 4: "take in silence", 12: "take in silence", 15: "silence"}

    def answer(body, number):
        return silences.get(number) or (chance.choice(faults) if chance.random() < share else 202)

    receiver.answer, troubles = answer, Counter()
    (done,) = delivery.deliver(
        outbox(events),
        [f"{receiver.url}#mode={mode}"],
        SETTINGS,
        patience_s=60,
        progress=lambda one: troubles.update([one.error]),
    )
    assert troubles["127.0.0.1: ReadTimeoutError"] >= len(silences)
    assert (done.sent, done.refused, done.error) == (10_000, 0, "")
    assert {one["id"] for one in receiver.got} == set(ids(events))
    assert in_order(receiver.got)
    if mode == "structured":
        assert len(receiver.got) > 10_000  # some came twice, with the same id


def test_a_server_that_is_slow_to_answer_gets_the_same_again(receiver, outbox, monkeypatch):
    monkeypatch.setattr(https, "_TIMEOUT", urllib3.Timeout(connect=15, read=1.5))
    receiver.answer = lambda _, number: "take in silence" if number == 1 else 200
    events, troubles = many(3), []
    (done,) = delivery.deliver(
        outbox(events), [receiver.url], SETTINGS, progress=lambda one: troubles.append(one.error)
    )
    assert troubles[0] == "127.0.0.1: ReadTimeoutError"
    assert done.sent == 3
    counts = Counter(one["id"] for one in receiver.got)
    assert set(counts) == set(ids(events))
    assert counts[events[0].id] >= 2


@pytest.mark.parametrize("mode", ["structured", "batched"])
def test_an_event_that_the_server_refuses_is_set_aside_and_the_others_arrive(
    receiver, outbox, mode
):
    events = many(50)
    bad = {events[7].id.encode(), events[8].id.encode(), events[49].id.encode()}
    receiver.answer = lambda body, _: 422 if any(one in body for one in bad) else 200
    box = outbox(events)
    (done,) = delivery.deliver(box, [f"{receiver.url}#mode={mode}"], SETTINGS)
    assert (done.sent, done.refused) == (47, 3)
    assert {letter.event.id.encode() for letter in box.dead()} == bad
    assert {letter.reason for letter in box.dead()} == {"127.0.0.1 answered 422"}
    assert [one["id"] for one in receiver.got] == [
        one for one in ids(events) if one.encode() not in bad
    ]


@pytest.mark.parametrize("status", [401, 403, 404, 405, 410])
def test_a_wrong_address_or_key_is_nobodys_event_s_fault(receiver, outbox, status):
    receiver.answer = lambda *_: status
    box = outbox(many(2))
    (done,) = delivery.deliver(box, [receiver.url], SETTINGS, patience_s=0)
    assert (done.sent, done.refused) == (0, 0)
    assert done.error == f"127.0.0.1 answered {status}"
    assert box.dead() == []


def test_the_time_that_a_server_asks_for_is_told(receiver, outbox, monkeypatch):
    waits = []
    monkeypatch.setattr(delivery.time, "sleep", waits.append)
    answers = iter([(429, {"retry-after": "3"}), (503, {"retry-after": "soon"}), 200])
    receiver.answer = lambda *_: next(answers)
    delivery.deliver(outbox(many(1)), [receiver.url], SETTINGS)
    assert waits[0] == 3
    assert waits[1] < 1


def test_a_server_that_is_not_there_is_away(outbox):
    (done,) = delivery.deliver(outbox(many(1)), ["http://127.0.0.1:9/x"], SETTINGS, patience_s=0)
    assert (done.sent, done.error) == (0, "127.0.0.1: NewConnectionError")
