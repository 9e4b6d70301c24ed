"""The collectors that count the shop, and what their queries answer when they are asked at last."""

from __future__ import annotations

import textwrap
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
from attrs import frozen

from killed.shop import REVISED, SECOND, Shop

_ORDERS = """
SELECT country, count(*) AS orders, sum(total) AS revenue FROM {}
WHERE at >= :window_start AND at < :window_end GROUP BY country
"""

Key = tuple[str, str, str, datetime]
"""A number's collector, name, one tag, and the start of its bucket."""


@frozen
class Counted:
    """A windowed collector, and by when the rows of a second must be there."""

    name: str
    table: str
    grain: timedelta
    window: str
    steps: str
    in_time: timedelta

    def answers(self, shop: Shop) -> tuple[dict[Key, Decimal], set[datetime]]:
        """Return what the query says of each window, and the windows whose rows came too late."""
        seconds = shop.seconds_in_time(self.steps, self.in_time)
        found: dict[Key, Decimal] = {}
        late: set[datetime] = set()
        with psycopg.connect(shop.uri) as connection:
            for start in self._windows(shop):
                within = [start + SECOND * number for number in range(self.grain // SECOND)]
                if set(within) <= seconds:
                    found |= self._answer(connection, start)
                else:
                    late.add(start)
        return found, late

    def _windows(self, shop: Shop) -> list[datetime]:
        count = (shop.end - shop.start) // self.grain
        return [shop.start + self.grain * number for number in range(count)]

    def _answer(self, connection: psycopg.Connection[Any], start: datetime) -> dict[Key, Decimal]:
        sql = _ORDERS.format(self.table).replace(":window_start", "%s").replace(":window_end", "%s")
        rows = connection.execute(sql, [start, start + self.grain])
        return {
            (self.name, f"{self.name}.{metric}", country, start): Decimal(value)
            for country, *values in rows
            for metric, value in zip(("orders", "revenue"), values, strict=True)
        }


COUNTED = (
    Counted("each", "orders", SECOND, "grace: 0s", "before", timedelta()),
    Counted("pairs", "orders", 2 * SECOND, "grace: 0s", "before", timedelta()),
    Counted(
        "late", "late", SECOND,
        f"grace: 0s, revise: [{REVISED.seconds}s]", "after", REVISED + SECOND / 2,
    ),
)  # fmt: skip
_SCHEDULES = {"pairs": "\nschedule: {interval: 700ms}"}

_PROJECT = """
version: 1
timezone: Europe/Paris
sources: {{shop: {{type: postgres, config: {{uri: "{shop}", max_connections: 2}}}}}}
sinks:
  lake: {{type: postgres, config: {{uri: "{lake}", create_table: true, batch_metrics: 7}}}}
  vector: {{type: http, config: {{uri: "{receiver}", timeout: 5s, batch_metrics: 7}}}}
defaults: {{sinks: [lake, vector]}}
"""
_COLLECTOR = """
name: {name}
grain: {grain}s{schedule}
window: {{start: "{start}", {window}}}
source: {{use: shop, config: {{sql: "{sql}"}}}}
metrics:
  - {{name: {name}.orders, type: COUNT, value: orders}}
  - {{name: {name}.revenue, type: SUM, value: revenue}}
"""
_SNAPSHOT = """
name: stock
metric: {name: stock, type: GAUGE}
grain: 2s
schedule: {interval: 300ms}
source: {use: shop, config: {sql: "SELECT item, amount AS value FROM stock"}}
"""


def write_project(folder: Path, shop: Shop, lake: str, receiver: str) -> None:
    """Write the project's files into `folder`."""
    folder.joinpath("signals.yaml").write_text(
        _PROJECT.format(shop=shop.uri, lake=lake, receiver=receiver)
    )
    for each in COUNTED:
        text = _COLLECTOR.format(
            name=each.name,
            grain=each.grain.seconds,
            schedule=_SCHEDULES.get(each.name, ""),
            start=shop.start.isoformat(),
            window=each.window,
            sql=_ORDERS.format(each.table).replace("\n", " ").strip(),
        )
        folder.joinpath(f"{each.name}.yaml").write_text(textwrap.dedent(text))
    folder.joinpath("stock.yaml").write_text(_SNAPSHOT)
