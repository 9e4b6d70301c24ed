"""The table that holds the newest version of each metric, and the SQL that makes and fills it."""
# ruff: noqa: S608 - names are quoted, and nothing else is put into SQL

from __future__ import annotations

from typing import Self

from attrs import frozen

_MOST_BYTES = 63 - len("_current")  # what PostgreSQL keeps of a name, and the view's is longer

# The wire's keys, in its order. What a later version of signals adds is not looked at.
COLUMNS = {
    "uuid": "uuid",
    "name": "text",
    "value": "numeric",
    "type": "text",
    "tags": "jsonb",
    "timestamp": "timestamptz",
    "grain_datetime": "timestamptz",
    "collector": "text",
    "grain": "text",
    "timezone": "text",
    "window_end": "timestamptz",
}
_OPTIONAL = ("value", "grain", "timezone", "window_end")
_LOCAL = "grain_datetime AT TIME ZONE coalesce(timezone, 'UTC')"


@frozen
class Table:
    """A table by its name, which may be preceded by that of its schema."""

    schema: str | None
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `table` or `schema.table`. Raises `ValueError`."""
        parts = text.split(".")
        if len(parts) > 2 or not all(map(_is_name, parts)):
            raise ValueError(
                f"table: {text!r} is no name of a table (write it like metrics or "
                f"analytics.metrics, each name at most {_MOST_BYTES} bytes long)"
            )
        return cls(parts[0] if len(parts) == 2 else None, parts[-1])

    @property
    def quoted(self) -> str:
        """The name as SQL."""
        return self._beside(self.name)

    @property
    def view(self) -> str:
        """The name, as SQL, of the view of the current numbers."""
        return self._beside(f"{self.name}_current")

    @property
    def create_table(self) -> str:
        """The statement that makes the table."""
        columns = ", ".join(f"{name} {_declared(name)}" for name in COLUMNS)
        return f"CREATE TABLE {self.quoted} ({columns})"

    @property
    def create_index(self) -> str:
        """The statement that makes the index by which numbers are looked up."""
        return f"CREATE INDEX ON {self.quoted} (name, grain_datetime)"

    @property
    def create_view(self) -> str:
        """The statement that makes the view: what is not retracted, with its local time."""
        return (
            f"CREATE VIEW {self.view} AS SELECT ({_LOCAL})::date AS local_date, "
            f"{_LOCAL} AS local_datetime, name, value, type, tags, collector, grain, timezone, "
            f'grain_datetime, window_end, "timestamp", uuid '
            f"FROM {self.quoted} WHERE value IS NOT NULL"
        )

    @property
    def upsert(self) -> str:
        """The statement that takes a JSON array of metrics, `$1`, and keeps the newest versions.

        It locks rows in the order of their `uuid`, so that two writers do not wait for each other.
        It refuses a time zone that the server does not know, which would break the view.
        """
        names = ", ".join(f'"{name}"' for name in COLUMNS)
        types = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())
        newer = ", ".join(f'"{name}" = excluded."{name}"' for name in COLUMNS if name != "uuid")
        return (
            f"INSERT INTO {self.quoted} AS kept ({names}) "
            f"SELECT DISTINCT ON (uuid) {names} FROM json_to_recordset($1::json) AS came({types}) "
            f"WHERE {_LOCAL} IS NOT NULL "
            'ORDER BY uuid, "timestamp" DESC '
            f"ON CONFLICT (uuid) DO UPDATE SET {newer} "
            'WHERE excluded."timestamp" > kept."timestamp"'
        )

    def grant(self, role: str) -> str:
        """Return the statements that let `role` write."""
        schema = f"GRANT USAGE ON SCHEMA {quote(self.schema)} TO {quote(role)}; "
        rights = f"GRANT SELECT, INSERT, UPDATE ON {self.quoted} TO {quote(role)}"
        return (schema if self.schema else "") + rights

    def _beside(self, name: str) -> str:
        return f"{quote(self.schema)}.{quote(name)}" if self.schema else quote(name)


def quote(name: str | None) -> str:
    """Write a name as an SQL identifier."""
    return '"' + (name or "").replace('"', '""') + '"'


def _is_name(text: str) -> bool:
    return 0 < len(text.encode()) <= _MOST_BYTES and "\0" not in text


def _declared(column: str) -> str:
    if column == "uuid":
        return "uuid PRIMARY KEY"
    return COLUMNS[column] + ("" if column in _OPTIONAL else " NOT NULL")
