import secrets
from collections.abc import Iterator

import pytest

from services import embedded, s3
from services.settings import Endpoint
from services.storage import BUCKETS, Store


@pytest.fixture(scope="session")
def store_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """One real S3 server for the whole run."""
    state_dir = tmp_path_factory.mktemp("store")
    yield embedded.up(state_dir)
    embedded.down(state_dir)


@pytest.fixture
def store(store_server: Endpoint) -> Iterator[Store]:
    """Six empty buckets of this test's own, gone afterwards: each takes a volume of the disk."""
    store = Store(store_server, f"test-{secrets.token_hex(6)}")
    store.ensure_buckets()
    yield store
    client = s3.patient(store_server)
    for bucket in BUCKETS:
        for info in list(store.list(bucket)):
            store.delete(bucket, info.key)
        client.remove_bucket(store.bucket_name(bucket))
