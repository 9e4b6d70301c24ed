"""The sink keeps the newest version of each metric, as it came."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row

from parts.metrics import MOMENT, batch_of, metric
from signals_core import Batch, Metric, Secret
from signals_postgres.sink import PostgresSink

Execute = Callable[[str], list[Any]]
Make = Callable[..., PostgresSink]

CURRENT = "metrics_current"
LATER = MOMENT + timedelta(microseconds=1)
DAY = {
    "grain": "1d",
    "timezone": "Europe/Paris",
    "grain_datetime": datetime(2025, 12, 31, 23, tzinfo=UTC),
    "window_end": datetime(2026, 1, 1, 23, tzinfo=UTC),
}


@pytest.fixture
def rows(database: str) -> Iterator[Callable[..., list[dict[str, Any]]]]:
    """Return a function that reads a table or a view by what follows FROM."""
    with psycopg.connect(database, row_factory=dict_row, autocommit=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")

        def rows(what: str = "metrics") -> list[dict[str, Any]]:
            return connection.execute(f"SELECT * FROM {what}").fetchall()

        yield rows


def test_a_metric_is_a_row_in_the_wires_words(sink: PostgresSink, rows: Any) -> None:
    """Each key of the wire is the column of its name, in the type that it stands for."""
    sent = metric(3, **DAY)
    sink.write(batch_of(sent))
    [row] = rows()
    assert Metric(**row) == sent


def test_what_is_not_there_is_null(sink: PostgresSink, rows: Any) -> None:
    """A metric without a grain has no zone and no end."""
    sink.write(batch_of(metric(3)))
    [row] = rows()
    assert (row["grain"], row["timezone"], row["window_end"]) == (None, None, None)


@pytest.mark.parametrize(
    "value", [Decimal("1.10"), Decimal("-0.000000000000000000001"), 10**400, -(10**60), 0]
)
def test_numbers_are_kept_digit_by_digit(value: Any, sink: PostgresSink, execute: Execute) -> None:
    """No number passes through a float, and no trailing zero gets lost."""
    sink.write(batch_of(metric(value)))
    assert execute("SELECT value::text FROM metrics") == [(format(Decimal(value), "f"),)]


@pytest.mark.parametrize("value", [1e300, 5e-324, 0.1, -2.5])
def test_a_float_is_the_number_that_the_wire_says(
    value: float, sink: PostgresSink, execute: Execute
) -> None:
    """A float is written in short, and that is the number that is kept."""
    sink.write(batch_of(metric(value)))
    [(kept,)] = execute("SELECT value FROM metrics")
    assert kept == Decimal(repr(value))


def test_a_later_version_takes_the_place_of_an_earlier_one(sink: PostgresSink, rows: Any) -> None:
    """What a later reading saw replaces the row, whole."""
    sink.write(batch_of(metric(3)))
    sink.write(batch_of(metric(4, uuid=UUID(int=3), timestamp=LATER, tags={})))
    [row] = rows()
    assert (row["value"], row["timestamp"], row["tags"]) == (4, LATER, {})


def test_an_earlier_version_changes_nothing(sink: PostgresSink, rows: Any) -> None:
    """What comes late, or again, leaves the row alone."""
    sink.write(batch_of(metric(4, uuid=UUID(int=3), timestamp=LATER)))
    before = rows("(SELECT xmin::text, * FROM metrics) AS m")
    sink.write(batch_of(metric(3)))
    sink.write(batch_of(metric(4, uuid=UUID(int=3), timestamp=LATER)))
    assert rows("(SELECT xmin::text, * FROM metrics) AS m") == before


def test_the_latest_of_one_batch_wins(sink: PostgresSink, rows: Any) -> None:
    """A batch may hold several versions of one metric, in any order."""
    versions = [
        metric(value, uuid=UUID(int=1), timestamp=MOMENT + timedelta(seconds=value))
        for value in (2, 9, 5)
    ]
    sink.write(batch_of(*versions))
    assert [row["value"] for row in rows()] == [9]


def test_a_retraction_outlives_an_earlier_version(sink: PostgresSink, rows: Any) -> None:
    """A retracted number leaves the view, and an older version does not bring it back."""
    sink.write(batch_of(metric(None, uuid=UUID(int=3), timestamp=LATER)))
    sink.write(batch_of(metric(3)))
    assert [row["value"] for row in rows()] == [None]
    assert rows(CURRENT) == []


def test_keys_of_tomorrow_are_passed_over(sink: PostgresSink, rows: Any) -> None:
    """A key that is added to the wire one day does no harm."""
    line = metric(3).encode()[:-1] + b',"receipt":{"a":[1]}}'
    sink.write(Batch([line]))
    assert [row["value"] for row in rows()] == [3]


def test_the_view_tells_local_days(sink: PostgresSink, rows: Any) -> None:
    """The view has the bucket's date in its own zone, beside what Grafana plots by."""
    sink.write(batch_of(metric(3, **DAY), metric(4)))
    days = {row["value"]: (row["local_date"], row["local_datetime"]) for row in rows(CURRENT)}
    assert days == {
        3: (date(2026, 1, 1), datetime(2026, 1, 1)),
        4: (date(2026, 1, 1), MOMENT.replace(tzinfo=None)),
    }
    assert (
        list(rows(CURRENT)[0])
        == (
            "local_date local_datetime name value type tags collector grain timezone "
            "grain_datetime window_end timestamp uuid"
        ).split()
    )


def test_a_table_of_any_name_in_a_schema(make_sink: Make, execute: Execute, database: str) -> None:
    """Names are quoted: they are taken as they stand, whatever they hold."""
    execute('CREATE SCHEMA "the ""numbers"""')
    sink = make_sink(table='the "numbers".Größe; DROP', create_table=True)
    sink.write(batch_of(metric(3)))
    assert execute('SELECT value FROM "the ""numbers"""."Größe; DROP_current"') == [(3,)]


def test_the_readme_has_the_sql(make_sink: Make, execute: Execute) -> None:
    """The SQL in the README makes what `create_table` makes, and its examples run."""
    made = [
        "SELECT column_name, data_type, is_nullable FROM information_schema.columns"
        f" WHERE table_name = '{name}' ORDER BY ordinal_position"
        for name in ("metrics", CURRENT)
    ]
    made += [
        "SELECT pg_get_viewdef('metrics_current')",
        "SELECT indexdef FROM pg_indexes WHERE tablename = 'metrics' ORDER BY 1",
    ]
    text = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    first, second, sql = re.findall(r"```sql\n(SELECT.*?|CREATE TABLE.*?)```", text, re.DOTALL)
    execute(sql.partition("GRANT")[0])
    by_hand = [execute(query) for query in made]
    execute("DROP TABLE metrics CASCADE")
    make_sink(create_table=True).write(batch_of(metric(3, name="shop.orders")))
    assert [execute(query) for query in made] == by_hand
    assert len(execute(first)) == 1
    assert len(execute(second.replace("$__timeFilter(grain_datetime)", "true"))) == 1


@pytest.mark.parametrize("name", ["", "a.b.c", ".a", "a.", "a\0", "ä" * 28])
def test_a_name_that_cannot_be_is_told_when_it_is_built(name: str) -> None:
    """A name that is empty, too long or of too many parts needs no server to be refused."""
    with pytest.raises(ValueError, match="is no name of a table") as caught:
        PostgresSink(Secret("postgresql://h/db"), table=name)
    assert str(caught.value) == (
        f"table: {name!r} is no name of a table (write it like metrics or analytics.metrics, "
        "each name at most 55 bytes long)"
    )


def test_times_of_nothing_are_refused() -> None:
    """A limit of zero would never let a batch through."""
    with pytest.raises(ValueError, match="timeout must be longer than zero"):
        PostgresSink(Secret("postgresql://h/db"), timeout=timedelta())


def test_what_is_there_is_left_as_it_is(make_sink: Make, execute: Execute) -> None:
    """On request only what is missing is made, and a table that has more columns serves too."""
    make_sink(create_table=True).write(batch_of(metric(3)))
    execute("ALTER TABLE metrics ADD note text DEFAULT 'kept'; DROP VIEW metrics_current")
    make_sink(create_table=True).write(batch_of(metric(4)))
    assert execute("SELECT value, note FROM metrics ORDER BY 1") == [(3, "kept"), (4, "kept")]
    assert execute("SELECT value FROM metrics_current ORDER BY 1") == [(3,), (4,)]


def test_two_may_make_the_table_at_once(make_sink: Make, execute: Execute) -> None:
    """Who comes second finds what the first one has made."""
    sinks = [make_sink(create_table=True) for _ in range(4)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda number: sinks[number].write(batch_of(metric(number))), range(4)))
    assert execute("SELECT value FROM metrics_current ORDER BY 1") == [(0,), (1,), (2,), (3,)]


def test_an_accepted_batch_is_on_the_disk(make_sink: Make, execute: Execute, database: str) -> None:
    """A role whose commits do not wait for the disk waits here, and one that waits longer does."""
    sink = make_sink(create_table=True)
    sink.write(batch_of(metric(1)))
    execute(
        "CREATE TABLE seen (level text);"
        "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO seen SELECT current_setting('synchronous_commit'); RETURN NULL; END $$;"
        "CREATE TRIGGER see AFTER INSERT ON metrics EXECUTE FUNCTION see()"
    )
    for level in ("off", "remote_apply"):
        uri = f"{database}&options=-csynchronous_commit%3D{level}"
        make_sink(uri).write(batch_of(metric(2)))
    assert execute("SELECT level FROM seen") == [("on",), ("remote_apply",)]


versions = st.lists(
    st.builds(
        lambda number, value, seconds: metric(
            value, uuid=UUID(int=number), timestamp=MOMENT + timedelta(seconds=seconds)
        ),
        st.integers(0, 4),
        st.none() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False, places=3),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda each: (each.uuid, each.timestamp),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(versions, min_size=1, max_size=6), again=st.randoms(use_true_random=False))
def test_any_order_ends_in_the_newest_versions(
    batches: list[list[Metric]], again: Any, sink: PostgresSink, execute: Execute, rows: Any
) -> None:
    """Batches whose versions are out of order and repeated end in the newest one of each uuid."""
    sink.write(batch_of(metric(0)))
    execute("TRUNCATE metrics")
    seen: dict[tuple[UUID, datetime], Metric] = {}
    once = [
        [seen.setdefault((each.uuid, each.timestamp), each) for each in batch] for batch in batches
    ]
    for batch in [*once, *again.sample(once, k=len(once) // 2)]:
        sink.write(batch_of(*batch))
    newest = {uuid: max(t for u, t in seen if u == uuid) for uuid, _ in seen}
    found = {row["uuid"]: (row["timestamp"], row["value"]) for row in rows()}
    assert found == {uuid: (t, seen[uuid, t].value) for uuid, t in newest.items()}
    current = {uuid: kept for uuid, kept in found.items() if kept[1] is not None}
    assert {row["uuid"]: (row["timestamp"], row["value"]) for row in rows(CURRENT)} == current
