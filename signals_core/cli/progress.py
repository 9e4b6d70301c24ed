"""How far backfills are, on standard error: bars at a terminal, a line a tenth elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from signals_core.backfill import Progress
from signals_core.cli.output import Output
from signals_core.phrases import counted

#: Told how far the backfill of the collector of that name is; from any thread.
Told = Callable[[str, Progress], None]


@contextmanager
def shown(output: Output, names: Sequence[str]) -> Iterator[Told]:
    """Show how far the backfills of these collectors are, while in the context."""
    if not sys.stderr.isatty():
        yield _Tenths(output)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bars
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _rate(),
        Remaining(),
    )
    bars = Bars(
        *columns,
        console=Console(stderr=True),
        redirect_stdout=False,  # what sinks print is theirs
        redirect_stderr=False,
    )
    with bars:
        tasks = {name: bars.add_task(name, total=None) for name in names}
        yield lambda name, progress: bars.update(
            tasks[name], total=progress.total, completed=progress.done
        )


def _rate() -> Any:
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f} windows/s" if task.speed else "")

    return Rate()


class _Tenths:
    """Says of each collector how far it is, ten times at the most."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._said: dict[str, int] = {}

    def __call__(self, name: str, progress: Progress) -> None:
        tenth = progress.done * 10 // max(progress.total, 1)
        if tenth > self._said.get(name, 0):
            self._said[name] = tenth
            self._output.say(f"{name}: {progress.done} of {counted(progress.total, 'window')}")
