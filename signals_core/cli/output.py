"""What is printed: data on standard output, everything else on standard error, masked."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
from attrs import define


def is_plain() -> bool:
    """Whether `NO_COLOR` asks for text without colours and other styles."""
    return bool(os.environ.get("NO_COLOR"))


@define
class Output:
    """How much is said, and where. `verbose` counts the `-v` that were given."""

    verbose: int = 0

    def say(self, text: str, **style: Any) -> None:
        """Print one line for a person on standard error."""
        from signals_core.phrases import printable
        from signals_core.secret import mask

        shown = printable(mask(text))
        click.echo(click.style(shown, **style) if style and not is_plain() else shown, err=True)

    def data(self, text: str) -> None:
        """Print data on standard output."""
        from signals_core.phrases import printable
        from signals_core.secret import mask

        try:
            click.echo(printable(mask(text)))
        except BrokenPipeError:
            raise
        except OSError as error:
            raise click.ClickException(f"standard output: {error.strerror}") from None

    def json(self, value: Any) -> None:
        """Print a value as JSON on standard output."""
        import json

        self.data(json.dumps(value, indent=2, ensure_ascii=False))

    def table(self, headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table: aligned at a terminal, tab-separated lines in a pipe."""
        if not sys.stdout.isatty():
            for row in rows:
                self.data("\t".join(" ".join(cell.split()) for cell in row))
            return
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        from signals_core.phrases import printable
        from signals_core.secret import mask

        table = Table(box=None, header_style="" if is_plain() else "bold", pad_edge=False)
        for header in headers:
            table.add_column(header, overflow="fold")
        for row in rows:
            table.add_row(*(Text(printable(mask(cell))) for cell in row))
        Console().print(table)

    def listen_to_logs(self, log_format: str = "plain") -> None:
        """Show what is logged: warnings, with `-v` more, as `text` (with the time) or `json`."""
        import logging

        from signals_core.cli.logs import formatter
        from signals_core.cli.strays import listen_to_strays

        listen_to_strays(log_format)
        handler = logging.StreamHandler()
        handler.setFormatter(formatter(log_format))
        level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(self.verbose, 2)]
        logger = logging.getLogger("signals")
        logger.handlers[:] = [handler]
        logger.setLevel(level)

    def collect_warnings(self) -> list[str]:
        """Keep warnings that are logged from now on in the list returned; do not print them."""
        import logging

        found: list[str] = []

        class Collecting(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                found.append(record.getMessage())

        logger, collecting = logging.getLogger("signals"), Collecting(logging.WARNING)
        for handler in logger.handlers:
            handler.addFilter(lambda record: record.levelno < logging.WARNING)
        logger.addHandler(collecting)
        return found

    def report(self, error: Exception) -> int:
        """Say what went wrong and return the exit code: no traceback, unless `-vv` asks for it."""
        from signals_core.errors import ConfigError, reason_of
        from signals_core.store import StoreError

        if self.verbose > 1:
            self.trace(error)
        if isinstance(error, ConfigError):
            for problem in error.problems:
                self.say(str(problem))
            return 2
        self.say(reason_of(error), fg="red")
        return 3 if isinstance(error, StoreError) else 1

    def trace(self, error: BaseException | None) -> None:
        """Print a traceback, masked, for the author of a plugin."""
        from traceback import format_exception

        if error is not None and self.verbose > 1:
            self.say("".join(format_exception(error)).rstrip())
