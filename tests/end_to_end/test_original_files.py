"""The original project's files run unchanged, in every dialect it had."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from parts.command import Signals
from parts.receiver import Receiver

POSTGRES = """
    name: postgres.users.total.30s
    {extra}
    metric:
      name: core.users.total
      type: COUNT
      tags:
        - key: env
          value: prod

    schedule:
      interval: 30s

    source:
      type: {type}
      {strategy}
      config:
        uri: '{{{{ getEnvOrDefault "TEST_DATABASE" "postgresql://nobody@127.0.0.1:1/none" }}}}'
        sql: |
          SELECT
            account as customer,
            COUNT(*) as value
          FROM
            users
          GROUP BY
            account

    sinks:
      console:
        type: console

      vector:
        type: http
        config:
          uri: '{{{{ getEnvOrDefault "TEST_VECTOR" "http://127.0.0.1:9999/metrics" }}}}'
"""

MONGO = """
    name: mongo.users.10s
    {extra}
    metric:
      name: core.users.total
      type: COUNT
      tags:
        - key: env
          value: prod

    schedule:
      interval: 10s

    source:
      type: {type}
      config:
        uri: '{{{{ getEnvOrDefault "TEST_DATABASE" "mongodb://127.0.0.1:1" }}}}'
        database: {database}
        collection: users
        agg: |
          [
            {{ "$group": {{ "_id": "$account", "value": {{ "$count": {{}} }} }} }},
            {{ "$sort": {{ "_id": 1 }} }},
            {{ "$addFields": {{ "customer": {{ "$toString": "$_id" }} }} }},
            {{ "$project": {{ "_id": 0 }} }}
          ]

    sinks:
      console:
        type: console
      vector:
        type: http
        config:
          method: POST
          uri: '{{{{ getEnvOrDefault "TEST_VECTOR" "http://127.0.0.1:9999/metrics" }}}}'
"""

SPELLINGS = [
    {"type": "{plain}", "extra": "", "strategy": ""},
    {"type": "metric.{plain}", "extra": "collector:\n      type: metric\n", "strategy": ""},
    {
        "type": "{plain}",
        "extra": "state_store:\n      type: memory\n",
        "strategy": "strategy: tick",
    },
    {
        "type": "metric.{plain}",
        "extra": "collector:\n      type: metric\n      invocation_strategy: tick\n",
        "strategy": "",
    },
]


def values_by_customer(metrics: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the values by customer of metrics that all carry the configured tag."""
    assert all(metric["tags"]["env"] == "prod" for metric in metrics)
    assert all(metric["name"] == "core.users.total" for metric in metrics)
    return {metric["tags"]["customer"]: metric["value"] for metric in metrics}


def printed(text: str) -> list[dict[str, Any]]:
    """Return the metrics on standard output."""
    return [json.loads(line, parse_float=Decimal) for line in text.splitlines()]


def numbers_of(signals: Signals, receiver: Receiver, database: str) -> dict[str, Any]:
    """Validate `users.yaml` without its servers, invoke it, and return what it prints and posts."""
    validated = signals("config", "validate", "users.yaml")
    assert (validated.returncode, validated.stderr) == (0, "1 collector, no mistakes\n")
    servers = {"TEST_DATABASE": database, "TEST_VECTOR": receiver.uri}
    done = signals("config", "invoke", "-c", "users.yaml", env=servers)
    assert done.returncode == 0, done.stderr
    assert receiver.metrics() == printed(done.stdout)
    return values_by_customer(printed(done.stdout))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_postgres_file(
    signals: Signals,
    write: Callable[[str, str], Path],
    users: str,
    receiver: Receiver,
    spelling: dict[str, str],
) -> None:
    """A Postgres file of the original validates offline, prints its numbers and posts them."""
    chosen = {key: text.format(plain="postgres") for key, text in spelling.items()}
    write("users.yaml", POSTGRES.format(**chosen))
    assert numbers_of(signals, receiver, users) == {"amazon": 2, "google": 3}


@pytest.mark.parametrize("kind", ["mongodb", "metric.mongodb"])
def test_mongodb_file(
    signals: Signals,
    write: Callable[[str, str], Path],
    mongo_server: str,
    mongo_client: Any,
    mongo_database: str,
    receiver: Receiver,
    kind: str,
) -> None:
    """A MongoDB file of the original validates offline, prints its numbers and posts them."""
    accounts = ["amazon"] * 2 + ["google"] * 3
    mongo_client[mongo_database].users.insert_many([{"account": name} for name in accounts])
    write("users.yaml", MONGO.format(type=kind, database=mongo_database, extra=""))
    assert numbers_of(signals, receiver, mongo_server) == {"amazon": 2, "google": 3}
