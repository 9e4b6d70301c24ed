"""The sink `console`."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from attrs import define

from signals_core import Batch, Metric, Sink, Unavailable


@define
class Console(Sink):
    """Prints metrics on standard output: an aligned table at a terminal, JSON lines in a pipe."""

    def write(self, batch: Batch) -> None:
        """Print `batch` and flush it."""
        out = sys.stdout
        try:
            if out.isatty():
                _print_table(batch, out)
            else:
                out.flush()
                out.buffer.write(batch.json_lines())
            out.flush()
        except BrokenPipeError:
            _forget(out)
            raise Unavailable("standard output: the reader went away") from None
        except OSError as error:
            _forget(out)
            raise Unavailable(f"standard output: {error.strerror}") from None


def _print_table(batch: Batch, out: TextIO) -> None:
    from rich.console import Console as Terminal
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("metric")
    names = sorted({name for metric in batch for name in metric.tags})
    for name in names:
        table.add_column(name)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("of")
    for metric in batch:
        tags = [metric.tags.get(name, "") for name in names]
        table.add_row(metric.name, *tags, str(metric.value), _bucket(metric))
    Terminal(file=out, highlight=False, markup=False).print(table)


def _bucket(metric: Metric) -> str:
    return f"{metric.grain_datetime:%Y-%m-%d %H:%M:%S}Z"


def _forget(out: TextIO) -> None:
    """Keep the interpreter from flushing once more, in vain and aloud, when it exits."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
    except (OSError, ValueError):
        return
