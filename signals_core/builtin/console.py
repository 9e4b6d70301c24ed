"""The sink `console`."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from datetime import UTC
from decimal import Decimal
from typing import Any, TextIO
from zoneinfo import ZoneInfo

from attrs import define, field

from signals_core import Batch, Metric, Sink, Unavailable

#: The fewest characters that a column of names is folded to, and those between two columns.
_NARROWEST, _GAP = 8, 2

_RESET = "\x1b[0m"
_AT_THE_END = re.compile(r"(?: |\x1b\[[0-9;]*m)+$", re.MULTILINE)


@define
class Console(Sink):
    """Prints metrics on standard output: an aligned table at a terminal, JSON lines in a pipe."""

    _torn: bool = field(init=False, default=False, eq=False, repr=False)

    def write(self, batch: Batch) -> None:
        """Print `batch`; what was printed has left the process."""
        try:
            self._print(batch, sys.stdout)
        except BrokenPipeError:
            raise Unavailable("standard output: the reader went away") from None
        except OSError as error:
            raise Unavailable(f"standard output: {error.strerror}") from None

    def _print(self, batch: Batch, out: TextIO | None) -> None:
        if out is None or out.closed:
            raise Unavailable("standard output is closed")
        text = table(batch, out) if out.isatty() else batch.json_lines()
        out.flush()
        try:
            descriptor = out.fileno()
        except OSError:  # a program has put a stream of its own in its place
            out.write(text.decode())
            out.flush()
            return
        self._write(descriptor, text)

    def _write(self, descriptor: int, text: bytes) -> None:
        # Past Python's buffer, which would print the rest of a failed batch once more, in vain and
        # aloud, when the interpreter exits.
        left = memoryview(b"\n" + text if self._torn else text)
        while left:
            left = left[os.write(descriptor, left) :]
            self._torn = bool(left)


def table(batch: Batch, out: TextIO) -> bytes:
    """Return the metrics of `batch` as a table for the terminal that `out` is.

    Where it is too wide, names and tags take several lines; a number never does.
    """
    from rich.cells import cell_len
    from rich.console import Console as Terminal
    from rich.table import Table

    tags = sorted({name for metric in batch for name in metric.tags})
    start = "start" if any(metric.grain for metric in batch) else "time"
    headers = [_printable(name) for name in ("metric", *tags)] + ["value", start]
    rows = [_cells(metric, tags) for metric in batch]
    grid = Table(
        box=None, header_style="" if os.environ.get("NO_COLOR") else "bold", pad_edge=False
    )
    for header in headers[:-2]:
        grid.add_column(header, overflow="fold")
    grid.add_column("value", justify="right", no_wrap=True)
    grid.add_column(start, no_wrap=True)
    for row in rows:
        grid.add_row(*row)
    widths = [max(map(cell_len, column)) for column in zip(headers, *rows, strict=True)]
    foldable, fixed = widths[:-2], widths[-2:]
    needed = sum(min(width, _NARROWEST) for width in foldable) + sum(fixed)
    terminal = Terminal(file=out, highlight=False, markup=False, emoji=False)
    terminal.width = max(terminal.width, needed + _GAP * (len(widths) - 1))
    with terminal.capture() as captured:
        terminal.print(grid)
    shown = _AT_THE_END.sub(lambda end: _RESET if _RESET in end[0] else "", captured.get())
    return shown.encode(out.encoding, "backslashreplace")


def _cells(metric: Metric, tags: Sequence[str]) -> list[str]:
    texts = (metric.name, *(metric.tags.get(name, "") for name in tags))
    return [*map(_printable, texts), _number(metric.value), _start(metric)]


def _number(value: Any) -> str:
    return "retracted" if value is None else format(Decimal(value), "f")


def _start(metric: Metric) -> str:
    """Return when the bucket begins, as a clock in the grain's zone shows it."""
    zone = UTC if metric.timezone in (None, "UTC") else ZoneInfo(metric.timezone)
    return (
        metric.grain_datetime.astimezone(zone).isoformat(timespec="seconds").replace("+00:00", "Z")
    )


def _printable(text: str) -> str:
    """Return `text` without what would move the cursor or change the terminal."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
