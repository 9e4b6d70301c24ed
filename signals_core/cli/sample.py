"""A small database of made-up users, for a first project."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

_PAST, _FUTURE = 60, 30  # days that have sign-ups: what is to come makes the numbers move
_PLANS = {"free": 20, "team": 6, "business": 2}
_SCHEMA = """
CREATE TABLE users (id INTEGER PRIMARY KEY, signed_up TEXT NOT NULL, plan TEXT NOT NULL);
CREATE INDEX users_signed_up ON users (signed_up);
"""


def make_users(file: Path, now: datetime) -> None:
    """Make a database of users who sign up from two months before `now` until a month after."""
    today = now.astimezone(UTC).date()
    with closing(sqlite3.connect(file)) as database, database:
        database.executescript(_SCHEMA)
        for ago in range(_PAST, -_FUTURE, -1):
            midnight = datetime.combine(today - timedelta(days=ago), time.min)
            database.executemany(
                "INSERT INTO users (signed_up, plan) VALUES (?, ?)", _signups(midnight)
            )


def _signups(midnight: datetime) -> Iterator[tuple[str, str]]:
    """Yield the sign-ups of a day, fewer at the weekend, spread over its hours."""
    day = midnight.toordinal()
    for plan, usual in _PLANS.items():
        count = usual // (2 if midnight.weekday() > 4 else 1) + day * len(plan) % 5
        for number in range(count):
            moment = midnight + timedelta(days=1) * (number + 0.5) / count
            yield moment.isoformat(" ", "seconds"), plan
