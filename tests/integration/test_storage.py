import os
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import urllib3

from models.errors import (
    AccessRefused,
    BadConfiguration,
    BadImage,
    NoSuchBucket,
    NoSuchObject,
    ObjectExists,
    StorageError,
    StoreFull,
    StoreUnavailable,
    StoreUnsuitable,
)
from services import s3, storage
from services.settings import Endpoint
from services.storage import Store

# One connection of a client, and the address of the real server.
Behaviour = Callable[[socket.socket, tuple[str, int]], None]


class Wire:
    """A loopback server: the n-th behaviour treats the n-th connection, the last all others."""

    def __init__(self, upstream: Endpoint, *script: Behaviour) -> None:
        host, port = upstream.url.removeprefix("http://").split(":")
        self.upstream = (host, int(port))
        self.script = script
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = upstream.model_copy(
            update={"url": f"http://127.0.0.1:{self.listener.getsockname()[1]}"}
        )
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            behaviour = self.script[min(self.connections, len(self.script) - 1)]
            self.connections += 1
            threading.Thread(target=self.handle, args=(behaviour, client), daemon=True).start()

    def handle(self, behaviour: Behaviour, client: socket.socket) -> None:
        with client, suppress(OSError):
            behaviour(client, self.upstream)

    def close(self) -> None:
        # Wakes the accepting thread too.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def request_of(client: socket.socket) -> bytes:
    """Reads one whole request, so that closing does not reset the answer away."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(65536)
        if not more:
            return data
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            while len(body) < int(line.split(b":")[1]):
                body += client.recv(65536)
    return head + b"\r\n\r\n" + body


def reset(client: socket.socket, _upstream: tuple[str, int]) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def hang(client: socket.socket, _upstream: tuple[str, int]) -> None:
    while client.recv(65536):
        pass


def says(raw: bytes) -> Behaviour:
    def behaviour(client: socket.socket, _upstream: tuple[str, int]) -> None:
        if request_of(client):
            client.sendall(raw)

    return behaviour


def answers(
    status: int, body: str = "", kind: str = "application/xml", more: str = ""
) -> Behaviour:
    return says(
        f"HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\nConnection: close\r\n{more}"
        f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )


def error(status: int, code: str) -> Behaviour:
    return answers(status, f"<Error><Code>{code}</Code><Message>m</Message></Error>")


def relayed(
    client: socket.socket, upstream: tuple[str, int], change: Callable[[bytes], bytes]
) -> bytes:
    request = change(request_of(client)).replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
    with socket.create_connection(upstream) as server:
        server.sendall(request)
        return b"".join(iter(lambda: server.recv(65536), b""))


def forward(client: socket.socket, upstream: tuple[str, int]) -> None:
    client.sendall(relayed(client, upstream, lambda request: request))


def forget_conditions(client: socket.socket, upstream: tuple[str, int]) -> None:
    client.sendall(
        relayed(client, upstream, lambda request: request.replace(b"If-None-Match: *\r\n", b""))
    )


def lose_answer(client: socket.socket, upstream: tuple[str, int]) -> None:
    relayed(client, upstream, lambda request: request)
    reset(client, upstream)


def cut_answer(client: socket.socket, upstream: tuple[str, int]) -> None:
    client.sendall(relayed(client, upstream, lambda request: request)[:-1])


@pytest.fixture
def wire(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., tuple[Store, Wire]]]:
    """The test's own store, but behind a server that follows a script."""
    monkeypatch.setattr(s3, "BACKOFF_S", 0.001)
    monkeypatch.setattr(s3, "READ_S", 5.0)
    wires = []

    def through(*script: Behaviour) -> tuple[Store, Wire]:
        wires.append(Wire(store.endpoint, *script))
        return Store(wires[-1].endpoint, store.prefix), wires[-1]

    yield through
    for wire in wires:
        wire.close()


# What a store does


def test_an_object_comes_back_as_it_was_put(store: Store) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    data = os.urandom(300_000)
    metadata = {"Camera": "quai-3", "place": "Préfecture, 100 % côté mer", "content-type": "x"}
    etag = store.put("inbox", "quay/a.jpg", data, "image/jpeg", metadata)
    content, info = store.get("inbox", "quay/a.jpg")
    assert content == data
    assert info == store.head("inbox", "quay/a.jpg")
    assert (info.key, info.etag, info.size_bytes) == ("quay/a.jpg", etag, len(data))
    assert info.metadata == {name.lower(): value for name, value in metadata.items()}
    assert info.modified_at.tzinfo is UTC
    assert before <= info.modified_at <= datetime.now(UTC) + timedelta(seconds=2)


def test_a_put_replaces(store: Store) -> None:
    first = store.put("inbox", "a", b"first")
    assert store.put("inbox", "a", b"") != first
    assert store.get("inbox", "a")[0] == b""


@pytest.mark.parametrize(
    "key", ["a b+c", "100%41.jpg", "été/ñ/写真.jpg", "a&b=c?d#e", "x" * 200, "'quoted\"<&>"]
)
def test_any_key_survives_put_get_and_list(store: Store, key: str) -> None:
    etag = store.put("inbox", key, b"x")
    assert store.get("inbox", key)[1].key == key
    assert [(info.key, info.etag) for info in store.list("inbox")] == [(key, etag)]


@pytest.mark.parametrize("key", ["", " ", "../a", "a/./b"])
def test_a_key_outside_s3_is_refused_in_our_words(store: Store, key: str) -> None:
    for call in (store.get, store.head, store.delete):
        with pytest.raises(StorageError, match="bad key"):
            call("inbox", key)


def test_listing_pages_and_continues_after_a_cursor(store: Store) -> None:
    keys = [f"day/{i:04}" for i in range(1_030)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.put("inbox", key, b"x"), [*keys, "other/1"]))
    found = list(store.list("inbox", "day/"))
    assert [info.key for info in found] == keys
    assert {info.size_bytes for info in found} == {1}
    assert all(info.modified_at.tzinfo is UTC for info in found)
    assert [info.key for info in store.list("inbox", "day/", after=keys[1_020])] == keys[1_021:]
    assert [info.key for info in store.list("inbox", after="day/9")] == ["other/1"]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.delete("inbox", key), keys))


def test_a_deleted_object_leaves_nothing(store: Store) -> None:
    store.put("inbox", "folder/deep/a", b"x")
    store.delete("inbox", "folder/deep/a")
    store.delete("inbox", "folder/deep/a")
    assert list(store.list("inbox")) == []
    with pytest.raises(NoSuchObject):
        store.get("inbox", "folder/deep/a")
    with pytest.raises(NoSuchObject):
        store.head("inbox", "folder/deep/a")


def test_a_folder_marker_is_no_object(wire: Callable[..., tuple[Store, Wire]]) -> None:
    items = "".join(
        f"<Contents><Key>{key}</Key><LastModified>2026-07-01T10:00:00.000Z</LastModified>"
        "<ETag>e</ETag><Size>0</Size></Contents>"
        for key in ("folder/", "folder/a")
    )
    listing = f"<ListBucketResult><Name>b</Name>{items}</ListBucketResult>"
    store, _ = wire(answers(200, listing))
    assert [info.key for info in store.list("inbox")] == ["folder/a"]


def test_of_six_writers_exactly_one_creates(store: Store) -> None:
    start = threading.Barrier(6)

    def write(n: int) -> int | None:
        start.wait()
        try:
            store.put(
                "batches", "shard", str(n).encode(), metadata={"n": str(n)}, only_if_absent=True
            )
        except ObjectExists:
            return None
        return n

    with ThreadPoolExecutor(6) as pool:
        winners = [n for n in pool.map(write, range(6)) if n is not None]
    assert len(winners) == 1
    data, info = store.get("batches", "shard")
    assert data == info.metadata["n"].encode() == str(winners[0]).encode()


def test_slots_work_without_credentials_for_their_object_alone(store: Store) -> None:
    slot = store.upload_slot("inbox", "from-a-camera.jpg", timedelta(minutes=5))
    assert urllib3.request("PUT", slot, body=b"picture").status == 200
    assert store.get("inbox", "from-a-camera.jpg")[0] == b"picture"
    url = store.download_slot("inbox", "from-a-camera.jpg", timedelta(minutes=5))
    assert urllib3.request("GET", url).data == b"picture"
    assert urllib3.request("GET", url.replace("from-a", "from-b")).status == 403
    assert urllib3.request("PUT", url, body=b"other").status == 403


@pytest.mark.parametrize("expires", [timedelta(0), timedelta(days=8)])
def test_a_slot_of_impossible_length_is_refused(store: Store, expires: timedelta) -> None:
    with pytest.raises(StorageError):
        store.upload_slot("inbox", "a", expires)


def test_a_large_file_goes_up_in_parts(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_PART_BYTES", 5 * 1024**2)
    data = os.urandom(11 * 1024**2)
    (tmp_path / "survey.tif").write_bytes(data)
    etag = store.put_file("inbox", "survey.tif", tmp_path / "survey.tif", "image/tiff")
    assert etag.endswith("-3")  # S3 counts the parts there
    content, info = store.get("inbox", "survey.tif")
    assert content == data
    assert info.etag == etag


def test_a_small_or_missing_file(store: Store, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    store.put_file("inbox", "empty", tmp_path / "empty")
    assert store.get("inbox", "empty")[0] == b""
    with pytest.raises(BadConfiguration, match="missing"):
        store.put_file("inbox", "missing", tmp_path / "missing")


def test_a_put_too_large_for_one_request_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_MAX_SINGLE_PUT_BYTES", 10)
    with pytest.raises(BadConfiguration, match="11 bytes"):
        store.put("inbox", "a", b"x" * 11, only_if_absent=True)


# What a store must be


def test_a_store_with_conditional_puts_passes_and_stays_clean(store: Store) -> None:
    store.probe()
    assert list(store.list("batches")) == []


def test_a_store_that_ignores_conditions_is_refused_and_stays_clean(
    store: Store, wire: Callable[..., tuple[Store, Wire]]
) -> None:
    careless, _ = wire(forget_conditions)
    with pytest.raises(StoreUnsuitable, match="If-None-Match"):
        careless.probe()
    assert list(store.list("batches")) == []


def test_a_store_that_does_not_know_conditions_is_refused(
    wire: Callable[..., tuple[Store, Wire]],
) -> None:
    old, _ = wire(error(501, "NotImplemented"), answers(204))
    with pytest.raises(StoreUnsuitable):
        old.probe()


def test_probing_an_absent_store_says_that_it_is_away(
    wire: Callable[..., tuple[Store, Wire]],
) -> None:
    away, _ = wire(reset)
    with pytest.raises(StoreUnavailable):
        away.probe()


def test_making_buckets_twice_is_harmless(store: Store) -> None:
    store.put("models", "kept", b"x")
    store.ensure_buckets()
    assert store.get("models", "kept")[0] == b"x"


# What may go wrong


def test_wrong_credentials_are_told_without_them(store: Store) -> None:
    for change in (
        {"access_key": "who-is-this"},
        {"secret_key": type(store.endpoint.secret_key)("s3cr3t")},
    ):
        stranger = Store(store.endpoint.model_copy(update=change), store.prefix)
        for call in (
            lambda s: s.get("inbox", "a"),
            lambda s: s.head("inbox", "a"),
            lambda s: s.put("inbox", "a", b"x"),
            lambda s: s.put("inbox", "a", b"x", only_if_absent=True),
            lambda s: list(s.list("inbox")),
            lambda s: s.ensure_buckets(),
            lambda s: s.probe(),
        ):
            with pytest.raises(AccessRefused, match="VIGIE_S3_ACCESS_KEY") as caught:
                call(stranger)
            assert store.endpoint.url in str(caught.value)
            told = "".join(traceback.format_exception(caught.value))
            assert "s3cr3t" not in told
            assert store.endpoint.secret_key.get_secret_value() not in told


def test_a_missing_bucket_is_named(store_server: Endpoint) -> None:
    nowhere = Store(store_server, "nobody-made-this")
    for call in (
        lambda: nowhere.get("inbox", "a"),
        lambda: nowhere.put("inbox", "a", b"x"),
        lambda: nowhere.put("inbox", "a", b"x", only_if_absent=True),
        lambda: list(nowhere.list("inbox")),
        lambda: nowhere.delete("inbox", "a"),
    ):
        with pytest.raises(NoSuchBucket, match="inbox"):
            call()


def test_a_huge_object_is_refused_before_it_is_downloaded(
    wire: Callable[..., tuple[Store, Wire]],
) -> None:
    headers = (
        "HTTP/1.1 200 OK\r\nETag: e\r\nLast-Modified: Wed, 01 Jul 2026 10:00:00 GMT\r\n"
        f"Content-Length: {10**12}\r\n\r\n"
    )

    def huge(client: socket.socket, upstream: tuple[str, int]) -> None:
        says(headers.encode())(client, upstream)
        hang(client, upstream)

    store, seen = wire(huge)
    with pytest.raises(BadImage) as caught:
        store.get("inbox", "a", max_bytes=10**6)
    assert caught.value.reason == "too_many_bytes"
    assert seen.connections == 1


def test_an_object_at_the_bound_is_read(store: Store) -> None:
    store.put("inbox", "a", b"12345")
    assert store.get("inbox", "a", max_bytes=5)[0] == b"12345"
    with pytest.raises(BadImage):
        store.get("inbox", "a", max_bytes=4)


def test_compressed_content_is_not_inflated(wire: Callable[..., tuple[Store, Wire]]) -> None:
    more = "ETag: e\r\nLast-Modified: Wed, 01 Jul 2026 10:00:00 GMT\r\nContent-Encoding: gzip\r\n"
    store, _ = wire(answers(200, "not gzip at all", more=more))
    assert store.get("inbox", "a")[0] == b"not gzip at all"


GARBAGE = says(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
FAULTS: dict[str, tuple[Behaviour, type[StorageError]]] = {
    "reset": (reset, StoreUnavailable),
    "hang": (hang, StoreUnavailable),
    "nothing": (says(b""), StoreUnavailable),
    "garbage": (GARBAGE, StoreUnavailable),
    "half an answer": (says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n"), StorageError),
    "200 without headers of S3": (answers(200, "<html>", "text/html"), StorageError),
    "200 with bad numbers": (
        answers(200, "{}", more="ETag: e\r\nLast-Modified: today\r\n"),
        StorageError,
    ),
    "301": (error(301, "PermanentRedirect"), StorageError),
    "304": (answers(304), StorageError),
    "400": (answers(400, "bad", "text/plain"), StorageError),
    "403 of a gateway": (answers(403, "<h1>no</h1>", "text/html"), AccessRefused),
    "403 clock": (error(403, "RequestTimeTooSkewed"), AccessRefused),
    "404 of a web server": (answers(404, "no such page", "text/html"), StorageError),
    "405": (error(405, "MethodNotAllowed"), StorageError),
    "409": (error(409, "OperationAborted"), StorageError),
    "412": (error(412, "PreconditionFailed"), ObjectExists),
    "429": (answers(429, "slow down", "text/plain"), StoreUnavailable),
    "500": (error(500, "InternalError"), StoreUnavailable),
    "500 not XML": (answers(500, "oh no", "text/plain"), StoreUnavailable),
    "500 in another alphabet": (
        says(b"HTTP/1.1 500 X\r\nContent-Length: 3\r\n\r\n\xff\xfe\xfd"),
        StorageError,
    ),
    "500 broken XML": (answers(500, "<Error><Co"), StorageError),
    "501": (error(501, "NotImplemented"), StorageError),
    "503": (error(503, "SlowDown"), StoreUnavailable),
    "507": (error(507, "InsufficientStorage"), StoreFull),
    "MinIO full": (error(507, "XMinioStorageFull"), StoreFull),
    "over quota": (error(403, "QuotaExceeded"), StoreFull),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_foreign_escapes(
    wire: Callable[..., tuple[Store, Wire]],
    fault: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(s3, "READ_S", 0.05)
    monkeypatch.setattr(storage, "_PART_BYTES", 5 * 1024**2)
    (tmp_path / "large").write_bytes(bytes(6 * 1024**2))
    behaviour, kind = FAULTS[fault]
    store, seen = wire(behaviour)
    with pytest.raises(kind) as caught:
        store.get("inbox", "a")
    assert type(caught.value) is kind
    assert seen.endpoint.url in str(caught.value)
    assert "\n" not in str(caught.value)
    # Without a region the client asks for it first: one more answer to misread.
    homeless = Store(seen.endpoint.model_copy(update={"region": None}), store.prefix)
    for one in (store, homeless):
        for call in (
            lambda s: s.get("inbox", "a"),
            lambda s: s.head("inbox", "a"),
            lambda s: s.put("inbox", "a", b"x"),
            lambda s: s.put("inbox", "a", b"x", only_if_absent=True),
            lambda s: s.put_file("inbox", "a", tmp_path / "large"),
            lambda s: list(s.list("inbox")),
            lambda s: s.delete("inbox", "a"),
            lambda s: s.ensure_buckets(),
            lambda s: s.probe(),
            lambda s: s.upload_slot("inbox", "a", timedelta(minutes=1)),
        ):
            with suppress(StorageError):  # deleting where 200 is said is no error
                call(one)


def test_a_server_that_is_away_is_told_with_advice(store: Store) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    away = Store(store.endpoint.model_copy(update={"url": url}), store.prefix)
    with pytest.raises(StoreUnavailable, match=f"{url}.*check that it runs"):
        away.head("inbox", "a")


def test_a_server_without_tls_is_told(wire: Callable[..., tuple[Store, Wire]]) -> None:
    def plain(client: socket.socket, _upstream: tuple[str, int]) -> None:
        client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        client.recv(65536)

    _, seen = wire(plain)
    url = seen.endpoint.url.replace("http:", "https:")
    secure = Store(seen.endpoint.model_copy(update={"url": url}), "vigie")
    with pytest.raises(StorageError, match="SSL_CERT_FILE"):
        secure.get("inbox", "a")


@pytest.mark.parametrize("passing", [reset, error(503, "SlowDown"), answers(502, "x", "text/html")])
def test_what_passes_is_retried(
    store: Store, wire: Callable[..., tuple[Store, Wire]], passing: Behaviour
) -> None:
    store.put("inbox", "a", b"content")
    for call in (
        lambda s: s.get("inbox", "a")[0] == b"content",
        lambda s: s.head("inbox", "a").size_bytes == 7,
        lambda s: s.put("inbox", "b", b"x"),
        lambda s: s.put("inbox", "c", b"x", only_if_absent=True),
        lambda s: [info.key for info in s.list("inbox")] == ["a", "b", "c"],
    ):
        shaky, seen = wire(passing, passing, forward)
        assert call(shaky)
        assert seen.connections == 3


def test_an_answer_cut_short_is_read_again_not_believed(
    store: Store, wire: Callable[..., tuple[Store, Wire]]
) -> None:
    store.put("inbox", "a", b"content")
    shaky, seen = wire(cut_answer, forward)
    assert shaky.get("inbox", "a")[0] == b"content"
    assert seen.connections == 2


def test_retries_end(wire: Callable[..., tuple[Store, Wire]]) -> None:
    for call in (
        lambda s: s.get("inbox", "a"),
        lambda s: s.put("inbox", "a", b"x"),
        lambda s: s.put("inbox", "a", b"x", only_if_absent=True),
    ):
        failing, seen = wire(error(503, "SlowDown"))
        with pytest.raises(StoreUnavailable, match="503 SlowDown"):
            call(failing)
        assert seen.connections == s3.ATTEMPTS


@pytest.mark.parametrize(
    "final", [error(403, "AccessDenied"), error(404, "NoSuchKey"), error(507, "X")]
)
def test_what_does_not_pass_is_not_retried(
    wire: Callable[..., tuple[Store, Wire]], final: Behaviour
) -> None:
    for call in (
        lambda s: s.get("inbox", "a"),
        lambda s: s.put("inbox", "a", b"x"),
        lambda s: s.put("inbox", "a", b"x", only_if_absent=True),
    ):
        failing, seen = wire(final)
        with pytest.raises(StorageError):
            call(failing)
        assert seen.connections == 1


def test_opening_a_multipart_upload_is_not_repeated(
    wire: Callable[..., tuple[Store, Wire]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_PART_BYTES", 5 * 1024**2)
    (tmp_path / "large").write_bytes(bytes(6 * 1024**2))
    failing, seen = wire(error(503, "SlowDown"))
    with pytest.raises(StoreUnavailable):
        failing.put_file("inbox", "a", tmp_path / "large")
    assert seen.connections == 1


def test_a_creation_whose_answer_was_lost_is_known_as_our_own(
    store: Store, wire: Callable[..., tuple[Store, Wire]]
) -> None:
    shaky, _ = wire(lose_answer, forward)
    etag = shaky.put("batches", "shard", b"result", only_if_absent=True)
    assert store.get("batches", "shard")[1].etag == etag


def test_another_writer_of_the_same_bytes_still_wins(
    store: Store, wire: Callable[..., tuple[Store, Wire]]
) -> None:
    store.put("batches", "shard", b"result", only_if_absent=True)
    shaky, _ = wire(lose_answer, forward)
    with pytest.raises(ObjectExists):
        shaky.put("batches", "shard", b"result", only_if_absent=True)


def test_a_redirect_is_not_followed(store: Store, wire: Callable[..., tuple[Store, Wire]]) -> None:
    _, elsewhere = wire(forward)
    more = f"Location: {elsewhere.endpoint.url}/{store.bucket_name('inbox')}/a\r\n"
    for status in (301, 302, 307, 308):
        hijacked, _ = wire(answers(status, more=more))
        with pytest.raises(StorageError):
            hijacked.put("inbox", "a", b"a picture")
        with pytest.raises(StorageError):
            hijacked.get("inbox", "a")
    assert elsewhere.connections == 0
