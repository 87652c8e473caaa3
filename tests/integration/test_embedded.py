import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import urllib3

from models.errors import BadConfiguration, StoreFull, StoreUnavailable
from services import embedded, s3
from services.settings import Endpoint, Settings
from services.storage import Store


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    yield folder
    embedded.down(folder)


def pid_of(state_dir: Path) -> int:
    return int((state_dir / "store.pid").read_text())


def first_port(endpoint: Endpoint) -> int:
    return int(endpoint.url.rpartition(":")[2])


def test_objects_survive_a_stop_and_a_kill(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The server reads these by itself: none of our environment may reach it.
    monkeypatch.setenv("S3_BUCKET", "surprise")
    monkeypatch.setenv("VIGIE_STATE_DIR", str(state_dir))
    for name in ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY"):
        monkeypatch.delenv(f"VIGIE_S3_{name}", raising=False)
    endpoint = embedded.up(state_dir)
    assert Settings().endpoint == endpoint == embedded.status(state_dir)
    store = Store.connect(Settings())
    store.ensure_buckets()
    store.probe()
    content = {f"k/{i}": os.urandom(10_000 + i) for i in range(50)}
    for key, data in content.items():
        store.put("inbox", key, data)

    assert embedded.down(state_dir)
    assert list(Path("/tmp").glob(f"seaweedfs-*{first_port(endpoint)}.sock")) == []
    assert embedded.status(state_dir) is None
    assert not embedded.down(state_dir)
    assert embedded.up(state_dir) == endpoint
    assert {info.key for info in store.list("inbox")} == content.keys()
    store.put("inbox", "late", b"last words")

    os.kill(pid_of(state_dir), signal.SIGKILL)
    assert embedded.up(state_dir) == endpoint
    assert {key: store.get("inbox", key)[0] for key in content} == content
    assert store.get("inbox", "late")[0] == b"last words"
    buckets = {bucket.name for bucket in s3.patient(endpoint).list_buckets()}
    assert buckets == {
        store.bucket_name(bucket)
        for bucket in ("inbox", "redacted", "quarantine", "datasets", "models", "batches")
    }


def test_what_is_secret_stays_private(state_dir: Path) -> None:
    endpoint = embedded.up(state_dir)
    pid = pid_of(state_dir)
    assert state_dir.stat().st_mode & 0o777 == 0o700
    assert (state_dir / "store.json").stat().st_mode & 0o777 == 0o600
    assert (state_dir / "store").stat().st_mode & 0o777 == 0o700
    secret = endpoint.secret_key.get_secret_value()
    assert len(secret) >= 32
    assert secret not in Path(f"/proc/{pid}/cmdline").read_text()
    assert secret not in (state_dir / "store.log").read_text()


def test_starting_again_changes_nothing(state_dir: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        endpoints = list(pool.map(embedded.up, [state_dir] * 3))
    pid = pid_of(state_dir)
    assert endpoints == [endpoints[0]] * 3
    assert embedded.up(state_dir) == endpoints[0]
    assert pid_of(state_dir) == pid


def test_no_port_serves_an_object_without_credentials(store: Store) -> None:
    secret = os.urandom(2_000).hex().encode()
    store.put("inbox", "face.jpg", secret)
    name, first = store.bucket_name("inbox"), first_port(store.endpoint)
    paths = ["", f"buckets/{name}/face.jpg", f"buckets/{name}/", f"{name}/face.jpg", f"{name}/"]
    for port in range(first, first + 5):
        for path in paths:
            url = f"http://127.0.0.1:{port}/{path}"
            answer = urllib3.request("GET", url, retries=False)
            assert secret not in answer.data
            assert answer.status >= 400 or b"face.jpg" not in answer.data
            urllib3.request("DELETE", url, retries=False)
            urllib3.request("PUT", f"{url}-planted", body=b"x", retries=False)
    s3_port, master, volume, filer, admin = range(first, first + 5)
    assert urllib3.request("GET", f"http://127.0.0.1:{s3_port}/{name}/face.jpg").status == 403
    for port, path in ((filer, f"buckets/{name}/face.jpg"), (master, "dir/assign"), (admin, "")):
        url = f"http://127.0.0.1:{port}/{path}"
        assert urllib3.request("GET", url, retries=False).status == 404
    # The volume server asks for a token before it looks for the file.
    for method in ("GET", "DELETE", "POST"):
        url = f"http://127.0.0.1:{volume}/1,0123456789"
        assert urllib3.request(method, url, retries=False).status == 401
    assert store.get("inbox", "face.jpg")[0] == secret
    assert [info.key for info in store.list("inbox")] == ["face.jpg"]


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads Linux' table of sockets")
def test_every_port_listens_on_loopback_alone(store_server: Endpoint) -> None:
    first = first_port(store_server)
    ours = {port + step for port in range(first, first + 5) for step in (0, 10_000)}
    listening = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            address, port = line.split()[1].split(":")
            if line.split()[3] == "0A" and int(port, 16) in ours:
                assert address == "0100007F"
                listening.add(int(port, 16))
    assert listening == ours


def test_a_foreign_process_with_our_number_is_left_alone(state_dir: Path) -> None:
    state_dir.mkdir(mode=0o700)
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        (state_dir / "store.pid").write_text(str(bystander.pid))
        assert embedded.status(state_dir) is None
        assert not embedded.down(state_dir)
        assert bystander.poll() is None
        (state_dir / "store.pid").write_text(str(bystander.pid))
        embedded.up(state_dir)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_taken_port_is_avoided_and_the_data_follows(state_dir: Path) -> None:
    store = Store(embedded.up(state_dir), "moved")
    store.ensure_buckets()
    store.put("inbox", "a", b"content")
    embedded.down(state_dir)
    taken = first_port(store.endpoint) + 10_003  # the filer's gRPC port
    with contextlib.closing(socket.create_server(("127.0.0.1", taken))):
        moved = embedded.up(state_dir)
    assert moved.url != store.endpoint.url
    assert (moved.access_key, moved.secret_key) == (
        store.endpoint.access_key,
        store.endpoint.secret_key,
    )
    assert Store(moved, "moved").get("inbox", "a")[0] == b"content"


def program(path: Path, text: str) -> Callable[[], Path]:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return lambda: path


def test_a_server_that_ends_at_once_is_told_with_its_last_words(
    state_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        embedded, "_binary", program(tmp_path / "weed", "echo no luck today; exit 3")
    )
    with pytest.raises(StoreUnavailable, match=r"process ended(.|\n)*no luck today"):
        embedded.up(state_dir)
    assert not (state_dir / "store.pid").exists()


def test_a_server_that_never_answers_is_given_up_and_stopped(
    state_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = program(tmp_path / "weed", "trap '' TERM; echo waiting; while :; do sleep 0.05; done")
    monkeypatch.setattr(embedded, "_binary", deaf)
    monkeypatch.setattr(embedded, "READY_S", 0.3)
    monkeypatch.setattr(embedded, "STOP_S", 0.3)
    with pytest.raises(StoreUnavailable, match=r"not ready(.|\n)*waiting"):
        embedded.up(state_dir)
    assert embedded.status(state_dir) is None


def test_a_state_folder_open_to_others_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    with pytest.raises(BadConfiguration, match="chmod 700"):
        embedded.up(shared)
    assert list(shared.iterdir()) == []


def test_a_full_disk_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m,mode=700", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small disk")
    monkeypatch.setattr(s3, "BACKOFF_S", 0.001)
    # A full server may not obey SIGTERM.
    monkeypatch.setattr(embedded, "STOP_S", 1.0)
    try:
        store = Store(embedded.up(disk), "small")
        store.ensure_buckets()
        kept = []
        with pytest.raises(StoreFull, match="make room"):
            for i in range(20):
                store.put("inbox", str(i), os.urandom(3_000_000))
                kept.append(str(i))
        assert len(kept) > 3
        assert len(store.get("inbox", kept[-1])[0]) == 3_000_000
    finally:
        embedded.down(disk)
        # Lazily: a killed process lets go of its files an instant after it is gone.
        subprocess.run(["umount", "-l", str(disk)], check=True)
