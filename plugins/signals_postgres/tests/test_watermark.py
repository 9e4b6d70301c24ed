"""Up to which instant a source shows all its data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from parts.postgres import PostgresServer, wait_until
from signals_core import Secret
from signals_postgres.source import Postgres

Make = Callable[..., Postgres]


def test_a_primary_answers_with_its_clock(source: Postgres) -> None:
    """`auto` on a primary is the server's present time."""
    before = datetime.now(UTC)
    moment = source.watermark()
    assert moment is not None
    assert moment.tzinfo is not None
    assert before - timedelta(seconds=1) < moment < datetime.now(UTC) + timedelta(seconds=1)


def test_an_open_transaction_does_not_hold_a_primary_up(source: Postgres, database: str) -> None:
    """The oldest transaction is not what `auto` asks for: grace is for what commits late."""
    import psycopg

    with psycopg.connect(database) as other:
        other.execute("CREATE TABLE t (n int)")
        first = source.watermark()
        second = source.watermark()
    assert first is not None and second is not None and second > first


def test_the_clock_of_signals_needs_no_connection(make_source: Make) -> None:
    """`clock` is None, whatever the server."""
    assert make_source("postgresql://nowhere.invalid/db", watermark="clock").watermark() is None


def test_a_query_may_say_it(make_source: Make) -> None:
    """SQL of one `timestamptz` is run and answers, aware."""
    source = make_source(watermark="SELECT timestamptz '2026-01-01 12:00+02' -- :no")
    assert source.watermark() == datetime(2026, 1, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT NULL::timestamptz", "the watermark query returned NULL"),
        ("SELECT timestamp '2026-01-01'", "the watermark query returned a timestamp without zone"),
        ("SELECT 1", "the watermark query returned int"),
        ("SELECT now() WHERE false", "the watermark query returned no single value"),
        ("SELECT now() AS a, now() AS b", "the watermark query returned no single value"),
        ("SELECT now() FROM generate_series(1, 2)", "the watermark query returned no single value"),
        ("DELETE FROM t RETURNING now()", "the query writes: cannot execute DELETE in a read-only"),
        ("SELECT now(); DROP TABLE t", "the query holds several commands"),
    ],
)
def test_a_query_that_says_something_else_is_refused(
    sql: str, message: str, make_source: Make, execute: Callable[[str], list[Any]]
) -> None:
    """NULL, no zone, other types, other shapes and writing are one line each."""
    execute("CREATE TABLE t (n int)")
    with pytest.raises(Exception, match=f"^{message}"):
        make_source(watermark=sql).watermark()


@pytest.fixture(scope="module")
def primary(make_postgres: Callable[..., PostgresServer]) -> PostgresServer:
    """Return a primary that a test may stop."""
    return make_postgres()


@pytest.fixture(scope="module")
def standby(
    primary: PostgresServer, make_postgres: Callable[..., PostgresServer]
) -> PostgresServer:
    """Return a standby of it that streams."""
    server = make_postgres(primary)
    primary.execute("CREATE TABLE t (at timestamptz)")
    wait_until(lambda: server.execute("SELECT to_regclass('t')") != [(None,)])
    return server


@pytest.fixture
def on_standby(standby: PostgresServer) -> Iterator[Make]:
    """Return a function that makes a source on the standby and closes it afterwards."""
    made: list[Postgres] = []

    def make(user: str = "postgres") -> Postgres:
        made.append(Postgres(Secret(standby.uri_of("postgres", user=user))))
        return made[-1]

    yield make
    for source in made:
        source.close()


def test_a_standby_answers_with_what_it_has_replayed(
    primary: PostgresServer, standby: PostgresServer, on_standby: Make
) -> None:
    """What the watermark covers is visible on the standby, and never ahead of what was sent."""
    source = on_standby()
    primary.execute("INSERT INTO t VALUES (clock_timestamp())")
    [(written,)] = primary.execute("SELECT max(at) FROM t")
    wait_until(lambda: (source.watermark() or written) > written)
    assert standby.execute("SELECT max(at) FROM t") == [(written,)]


def test_an_idle_primary_does_not_hold_a_standby_up(
    primary: PostgresServer, on_standby: Make
) -> None:
    """While nothing is written, the messages of the stream move the watermark on."""
    source = on_standby()
    first = source.watermark()
    assert first is not None
    wait_until(lambda: (source.watermark() or first) > first, 40)


def test_replay_that_is_paused_holds_the_watermark(
    primary: PostgresServer, standby: PostgresServer, on_standby: Make
) -> None:
    """A standby that receives but does not replay stays at what it has replayed."""
    source = on_standby()
    standby.execute("SELECT pg_wal_replay_pause()")
    wait_until(lambda: standby.execute("SELECT pg_get_wal_replay_pause_state()") == [("paused",)])
    try:
        primary.execute("INSERT INTO t VALUES (clock_timestamp())")
        [(written,)] = primary.execute("SELECT max(at) FROM t")
        wait_until(
            lambda: standby.execute(
                "SELECT 1 WHERE pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()"
            )
        )
        moment = source.watermark()
        assert moment is not None and moment < written
    finally:
        standby.execute("SELECT pg_wal_replay_resume()")


def test_a_role_without_statistics_is_told_so(
    primary: PostgresServer, on_standby: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """A plain role gets the replay's own time, and hears what it would take to know more."""
    primary.execute("DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN")
    source = on_standby("plain")
    wait_until(lambda: can_log_in(source))
    with caplog.at_level(logging.WARNING, "signals.postgres"):
        moment = source.watermark()
    assert moment is not None and moment <= datetime.now(UTC)
    assert caplog.messages[-1] == (
        "the role plain may not see how far the standby's stream is: while the primary is idle "
        "the watermark stands still (GRANT pg_read_all_stats TO it)"
    )


def can_log_in(source: Postgres) -> bool:
    """Whether the role has reached the standby."""
    from signals_core import Unavailable

    try:
        source.open()
    except Unavailable:
        return False
    return True


def test_a_stream_that_has_ended_does_not_count(
    primary: PostgresServer, standby: PostgresServer, on_standby: Make
) -> None:
    """Once the primary is gone the watermark stands still, however fresh the last message was."""
    source = on_standby()
    primary.stop("fast")
    wait_until(lambda: not standby.execute("SELECT 1 FROM pg_stat_wal_receiver"))
    assert source.watermark() == source.watermark()
    primary.start()
