"""What the driver raises, said in one line."""

from __future__ import annotations

import re

import psycopg
from psycopg import errors

from signals_core import Unavailable
from signals_postgres.parameters import Statement

_LOST = ("08", "57P", "53300")
_PREAMBLE = re.compile(
    r"^(?:connection failed: )?(?:connection to server (?:at|on) .*? failed: )?"
    r"(?:FATAL: +)?(?:error: )?"
)
_QUESTION = re.compile(r"\s*(?:Is|Are) the server running .*\?$")
_ATTEMPTS = "Multiple connection attempts failed"  # the same again for every address of a host


class QueryError(Exception):
    """A query that the server, or signals, refuses."""


def unreachable(target: str, error: psycopg.Error) -> Unavailable:
    """Say why no connection came about."""
    lines = map(_plain, str(error).partition(_ATTEMPTS)[0].splitlines())
    return Unavailable(f"{target}: {'; '.join(line for line in lines if line)}")


def translated(
    error: psycopg.Error, *, target: str, lost: bool, statement: Statement | None = None
) -> Exception:
    """Return what to raise for an error on a connection, which is `lost` when it broke."""
    if lost or ((error.sqlstate or "").startswith(_LOST) and not is_cancelled(error)):
        return Unavailable(f"{target}: the connection was lost: {message_of(error)}")
    return QueryError(_explained(error, statement))


def is_cancelled(error: BaseException) -> bool:
    """Whether the server ended a query because of its timeout or of a cancel request."""
    return isinstance(error, errors.QueryCanceled)


def _explained(error: psycopg.Error, statement: Statement | None) -> str:
    text, hint = message_of(error), error.diag.message_hint
    match error:
        case errors.ReadOnlySqlTransaction():
            text, hint = f"the query writes: {text}", "a source only reads: write one SELECT"
        case errors.SyntaxError() if error.diag.source_function == "exec_parse_message":
            text, hint = "the query holds several commands", "write one SELECT"
        case errors.LockNotAvailable():
            hint = "another session holds a lock on what the query reads"
        case errors.QueryCanceled():
            text = f"the query was cancelled at the server: {text}"
    notes = [note for note in (_place(error, statement), hint) if note]
    return f"{text} ({'; '.join(notes)})" if notes else text


def _place(error: psycopg.Error, statement: Statement | None) -> str | None:
    position = error.diag.statement_position
    if position is None or statement is None:
        return None
    return f"{statement.place(int(position))} of the query"


def message_of(error: psycopg.Error) -> str:
    """Return the server's words on one line."""
    return " ".join((error.diag.message_primary or str(error)).split())


def _plain(line: str) -> str:
    return _QUESTION.sub("", _PREAMBLE.sub("", line.strip()))
