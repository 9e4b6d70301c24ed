"""Why a batch could not be written: what is tried again, and what the server never takes."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from attrs import frozen
from psycopg import errors

from signals_core import Batch, Rejected, Unavailable
from signals_postgres.failures import is_cancelled, message_of
from signals_postgres.table import Table, quote

# Data exceptions, constraints, what is too large, and what a trigger refuses.
_CONTENT = ("22", "23", "54", "P0")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


@frozen
class Destination:
    """What is written to, as a person knows it."""

    target: str
    role: str
    table: Table

    def read_only(self) -> Unavailable:
        """Say that the server takes no writes."""
        return self._unavailable(
            "the server takes no writes: it is a standby, or the role may only read",
            "name the primary, with target_session_attrs=read-write",
        )

    def uncreatable(self, schema: str) -> Unavailable:
        """Say that the role may not make a table."""
        grant = f"GRANT USAGE, CREATE ON SCHEMA {quote(schema)} TO {quote(self.role)}"
        return self._unavailable(f"the role may make no table in the schema {schema}", grant)

    def of_creation(self, error: psycopg.Error) -> Unavailable:
        """Say why table, index and view could not be made."""
        if isinstance(error, errors.InsufficientPrivilege):
            return self.uncreatable(self.table.schema or "public")
        return self.of_check(error)

    def of_write(self, error: psycopg.Error, batch: Batch) -> Unavailable | Rejected:
        """Say why a batch was not taken."""
        if (error.sqlstate or "").startswith(_CONTENT):
            guilty = _with_nul(batch) if isinstance(error, errors.UntranslatableCharacter) else []
            return Rejected(f"{self.target}: {_with_detail(error)}", guilty or None)
        return self.of_check(error)

    def of_check(self, error: psycopg.Error) -> Unavailable:
        """Say why the table cannot be written to."""
        match error:
            case errors.InsufficientPrivilege():
                return self._unavailable(message_of(error), self.table.grant(self.role))
            case errors.InvalidSchemaName():
                remedy = f"CREATE SCHEMA {quote(self.table.schema)}"
                return self._unavailable(message_of(error), remedy)
            case errors.UndefinedTable():
                remedy = f"set create_table: true, or {self.table.create_table}"
                return self._unavailable(message_of(error), remedy)
            case errors.UndefinedColumn():
                return self._unavailable(message_of(error), self.table.create_table)
            case errors.InvalidColumnReference():
                remedy = f"ALTER TABLE {self.table.quoted} ADD PRIMARY KEY (uuid)"
                return self._unavailable(message_of(error), remedy)
            case errors.ReadOnlySqlTransaction():
                return self.read_only()
        return self._of_server(error)

    def _of_server(self, error: psycopg.Error) -> Unavailable:
        if is_cancelled(error):
            return self._unavailable(f"the write was ended: {message_of(error)}")
        if error.sqlstate is None:
            return self._unavailable(f"the connection was lost: {message_of(error)}")
        return self._unavailable(message_of(error))

    def _unavailable(self, reason: str, remedy: str = "") -> Unavailable:
        return Unavailable(f"{self.target}: {reason}" + (f" ({remedy})" if remedy else ""))


def _with_nul(batch: Batch) -> list[int]:
    return [index for index, line in enumerate(batch.encoded) if _NUL.search(line)]


def _with_detail(error: psycopg.Error) -> str:
    detail: Any = error.diag.message_detail
    return f"{message_of(error)} ({' '.join(detail.split())})" if detail else message_of(error)
