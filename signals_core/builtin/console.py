"""The sink `console`."""

from __future__ import annotations

import os
import sys
from decimal import Decimal
from typing import Any, TextIO

from attrs import define, field

from signals_core import Batch, Metric, Sink, Unavailable


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
    from rich.console import Console as Terminal
    from rich.measure import Measurement
    from rich.table import Table

    tags = sorted({name for metric in batch for name in metric.tags})
    grid = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("metric", *tags):
        grid.add_column(_printable(name), overflow="fold")
    grid.add_column("value", justify="right", no_wrap=True)
    grid.add_column("of", no_wrap=True)
    for metric in batch:
        texts = (metric.name, *(metric.tags.get(name, "") for name in tags))
        grid.add_row(*map(_printable, texts), _number(metric.value), _bucket(metric))
    terminal = Terminal(file=out, highlight=False, markup=False, emoji=False)
    needed = Measurement.get(terminal, terminal.options.update(max_width=10_000), grid).minimum
    terminal.width = max(terminal.width, needed)
    with terminal.capture() as captured:
        terminal.print(grid)
    return captured.get().encode(out.encoding, "backslashreplace")


def _number(value: Any) -> str:
    return "retracted" if value is None else format(Decimal(value), "f")


def _bucket(metric: Metric) -> str:
    return f"{metric.grain_datetime:%Y-%m-%d %H:%M:%S}Z"


def _printable(text: str) -> str:
    """Return `text` without what would move the cursor or change the terminal."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
