"""A process that is killed between an image that is done and its events' arrival loses none."""

import itertools
import json
import multiprocessing
import os
import random
import signal
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from services import batches, delivery
from services.catalog import Catalog
from services.events import work_key
from services.outbox import Outbox
from services.outcome import Outcome
from services.pipeline import Item
from services.settings import Settings
from services.sinks import https
from services.sinks.file import FileSink
from tests.faults import SITE, WITNESS
from tests.patience import MINUTE_S, joined
from tests.told import START, in_order, seen

KILLS, BATCHES, IMAGES = 50, 16, 24
ASSETS = [asset.id for asset in SITE.assets if asset.purpose == "waste"][:3]


def manifest(batch):
    items = tuple(
        Item(key=f"cam/{batch:03d}-{n:03d}.jpg", etag=f"{batch}-{n}") for n in range(IMAGES)
    )
    return batches.Manifest(
        site=SITE.model_dump(mode="json"), purposes=("waste",), models=("waste@0",), items=items
    )


def outcomes(batch):
    """Each image shows one container, full for hours and empty for hours; some are damaged."""
    for n, item in enumerate(manifest(batch).items):
        number = batch * IMAGES + n
        at = START + timedelta(minutes=10 * number)
        work = work_key(item.etag, ("waste@0",), SITE.digest, item.key)
        one = seen(number).model_copy(
            update={
                "work": work,
                "asset": ASSETS[n % len(ASSETS)],
                "value": 0.9 if number % 40 < 20 else 0.05,
                "observed_at": at,
            }
        )
        bad = number % 17 == 0
        yield Outcome(
            key=item.key,
            work=work,
            status="quarantined" if bad else "redacted",
            reason="truncated" if bad else None,
            captured_at=at,
            observations=() if bad else (one,),
        )


def work(database, sinks):
    """What `vigie run` does once images are done, batch after batch, from wherever it stopped."""
    catalog, settings = Catalog(database), Settings(webhook_secret=None)
    for number in range(BATCHES):
        what = manifest(number)
        done = list(outcomes(number))
        catalog.add_batch(what.batch, SITE.source, IMAGES, {})
        if catalog.batch(what.batch).finished is None:
            for start in range(0, IMAGES, 8):
                catalog.take_in(what.batch, done[start : start + 8], WITNESS)
            batches.close(catalog, what.batch, what)
        delivery.deliver(catalog.outbox, sinks, settings)


SEAMS = (Catalog, "take_in"), (Catalog, "judge"), (Outbox, "advance"), (https.Webhook, "send")
SEAMS += ((FileSink, "send"),)


def at_work(begun, database, sinks):
    """As `work`, and tells when it begins: a process takes as long as it likes to come so far."""
    begun.set()
    work(database, sinks)


def killed_at(number, database, sinks):
    """As `work`, but killed before or after the `number`th step that others can see."""
    steps = itertools.count(1)

    def watched(step):
        def watch(*args, **options):
            for when in (lambda: None, lambda: step(*args, **options)):
                done = when()
                if next(steps) == number:
                    os.kill(os.getpid(), signal.SIGKILL)
            return done

        return watch

    for owner, name in SEAMS:
        setattr(owner, name, watched(getattr(owner, name)))
    work(database, sinks)


@pytest.fixture
def receiver():
    got = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            got.extend(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.handle_error = True, lambda *_: None  # killed clients hang up
    Thread(target=server.serve_forever, daemon=True).start()
    server.got = got
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.timeout(300)
def test_fifty_kills_lose_no_event_and_make_no_new_id(tmp_path, receiver):
    work(f"sqlite:///{tmp_path / 'calm.sqlite'}", [f"file://{tmp_path / 'calm.jsonl'}"])
    calm = told_in(tmp_path / "calm.jsonl")
    assert {one["type"].split(".")[-2] for one in calm} >= {"started", "ended", "quarantined"}
    kinds = {one["id"]: one for one in calm}
    chance, kills = random.Random(3), 0
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.integration.test_kill"])
    while kills < KILLS:  # each round goes from nothing to the end
        folder = tmp_path / f"after-{kills}"
        database, file = f"sqlite:///{folder}/catalog.sqlite", folder / "events.jsonl"
        hook = f"http://127.0.0.1:{receiver.server_port}/hook#mode=batched"
        receiver.got.clear()
        while True:
            args = database, [f"file://{file}", hook]
            if kills % 2:
                process = context.Process(target=killed_at, args=(chance.randint(1, 30), *args))
                process.start()
            else:
                begun = context.Event()
                process = context.Process(target=at_work, args=(begun, *args))
                process.start()
                assert begun.wait(MINUTE_S)
                if kills < KILLS:
                    process.join(chance.uniform(0.02, 0.4))
                    process.kill()
            if joined(process) == 0:
                break
            kills += 1
        for arrived in (told_in(file), receiver.got):
            assert {one["id"]: one for one in arrived} == kinds
            assert in_order([one for one in arrived if "partitionkey" in one])


def told_in(file):
    return [json.loads(line) for line in file.read_text().splitlines()]
