"""The SQL that the documentation gives for ClickHouse, on ClickHouse's own engine.

The engine is a package of 180 MB, so this is not among the tests that everybody runs:
`python3 noxfile.py -s clickhouse`.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from chdb.session import Session
from hypothesis import HealthCheck, given, settings

from parts.deliveries import Delivery, deliveries, readings_of
from parts.documents import blocks_of
from signals_core import Batch

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "receive-in-clickhouse.md"
INSERT = """\
INSERT INTO metrics
SETTINGS date_time_input_format = 'best_effort', input_format_skip_unknown_fields = 1
FORMAT JSONEachRow
"""


def sql_of(name: str) -> str:
    """Return the SQL that the page gives under a file's name."""
    [block] = [each for each in blocks_of(PAGE) if each.file_name == name]
    return block.text.rstrip().removesuffix(";")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Return an engine with the table and the view of the page."""
    session = Session(str(tmp_path_factory.mktemp("clickhouse") / "data"))
    session.query("CREATE DATABASE lake ENGINE = Atomic")
    session.query("USE lake")
    for name in ("metrics.sql", "current.sql"):
        session.query(sql_of(name))
    yield session
    session.close()


def rows_of(engine: Session, query: str) -> list[list[str]]:
    """Return the rows of a query as text."""
    text = str(engine.query(query, "TabSeparated"))
    return [line.split("\t") for line in text.splitlines()]


@given(deliveries())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_newest_versions(engine: Session, delivery: Delivery) -> None:
    """The view shows the last readings, whatever comes when, merged or not."""
    engine.query("TRUNCATE TABLE metrics")
    for batch in delivery.batches:
        engine.query(INSERT + batch.json_lines().decode())
    for _ in range(2):
        rows = rows_of(engine, "SELECT uuid, value FROM metrics_current")
        assert len(rows) == len(delivery.seen)
        assert {uuid: Decimal(value) for uuid, value in rows} == delivery.seen
        engine.query("OPTIMIZE TABLE metrics FINAL")
    counted = rows_of(engine, "SELECT count(), uniqExact(uuid) FROM metrics")
    assert counted[0][0] == counted[0][1]


def test_keys_of_a_later_version(engine: Session) -> None:
    """A key that the wire may get one day is passed over, and absent ones are empty."""
    engine.query("TRUNCATE TABLE metrics")
    line = (
        '{"uuid":"f8640bb5-3e60-58f1-a7a9-8d0105299d0f","name":"a","value":0.1,"type":"COUNT",'
        '"tags":{"customer":"google"},"timestamp":"2026-01-01T23:01:00.120000Z",'
        '"grain_datetime":"2026-01-01T23:01:00.120000Z","collector":"a","later":{"a":[1]}}\n'
    )
    engine.query(INSERT + line)
    rows = rows_of(engine, "SELECT value, tags['customer'], window_end, grain FROM metrics_current")
    assert rows == [["0.1", "google", "\\N", ""]]


def test_local_days(engine: Session) -> None:
    """The day of the page is that of the metric."""
    engine.query("TRUNCATE TABLE metrics")
    [reading] = readings_of(0, [{"de": Decimal(3), "fr": Decimal(4)}])
    lines = Batch(each.encode() for each in reading).json_lines()
    engine.query(INSERT + lines.decode())
    assert rows_of(engine, sql_of("days.sql")) == [["2026-01-31", "7"]]


def test_numbers_that_do_not_fit(engine: Session) -> None:
    """Digits beyond the column's are dropped without a word."""
    engine.query("TRUNCATE TABLE metrics")
    [reading] = readings_of(0, [{"de": Decimal("0.12345678")}])
    engine.query(INSERT + Batch([reading[0].encode()]).json_lines().decode())
    assert rows_of(engine, "SELECT value FROM metrics") == [["0.123456"]]
    [reading] = readings_of(0, [{"de": Decimal(10**40)}])
    with pytest.raises(RuntimeError):
        engine.query(INSERT + Batch([reading[0].encode()]).json_lines().decode())
