"""A shop whose every number is known: what it sells is written before, and some of it after.

`orders` has the rows of a second before it begins, so that its numbers are final when they are due.
`late` gets more rows, and loses a country, after the second has ended: its numbers are final by the
time of the revision. `stock` is how things stand, and changes all the time.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event, Thread
from typing import Any

import psycopg

SECOND = timedelta(seconds=1)
AHEAD = timedelta(seconds=15)
REVISED = timedelta(seconds=6)

_COUNTRIES = ("de", "es", "fr", "it", "pt")
_TABLES = """
CREATE TABLE orders (at timestamptz NOT NULL, country text NOT NULL, total numeric NOT NULL);
CREATE INDEX ON orders (at);
CREATE TABLE late (LIKE orders INCLUDING ALL);
CREATE TABLE stock (item text PRIMARY KEY, amount int NOT NULL);
INSERT INTO stock VALUES ('bolt', 0), ('nut', 0);
CREATE TABLE steps (name text PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp())
"""
_STEP = "INSERT INTO steps VALUES (%s) ON CONFLICT DO NOTHING"
_ORDER = "INSERT INTO orders VALUES (%s, %s, %s)"
_LATE = "INSERT INTO late VALUES (%s, %s, %s)"
_NO_LONGER = "DELETE FROM late WHERE at >= %s AND at < %s AND country = %s"
_GONE = "DELETE FROM stock WHERE item = %s"
_STOCK = """
INSERT INTO stock VALUES (%s, %s) ON CONFLICT (item) DO UPDATE SET amount = excluded.amount
"""

Connection = psycopg.Connection[Any]


class Shop:
    """Writes second by second, in a thread of its own, through whatever happens to its server."""

    def __init__(self, uri: str, seed: int) -> None:
        self.uri = uri
        self.start = _even_second_after(datetime.now(UTC))
        self.end = self._amended = self.start
        self._seed = seed
        self._closing = Event()
        self._is_closed = False
        self._failure: BaseException | None = None
        self._thread = Thread(target=self._trade, daemon=True)
        with psycopg.connect(uri) as connection:
            for statement in _TABLES.split(";"):
                connection.execute(statement)

    def open(self) -> None:
        """Begin, and return when the first seconds are written."""
        self._write_ahead()
        self._thread.start()

    def close(self) -> None:
        """Begin no further second, and return when all has been written."""
        self._closing.set()
        self._thread.join()
        assert self._amended == self.end
        if self._failure:
            raise self._failure

    def seconds_in_time(self, prefix: str, after_its_start: timedelta) -> set[datetime]:
        """Return the seconds whose step was written so long after its start at the most."""
        with psycopg.connect(self.uri) as connection:
            steps: dict[str, datetime] = dict(
                connection.execute("SELECT name, at FROM steps").fetchall()
            )
        seconds = [
            self.start + SECOND * number for number in range((self.end - self.start).seconds)
        ]
        return {each for each in seconds if steps[f"{prefix} {each}"] < each + after_its_start}

    def _trade(self) -> None:
        try:
            while self._amended < self.end:
                if not self._closing.is_set():
                    self._write_ahead()
                elif not self._is_closed:
                    self._write_no_more()
                self._trade_now()
                time.sleep(0.1)
        except BaseException as error:  # noqa: BLE001 - raised again where the test waits
            self._failure = error

    def _trade_now(self) -> None:
        now = datetime.now(UTC)
        if self._amended + 1.2 * SECOND < now:
            self._step(f"after {self._amended}", partial(_amend, self._amended))
            self._amended += SECOND
        self._step(f"stock {now}", _count)

    def _write_ahead(self) -> None:
        while self.end < datetime.now(UTC) + AHEAD:
            self._step(f"before {self.end}", partial(_fill, self.end))
            self.end += SECOND

    def _write_no_more(self) -> None:
        """Take back what lies ahead, from a second that has not come yet."""
        end = _even_second_after(datetime.now(UTC) + SECOND)
        try:
            with psycopg.connect(self.uri) as connection:
                connection.execute("SET LOCAL synchronous_commit = on")
                for table in ("orders", "late"):
                    connection.execute(f"DELETE FROM {table} WHERE at >= %s", [end])
                self._is_closed = datetime.now(UTC) < end - SECOND / 2
                if not self._is_closed:
                    connection.rollback()
        except psycopg.OperationalError:
            self._is_closed = False
        if self._is_closed:
            self.end = end

    def _step(self, name: str, work: Callable[[Connection, random.Random], None]) -> None:
        """Do `work` once, in one transaction."""
        chance = random.Random(f"{self._seed} {name}")
        while True:
            try:
                with psycopg.connect(self.uri) as connection:
                    connection.execute("SET LOCAL synchronous_commit = on")
                    if connection.execute(_STEP, [name]).rowcount:
                        work(connection, chance)
            except psycopg.OperationalError:  # the server was crashed: was it done?
                time.sleep(0.05)
            else:
                return


def _even_second_after(moment: datetime) -> datetime:
    whole = moment.replace(microsecond=0) + SECOND
    return whole + SECOND * (whole.second % 2)


def _fill(second: datetime, connection: Connection, chance: random.Random) -> None:
    for country in _COUNTRIES:
        for _ in range(chance.randint(1, 4)):
            _sell(connection, _ORDER, second, country, chance)
            _sell(connection, _LATE, second, country, chance)


def _amend(second: datetime, connection: Connection, chance: random.Random) -> None:
    gone, other = chance.sample(_COUNTRIES, k=2)
    connection.execute(_NO_LONGER, [second, second + SECOND, gone])
    _sell(connection, _LATE, second, other, chance)


def _sell(
    connection: Connection, sql: str, second: datetime, country: str, chance: random.Random
) -> None:
    at = second + SECOND * chance.random()
    connection.execute(sql, [at, country, chance.randrange(10_000) / 100])


def _count(connection: Connection, chance: random.Random) -> None:
    item = chance.choice(["bolt", "nut", "screw", "washer"])
    connection.execute(_GONE, [chance.choice(["screw", "washer"])])
    connection.execute(_STOCK, [item, chance.randrange(100)])
