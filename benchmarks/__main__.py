"""Run the benchmarks and print their figures: `python -m benchmarks [NAME]…`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from benchmarks import (
    backfill,
    copying,
    exporter,
    growing,
    http,
    merged,
    mongo,
    outbox,
    postgres,
    report,
    start,
    store,
    timer,
    web,
)
from benchmarks.measure import Figure

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))


@contextmanager
def filled_postgres() -> Iterator[Any]:
    """Start a PostgreSQL and fill it."""
    from parts.postgres import PostgresServer

    server = PostgresServer().start()
    try:
        postgres.fill(server.uri)
        yield server
    finally:
        server.remove()


Measured = dict[str, Callable[..., Figure]]

ALONE: Measured = {
    "cold-start": start.cold_start,
    "validate-1": start.validate_one,
    "validate-1000": start.validate_many,
    "batches": http.batches,
    "client": http.client,
    "commit": store.commit,
    "outbox": outbox.outbox,
    "restart": outbox.restart,
    "timer-lag": timer.start_lag,
    "timer-cpu": timer.cpu,
    "scrape": web.scrape,
    "status-page": web.page,
}
WITH_POSTGRES: Measured = {
    "aggregate": postgres.aggregate,
    "copy-arrow": copying.copy_arrow,
    "copy-default": copying.copy_default,
    "copy-bytes": copying.copy_bytes,
    "rows": postgres.rows,
    "memory": postgres.memory,
    "loop": exporter.loop,
    "merged": merged.merged,
    "backfill": backfill.backfill,
    "growing-time": growing.growing_time,
    "growing-bytes": growing.growing_bytes,
}
WITH_MONGO: Measured = {"mongo": mongo.mongo_plain, "mongo-copy": mongo.mongo_copy}

SERVERS: list[tuple[Callable[[], AbstractContextManager[Any]], Measured]] = [
    (nullcontext, ALONE),
    (filled_postgres, WITH_POSTGRES),
    (mongo.filled_mongo, WITH_MONGO),
]
NAMES = [name for _, measured in SERVERS for name in measured]


def figures(names: Iterable[str]) -> Iterator[tuple[str, Figure]]:
    """Measure what is named, starting only the servers that are needed."""
    for serving, measured in SERVERS:
        wanted = [name for name in measured if name in names]
        if not wanted:
            continue
        with serving() as server:
            arguments = () if server is None else (server,)
            for name in wanted:
                yield name, measured[name](*arguments)


@click.command()
@click.argument("names", metavar="[NAME]…", nargs=-1, type=click.Choice(NAMES))
@click.option("--json", "json_file", type=Path, help="Write the figures here, for a program.")
@click.option("--docs", is_flag=True, help="Write the page of the documentation, with its plot.")
def main(names: tuple[str, ...], json_file: Path | None, *, docs: bool) -> None:
    """Measure against raw drivers and peers, all or those that are named.

    Exits 0 whatever the figures are: a machine that is busy is no mistake of the code's.
    """
    measured = {}
    for name, figure in figures(names or NAMES):
        sys.stderr.write(f"measured: {name}\n")
        measured[name] = figure
    columns = ("what", "against", "ours", "other", "ratio", "spread", "goal", "")
    table = Table(*columns, box=None)
    for figure in measured.values():
        table.add_row(*figure.row())
    Console(width=None if sys.stdout.isatty() else 190).print(table)
    if json_file:
        report.write_json(json_file, measured)
    if docs:
        report.write_page(measured)


if __name__ == "__main__":
    main()
