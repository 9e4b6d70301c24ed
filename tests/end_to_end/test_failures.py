"""What a person reads when something outside fails: one clear line, no traceback, no password."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from parts.command import SIGNALS, Signals, begun, environment
from parts.postgres import PASSWORD, PostgresServer, name_of
from parts.receiver import Receiver

COLLECTOR = """
name: users
metric: {{name: users, type: COUNT}}
schedule: {{interval: 1m}}
source:
  type: postgres
  config:
    uri: "{uri}"
    sql: "{sql}"
sinks:
  {sink}
"""
COUNT = "SELECT account, count(*) AS value FROM users GROUP BY account"
CONSOLE = "console: {type: console}"

Write = Callable[[str, str], Path]


def invoke(signals: Signals, write: Write, uri: str, sql: str = COUNT, sink: str = CONSOLE) -> str:
    """Invoke a collector that is to fail, and return the one line it says."""
    write("users.yaml", COLLECTOR.format(uri=uri, sql=sql, sink=sink))
    done = signals("config", "invoke", "-c", "users.yaml")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr.removesuffix("\n")


def test_server_is_down(signals: Signals, write: Write) -> None:
    """A server that is down is named, without the password."""
    said = invoke(signals, write, "postgresql://app:s3cr3t-word@127.0.0.1:1/shop")
    assert said == "users: postgres at 127.0.0.1:1/shop: Connection refused"


def test_wrong_password(signals: Signals, write: Write, postgres_server: PostgresServer) -> None:
    """A wrong password is told as such, and is not shown."""
    said = invoke(signals, write, postgres_server.tcp_uri(password="not-this-one"))
    assert "password authentication failed" in said
    assert said.count("\n") == 0
    assert "not-this-one" not in said


def test_right_password(
    signals: Signals, write: Write, postgres_server: PostgresServer, users: str
) -> None:
    """The password in a URI is used, percent-encoded as it may be."""
    name = name_of(users)
    write(
        "users.yaml",
        COLLECTOR.format(uri=postgres_server.tcp_uri(name), sql=COUNT, sink=CONSOLE),
    )
    done = signals("config", "invoke", "-c", "users.yaml")
    assert done.returncode == 0, done.stderr
    assert PASSWORD not in done.stderr


def test_unknown_host(signals: Signals, write: Write) -> None:
    """An unknown host is named in one line."""
    said = invoke(signals, write, "postgresql://app:s3cr3t-word@no-such-host.invalid/shop")
    assert said.startswith("users: postgres at no-such-host.invalid:5432/shop: ")
    assert said.count("\n") == 0
    assert "s3cr3t-word" not in said


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("mongodb://app:s3cr3t-word@127.0.0.1:1/", "refused"),
        ("mongodb://app:s3cr3t-word@no-such-host.invalid/", "host"),
    ],
)
def test_mongodb_is_down(signals: Signals, write: Write, uri: str, reason: str) -> None:
    """A MongoDB that cannot be reached is told in one line, without the password."""
    write(
        "users.yaml",
        f"""
        name: users
        metric: {{name: users, type: COUNT}}
        schedule: {{interval: 1m}}
        source:
          type: mongodb
          config:
            uri: '{uri}'
            connect_timeout: 300ms
            database: shop
            collection: users
            agg: [{{$count: value}}]
        sinks: {{console: {{type: console}}}}
        """,
    )
    done = signals("config", "invoke", "-c", "users.yaml")
    assert done.returncode == 1
    assert done.stderr.startswith("users: mongodb at ")
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1
    assert "s3cr3t-word" not in done.stderr


def test_query_is_wrong(signals: Signals, write: Write, users: str) -> None:
    """A query that the server refuses is told with the server's reason and the query's line."""
    said = invoke(signals, write, users, "SELECT accounts, count(*) AS value FROM users")
    assert 'column "accounts" does not exist' in said
    assert "line 1" in said
    assert said.count("\n") == 0


def test_raw_data(signals: Signals, write: Write, users: str) -> None:
    """A query that returns raw data stops at max_rows and is told so."""
    series = "generate_series(1, 10000)"
    sql = f"SELECT a * 10000 + b AS tag, 1 AS value FROM {series} a, {series} b"
    said = invoke(signals, write, users, sql)
    assert said == (
        "users: more than 100000 rows: the query returns raw data "
        "(aggregate it with GROUP BY, or raise max_rows)"
    )


def test_full_device(write: Write, project: Path, users: str) -> None:
    """A standard output that is full is told in one line."""
    write("users.yaml", COLLECTOR.format(uri=users, sql=COUNT, sink=CONSOLE))
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*SIGNALS, "config", "invoke", "-c", "users.yaml"],
            cwd=project,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "sink console: standard output: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_reader_went_away(write: Write, project: Path, users: str) -> None:
    """A pipe whose reader went away is told in one line, without noise when Python exits."""
    write("users.yaml", COLLECTOR.format(uri=users, sql=COUNT, sink=CONSOLE))
    with begun(project, "config", "invoke", "-c", "users.yaml") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 1
    assert "standard output: the reader went away" in said
    assert "Traceback" not in said
    assert "Exception" not in said


def test_unwritable_file(signals: Signals, write: Write, users: str) -> None:
    """A file that cannot be written is named."""
    said = invoke(
        signals, write, users, sink="audit: {type: file, config: {path: /no/such/folder/x.log}}"
    )
    assert "users: sink audit: " in said
    assert "/no/such/folder/x.log" in said
    assert said.splitlines()[1:] == ["users: no sink has it"]


def test_one_sink_fails(signals: Signals, write: Write, users: str, receiver: Receiver) -> None:
    """When one of two sinks fails, it is said which got the metrics and which did not."""
    receiver.answer(500, "out of order")
    sink = (
        f"{{console: {{type: console}}, vector: {{type: http, config: {{uri: '{receiver.uri}'}}}}}}"
    )
    write(
        "users.yaml", COLLECTOR.format(uri=users, sql=COUNT, sink="x").replace("\n  x", " " + sink)
    )
    done = signals("config", "invoke", "-c", "users.yaml")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 2
    first, second = done.stderr.splitlines()
    assert first.startswith("users: sink vector: POST http://127.0.0.1:")
    assert "500" in first
    assert "out of order" in first
    assert second == "users: delivered to console"


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("413", "413"),
        ("silent", "no answer within"),
        ("half", "broke off"),
    ],
)
def test_receiver_misbehaves(
    signals: Signals, write: Write, users: str, receiver: Receiver, behaviour: str, words: str
) -> None:
    """A receiver that refuses, never answers or answers by half is told in one line."""
    if behaviour.isdigit():
        receiver.answer(int(behaviour), "too much")
    else:
        receiver.fail(behaviour)
    said = invoke(
        signals,
        write,
        users,
        sink=f"vector: {{type: http, config: {{uri: '{receiver.uri}', timeout: 500ms}}}}",
    )
    first, second = said.splitlines()
    assert words in first
    assert second == "users: no sink has it"
