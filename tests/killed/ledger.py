"""What two receivers hold at the end, and everything that is wrong with it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg
from attrs import frozen
from psycopg.rows import dict_row

from killed.project import COUNTED, Counted, Key
from killed.shop import Shop
from parts.receiver import Receiver

_FIRST = 5  # of each kind, or a failure would fill screens


@frozen
class Held:
    """A number that a receiver holds."""

    key: Key
    value: Decimal | None
    version: datetime

    @classmethod
    def of(cls, metric: Mapping[str, Any]) -> Held:
        """Take what matters out of a row or of a value from the wire."""
        [tag] = metric["tags"].values()
        key = (metric["collector"], metric["name"], tag, _moment(metric["grain_datetime"]))
        value = metric["value"]
        return cls(key, None if value is None else Decimal(value), _moment(metric["timestamp"]))


Ledger = dict[str, Held]
"""What is held by its uuid."""


def in_table(uri: str) -> Ledger:
    """Return what the sink `postgres` has in its table, which it makes with its first batch."""
    with psycopg.connect(uri, row_factory=dict_row) as connection:
        if connection.execute("SELECT to_regclass('metrics') AS it").fetchone() == {"it": None}:
            return {}
        return {str(row["uuid"]): Held.of(row) for row in connection.execute("TABLE metrics")}


def at_receiver(receiver: Receiver) -> tuple[Ledger, Mapping[str, set[datetime]]]:
    """Return the newest version of each uuid that came over HTTP, and all its versions."""
    newest: Ledger = {}
    versions: dict[str, set[datetime]] = defaultdict(set)
    for metric in receiver.metrics():
        uuid, held = metric["uuid"], Held.of(metric)
        versions[uuid].add(held.version)
        if uuid not in newest or held.version > newest[uuid].version:
            newest[uuid] = held
    return newest, versions


def mistakes(shop: Shop, lake: str, receiver: Receiver) -> list[str]:
    """Return everything that is wrong with what the receivers hold."""
    table = in_table(lake)
    posted, versions = at_receiver(receiver)
    found = [*_unequal(table, posted), *_doubled(table), *_reread(posted, versions)]
    found += _stock(shop, table)
    return found + [line for each in COUNTED for line in _wrong(shop, each, table)]


def _wrong(shop: Shop, counted: Counted, table: Ledger) -> Iterator[str]:
    answers, late = counted.answers(shop)
    held = {
        each.key: each.value
        for each in table.values()
        if each.key[0] == counted.name and each.value is not None and each.key[3] not in late
    }
    yield from _some("is missing", answers.keys() - held.keys())
    yield from _some("is not what the query says", held.keys() - answers.keys())
    wrong = [key for key in answers.keys() & held.keys() if answers[key] != held[key]]
    yield from _some("has another value than the query", wrong)
    if len(late) > len({key[3] for key in answers}):
        yield f"{len(late)} windows of {counted.name} cannot be judged: the shop was too slow"


def _unequal(table: Ledger, posted: Ledger) -> Iterator[str]:
    yield from _some("is in the table only", (table[each] for each in table.keys() - posted.keys()))
    yield from _some("came over HTTP only", (posted[each] for each in posted.keys() - table.keys()))
    common = table.keys() & posted.keys()
    yield from _some(
        "differs", ((table[each], posted[each]) for each in common if table[each] != posted[each])
    )


def _doubled(table: Ledger) -> Iterator[str]:
    counts = Counter(each.key for each in table.values())
    yield from _some("has two uuids", (key for key, count in counts.items() if count > 1))


def _reread(posted: Ledger, versions: Mapping[str, set[datetime]]) -> Iterator[str]:
    once = {each.name for each in COUNTED if "revise" not in each.window}
    several = (posted[uuid] for uuid, times in versions.items() if len(times) > 1)
    yield from _some("was read twice", (each for each in several if each.key[0] in once))


def _stock(shop: Shop, table: Ledger) -> Iterator[str]:
    stock = [each for each in table.values() if each.key[0] == "stock"]
    if not stock:
        yield "there is nothing of stock"
        return
    last = max(each.key[3] for each in stock)
    held = {
        each.key[2]: each.value for each in stock if each.key[3] == last and each.value is not None
    }
    with psycopg.connect(shop.uri) as connection:
        now: dict[str, int] = dict(connection.execute("SELECT item, amount FROM stock").fetchall())
    if held != now:
        yield f"stock is {now}, and its last reading says {held}"


def _some(what: str, cases: Any) -> Iterator[str]:
    every = sorted(map(str, cases))
    yield from (f"{each} {what}" for each in every[:_FIRST])
    if len(every) > _FIRST:
        yield f"{len(every) - _FIRST} more: {what}"


def _moment(value: datetime | str) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)
