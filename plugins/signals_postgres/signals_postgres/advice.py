"""What `check` warns of: a role that may write, a query that returns raw data, a bound misused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from attrs import frozen
from psycopg import RawCursor
from psycopg.rows import tuple_row

from signals_postgres.failures import QueryError
from signals_postgres.parameters import Statement

_RAW_ROWS = 100_000  # what a collector's max_rows is, unless it says otherwise
_PLANNED = frozenset(("SELECT", "WITH", "VALUES", "TABLE", "INSERT", "UPDATE", "DELETE", "MERGE"))

# Parsing and planning have locked every relation that the query and its views name.
_RELATIONS = b"""
    SELECT c.relname,
           pg_catalog.format('%I', n.nspname),
           pg_catalog.format('%I.%I', n.nspname, c.relname),
           c.relispartition,
           c.relkind = 'v' AND NOT coalesce(
               c.reloptions::text ~* 'security_invoker=(true|on|yes|1)', false),
           ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute AS a
                 WHERE a.attrelid = c.oid AND a.attnum > 0
                   AND a.atttypid = 'pg_catalog.date'::pg_catalog.regtype)
    FROM pg_catalog.pg_locks AS l
    JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation'
      AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
      AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    ORDER BY n.nspname, c.relname
"""
_RIGHTS = b"""
    SELECT pg_catalog.format('%I', current_user), r.rolsuper, EXISTS (
        SELECT FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'f')
          AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
          AND pg_catalog.has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))
    FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user
"""


@frozen
class _Relation:
    name: str
    schema: str
    full_name: str
    is_partition: bool
    hides_what_it_reads: bool
    dates: list[str]


def advise(connection: psycopg.Connection[Any], statement: Statement) -> list[str]:
    """Return what a person should know of a query that is parsed already; executes nothing.

    Raises `QueryError` for a query that would write, and what the server says to one that the
    role may not run.
    """
    if statement.command not in _PLANNED:
        return []
    plan = _plan(connection, statement)
    nodes = list(_nodes(plan))
    for node in nodes:
        _refuse_writing(node)
    relations = [_Relation(*row) for row in _query(connection, _RELATIONS)]
    warnings = [*_role(connection, statement, relations), *_dates(nodes, relations)]
    if plan["Plan Rows"] > _RAW_ROWS:
        warnings.append(
            f"the server expects about {plan['Plan Rows']} rows from the query: that is raw data "
            "(aggregate it with GROUP BY)"
        )
    return warnings


def _plan(connection: psycopg.Connection[Any], statement: Statement) -> dict[str, Any]:
    now = datetime.now(UTC)
    local = now.replace(tzinfo=None)
    day = timedelta(days=1)
    example = {
        "window_start": now - day,
        "window_end": now,
        "window_start_local": local - day,
        "window_end_local": local,
    }
    explain = f"EXPLAIN (VERBOSE, FORMAT JSON) {statement.text}".encode()
    [(found,)] = _query(connection, explain, statement.values(example))
    plan: dict[str, Any] = found[0]["Plan"]
    return plan


def _query(
    connection: psycopg.Connection[Any], text: bytes, values: list[Any] | None = None
) -> list[tuple[Any, ...]]:
    with RawCursor(connection, row_factory=tuple_row) as cursor:
        return cursor.execute(text, values).fetchall()


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _refuse_writing(node: dict[str, Any]) -> None:
    if node["Node Type"] == "ModifyTable":
        raise QueryError(
            f"the query writes: it holds {node['Operation'].upper()} "
            "(a source only reads: write one SELECT)"
        )
    if node["Node Type"] == "LockRows":
        raise QueryError("the query locks rows (a source only reads: leave out FOR UPDATE)")


def _role(
    connection: psycopg.Connection[Any], statement: Statement, relations: list[_Relation]
) -> Iterator[str]:
    [(role, is_superuser, may_write)] = _query(connection, _RIGHTS)
    if is_superuser or may_write:
        what = "is a superuser" if is_superuser else "may write"
        yield f"the role {role} {what}: {_needed(statement, relations)}"


def _needed(statement: Statement, relations: list[_Relation]) -> str:
    hidden = any(relation.hides_what_it_reads for relation in relations)
    needed = [
        relation
        for relation in relations
        if _is_named(relation, statement) or not (hidden or relation.is_partition)
    ]
    if not needed:
        return "for this query a role without any rights would do"
    schemas = ", ".join(dict.fromkeys(relation.schema for relation in needed))
    tables = ", ".join(relation.full_name for relation in needed)
    return (
        "for this query a role of its own would do with no more than "
        f"GRANT USAGE ON SCHEMA {schemas} TO role; GRANT SELECT ON {tables} TO role"
    )


def _is_named(relation: _Relation, statement: Statement) -> bool:
    word = rf"(?<!\w){re.escape(relation.name)}(?!\w)"
    return re.search(word, statement.text, re.IGNORECASE) is not None


def _dates(nodes: list[dict[str, Any]], relations: list[_Relation]) -> Iterator[str]:
    columns = sorted({column for relation in relations for column in relation.dates})
    conditions = " ".join(
        value
        for node in nodes
        for key, value in node.items()
        if key.endswith(("Cond", "Filter")) and isinstance(value, str)
    )
    for column in columns:
        # A bound in UTC is a timestamptz in the plan, whatever it is cast to afterwards.
        bound = rf"\b{re.escape(column)}\"? (?:[<>]=?|=) \(?'[^']*'::timestamp with time zone"
        if re.search(bound, conditions):
            yield (
                f"the date column {column} is compared with a bound in UTC: where the grain's "
                "zone is another one, days begin at the wrong hour "
                "(use :window_start_local and :window_end_local)"
            )
