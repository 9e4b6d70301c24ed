"""What stands in tables: times to the second, columns that line up."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from signals_core.cli.output import Output

if TYPE_CHECKING:
    from datetime import datetime


def print_table(output: Output, headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print lines: aligned at a terminal, where the last column may be long; else with tabs."""
    if not sys.stdout.isatty():
        output.table(headers, rows)
        return
    for line in aligned(headers, rows):
        output.data(line)


def aligned(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table, its columns as wide as what stands in them."""
    table = [headers, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        texts = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(texts).rstrip()


def cells(*values: Any) -> list[str]:
    """Return what stands in a row: times to the second, nothing for None."""
    from datetime import datetime

    from signals_core.phrases import moment

    return [
        "" if value is None else moment(value) if isinstance(value, datetime) else str(value)
        for value in values
    ]


def iso(moment: datetime) -> str:
    """Write a moment as it is written on the wire."""
    from signals_core import window

    return window.iso(moment)
