"""Up to which instant a server shows all its data."""

from __future__ import annotations

import logging
from datetime import datetime
from functools import lru_cache
from typing import Any, NoReturn

import psycopg
from psycopg.rows import tuple_row

from signals_core import Request
from signals_postgres import session
from signals_postgres.failures import QueryError
from signals_postgres.parameters import Statement, translate

_log = logging.getLogger("signals.postgres")

# The send time is read before the position of the replay: the other way round, what arrives
# between the two would count as replayed.
SERVER = translate(
    """
    WITH stream AS MATERIALIZED (
        SELECT status, last_msg_send_time, latest_end_lsn FROM pg_catalog.pg_stat_wal_receiver
    )
    SELECT pg_catalog.pg_is_in_recovery(),
           pg_catalog.clock_timestamp(),
           pg_catalog.pg_last_xact_replay_timestamp(),
           CASE WHEN pg_catalog.pg_is_in_recovery() AND stream.status = 'streaming'
                 AND pg_catalog.pg_last_wal_replay_lsn() >= stream.latest_end_lsn
                THEN stream.last_msg_send_time END,
           pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
    FROM (VALUES (1)) AS one LEFT JOIN stream ON true
    """
)


def of_server(connection: psycopg.Connection[Any]) -> datetime:
    """Return a primary's clock, or what a standby is known to have replayed.

    Raises `QueryError` for a standby that does not know.
    """
    with connection.cursor(row_factory=tuple_row) as cursor:
        [row] = cursor.execute(SERVER.text.encode())
    standby, clock, replayed, sent, sees_stream = row
    known: list[datetime | None] = [replayed, sent] if standby else [clock]
    if standby and not sees_stream:
        _tell_once(connection.info.user, connection.info.dsn)
    return max((moment for moment in known if moment is not None), default=None) or _unknown()


@lru_cache
def _tell_once(role: str, _server: str) -> None:
    _log.warning(
        "the role %s may not see how far the standby's stream is: while the primary is idle "
        "the watermark stands still (GRANT pg_read_all_stats TO it)",
        role,
    )


def _unknown() -> NoReturn:
    raise QueryError(
        "the standby has replayed no transaction since it started and has not caught up with its "
        "primary: up to when it shows all data is not known yet"
    )


def of_query(
    connection: psycopg.Connection[Any], statement: Statement, request: Request
) -> datetime:
    """Return the one `timestamptz` of a query. Raises `QueryError` for any other result."""
    session.columns_of(connection, statement)
    found = [list(row.values()) for row in session.rows(connection, statement, (), request)]
    if [len(row) for row in found] != [1]:
        raise QueryError("the watermark query returned no single value (it must return one)")
    return _instant(found[0][0])


def _instant(value: Any) -> datetime:
    if value is None:
        raise QueryError("the watermark query returned NULL (it must return one timestamptz)")
    if not isinstance(value, datetime) or value.tzinfo is None:
        kind = "a timestamp without zone" if isinstance(value, datetime) else type(value).__name__
        raise QueryError(f"the watermark query returned {kind} (it must return one timestamptz)")
    return value
