"""Projects of a shop for the status page: one that is busy and well, one broken, one just begun.

The names are such that each runs within seconds of the start: runs at start are spread by name.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from math import sin
from pathlib import Path

HOSTILE = "<script>alert(1)</script>"
DAYS = 24

FAILING, SKIPPED, REVISED, DOUBLE, LEVEL, REFUSED, INVALID = (
    "crm.refunds.1d",
    "support.items.1h",
    "support.returns.1h",
    "billing.calls.1d",
    "app.users.now",
    "crm.items.now",
    "shop.parcels",
)


def day(number: int) -> str:
    """Return the date so many days ago."""
    return f"{datetime.now(UTC) - timedelta(days=number):%Y-%m-%d}"


FAILED_DAY = 5

SHARED = """
version: 1
sinks:
  lake: {{type: file, config: {{path: lake.jsonl}}}}
  vector: {{type: http, config: {{uri: "{vector}"}}}}
sources: {{shop: {{type: sqlite, config: {{path: shop.db}}}}}}
defaults: {{tags: {{env: prod}}, sinks: [lake], owner: data-team}}
"""

WELL = """
name: billing.calls.1d
description: Calls and what they cost, by country and day
grain: 1d
timezone: Europe/Paris
window: {{start: {start}}}
source:
  use: shop
  config:
    sql: |
      SELECT country, count(*) AS calls, round(sum(total), 2) AS cost
      FROM orders
      WHERE at >= :window_start AND at < :window_end
      GROUP BY country
metrics:
  - {{name: billing.calls, type: COUNT, value: calls}}
  - {{name: billing.cost, type: SUM, value: cost, unit: EUR}}
---
name: support.returns.1h
grain: 1h
window: {{start: {yesterday}}}
source:
  use: shop
  config:
    sql: |
      SELECT count(*) AS value
      FROM orders WHERE at >= :window_start AND at < :window_end
metric: {{name: support.returns, type: COUNT}}
---
name: app.users.now
description: How many users there are, by plan
schedule: {{interval: 1s}}
source:
  use: shop
  config: {{sql: "SELECT country AS plan, count(*) AS value FROM orders GROUP BY country"}}
metric: {{name: app.users, type: GAUGE}}
"""

BROKEN = """
---
name: crm.refunds.1d
owner: '{hostile}'
grain: 1d
window: {{start: {start}}}
source:
  use: shop
  config:
    sql: |
      SELECT country || '{hostile}' AS country, CASE WHEN :window_start LIKE '{failed}%'
        THEN json_extract('{{}}', :window_start || '{hostile}') ELSE count(*) END AS value
      FROM orders
      WHERE at >= :window_start AND at < :window_end
      GROUP BY country
metric: {{name: crm.refunds, type: COUNT}}
---
name: support.items.1h
grain: 1h
window: {{start: {yesterday}, catch_up: 6}}
source:
  use: shop
  config:
    sql: SELECT count(*) AS value FROM orders WHERE at >= :window_start AND at < :window_end
metric: {{name: support.items, type: COUNT}}
sinks: [lake, vector]
---
name: crm.items.now
schedule: {{interval: 1h}}
source: {{use: shop, config: {{sql: "SELECT count(*) AS value FROM nowhere"}}}}
metric: {{name: crm.items, type: GAUGE}}
---
name: shop.parcels
schedul: {{interval: 1m}}
source: {{use: shop, config: {{sql: "SELECT 1 AS value"}}}}
metric: {{name: shop.parcels, type: GAUGE}}
"""

BEGUN = """
name: billing.deliveries.1h
description: Deliveries an hour
grain: 1h
window: {}
source:
  use: shop
  config:
    sql: SELECT count(*) AS value FROM orders WHERE at >= :window_start AND at < :window_end
metric: {name: billing.deliveries, type: COUNT}
"""


def project(folder: Path, *documents: str, vector: str = "http://127.0.0.1:9/metrics") -> Path:
    """Write a project of these documents, with its database."""
    folder.mkdir()
    given = {
        "start": day(DAYS),
        "yesterday": day(1),
        "failed": day(FAILED_DAY),
        "hostile": HOSTILE,
    }
    (folder / "signals.yaml").write_text(SHARED.format(vector=vector))
    text = "---".join(each if each is BEGUN else each.format(**given) for each in documents)
    (folder / "shop.yaml").write_text(text)
    with sqlite3.connect(folder / "shop.db") as database:
        database.execute("CREATE TABLE orders (country TEXT, total REAL, at TEXT)")
        database.executemany("INSERT INTO orders VALUES (?, ?, ?)", list(_orders()))
    database.close()
    return folder


def _orders():
    now = datetime.now(UTC)
    for hour in range(24 * (DAYS + 1)):
        moment = now - timedelta(hours=hour)
        for number, country in enumerate(("de", "fr", "es", "it")):
            level = (5 - number) * (1.4 + sin((hour / 24 + number) * 0.9))
            for order in range(round(level)):
                text = f"{moment - timedelta(minutes=order):%Y-%m-%d %H:%M:%S}"
                yield country, 10 + (hour * 7 + order * 13) % 40 + 0.25, text
