"""The sink `postgres`. Importing this module does not import the driver."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from attrs import Attribute, define, field

from signals_core import Batch, Secret, Sink, Unavailable
from signals_postgres.table import Table

if TYPE_CHECKING:
    from signals_postgres.writing import Writer


def _is_a_table(_instance: Any, _attribute: Attribute[str], value: str) -> None:
    Table.parse(value)


def _positive(_instance: Any, attribute: Attribute[timedelta], value: timedelta) -> None:
    if value <= timedelta():
        raise ValueError(f"{attribute.name} must be longer than zero")


@define
class PostgresSink(Sink):
    """Keeps the newest version of each metric in a table of PostgreSQL.

    A batch is one transaction, and accepted when it is committed to the disk. A metric that comes
    again, or that is older than what is there, changes nothing; a retracted one keeps its row,
    with the value NULL, so that an older version that comes late does not bring it back.
    """

    uri: Secret
    """Where the database is: `postgresql://user:password@host:5432/database`.

    What libpq knows (`sslmode`, `sslrootcert`, …) may follow as parameters. One that names several
    hosts must name the primary: `target_session_attrs=read-write`.
    """

    table: str = field(default="metrics", validator=_is_a_table)
    """The table, `name` or `schema.name`, spelled as PostgreSQL keeps it."""

    create_table: bool = False
    """Whether to make the table, its index and the view `<table>_current` when they are missing."""

    connect_timeout: timedelta = field(default=timedelta(seconds=10), validator=_positive)
    """How long to wait for a connection."""

    timeout: timedelta = field(default=timedelta(seconds=30), validator=_positive)
    """How long a batch may take."""

    _writer: Any = field(init=False, default=None, eq=False, repr=False)

    def open(self) -> None:
        """Connect. Raises `Unavailable` when that is impossible."""
        from signals_postgres.writing import Writer

        self.close()
        self._writer = Writer(
            self.uri,
            Table.parse(self.table),
            connect_timeout=self.connect_timeout,
            seconds=self.timeout.total_seconds(),
            may_create=self.create_table,
        )

    def close(self) -> None:
        """Close the connection."""
        writer, self._writer = self._writer, None
        if writer:
            writer.close()

    def write(self, batch: Batch) -> None:
        """Have the table hold at least the versions of `batch`, on the disk."""
        self._opened.write(batch)

    def check(self) -> None:
        """Have the server plan a write, with the rights it takes, without writing anything."""
        self._opened.check()

    @property
    def _opened(self) -> Writer:
        if self._writer is None:
            raise Unavailable("the sink is not open")
        writer: Writer = self._writer
        return writer
