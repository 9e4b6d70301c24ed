"""What the sink cannot write: tried again with the remedy, or refused for good."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from threading import Thread
from typing import Any

import psycopg
import pytest

from parts.metrics import MOMENT, batch_of, metric
from parts.postgres import PostgresServer, name_of
from signals_core import Rejected, Secret, Unavailable
from signals_postgres.sink import PostgresSink

Execute = Callable[[str], list[Any]]
Make = Callable[..., PostgresSink]

COLUMNS = (
    "(uuid uuid PRIMARY KEY, name text NOT NULL, value numeric, type text NOT NULL, tags jsonb NOT "
    "NULL, timestamp timestamptz NOT NULL, grain_datetime timestamptz NOT NULL, collector text NOT "
    "NULL, grain text, timezone text, window_end timestamptz)"
)


@pytest.fixture
def writer(execute: Execute, postgres_server: PostgresServer, database: str) -> Iterator[str]:
    """Return the URI of a role without any rights."""
    execute("CREATE ROLE writer LOGIN")
    yield postgres_server.uri_of(name_of(database), user="writer")
    execute("DROP OWNED BY writer; DROP ROLE writer")


def said_by(call: Callable[[], object]) -> str:
    """Return what an `Unavailable` says after the name of the target."""
    with pytest.raises(Unavailable) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("postgres at ")
    return text.partition(": ")[2]


def unwritable(sink: PostgresSink) -> str:
    """Return what both a check and a write say."""
    said = said_by(lambda: sink.write(batch_of(metric(3))))
    assert said_by(sink.check) == said
    return said


def test_a_missing_table_is_told_with_the_sql(make_sink: Make) -> None:
    """Without a table there is the option that makes it, and the SQL that does."""
    assert unwritable(make_sink()) == (
        f'relation "metrics" does not exist (set create_table: true, or CREATE TABLE "metrics" '
        f"{COLUMNS})"
    )


def test_a_missing_schema_is_told(make_sink: Make) -> None:
    """A schema is not made, but named."""
    sink = make_sink(table="analytics.metrics", create_table=True)
    assert unwritable(sink) == 'schema "analytics" does not exist (CREATE SCHEMA "analytics")'


def test_missing_rights_are_told_with_the_grants(
    make_sink: Make, execute: Execute, writer: str
) -> None:
    """The GRANTs that are said are those that help."""
    execute("CREATE SCHEMA analytics")
    make_sink(table="analytics.metrics", create_table=True).write(batch_of(metric(3)))
    sink = make_sink(writer, table="analytics.metrics")
    grants = (
        'GRANT USAGE ON SCHEMA "analytics" TO "writer"; '
        'GRANT SELECT, INSERT, UPDATE ON "analytics"."metrics" TO "writer"'
    )
    assert unwritable(sink) == f"permission denied for schema analytics ({grants})"
    execute(grants)
    sink.check()
    sink.write(batch_of(metric(4)))


def test_a_role_that_may_make_no_table_is_told(
    make_sink: Make, execute: Execute, writer: str
) -> None:
    """Who asks for the table to be made needs the right to make it."""
    sink = make_sink(writer, create_table=True)
    grant = 'GRANT USAGE, CREATE ON SCHEMA "public" TO "writer"'
    assert unwritable(sink) == f"the role may make no table in the schema public ({grant})"
    execute(grant)
    sink.check()
    sink.write(batch_of(metric(3)))
    assert execute("SELECT value FROM metrics_current") == [(3,)]


def test_a_table_that_cannot_hold_metrics_is_told(make_sink: Make, execute: Execute) -> None:
    """A column or a key that is missing is named."""
    execute("CREATE TABLE metrics (uuid uuid)")
    said = unwritable(make_sink())
    assert said == (
        f'column "name" of relation "metrics" does not exist (CREATE TABLE "metrics" {COLUMNS})'
    )
    execute(f"DROP TABLE metrics; CREATE TABLE metrics {COLUMNS.replace(' PRIMARY KEY', '')}")
    assert unwritable(make_sink()).endswith('(ALTER TABLE "metrics" ADD PRIMARY KEY (uuid))')


def test_a_server_that_takes_no_writes_is_told(make_sink: Make, database: str) -> None:
    """A standby, or a role that may only read, is worth another try at the primary."""
    sink = make_sink(f"{database}&options=-cdefault_transaction_read_only%3Don", create_table=True)
    assert unwritable(sink) == (
        "the server takes no writes: it is a standby, or the role may only read "
        "(name the primary, with target_session_attrs=read-write)"
    )


def test_checking_writes_nothing(make_sink: Make, execute: Execute) -> None:
    """A check makes no table and no row."""
    sink = make_sink(create_table=True)
    sink.check()
    assert execute("SELECT to_regclass('metrics')") == [(None,)]
    sink.write(batch_of(metric(3)))
    sink.check()
    assert execute("SELECT count(*) FROM metrics") == [(1,)]


@pytest.mark.parametrize(
    ("bad", "reason", "indices"),
    [
        (metric(5, tags={"a": "x\0"}), "unsupported Unicode escape sequence", {1}),
        (metric(5, name="\\\0"), "unsupported Unicode escape sequence", {1}),
        (metric(10**131_072), "value overflows numeric format", None),
        (metric(Decimal("1e-17000")), "value overflows numeric format", None),
        (metric(5, grain="1d", timezone="Mars/Base"), 'time zone "Mars/Base" not recognized', None),
    ],
    ids=["nul", "nul behind a backslash", "too large", "too fine", "zone"],
)
def test_what_the_server_never_takes_is_refused(
    bad: Any, reason: str, indices: set[int] | None, sink: PostgresSink, execute: Execute
) -> None:
    """Such content is refused, nothing of its batch is kept, and the next batch is taken."""
    with pytest.raises(Rejected) as caught:
        sink.write(batch_of(metric(1, name="\\u0000"), bad))
    assert reason in caught.value.reason
    assert caught.value.indices == indices
    assert execute("SELECT * FROM metrics") == []
    sink.write(batch_of(metric(1, name="\\u0000")))
    assert execute("SELECT name FROM metrics") == [("\\u0000",)]


def test_what_a_constraint_of_the_table_refuses_is_refused(
    sink: PostgresSink, execute: Execute
) -> None:
    """A condition that the table's owner has set is the receiver's word."""
    sink.write(batch_of(metric(1)))
    execute("ALTER TABLE metrics ADD CONSTRAINT no_debts CHECK (value >= 0)")
    with pytest.raises(Rejected, match='violates check constraint "no_debts"'):
        sink.write(batch_of(metric(-1)))


def test_a_restart_between_batches_goes_unnoticed(
    make_postgres: Callable[..., PostgresServer], make_sink: Make
) -> None:
    """A connection that broke while it was idle is made anew."""
    server = make_postgres()
    sink = make_sink(server.uri, create_table=True)
    sink.write(batch_of(metric(1)))
    server.restart()
    sink.write(batch_of(metric(2)))
    assert server.execute("SELECT value FROM metrics ORDER BY 1") == [(1,), (2,)]
    server.stop()
    assert said_by(lambda: sink.write(batch_of(metric(3))))


def test_a_connection_that_breaks_is_unavailable(sink: PostgresSink, execute: Execute) -> None:
    """What an administrator ends is tried again."""
    execute(
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$"
    )
    sink.write(batch_of(metric(1)))
    execute("CREATE TRIGGER die AFTER INSERT ON metrics EXECUTE FUNCTION die()")
    said = said_by(lambda: sink.write(batch_of(metric(2))))
    assert said.startswith("terminating connection due to administrator command")


def test_a_write_that_waits_is_ended(make_sink: Make, database: str) -> None:
    """Behind somebody's lock a batch takes no longer than it may, and is tried again."""
    sink = make_sink(create_table=True, timeout=timedelta(milliseconds=200))
    sink.write(batch_of(metric(1)))
    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE metrics")
        assert said_by(lambda: sink.write(batch_of(metric(2)))) == (
            "the write was ended: canceling statement due to statement timeout"
        )
    sink.write(batch_of(metric(2)))


def test_a_server_that_stands_still_is_given_up(
    make_sink: Make, execute: Execute, postgres_server: PostgresServer
) -> None:
    """Where the server does not even end what takes too long, the connection is ended here."""
    sink = make_sink(create_table=True, timeout=timedelta(milliseconds=200))
    sink.write(batch_of(metric(1)))
    execute(
        "CREATE TABLE halted (line text);"
        "CREATE FUNCTION halt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE format("
        "'COPY halted FROM PROGRAM %L', 'kill -STOP ' || pg_backend_pid()); RETURN NULL; END $$;"
        "CREATE TRIGGER halt AFTER INSERT ON metrics EXECUTE FUNCTION halt()"
    )
    try:
        said = said_by(lambda: sink.write(batch_of(metric(2))))
    finally:
        for (pid,) in execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'signals sink'"
        ):
            os.kill(pid, signal.SIGCONT)
    assert said.startswith("the connection was lost: ")


def test_two_writers_do_not_block_each_other_for_good(make_sink: Make, execute: Execute) -> None:
    """Rows are locked in one order, whatever the order in which they come."""
    one, other = make_sink(create_table=True), make_sink(create_table=True)
    for second in range(5):
        versions = [
            metric(value, timestamp=MOMENT + timedelta(seconds=second)) for value in range(200)
        ]
        thread = Thread(target=other.write, args=(batch_of(*reversed(versions)),))
        thread.start()
        one.write(batch_of(*versions))
        thread.join()
    last = MOMENT + timedelta(seconds=4)
    assert execute("SELECT count(*), min(timestamp), max(timestamp) FROM metrics") == [
        (len({version.uuid for version in versions}), last, last)
    ]


def test_a_closed_sink_says_so() -> None:
    """Whoever writes before `open` is told."""
    sink = PostgresSink(Secret("postgresql://h/db"))
    with pytest.raises(Unavailable, match="the sink is not open"):
        sink.write(batch_of(metric(1)))
    sink.close()
    sink.close()
