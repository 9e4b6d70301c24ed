"""Run the benchmarks and print their figures: `python -m benchmarks [NAME]…`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import http, outbox, postgres, start, store, timer
from benchmarks.measure import Figure

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

WITH_POSTGRES: dict[str, Callable[[str], Figure]] = {
    "aggregate": postgres.aggregate,
    "rows": postgres.rows,
    "memory": postgres.memory,
}
ALONE: dict[str, Callable[[], Figure]] = {
    "cold-start": start.cold_start,
    "batches": http.batches,
    "client": http.client,
    "commit": store.commit,
    "outbox": outbox.outbox,
    "timer-lag": timer.start_lag,
    "timer-cpu": timer.cpu,
}


@contextmanager
def filled_server() -> Iterator[str]:
    """Start a PostgreSQL and fill it; the URI."""
    from parts.postgres import PostgresServer

    server = PostgresServer().start()
    try:
        postgres.fill(server.uri)
        yield server.uri
    finally:
        server.remove()


def figures(names: list[str]) -> Iterator[Figure]:
    """Measure what is named, or everything."""
    for name in names or ALONE:
        if name in ALONE:
            yield ALONE[name]()
    wanted = [name for name in WITH_POSTGRES if not names or name in names]
    if wanted:
        with filled_server() as uri:
            yield from (WITH_POSTGRES[name](uri) for name in wanted)


def main(names: list[str]) -> int:
    """Print the figures as a table."""
    if unknown := [name for name in names if name not in ALONE and name not in WITH_POSTGRES]:
        known = ", ".join((*ALONE, *WITH_POSTGRES))
        sys.stderr.write(f"there is no benchmark {unknown[0]!r}; there are: {known}\n")
        return 2
    table = Table("what", "against", "ours", "other", "ratio", "spread", "goal", box=None)
    for figure in figures(names):
        sys.stderr.write(f"measured: {figure.name}\n")
        table.add_row(*figure.row())
    Console(width=None if sys.stdout.isatty() else 150).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
