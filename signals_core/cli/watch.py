"""`signals status --watch`: the same facts, drawn again in place."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from textwrap import wrap

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from signals_core.cli.status import seen
from signals_core.cli.target import Target
from signals_core.errors import SignalsError, reason_of
from signals_core.phrases import printable
from signals_core.secret import mask

_PAUSE_SECONDS = 2.0
_SHARE = 5  # of the time, the most that looking takes: 1 in so many


def watch(console: Console, target: Target, wait: Callable[[float], object] = time.sleep) -> None:
    """Draw what `status` tells, every 2 s, until it is interrupted; then leave no trace of it.

    The project is read anew each time. A state directory that cannot be read now, or is not there
    yet, is said in its place. `wait` is called with the seconds between two frames.
    """
    with Live(console=console, screen=True, auto_refresh=False) as live:
        try:
            while True:
                began = time.monotonic()
                lines = _frame(target, datetime.now(UTC), console.width, console.height)
                text = Text(printable(mask("\n".join(lines))), no_wrap=True, overflow="ellipsis")
                live.update(text, refresh=True)
                wait(max(_PAUSE_SECONDS, _SHARE * (time.monotonic() - began)))
        except KeyboardInterrupt:
            return


def _frame(target: Target, now: datetime, width: int, height: int) -> Sequence[str]:
    """Return the lines of a frame: as `status` has them, or what is wrong first where all is long.

    What does not fit is cut from the end, and counted.
    """
    head = [f"{now:%Y-%m-%d %H:%M:%S}Z, every 2 s; Ctrl-C ends it", ""]
    try:
        found = seen(*target.found())
    except click.ClickException as error:
        return [*head, *wrap(error.message, width)]
    except SignalsError as error:
        return [*head, *wrap(reason_of(error), width)]
    remarks = (*found.remarks, *found.beside)
    said = [line for each in remarks for line in wrap(each, width, subsequent_indent="  ")]
    parts = [list(found.lines()), said]
    lines = [*head, *_joined(parts)]
    if len(lines) <= height:
        return lines
    lines = [*head, *_joined(reversed(parts))]
    return [*lines[: height - 1], f"… {len(lines) - height + 1} more lines"]


def _joined(parts: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of parts, an empty one between them."""
    for number, part in enumerate(part for part in parts if part):
        if number:
            yield ""
        yield from part
