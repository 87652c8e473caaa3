import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from services import embedded, s3
from services.settings import Endpoint, Settings
from services.storage import BUCKETS, Bucket, Store
from serving import pictures
from tests.outputs import must_hold_no_metadata

# No timed assertions: shared machines are slow at times. CI draws the same examples each time, so
# that it fails for what changed.
settings.register_profile("vigie", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("vigie")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden", action="store_true", help="rewrite tests/golden")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with tests/golden/<name>, or rewrite that file under --golden."""
    folder = Path(__file__).parent / "golden"

    def check(name: str, text: str) -> None:
        if request.config.getoption("--golden"):
            folder.mkdir(exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        assert text == (folder / name).read_text(encoding="utf-8"), "`make golden` rewrites it"

    return check


@pytest.fixture(autouse=True)
def no_metadata_goes_out(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test writes for the public is parsed first, unless it writes no pictures at all.

    What other processes write into the test's own store is parsed when the store goes.
    """
    if "no_pictures" in request.keywords:
        yield
        return
    put, put_file, put_output, write_output = (
        *(Store.put, Store.put_file),
        *(pictures._put, pictures._write),
    )

    def checked_put(self: Store, bucket: Bucket, key: str, data: bytes, *more: Any, **named: Any):
        if bucket == "redacted":
            must_hold_no_metadata(data)
        return put(self, bucket, key, data, *more, **named)

    def checked_put_file(self: Store, bucket: Bucket, key: str, path: Path, *more: Any):
        if bucket == "redacted":
            must_hold_no_metadata(path.read_bytes())
        return put_file(self, bucket, key, path, *more)

    def checked_put_output(store: Store, bucket: Bucket, key: str, data: bytes | None) -> None:
        if data is not None:
            must_hold_no_metadata(data)
        put_output(store, bucket, key, data)

    def checked_write_output(target: Path, data: bytes | None) -> None:
        if data is not None:
            must_hold_no_metadata(data)
        write_output(target, data)

    with pytest.MonkeyPatch.context() as patch:  # its own: a test's is undone before others
        patch.setattr(Store, "put", checked_put)
        patch.setattr(Store, "put_file", checked_put_file)
        patch.setattr(pictures, "_put", checked_put_output)
        patch.setattr(pictures, "_write", checked_write_output)
        yield


@pytest.fixture(scope="session")
def networks(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The folder of exported networks for the whole run: to export one takes 15 seconds."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "networks"  # one for all workers
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def state_dir(tmp_path: Path, networks: Path) -> Path:
    """A private state folder of this test's own, but for the exported networks."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    (folder / "cache").symlink_to(networks)
    return folder


@pytest.fixture(scope="session")
def store_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """One real S3 server for the whole run."""
    state_dir = tmp_path_factory.mktemp("store")
    yield embedded.up(state_dir)
    embedded.down(state_dir)


@pytest.fixture
def store(store_server: Endpoint, request: pytest.FixtureRequest) -> Iterator[Store]:
    """Six empty buckets of this test's own, gone afterwards: each takes a volume of the disk."""
    store = Store(store_server, f"test-{secrets.token_hex(6)}")
    store.ensure_buckets()
    yield store
    client = s3.patient(store_server)
    left: list[bytes] = []
    for bucket in BUCKETS:
        for info in list(store.list(bucket)):
            if bucket == "redacted" and "no_pictures" not in request.keywords:
                left.append(store.get(bucket, info.key)[0])
            store.delete(bucket, info.key)
        client.remove_bucket(store.bucket_name(bucket))
    for data in left:
        must_hold_no_metadata(data)


@pytest.fixture
def store_settings(store: Store, state_dir: Path) -> Settings:
    """Settings of this test's own buckets and state folder."""
    return Settings(
        s3_endpoint=store.endpoint.url,
        s3_access_key=store.endpoint.access_key,
        s3_secret_key=store.endpoint.secret_key,
        s3_prefix=store.prefix,
        state_dir=state_dir,
    )
