"""The plugin as signals sees it: registered, configured, and cheap until it connects."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from importlib.metadata import entry_points

import pytest

from signals_core import Secret
from signals_postgres.source import Postgres

OFFLINE = """
import sys
import signals_postgres
from signals_postgres.sink import PostgresSink
from signals_postgres.source import Postgres
from signals_core import Secret
source = Postgres(Secret("postgresql://nowhere.invalid/db"))
source.parameters(Postgres.Query("SELECT :window_start"))
source.close()
PostgresSink(Secret("postgresql://nowhere.invalid/db"), table="analytics.metrics").close()
print("psycopg" in sys.modules)
"""


def test_the_entry_point_registers_the_types_by_their_paths() -> None:
    """The hooks register `postgres` as text, which is imported when a collector needs it."""
    [entry] = entry_points(group="signals", name="postgres")
    plugin = entry.load()
    sources: dict[str, str] = {}
    sinks: dict[str, str] = {}
    plugin.signals_register_sources(sources.__setitem__)
    plugin.signals_register_sinks(sinks.__setitem__)
    assert sources == {"postgres": "signals_postgres.source:Postgres"}
    assert sinks == {"postgres": "signals_postgres.sink:PostgresSink"}


def test_validating_needs_no_driver() -> None:
    """Importing, building, checking a query offline and closing leave psycopg alone."""
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE], check=True, capture_output=True, text=True
    )
    assert done.stdout == "False\n"


def test_sources_with_equal_fields_are_equal() -> None:
    """Collectors share an instance when its configuration is equal, whatever has run meanwhile."""
    one, other = Postgres(Secret("postgresql://h/db")), Postgres(Secret("postgresql://h/db"))
    other._passed.add("SELECT 1")
    assert one == other
    assert one != Postgres(Secret("postgresql://h/db"), watermark="clock")
    assert "_pool" not in repr(one)


def test_the_defaults_are_as_documented() -> None:
    """A URI is all that a source needs."""
    source = Postgres(Secret("postgresql://h/db"))
    assert (source.timezone, source.watermark_from) == ("UTC", "auto")
    assert (source.connect_timeout, source.max_connections) == (timedelta(seconds=10), 1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"timezone": "Paris"},
            "timezone: 'Paris' is no time zone (write it like UTC or Europe/Paris)",
        ),
        (
            {"watermark": "automatic"},
            "watermark: 'automatic' is unknown (write auto, clock or an SQL query)",
        ),
        (
            {"watermark": "SELECT :window_end"},
            "watermark: there is no :window_end (it has no window)",
        ),
        (
            {"watermark": "SELECT 'now"},
            "watermark: line 1 of the query: the quote ' is never closed (close it)",
        ),
    ],
)
def test_a_mistake_in_a_field_is_told_when_it_is_built(
    fields: dict[str, str], message: str
) -> None:
    """What no server is needed for is said by the class itself, with the field's name."""
    with pytest.raises(ValueError) as caught:
        Postgres(Secret("postgresql://h/db"), **fields)
    assert str(caught.value) == message
